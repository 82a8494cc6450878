"""The files of a Shapefile: records by GDAL, headers and offsets by their published layout."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.vector.ogr import read_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Dbf", "Parts", "read_boxes", "read_dataset", "read_dbf", "read_offsets"]

Parts = dict[str, Path]
"""The files of one dataset by suffix."""

_CODE = 9994
_HEADER = 100
_BOX = 36
_BOXED = (3, 5, 8)
"""Lines, polygons and multipoints, ten more with heights, twenty more with measures."""
_FIELD_BYTES, _FIELD_END = 32, b"\r"
_CENTURY = 1900


@dataclass(frozen=True)
class Dbf:
    """The header of a dBASE table: its date, its code page, and per field type, width and decimals.

    ``count`` records of ``record`` bytes each stand behind a header of ``size`` bytes.
    """

    date: str
    code_page: int
    fields: dict[str, tuple[str, int, int]]
    count: int
    size: int
    record: int


def read_dbf(path: Path) -> Dbf:
    """Read the header of a table. Raises Unreadable when it is none, or shorter than it says."""
    with reading(path, "dBASE", struct.error), path.open("rb") as file:
        raw = file.read(_FIELD_BYTES)
        year, month, day, count, size, record = struct.unpack("<x3BIHH", raw[:12])
        if b"\0" not in raw[:12]:
            raise ValueError("no header of a dBASE table")
        raw += file.read(max(0, size - len(raw)))
        if len(raw) != size or not record or path.stat().st_size < size + count * record:
            raise ValueError("the table is cut off")
        fields = {}
        for at in range(_FIELD_BYTES, size - 1, _FIELD_BYTES):
            if raw[at : at + 1] == _FIELD_END:
                break
            name, kind, width, decimals = struct.unpack("<11sc4xBB", raw[at : at + 18])
            fields[name.split(b"\0")[0].decode("utf-8", "backslashreplace")] = (
                kind.decode("latin-1"), width, decimals,
            )  # fmt: skip
        return Dbf(f"{_CENTURY + year:04}-{month:02}-{day:02}", raw[29], fields, count, size, record)


def read_offsets(path: Path, *, index: bool) -> list[tuple[int, int]]:
    """Return where each shape lies and how long it is, in words of 16 bits, by a file of shapes or its index."""
    with reading(path, "Shapefile", struct.error):
        raw = path.read_bytes()
        code, words = struct.unpack(">i20xi", raw[:28])
        if code != _CODE or words * 2 != len(raw):
            raise ValueError("the file is shorter or longer than its header says")
        if index:
            return list(struct.iter_unpack(">ii", raw[_HEADER:]))
        found, at = [], _HEADER
        while at < len(raw):
            (length,) = struct.unpack_from(">4xi", raw, at)
            if length < 0:
                raise ValueError("a shape of a negative length")
            found.append((at // 2, length))
            at += 8 + 2 * length
        if at > len(raw):
            raise ValueError("the last shape is cut off")
        return found


def read_boxes(path: Path) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """Return west, south, east and north as the header states them, and as the shapes do, sorted.

    Points and null shapes state none.
    """
    offsets = read_offsets(path, index=False)
    with reading(path, "Shapefile", struct.error):
        raw = path.read_bytes()
        kinds = [(8 + 2 * at, struct.unpack_from("<i", raw, 8 + 2 * at)[0]) for at, size in offsets if size]
        boxes = sorted(struct.unpack_from("<4d", raw, at + 4) for at, kind in kinds if kind % 10 in _BOXED)
        return struct.unpack_from("<4d", raw, _BOX), boxes


@contextmanager
def read_dataset(parts: Parts) -> Iterator[tuple[pa.Table, str]]:
    """Return the features (or, without shapes, the rows) of a dataset and the name of their geometries.

    GDAL sees copies by links under names of our own, and nothing else; the index of the shapes is made anew.
    Raises Unreadable when a file is damaged.
    """
    main = ".shp" if ".shp" in parts else ".dbf"
    if main == ".shp":
        read_offsets(parts[main], index=False)
    if ".dbf" in parts:
        read_dbf(parts[".dbf"])
    with tempfile.TemporaryDirectory(prefix="kfm-shape-") as folder:
        for suffix, file in parts.items():
            (Path(folder) / f"features{suffix}").symlink_to(file.resolve())
        table, geometry = read_table(Path(folder) / f"features{main}", "Shapefile")
        yield table, geometry if main == ".shp" else ""
