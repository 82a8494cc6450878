"""Programs of a pipeline that ran without the agent: nothing that the agent varies was varied for them."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from kfm_repro.execute.perturb.agent import Event, Kind

__all__ = ["programs_without_agent", "why_uncovered"]

_SEEN = {
    "static": "is linked statically",
    "setuid": "gives other rights",
    "other machine": "is built for another machine",
}
"""What the agent itself says of a program that it sees being started, and what we say."""
_PLAIN = frozenset(f"{folder}/sbin/ldconfig{end}" for folder in ("", "/usr") for end in ("", ".real"))
"""Static, and started by ctypes.util.find_library of every Python: it prints the linker's cache and no more."""
_SCRIPTS = 5
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_INTERPRETER = 3
_64_BITS = 2


def programs_without_agent(events: Iterable[Event], folder: Path, path: str) -> tuple[str, ...]:
    """Return the programs that were started and cannot have had the agent, each with the reason, sorted.

    ``folder`` is where the command started, ``path`` its PATH. A script is what its ``#!`` line names.
    """
    return tuple(sorted(set(_found(events, folder, path))))


def _found(events: Iterable[Event], folder: Path, path: str) -> Iterator[str]:
    for event in events:
        if event.kind is not Kind.EXEC or event.error or event.cut or event.text in _PLAIN:
            continue
        if event.how in _SEEN:
            yield f"{_name(event.text)} {_SEEN[event.how]}"
            continue
        text = event.text if "/" in event.text else shutil.which(event.text, path=path)
        why = why_uncovered(folder / text) if text else ""
        if why:
            yield f"{_name(event.text)} {why}"


def _name(text: str) -> str:
    return os.path.basename(text) or text  # noqa: PTH119 - any text


def why_uncovered(program: Path, scripts: int = _SCRIPTS) -> str:
    """Return why no library can be loaded into a program; empty when it can be, or nobody can tell."""
    try:
        with program.open("rb") as file:
            head = file.read(max(_HEADER.size, 512))
            if head.startswith(b"#!"):
                words = os.fsdecode(head[2:].split(b"\n")[0]).split()
                return why_uncovered(Path(words[0]), scripts - 1) if words and scripts else ""
            return _why(program, head)
    except (OSError, ValueError, struct.error):
        return ""


def _why(program: Path, head: bytes) -> str:
    """Say the same of an ELF file as the agent does, for what it saw started by a bare name or a script."""
    if not head.startswith(b"\x7fELF"):
        return ""
    if head[4] != _64_BITS:
        return _SEEN["other machine"]
    _, _, _, _, _, at, _, _, _, size, count, *_ = _HEADER.unpack_from(head)
    with program.open("rb") as file:
        file.seek(at)
        table = file.read(size * count)
    segments = [_SEGMENT.unpack_from(table, number * size) for number in range(count)]
    loader = next((segment for segment in segments if segment[0] == _INTERPRETER), None)
    if loader is None:
        return _SEEN["static"]
    with program.open("rb") as file:
        file.seek(loader[2])
        return "is built for musl" if b"ld-musl" in file.read(loader[5]) else ""
