"""What lies in a zip file beside its entries and its directory: a program in front, hidden entries, padding."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, BinaryIO

from kfm_repro.compare.archive.members import BLOCK
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Outside", "outside_entries", "outside_finding"]

Outside = tuple[int, str]
"""Size and SHA-256 of what lies outside."""

_LOCAL = struct.Struct("<4s22xHH")
_CENTRAL = struct.Struct("<4s24xHHH12x")
_END = struct.Struct("<4s16xH")
_END64 = struct.Struct("<4sQ")
_LOCATOR_SIZE = 20
_DESCRIBED = 8


def outside_entries(path: Path, entries: Sequence[zipfile.ZipInfo], directory: int) -> Outside:
    """Digest the bytes that belong neither to an entry of the directory nor to the directory itself.

    ``directory`` is the offset of the central directory. The layout is that of APPNOTE 6.3, section 4.3.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        spans = [*(_entry(file, entry) for entry in entries), *_directory(file, directory, len(entries))]
        total = file.seek(0, 2)
        for start, stop in _gaps(sorted(spans), total):
            size += stop - start
            digest.update(struct.pack("<Q", stop - start))
            file.seek(start)
            for at in range(start, stop, BLOCK):
                digest.update(file.read(min(BLOCK, stop - at)))
    return size, digest.hexdigest()


def outside_finding(a: Outside, b: Outside) -> list[Finding]:
    """Report what differs there: nobody knows what it means, so that it counts as data."""
    if a == b:
        return []
    where: dict[str, str | int] = {"member": "outside the zip entries"}
    evidence = f"bytes that belong to no entry: {a[0]} in A, {b[0]} in B"
    return [Finding(kind=Kind.BYTES, rung=Rung.VALUE, where=where, evidence=evidence)]


def _gaps(spans: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    reached = 0
    for start, stop in [*spans, (total, total)]:
        if start > reached:
            yield reached, start
        reached = max(reached, stop)


def _entry(file: BinaryIO, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where an entry begins and ends, its data descriptor included."""
    start = entry.header_offset
    signature, name, extra = _LOCAL.unpack(_read(file, start, _LOCAL.size))
    if signature != b"PK\x03\x04":
        return start, start
    stop = start + _LOCAL.size + name + extra + entry.compress_size
    if entry.flag_bits & _DESCRIBED:
        following = _read(file, stop, 24)
        for mark in (b"PK\x07\x08", b""):
            for form in ("<LLL", "<LQQ"):
                descriptor = mark + _packed(form, entry)
                if len(descriptor) > len(mark) and following.startswith(descriptor):
                    return start, stop + len(descriptor)
    return start, stop


def _packed(form: str, entry: zipfile.ZipInfo) -> bytes:
    try:
        return struct.pack(form, entry.CRC, entry.compress_size, entry.file_size)
    except struct.error:
        return b""


def _directory(file: BinaryIO, start: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the central directory and the records that end it."""
    at = start
    for _ in range(count):
        signature, *lengths = _CENTRAL.unpack(_read(file, at, _CENTRAL.size))
        if signature != b"PK\x01\x02":
            break
        at += _CENTRAL.size + sum(lengths)
    signature, size = _END64.unpack(_read(file, at, _END64.size))
    if signature == b"PK\x06\x06":
        at += size + 12
    if _read(file, at, 4).startswith(b"PK\x06\x07"):
        at += _LOCATOR_SIZE
    signature, comment = _END.unpack(_read(file, at, _END.size))
    if signature == b"PK\x05\x06":
        at += _END.size + comment
    yield start, at


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    """Return ``size`` bytes, with zeros for what lies beyond the end."""
    file.seek(at)
    return file.read(size).ljust(size, b"\0")
