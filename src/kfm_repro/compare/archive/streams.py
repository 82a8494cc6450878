"""bzip2, xz and Zstandard: one compressed stream, or several in a row, and the payload of all."""

from __future__ import annotations

import bz2
import lzma
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from kfm_repro.compare.archive.members import BLOCK, Meter, compare_member, safe_name
from kfm_repro.compare.archive.payload import differ
from kfm_repro.compare.context import reading
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfm_repro.compare.context import Context, Limits

__all__ = ["compare_bzip2", "compare_xz", "compare_zstd"]

_SUFFIXES = frozenset((".bz2", ".xz", ".zst", ".zstd"))
_TAR_SUFFIXES = frozenset((".tbz2", ".txz", ".tzst"))
_XZ_MEMORY = 256 << 20
"""Most memory that the dictionary of an xz stream may ask for; the strongest preset needs 65 MiB."""
_XZ_PADDING = b"\0"


class _Engine(Protocol):
    """What `bz2` and `lzma` call a decompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def compare_bzip2(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two bzip2 files by their payload; raises Unreadable (also when cut off) and LimitExceeded."""
    return _compare(a, b, context, partial(_chain, start=bz2.BZ2Decompressor))


def compare_xz(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two xz files by their payload; raises Unreadable (also when cut off) and LimitExceeded."""
    return _compare(a, b, context, partial(_chain, start=_xz_engine))


def compare_zstd(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Zstandard files by their payload; raises Unreadable (also when cut off) and LimitExceeded."""
    return _compare(a, b, context, _zstd)


def _compare(
    a: Path, b: Path, context: Context, unpack: Callable[[Path, Path, Limits], int]
) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        name = safe_name(_payload_name(context.name or a.name))
        left, right = (Path(folder) / side / name for side in ("a", "b"))
        for target in (left, right):
            target.parent.mkdir()
        counts = [unpack(path, to, context.limits) for path, to in ((a, left), (b, right))]
        payload = compare_member(left, right, name, context) if differ(left, right) else ()
    if payload and counts[0] == counts[1]:
        return payload
    how = "level or blocks of the compression differ"
    if counts[0] != counts[1]:
        how = f"{counts[0]} compressed streams in A, {counts[1]} in B"
    evidence = how if payload else f"the payload is equal; {how}"
    return (*payload, Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence))


def _payload_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.suffix.lower() in _TAR_SUFFIXES:
        return f"{path.stem}.tar"
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _xz_engine() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _chain(path: Path, target: Path, limits: Limits, start: Callable[[], _Engine]) -> int:
    """Write the payload of all streams of a file to ``target`` and return how many there are.

    Between and after streams only the padding of xz is allowed: other bytes would be compared by nobody.
    """
    meter = Meter(limits)
    count = 0
    with (
        reading(path, path.suffix.lstrip(".") or "a compressed file", lzma.LZMAError),
        path.open("rb") as source,
        target.open("wb") as to,
    ):
        pending = source.read(BLOCK)
        while pending:
            pending = _one(start(), pending, (source, to), meter)
            count += 1
            while not pending.strip(_XZ_PADDING):
                more = source.read(BLOCK)
                if not more:
                    pending = b""
                    break
                pending = more
        if not count:
            raise ValueError("it is empty")
    return count


def _one(engine: _Engine, pending: bytes, ends: tuple[BinaryIO, BinaryIO], meter: Meter) -> bytes:
    """Unpack one stream; return what was read beyond its end."""
    source, target = ends
    while True:
        block = engine.decompress(pending, BLOCK)
        meter.add(len(block), source.tell())
        target.write(block)
        if engine.eof:
            return engine.unused_data
        pending = b""
        if engine.needs_input:
            pending = source.read(BLOCK)
            if not pending:
                raise EOFError("the compressed data ends too early")


def _zstd(path: Path, target: Path, limits: Limits) -> int:
    """Write the payload of all frames to ``target``; Arrow's reader does not say how many there are."""
    import pyarrow as pa

    meter = Meter(limits)
    with (
        reading(path, "Zstandard", pa.ArrowException),
        pa.OSFile(str(path)) as source,
        target.open("wb") as to,
    ):
        stream: Any = pa.CompressedInputStream(source, "zstd")
        while block := stream.read(BLOCK):
            meter.add(len(block), max(source.tell(), 1))
            to.write(block)
    return 1
