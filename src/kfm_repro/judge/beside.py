"""Two large files: other threads digest them while they are compared."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import msgspec

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import finished, same_bytes
from kfm_repro.compare.outputs import Output, Rule, compare_outputs
from kfm_repro.errors import UsageError
from kfm_repro.model.finding import FileFacts, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import Comparison
from kfm_repro.model.verdict import output_verdict

__all__ = ["are_large", "compare_large"]

_LARGE = 1 << 20
"""Bytes from which on another thread is worth the while."""
_BLOCK = 1 << 23
"""Bytes per read: for every block a thread waits for the interpreter, which the comparison keeps for milliseconds."""


def are_large(a: Path, b: Path) -> bool:
    """Return whether it pays to digest two files beside their comparison."""
    return min(a.stat().st_size, b.stat().st_size) >= _LARGE


def compare_large(a: Path, b: Path, rule: Rule) -> Comparison:
    """Compare two files by their bytes and their meaning; of files of the same bytes one is digested.

    Raises UsageError when one cannot be read.
    """
    stop = Event()
    sizes = [FileFacts(size_bytes=path.stat().st_size) for path in (a, b)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            first = pool.submit(_facts, a, stop)
            alike = _are_alike(a, b)
            second = first if alike else pool.submit(_facts, b, stop)
            known = [_settled(a, first), _settled(b, second)] if alike else sizes
            compared = compare_outputs(
                {a.name: Output(facts=known[0], file=a)},
                {a.name: Output(facts=known[1], file=b)},
                Context(),
                lambda _: rule,
            )
            facts = _settled(a, first), _settled(b, second)
        finally:
            stop.set()
    return Comparison(outputs=tuple(_with_facts(output, *facts, alike=alike) for output in compared.outputs))


def _with_facts(output: OutputComparison, a: FileFacts, b: FileFacts, *, alike: bool) -> OutputComparison:
    """Return a comparison with what was found of the files; where that contradicts it, nothing holds for either."""
    if len({alike, a.sha256 == b.sha256, output.verdict is OutputVerdict.IDENTICAL}) > 1:
        evidence = "what was read first and later contradict each other: something still wrote to the file"
        findings = finished([Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence)])
        verdict = output_verdict(findings)
        output = msgspec.structs.replace(output, findings=findings, verdict=verdict, accepted=False)
    return msgspec.structs.replace(output, a=a, b=b)


def _are_alike(a: Path, b: Path) -> bool:
    try:
        return same_bytes(a, b)
    except OSError:
        return False  # which of them cannot be read is said when it is digested


def _facts(path: Path, stop: Event) -> FileFacts:
    """Return digest and size of a file, unless nobody wants them any more. Raises OSError."""
    sha, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        block = bytearray(_BLOCK)
        view = memoryview(block)
        while not stop.is_set() and (count := file.readinto(block)):
            sha.update(view[:count])
            size += count
    return FileFacts(sha256=sha.hexdigest(), size_bytes=size)


def _settled(path: Path, facts: Future[FileFacts]) -> FileFacts:
    try:
        return facts.result()
    except OSError as exc:
        raise UsageError(f"cannot be read: {path}: {exc.strerror}", hint="check its permissions") from exc
