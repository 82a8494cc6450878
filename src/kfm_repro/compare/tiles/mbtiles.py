"""MBTiles (1.3): tiles by their address, metadata by name; everything else as the database that it is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kfm_repro.compare import database
from kfm_repro.compare.context import reading
from kfm_repro.compare.database.read import opened
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.tiles.pyramid import Address, compare_tiles, settled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.database.read import Database
    from kfm_repro.model.finding import Finding

__all__ = ["compare_sqlite"]

_Row = tuple[Any, ...]
"""Zoom, column, row from below, data."""
_OWN = frozenset(("tiles", "map", "images", "metadata"))
_FLAT = "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
_SHARED = (
    "SELECT map.zoom_level, map.tile_column, map.tile_row, images.tile_data"
    " FROM map JOIN images ON images.tile_id = map.tile_id"
)
"""Where ``tiles`` is a view over tiles that are stored once: the view itself is never run."""


def compare_sqlite(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two SQLite files: as tiles where both are MBTiles, else as databases.

    Raises Unreadable, LimitExceeded.
    """
    with opened(a) as left, opened(b) as right:
        queries = [_query(side) for side in (left, right)]
        said = [_metadata(side) for side in (left, right)]
        if None in queries or None in said:
            return database.compare(a, b, context)
        rest = tuple(
            finding
            for finding in database.compare(a, b, context)
            if str(finding.where.get("layer", "")) not in _OWN
        )
        found = findings_of(Walk(context), {"metadata": said[0]}, {"metadata": said[1]}, context)
        only_a: list[Address] = []
        only_b: list[Address] = []
        with reading(a, "MBTiles", sqlite3.Error):
            cursors = [
                side.connection.execute(f"{query} ORDER BY 1, 2, 3")  # a constant of this module
                for side, query in zip((left, right), queries, strict=True)
            ]
            common = _joined(iter(cursors[0]), iter(cursors[1]), only_a, only_b)
            return (*rest, *settled(found, compare_tiles(common, only_a, only_b, context)))


def _query(side: Database) -> str | None:
    """Return how the tiles of a file are read; None if it is no MBTiles, or has an address twice."""
    query = _FLAT if "tiles" in side.tables else _SHARED if {"map", "images"} <= side.tables.keys() else None
    if query is None or "metadata" not in side.tables:
        return None
    try:
        twice = side.connection.execute(
            f"SELECT 1 FROM ({query}) GROUP BY zoom_level, tile_column, tile_row HAVING count(*) > 1"  # noqa: S608  # as above
        ).fetchone()
    except sqlite3.Error:
        return None
    return None if twice else query


def _metadata(side: Database) -> dict[str, object] | None:
    """Return the metadata by name, with the one that is JSON parsed; None if it is not what MBTiles has."""
    if "metadata" not in side.tables:
        return None
    rows = side.rows("metadata")
    if not {"name", "value"} <= rows.keys():
        return None
    found = dict(zip(rows["name"], rows["value"], strict=True))
    if len(found) != len(rows["name"]) or not all(isinstance(name, str) for name in found):
        return None
    with suppress(ValueError, KeyError, RecursionError):
        found["json"] = json.loads(str(found["json"]))
    return dict(sorted(found.items()))


def _joined(
    a: Iterator[_Row], b: Iterator[_Row], only_a: list[Address], only_b: list[Address]
) -> Iterator[tuple[Address, bytes, bytes]]:
    """Yield the tiles that both have, in order; note those that only one side has."""
    left, right = next(a, None), next(b, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[:3] < right[:3]):
            assert left is not None  # noqa: S101  # by the condition of the loop
            only_a.append(_address(left))
            left = next(a, None)
        elif left is None or right[:3] < left[:3]:
            only_b.append(_address(right))
            right = next(b, None)
        else:
            yield _address(left), _data(left), _data(right)
            left, right = next(a, None), next(b, None)


def _address(row: _Row) -> Address:
    """Return zoom, column and row from the top: MBTiles count rows from below."""
    zoom, column, below = (int(value) for value in row[:3])
    return zoom, column, (1 << min(zoom, 60)) - 1 - below


def _data(row: _Row) -> bytes:
    return row[3] if isinstance(row[3], bytes) else str(row[3]).encode()
