"""Files that nothing else understands: which bytes differ, and whether they are the time of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.noise.clockbytes import AROUND, explain_range
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

__all__ = ["compare"]

_BLOCK = 1 << 20
_MOST_RANGES = 10_000
"""Differing ranges that are tested one by one; a file with more holds no mere header dates."""
_SHOWN = 16


@dataclass
class _Scan:
    """What one pass over both files found. ``ranges`` are (start, stop) offsets, ascending."""

    differing: int = 0
    first: int = -1
    ranges: list[tuple[int, int]] = field(default_factory=list)
    overflow: bool = False


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Say which bytes of two files differ; ``timestamp`` only if every differing range is the run's time.

    Both are of rung ``value``: in an unknown format no field is known to be mere bookkeeping. Files of one
    size are scanned in blocks; of two sizes only the first difference is named. Raises Unreadable.
    """
    with reading(a, "a file"), a.open("rb") as file_a, b.open("rb") as file_b:
        size_a, size_b = a.stat().st_size, b.stat().st_size
        scan = _scan(file_a, file_b)
        if size_a != size_b:
            return (_sizes(scan, size_a, size_b, file_a, file_b),)
        if not scan.differing:
            return ()
        return (_same_size(scan, size_a, file_a, file_b, context),)


def _scan(file_a: BinaryIO, file_b: BinaryIO) -> _Scan:
    """Compare byte by byte over the length that both files have."""
    import numpy as np

    scan = _Scan()
    offset = 0
    while True:
        left, right = file_a.read(_BLOCK), file_b.read(_BLOCK)
        size = min(len(left), len(right))
        if not size:
            return scan
        if left != right:
            at = np.flatnonzero(np.frombuffer(left, np.uint8, size) != np.frombuffer(right, np.uint8, size))
            _add(scan, [offset + int(i) for i in at[: _MOST_RANGES * 8]], int(at.size))
        offset += size


def _add(scan: _Scan, positions: list[int], count: int) -> None:
    scan.differing += count
    scan.overflow = scan.overflow or count > len(positions)
    if positions and scan.first < 0:
        scan.first = positions[0]
    for position in positions:
        if scan.ranges and scan.ranges[-1][1] == position:
            scan.ranges[-1] = (scan.ranges[-1][0], position + 1)
        elif len(scan.ranges) >= _MOST_RANGES:
            scan.overflow = True
            return
        else:
            scan.ranges.append((position, position + 1))


def _same_size(scan: _Scan, size: int, file_a: BinaryIO, file_b: BinaryIO, context: Context) -> Finding:
    encodings: dict[str, int] = {}
    unexplained = 0
    covered = 0
    for start, stop in [] if scan.overflow else scan.ranges:
        if stop <= covered:
            continue
        at = max(0, start - AROUND)
        left, right = (_excerpt(file, at, stop + AROUND) for file in (file_a, file_b))
        found = explain_range(left, right, start - at, stop - at, context)
        if found is None:
            unexplained += 1
        else:
            encodings[found.encoding] = encodings.get(found.encoding, 0) + 1
            covered = at + found.stop
    named = ", ".join(f"{count} x {name}" for name, count in sorted(encodings.items()))
    settled = bool(encodings) and not unexplained
    evidence = f"{scan.differing} of {size} bytes differ"
    if settled:
        evidence = f"A's values lie in run A's window and B's in run B's ({named}); {evidence}"
    elif named:
        evidence += f"; {named} are readings of the clock, {unexplained} ranges are not"
    return Finding(
        kind=Kind.TIMESTAMP if settled else Kind.BYTES,
        rung=Rung.VALUE,
        where={"offset": scan.first},
        count=scan.differing,
        of=size,
        examples=_examples(scan, file_a, file_b),
        evidence=evidence,
        detail={"encodings": sorted(encodings)} if settled else {},
    )


def _sizes(scan: _Scan, size_a: int, size_b: int, file_a: BinaryIO, file_b: BinaryIO) -> Finding:
    shorter = min(size_a, size_b)
    first = scan.first if scan.first >= 0 else shorter
    start = f"the first {first} bytes are equal" if first else "they differ from the first byte on"
    if scan.first < 0:
        start = f"{'A' if size_a < size_b else 'B'} is the beginning of the other"
    return Finding(
        kind=Kind.BYTES,
        rung=Rung.VALUE,
        where={"offset": first},
        examples=_examples(scan, file_a, file_b),
        evidence=f"{size_a} bytes in A, {size_b} in B; {start}",
        detail={"size_a": size_a, "size_b": size_b},
    )


def _examples(scan: _Scan, file_a: BinaryIO, file_b: BinaryIO) -> tuple[Example, ...]:
    return tuple(
        Example(
            key={"offset": start},
            a="0x" + _excerpt(file_a, start, min(stop, start + _SHOWN)).hex(),
            b="0x" + _excerpt(file_b, start, min(stop, start + _SHOWN)).hex(),
        )
        for start, stop in scan.ranges[:MAX_EXAMPLES]
    )


def _excerpt(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)
