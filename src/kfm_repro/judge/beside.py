"""Two large files: other threads digest them while they are compared."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import finished, same_bytes
from kfm_repro.compare.outputs import Output, Rule, compare_outputs
from kfm_repro.errors import UsageError
from kfm_repro.model.finding import FileFacts, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import Comparison
from kfm_repro.model.verdict import output_verdict

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["are_large", "compare_large"]

_LARGE = 1 << 20
"""Bytes from which on another thread is worth the while."""
_BLOCK = 1 << 20
"""Bytes that are compared at once, while those before them are digested."""
_LONG_BLOCK = 1 << 22
"""Bytes per read of what is digested alone: for every block a thread waits for the interpreter."""
_GLANCE = 1 << 12
_SWITCH_S = 0.0003
"""Seconds after which a thread gives up the interpreter that others wait for: those let it go again at once."""
_AHEAD = 4
"""Blocks that have been compared and wait to be digested, at most."""


_NICENESS = 10


@dataclass(frozen=True)
class _Beginning:
    """What two files begin with alike: so many bytes, digested; whether that is all of both."""

    sha: _Hash
    size: int
    whole: bool = False


def are_large(a: Path, b: Path) -> bool:
    """Return whether it pays to digest two files beside their comparison."""
    return min(a.stat().st_size, b.stat().st_size) >= _LARGE


def compare_large(a: Path, b: Path, rule: Rule) -> Comparison:
    """Compare two files by their bytes and their meaning; of files of the same bytes one is digested.

    Raises UsageError when one cannot be read.
    """
    stop, interval = threading.Event(), sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    sizes = [FileFacts(size_bytes=path.stat().st_size) for path in (a, b)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            alike = _same_beginning(a, b)
            first, second = (pool.submit(_facts, path, alike, stop) for path in (a, b))
            known = [_settled(a, first), _settled(b, second)] if alike.whole else sizes
            compared = compare_outputs(
                {a.name: Output(facts=known[0], file=a)},
                {a.name: Output(facts=known[1], file=b)},
                Context(),
                lambda _: rule,
            )
            facts = _settled(a, first), _settled(b, second)
        finally:
            stop.set()
            sys.setswitchinterval(interval)
    return Comparison(
        outputs=tuple(_with_facts(output, *facts, alike=alike.whole) for output in compared.outputs)
    )


def _with_facts(output: OutputComparison, a: FileFacts, b: FileFacts, *, alike: bool) -> OutputComparison:
    """Return a comparison with what was found of the files; where that contradicts it, nothing holds for either."""
    if len({alike, a.sha256 == b.sha256, output.verdict is OutputVerdict.IDENTICAL}) > 1:
        evidence = "what was read first and later contradict each other: something still wrote to the file"
        findings = finished([Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence)])
        verdict = output_verdict(findings)
        output = msgspec.structs.replace(output, findings=findings, verdict=verdict, accepted=False)
    return msgspec.structs.replace(output, a=a, b=b)


def _same_beginning(a: Path, b: Path) -> _Beginning:
    """Compare two files of one size up to the first block that differs; another thread digests what is alike."""
    try:
        if a.stat().st_size == b.stat().st_size:
            return _digested_in_step(a, b)
    except OSError:
        pass  # which of them cannot be read is said when it is digested
    return _Beginning(hashlib.sha256(), 0)


def _digested_in_step(a: Path, b: Path) -> _Beginning:
    sha, size, whole = hashlib.sha256(), 0, False
    waiting: deque[Future[None]] = deque()
    other = bytearray(_BLOCK)
    with (
        a.open("rb", buffering=0) as file_a,
        b.open("rb", buffering=0) as file_b,
        ThreadPoolExecutor(max_workers=1) as digester,
    ):
        glances = file_a.read(_GLANCE), file_b.read(_GLANCE)
        if any(left != right for left, right in zip(*glances, strict=False)):
            return _Beginning(sha, 0)
        file_a.seek(0)
        file_b.seek(0)
        for block in cycle([bytearray(_BLOCK) for _ in range(_AHEAD)]):
            if len(waiting) == _AHEAD:
                waiting.popleft().result()
            count, other_count = file_a.readinto(block), file_b.readinto(other)
            if count != other_count:  # a read may bring less than it was asked for
                whole = same_bytes(a, b)
                break
            # Whole bytearrays are compared by the C library; views of them byte by byte.
            whole = block == other if count == _BLOCK else block[:count] == other[:count]
            if not whole or not count:
                break
            waiting.append(digester.submit(sha.update, block if count == _BLOCK else block[:count]))
            size += count
    return _Beginning(sha, size, whole=whole)


def _facts(path: Path, begun: _Beginning, stop: threading.Event) -> FileFacts:
    """Return digest and size of a file whose beginning is digested, unless nobody wants them. Raises OSError."""
    _give_way()
    sha, size = begun.sha.copy(), begun.size
    with path.open("rb", buffering=0) as file:
        file.seek(size)
        block = bytearray(_LONG_BLOCK)
        view = memoryview(block)
        while not stop.is_set() and (count := file.readinto(block)):
            sha.update(view[:count])
            size += count
    return FileFacts(sha256=sha.hexdigest(), size_bytes=size)


def _give_way() -> None:
    """Let threads that compare go first where cores are few: they need no digest, but their end is waited for."""
    if sys.platform == "linux":  # elsewhere the number of a thread is none that priorities are known by
        this = threading.get_native_id()
        with suppress(OSError):  # some sandboxes forbid it
            os.setpriority(os.PRIO_PROCESS, this, os.getpriority(os.PRIO_PROCESS, this) + _NICENESS)


def _settled(path: Path, facts: Future[FileFacts]) -> FileFacts:
    try:
        return facts.result()
    except OSError as exc:
        raise UsageError(f"cannot be read: {path}: {exc.strerror}", hint="check its permissions") from exc
