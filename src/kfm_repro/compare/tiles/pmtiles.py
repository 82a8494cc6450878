"""PMTiles (version 3): header and directories, metadata, tiles by their address."""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tiles.mvt import varint
from kfm_repro.compare.tiles.pyramid import Address, compare_tiles, settled
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare"]

_HEADER = struct.Struct("<7sB11Q6B4iB2i")
_MOST_TILES = 20_000_000
_MOST_DIRECTORY = 256 << 20
_NONE, _GZIP = 1, 2
_SAID = (
    *((20, "tile compression"), (21, "tile type"), (22, "lowest zoom"), (23, "highest zoom")),
    *((24, "west"), (25, "south"), (26, "east"), (27, "north"), (28, "zoom of the centre")),
    *((29, "longitude of the centre"), (30, "latitude of the centre")),
)  # fmt: skip


@dataclass(frozen=True)
class _Archive:
    """One side: header fields that say something, metadata, and where each tile lies."""

    said: dict[str, int]
    metadata: Any
    tiles: dict[int, tuple[int, int]]
    data: Any
    begin: int

    def tile(self, number: int) -> bytes:
        offset, size = self.tiles[number]
        data = bytes(self.data[self.begin + offset : self.begin + offset + size])
        if len(data) != size:
            raise EOFError("the file ends within a tile")
        return data


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PMTiles archives tile by tile. Raises Unreadable, LimitExceeded."""
    sides = []
    for path in (a, b):
        with reading(path, "PMTiles", struct.error, zlib.error):
            sides.append(_opened(path))
    left, right = sides
    found = [
        Finding(
            kind=Kind.SCHEMA,
            rung=Rung.VALUE,
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
    only = [[_address(n) for n in x.tiles if n not in y.tiles] for x, y in ((left, right), (right, left))]
    with reading(a, "PMTiles", zlib.error):
        common = ((_address(n), left.tile(n), right.tile(n)) for n in left.tiles if n in right.tiles)
        return settled(found, compare_tiles(common, only[0], only[1], context))


def _opened(path: Path) -> _Archive:
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = _HEADER.unpack_from(data)
    if head[0] != b"PMTiles" or head[1] != 3:  # noqa: PLR2004  # the version
        raise ValueError(f"version {head[1]} of PMTiles")
    root, root_size, meta, meta_size, leaves, _, tiles, _, *_ = head[2:13]
    packing = head[14]
    found: dict[int, tuple[int, int]] = {}
    for number, run, offset, size in _entries(data, root, root_size, leaves, packing, 0):
        for i in range(run):
            found[number + i] = (offset, size)
        if len(found) > _MOST_TILES:
            raise LimitExceeded(f"more than {_MOST_TILES} tiles")
    said = {name: head[i - 20 + 15] for i, name in _SAID}
    text = _unpacked(bytes(data[meta : meta + meta_size]), packing)
    return _Archive(said, json.loads(text) if text else None, found, data, tiles)


def _unpacked(data: bytes, packing: int) -> bytes:
    if packing == _GZIP:
        engine = zlib.decompressobj(31)
        plain = engine.decompress(data, _MOST_DIRECTORY)
        if not engine.eof:
            raise ValueError("a directory that is truncated or too large")
        return plain
    if packing != _NONE:
        raise LimitExceeded(f"directories packed by method {packing} are not read")
    return data


def _entries(  # the layout of a directory takes that many
    data: Any,  # noqa: ANN401  # a memory map
    at: int,
    size: int,
    leaves: int,
    packing: int,
    depth: int,  # a memory map
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number of the first tile, how many share it, offset, size) of a directory and those below it."""
    if depth > 3:  # noqa: PLR2004  # the specification has two levels
        raise ValueError("directories nested too deeply")
    raw = _unpacked(bytes(data[at : at + size]), packing)
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
        if run:
            if run > _MOST_TILES:
                raise LimitExceeded(f"more than {_MOST_TILES} tiles")
            yield number, run, offset, length
        else:
            yield from _entries(data, leaves + offset, length, leaves, packing, depth + 1)


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
