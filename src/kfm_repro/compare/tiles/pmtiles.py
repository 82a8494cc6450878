"""PMTiles (version 3): header and directories, metadata, tiles by their address."""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.document.parse import DuplicateKey, read_json
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tiles.mvt import varint
from kfm_repro.compare.tiles.pyramid import Address, Lone, compare_tiles, settled
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["compare"]

_HEADER = struct.Struct("<7sB11Q6B4iB2i")
_MOST_TILES = 20_000_000
_MOST_DIRECTORY = 256 << 20
_MOST_METADATA = 64 << 20
_NONE, _GZIP = 1, 2
_GZIPPED = b"\x1f\x8b"
_PACKING = "tile compression"
_ANY: Address = (0, 0, 0)
"""Stands for the address of tiles that are equal: nobody asks where."""
_SAID = (
    *((20, _PACKING), (21, "tile type"), (22, "lowest zoom"), (23, "highest zoom")),
    *((24, "west"), (25, "south"), (26, "east"), (27, "north"), (28, "zoom of the centre")),
    *((29, "longitude of the centre"), (30, "latitude of the centre")),
)  # fmt: skip


Run = tuple[int, int, int, int]
"""Number of the first tile, how many share what follows, offset and size of their data."""


@dataclass(frozen=True)
class _Archive:
    """One side: header fields that say something, metadata, and where each tile lies, in order."""

    said: dict[str, int]
    metadata: Any
    runs: list[Run]
    data: Any
    begin: int

    def tile(self, run: Run) -> bytes:
        """Return the data of a tile. Raises EOFError."""
        offset, size = run[2:]
        data = bytes(self.data[self.begin + offset : self.begin + offset + size])
        if len(data) != size:
            raise EOFError("the file ends within a tile")
        return data

    def holds(self, data: bytes) -> bool:
        """Return whether a tile is packed as the header says: readers unpack it by that."""
        packing = self.said[_PACKING]
        return packing not in (_NONE, _GZIP) or data.startswith(_GZIPPED) == (packing == _GZIP)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PMTiles archives tile by tile. Raises Unreadable, LimitExceeded."""
    sides = []
    for path in (a, b):
        with reading(path, "PMTiles", struct.error, zlib.error):
            sides.append(_opened(path))
    left, right = sides
    known = all(side.said[_PACKING] in (_NONE, _GZIP) for side in sides)
    found = [
        Finding(
            kind=Kind.LAYOUT if name == _PACKING and known else Kind.SCHEMA,
            rung=Rung.CONTAINER if name == _PACKING and known else Rung.VALUE,
            where={"pointer": f"/header/{name}"},
            examples=(Example(a=scalar(value), b=scalar(right.said[name])),),
            evidence=name,
        )
        for name, value in left.said.items()
        if value != right.said[name]
    ]
    found.extend(
        findings_of(Walk(context), {"metadata": left.metadata}, {"metadata": right.metadata}, context)
    )
    only_a, only_b, belied = Lone(), Lone(), Lone()
    with reading(a, "PMTiles"):
        common = _joined(left, right, only_a, only_b, belied)
        tiles = compare_tiles(common, only_a, only_b, context)
    return settled([*found, *_belied(belied)], tiles)


def _belied(tiles: Lone) -> Iterator[Finding]:
    """Report tiles that one side packs as its header says, and the other does not."""
    if tiles.count:
        examples = tuple(Example(key={"tile": "/".join(map(str, address))}) for address in tiles.first)
        evidence = "tiles that are not packed as the header of their side says"
        where: dict[str, str | int] = {"pointer": f"/header/{_PACKING}"}
        yield Finding(
            kind=Kind.ENCODING,
            rung=Rung.VALUE,
            where=where,
            count=tiles.count,
            examples=examples,
            evidence=evidence,
        )


def _joined(
    a: _Archive, b: _Archive, only_a: Lone, only_b: Lone, belied: Lone
) -> Iterator[tuple[Address, bytes, bytes]]:
    """Yield the tiles that both have, in order; note those that only one side has or packs as it says."""
    ends = iter(a.runs), iter(b.runs)
    left, right = next(ends[0], None), next(ends[1], None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None  # noqa: S101  # by the condition of the loop
            left = _alone(left, right, only_a) or next(ends[0], None)
        elif left is None or right[0] < left[0]:
            right = _alone(right, left, only_b) or next(ends[1], None)
        else:
            both = min(left[1], right[1])
            tiles = a.tile(left), b.tile(right)
            if a.holds(tiles[0]) != b.holds(tiles[1]):
                belied.add(_address(left[0]), count=both)
            for number in range(left[0], left[0] + both):
                yield (_address(number) if tiles[0] != tiles[1] else _ANY, *tiles)
            left = _rest(left, both) or next(ends[0], None)
            right = _rest(right, both) or next(ends[1], None)


def _alone(run: Run, other: Run | None, only: Lone) -> Run | None:
    """Note the tiles of a run that lie before another one; return what is left of it."""
    count = min(run[1], other[0] - run[0]) if other else run[1]
    only.add(*map(_address, range(run[0], run[0] + min(count, MAX_EXAMPLES))), count=count)
    return _rest(run, count)


def _rest(run: Run, taken: int) -> Run | None:
    return (run[0] + taken, run[1] - taken, *run[2:]) if run[1] > taken else None


def _opened(path: Path) -> _Archive:
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = _HEADER.unpack_from(data)
    if head[0] != b"PMTiles" or head[1] != 3:  # noqa: PLR2004  # the version
        raise ValueError(f"version {head[1]} of PMTiles")
    root, root_size, meta, meta_size, leaves, _, tiles, _, *_ = head[2:13]
    packing = head[14]
    runs = _Directories(data, leaves, packing).runs(root, root_size)
    said = {name: head[i - 20 + 15] for i, name in _SAID}
    text = _unpacked(_part(data, meta, meta_size), packing, _MOST_METADATA)
    return _Archive(said, _parsed(text), runs, data, tiles)


def _parsed(text: bytes) -> Any:  # noqa: ANN401  # whatever JSON says
    try:
        return read_json(text, Context()) if text else None
    except DuplicateKey:
        return text.decode()


def _part(data: Any, at: int, size: int) -> bytes:  # noqa: ANN401  # a memory map
    part = bytes(data[at : at + size])
    if len(part) != size:
        raise EOFError("the file ends within a directory or its metadata")
    return part


def _unpacked(data: bytes, packing: int, most: int = _MOST_DIRECTORY) -> bytes:
    if len(data) > most:
        raise LimitExceeded(f"a directory or metadata of more than {most} bytes")
    if packing == _GZIP:
        engine = zlib.decompressobj(31)
        plain = engine.decompress(data, most)
        if not engine.eof:
            raise ValueError("a directory that is truncated or too large")
        return plain
    if packing != _NONE:
        raise LimitExceeded(f"directories packed by method {packing} are not read")
    return data


class _Directories:
    """Reads the root directory and those below it, as a reader that looks for one tile would find it."""

    def __init__(self, data: Any, leaves: int, packing: int) -> None:  # noqa: ANN401  # a memory map
        self._data = data
        self._leaves = leaves
        self._packing = packing
        self._found: list[Run] = []
        self._reached = 0
        """The number that a following tile has at least."""
        self._tiles = 0
        self._bytes = 0

    def runs(self, at: int, size: int) -> list[Run]:
        """Return all tiles in order. Raises ValueError, LimitExceeded."""
        self._read(at, size, 0)
        return self._found

    def _read(self, at: int, size: int, depth: int) -> None:
        if depth > 3:  # noqa: PLR2004  # the specification has two levels
            raise ValueError("directories nested too deeply")
        raw = _unpacked(_part(self._data, at, size), self._packing)
        self._bytes += len(raw)
        if self._bytes > _MOST_DIRECTORY:
            raise LimitExceeded(f"directories of more than {_MOST_DIRECTORY} bytes")
        for number, run, offset, length in _entries(raw):
            if number < self._reached:
                raise ValueError("the directories are not in order: readers would not find every tile")
            if run:
                self._tiles += run
                if self._tiles > _MOST_TILES:
                    raise LimitExceeded(f"more than {_MOST_TILES} tiles")
                self._found.append((number, run, offset, length))
                self._reached = number + run
            else:
                self._reached = number
                self._read(self._leaves + offset, length, depth + 1)
                self._reached = max(self._reached, number + 1)


def _entries(raw: bytes) -> Iterator[Run]:
    """Yield the entries of one directory; a run of none leads to a directory below."""
    count, where = varint(raw, 0)
    columns: list[list[int]] = []
    for _ in range(4):
        column = []
        for _ in range(count):
            value, where = varint(raw, where)
            column.append(value)
        columns.append(column)
    number = following = 0
    for step, run, length, place in zip(*columns, strict=True):
        number += step
        offset = following if place == 0 else place - 1
        following = offset + length
        yield number, run, offset, length


def _address(number: int) -> Address:
    """Return zoom, column and row of a tile's number: its place on the Hilbert curves of all zooms."""
    zoom, first = 0, 0
    while number - first >= 4**zoom:
        first += 4**zoom
        zoom += 1
    left, x, y = number - first, 0, 0
    side = 1
    while side < 1 << zoom:
        rx = 1 & (left >> 1)
        ry = 1 & (left ^ rx)
        if not ry:
            if rx:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        x, y = x + side * rx, y + side * ry
        left >>= 2
        side <<= 1
    return zoom, x, y
