"""bzip2, xz and zstd: one compressed stream, or several in a row; the payload by what it is."""

from __future__ import annotations

import bz2
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from kfm_repro.compare.archive.members import BLOCK, Meter, compare_member, safe_name
from kfm_repro.compare.context import reading
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["compare_bzip2", "compare_xz", "compare_zstd"]

Opener = Callable[[Path], IO[bytes]]
_SUFFIXES = frozenset((".bz2", ".xz", ".lzma", ".zst", ".zstd"))
_ERRORS = (lzma.LZMAError,)


def compare_bzip2(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two bzip2 files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""
    return _compare(a, b, context, "bzip2", lambda path: bz2.open(path, "rb"))


def compare_xz(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two xz files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""
    return _compare(a, b, context, "xz", lambda path: lzma.open(path, "rb"))


def compare_zstd(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Zstandard files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""

    def opened(path: Path) -> IO[bytes]:
        import pyarrow as pa

        return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))

    return _compare(a, b, context, "zstd", opened)


def _compare(a: Path, b: Path, context: Context, what: str, opened: Opener) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        name = safe_name(_payload_name(context.name or a.name))
        paths = [Path(folder) / side / name for side in ("a", "b")]
        for source, target in zip((a, b), paths, strict=True):
            target.parent.mkdir()
            _unpack(source, target, context, what, opened)
        payload = compare_member(*paths, name, context)
    if payload:
        return payload
    evidence = f"the payload is equal; level, blocks or header of the {what} differ"
    return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence),)


def _payload_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.suffix.lower() == ".tbz2":
        return f"{path.stem}.tar"
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _unpack(source: Path, target: Path, context: Context, what: str, opened: Opener) -> None:
    """Write the payload; stop at the limits. The ratio counts against the whole file: streams read ahead."""
    meter = Meter(context.limits)
    packed = source.stat().st_size
    if not packed:
        with reading(source, what):
            raise EOFError("the file is empty")
    with reading(source, what, *_ERRORS), opened(source) as stream, target.open("wb") as out:
        while block := stream.read(BLOCK):
            meter.add(len(block), packed)
            out.write(block)
    if what == "zstd":
        _check_ends(source)


def _check_ends(path: Path) -> None:
    """Refuse a Zstandard file that stops within a frame: Arrow reads what is there and says nothing.

    Walks frames and blocks by their headers (RFC 8878, 3.1). Raises Unreadable.
    """
    with reading(path, "zstd"), path.open("rb") as file:
        size = file.seek(0, 2)
        at = 0
        while at < size:
            file.seek(at)
            magic = int.from_bytes(_read(file, 4), "little")
            if magic & 0xFFFFFFF0 == _SKIPPABLE:
                at += 8 + int.from_bytes(_read(file, 4), "little")
            elif magic == _FRAME:
                at = _frame_end(file, at + 4)
            else:
                raise ValueError(f"no frame begins at byte {at}")
        if at > size:
            raise EOFError("the file ends within a frame")


_FRAME, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_RLE = 1


def _frame_end(file: IO[bytes], at: int) -> int:
    """Return where the frame ends whose header descriptor lies at ``at``."""
    file.seek(at)
    descriptor = _read(file, 1)[0]
    single = descriptor >> 5 & 1
    content = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    at += 1 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
    last = 0
    while not last:
        file.seek(at)
        header = int.from_bytes(_read(file, 3), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == _RLE else size)
    return at + 4 * (descriptor >> 2 & 1)


def _read(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("the file ends within a frame")
    return data
