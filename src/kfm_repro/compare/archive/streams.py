"""bzip2, xz and zstd: one compressed stream, or several in a row; the payload by what it is."""

from __future__ import annotations

import bz2
import lzma
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from kfm_repro.compare.archive.members import BLOCK, Meter, compare_member, safe_name
from kfm_repro.compare.context import reading
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfm_repro.compare.context import Context

__all__ = ["compare_bzip2", "compare_xz", "compare_zstd"]

_SUFFIXES = frozenset((".bz2", ".xz", ".zst", ".zstd"))
_TAR_SUFFIXES = frozenset((".tbz2", ".txz", ".tzst"))
_XZ_MEMORY = 256 << 20
"""Most memory that an xz stream may ask for: level 9 takes 65 MiB."""


class _Engine(Protocol):
    """What the decompressors of the standard library share."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether more packed bytes are wanted."""

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most so many bytes more."""


def compare_bzip2(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two bzip2 files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""
    return _compare(a, b, context, "bzip2", bz2.BZ2Decompressor)


def compare_xz(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two xz files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""
    return _compare(a, b, context, "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY))


def compare_zstd(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Zstandard files by their payload. Raises Unreadable (also when truncated), LimitExceeded."""
    return _compare(a, b, context, "zstd", None)


def _compare(
    a: Path, b: Path, context: Context, what: str, engine: Callable[[], _Engine] | None
) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        name = safe_name(_payload_name(context.name or a.name))
        paths = [Path(folder) / side / name for side in ("a", "b")]
        rests: list[bytes] = []
        for source, target in zip((a, b), paths, strict=True):
            target.parent.mkdir()
            meter = Meter(context.limits)
            with reading(source, what, lzma.LZMAError), target.open("wb") as out:
                blocks = _frames(source) if engine is None else _Streams(source, engine, rests)
                for block in blocks:
                    # Streams are read ahead: the ratio counts against the whole file.
                    meter.add(len(block), source.stat().st_size)
                    out.write(block)
        found = compare_member(paths[0], paths[1], name, context)
    if len(set(rests)) > 1:
        where: dict[str, str | int] = {"member": f"after the last {what} stream"}
        evidence = f"bytes after the last stream: {len(rests[0])} in A, {len(rests[1])} in B"
        found = (*found, Finding(kind=Kind.BYTES, rung=Rung.VALUE, where=where, evidence=evidence))
    if found:
        return found
    evidence = f"the payload is equal; level, blocks or header of the {what} differ"
    return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence),)


def _payload_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.suffix.lower() in _TAR_SUFFIXES:
        return f"{path.stem}.tar"
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _frames(path: Path) -> Iterator[bytes]:
    """Yield the payload of a Zstandard file, all its frames; Arrow refuses what is truncated or no frame."""
    import pyarrow as pa

    if not path.stat().st_size:
        raise EOFError("the file is empty")
    with pa.OSFile(str(path)) as source, pa.CompressedInputStream(source, "zstd") as stream:
        while block := stream.read(BLOCK):
            yield block


class _Streams:
    """The payload of all streams of a bzip2 or xz file; what follows the last one is added to ``rests``."""

    def __init__(self, path: Path, engine: Callable[[], _Engine], rests: list[bytes]) -> None:
        self._path, self._make, self._rests = path, engine, rests

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as source:
            pending = source.read(BLOCK)
            magic = pending[:3]
            if not pending:
                raise EOFError("the file is empty")
            while pending.startswith(magic):
                engine = self._make()
                while not engine.eof:
                    if not pending and engine.needs_input:
                        pending = source.read(BLOCK)
                        if not pending:
                            raise EOFError("the compressed data end too early")
                    yield engine.decompress(pending, BLOCK)
                    pending = b""
                pending = engine.unused_data.lstrip(b"\0") or source.read(BLOCK).lstrip(b"\0")
            self._rests.append(pending + source.read(BLOCK))
