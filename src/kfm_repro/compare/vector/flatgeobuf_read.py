"""FlatGeobuf (specification 3.x): the header, the index, and where each feature lies.

The features themselves are decoded by GDAL; what it does not hand out is read here. The layout of tables is that
of FlatBuffers (https://flatbuffers.dev/internals), the fields are those of ``header.fbs``.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Header", "read_header"]

_MAGIC, _MAGIC_BYTES = b"fgb\x03fgb", 8
_LARGEST_HEADER = 16 << 20
"""Bytes: GDAL reads no longer ones. The last byte of the length is then 0, so that the first twelve bytes end."""
_ENTRY = 40
"""Bytes of an entry of the index: four doubles and an offset."""
_TYPES = (
    "byte", "ubyte", "bool", "short", "ushort", "int", "uint", "long", "ulong", "float", "double", "string",
    "json", "datetime", "binary",
)  # fmt: skip
_COLUMN = ("name", "type", "title", "description", "width", "precision", "scale", "nullable", "unique",
           "primary_key", "metadata")  # fmt: skip
_CRS = ("org", "code", "name", "description", "wkt", "code_string")


@dataclass(frozen=True)
class Header:
    """What a file says of itself, and where its parts lie.

    ``fields`` are the plain members of the header by name, ``columns`` those of each column, ``crs`` those of
    the reference system (empty: none). ``offsets`` are the features' places from the first on, ``index`` the
    entries of the features in the index, a structured array with ``box`` (4,) and ``offset``; None without.
    ``rooted`` says that whoever searches the index from its root comes to each of them.
    """

    fields: dict[str, Any]
    columns: tuple[dict[str, Any], ...]
    crs: dict[str, Any]
    envelope: tuple[float, ...]
    offsets: npt.NDArray[np.uint64]
    index: npt.NDArray[Any] | None
    rooted: bool


def read_header(path: Path) -> Header:
    """Read everything but the features. Raises Unreadable for another format and for a file that is cut off."""
    with reading(path, "FlatGeobuf", struct.error, UnicodeDecodeError, OverflowError, RecursionError):
        with path.open("rb") as file:
            start = file.read(_MAGIC_BYTES + 4)
            size = int.from_bytes(start[_MAGIC_BYTES:], "little")
            if not start.startswith(_MAGIC) or len(start) != _MAGIC_BYTES + 4:
                raise ValueError("no FlatGeobuf 3")
            if not 0 < size < _LARGEST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            raw = file.read(size)
        if len(raw) != size:
            raise ValueError("the header is cut off")
        return _header(path, raw, len(start) + size)


def _header(path: Path, raw: bytes, end: int) -> Header:
    table = _Table.root(raw)
    count, node = table.number(8, "Q", 0), table.number(9, "H", 16)
    inner = table.table(10)
    body = end
    index, rooted = None, True
    if node > 1 and count:
        levels = _levels(count, node)
        body = end + sum(levels) * _ENTRY
        entries = _entries(path, end, sum(levels))
        index, rooted = entries[-count:], _is_rooted(entries, levels, node)
    offsets = _features(path, body)
    if count and len(offsets) != count:
        raise ValueError(f"{len(offsets)} features where the header says {count}")
    return Header(
        fields={
            "name": table.text(0),
            "geometry_type": table.number(2, "B", 0),
            **{name: bool(table.number(at, "B", 0)) for at, name in enumerate(("z", "m", "t", "tm"), 3)},
            "index_node_size": node,
            "title": table.text(11),
            "description": table.text(12),
            "metadata": table.text(13),
            "features_count": count,
        },
        columns=tuple(_column(column) for column in table.tables(7)),
        crs={} if inner is None else dict(zip(_CRS, _system(inner), strict=True)),
        envelope=table.doubles(1),
        offsets=offsets,
        index=index,
        rooted=rooted,
    )


def _column(table: _Table) -> dict[str, Any]:
    kind = table.number(1, "B", 0)
    values = (
        table.text(0), _TYPES[kind] if kind < len(_TYPES) else str(kind), table.text(2), table.text(3),
        table.number(4, "i", -1), table.number(5, "i", -1), table.number(6, "i", -1),
        bool(table.number(7, "B", 1)), bool(table.number(8, "B", 0)), bool(table.number(9, "B", 0)),
        table.text(10),
    )  # fmt: skip
    return dict(zip(_COLUMN, values, strict=True))


def _system(table: _Table) -> tuple[Any, ...]:
    return (table.text(0), table.number(1, "i", 0), *(table.text(at) for at in (2, 3, 4, 5)))


def _levels(count: int, node: int) -> list[int]:
    """Return the number of entries of each level of a packed Hilbert R-tree, the features first.

    There is always a root, also above a single feature.
    """
    levels = [count, -(-count // node)]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // node))
    return levels


def _is_rooted(entries: npt.NDArray[Any], levels: list[int], node: int) -> bool:
    """Return whether every entry above the features names its first child, and covers all of its children.

    Entries stand from the root to the features; a child is named by its place among all of them.
    """
    import numpy as np

    start = 0
    for children, parents in zip(levels[-2::-1], levels[:0:-1], strict=True):
        above, first = entries[start : start + parents], start + parents
        if not np.array_equal(above["offset"], first + node * np.arange(parents, dtype=np.uint64)):
            return False
        boxes = entries["box"][first : first + children]
        parent = np.repeat(above["box"], node, axis=0)[:children]
        if (parent[:, :2] > boxes[:, :2]).any() or (parent[:, 2:] < boxes[:, 2:]).any():
            return False
        start = first
    return True


def _entries(path: Path, offset: int, count: int) -> npt.NDArray[Any]:
    import numpy as np

    entry = np.dtype([("box", "<f8", 4), ("offset", "<u8")])
    if offset + count * _ENTRY > path.stat().st_size:
        raise ValueError("the index is cut off")
    return np.fromfile(path, entry, count=count, offset=offset)


def _features(path: Path, body: int) -> npt.NDArray[np.uint64]:
    """Return where each feature begins, counted from the first; ValueError when the last one is cut off."""
    import numpy as np

    end, at = path.stat().st_size, body
    if at > end:
        raise ValueError("the index is cut off")
    offsets = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        while at < end:
            (size,) = struct.unpack_from("<I", raw, at)
            offsets.append(at - body)
            at += 4 + size
    if at > end:
        raise ValueError("the last feature is cut off")
    return np.array(offsets, np.uint64)


@dataclass(frozen=True)
class _Table:
    """One table of a FlatBuffer. Whatever points out of the buffer raises ValueError or struct.error."""

    raw: bytes
    at: int

    @classmethod
    def root(cls, raw: bytes) -> _Table:
        return cls(raw, struct.unpack_from("<I", raw, 0)[0])

    def number(self, field: int, code: str, default: int) -> int:
        at = self._place(field)
        return struct.unpack_from("<" + code, self.raw, at)[0] if at else default

    def text(self, field: int) -> str:
        at = self._follow(field)
        if not at:
            return ""
        (size,) = struct.unpack_from("<I", self.raw, at)
        if at + 4 + size > len(self.raw):
            raise ValueError("a text that is cut off")
        return self.raw[at + 4 : at + 4 + size].decode("utf-8")

    def doubles(self, field: int) -> tuple[float, ...]:
        at = self._follow(field)
        return struct.unpack_from(f"<{self._size(at, 8)}d", self.raw, at + 4) if at else ()

    def table(self, field: int) -> _Table | None:
        at = self._follow(field)
        return _Table(self.raw, at) if at else None

    def tables(self, field: int) -> list[_Table]:
        at = self._follow(field)
        places = [at + 4 + 4 * n for n in range(self._size(at, 4))] if at else []
        return [_Table(self.raw, place + struct.unpack_from("<I", self.raw, place)[0]) for place in places]

    def _size(self, at: int, width: int) -> int:
        (size,) = struct.unpack_from("<I", self.raw, at)
        if size * width > len(self.raw):
            raise ValueError("a list that is cut off")
        return int(size)

    def _follow(self, field: int) -> int:
        at = self._place(field)
        return at + struct.unpack_from("<I", self.raw, at)[0] if at else 0

    def _place(self, field: int) -> int:
        """Return where a field lies, 0 when the table does not have it."""
        vtable = self.at - struct.unpack_from("<i", self.raw, self.at)[0]
        if vtable < 0:
            raise ValueError("a table without description")
        (length,) = struct.unpack_from("<H", self.raw, vtable)
        place = 4 + 2 * field
        step = struct.unpack_from("<H", self.raw, vtable + place)[0] if place < length else 0
        return self.at + step if step else 0
