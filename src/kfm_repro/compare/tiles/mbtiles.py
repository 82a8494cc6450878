"""MBTiles (1.3): tiles by their address, metadata by name; everything else as the database that it is."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare import database
from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.database.read import opened
from kfm_repro.compare.document.parse import DuplicateKey, read_json
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.tiles.pyramid import Address, Lone, compare_tiles, settled
from kfm_repro.model.finding import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.database.read import Database

__all__ = ["compare_sqlite"]

_Row = tuple[Any, ...]
"""Zoom, column, row from below, data."""
_SAID = ("metadata", frozenset(("name", "value")))
_SCHEMA = (Kind.SCHEMA, Kind.TYPE)


@dataclass(frozen=True)
class _Form:
    """How tiles lie in a file: the tables with all their columns, and how they are read.

    ``unused`` asks for rows of which there must be none: grids of texts, which are not compared as such.
    """

    query: str
    tables: tuple[tuple[str, frozenset[str]], ...]
    unused: str = ""


_MAP = frozenset(("zoom_level", "tile_column", "tile_row", "tile_id"))
_JOINED = (
    "SELECT map.zoom_level, map.tile_column, map.tile_row, images.tile_data"
    " FROM map JOIN images ON images.tile_id = map.tile_id"
)
_IMAGES = ("images", frozenset(("tile_id", "tile_data")))
_FORMS = (
    _Form(
        "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles",
        (("tiles", frozenset(("zoom_level", "tile_column", "tile_row", "tile_data"))), _SAID),
    ),
    # ``tiles`` is a view over tiles that are stored once: it is compared by its text, and never run.
    _Form(_JOINED, (("map", _MAP), _IMAGES, _SAID)),
    _Form(
        _JOINED,
        (("map", _MAP | {"grid_id"}), _IMAGES, _SAID),
        unused="SELECT 1 FROM map WHERE grid_id NOT NULL",
    ),
)
_NO_TILE = (
    "typeof(zoom_level) <> 'integer' OR zoom_level NOT BETWEEN 0 AND 60 OR typeof(tile_column) <> 'integer'"
    " OR typeof(tile_row) <> 'integer' OR typeof(tile_data) <> 'blob'"
)
"""What holds of a row that is no tile: SQLite keeps any value in any column."""


def compare_sqlite(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two SQLite files: as tiles where both are MBTiles, else as databases.

    Raises Unreadable, LimitExceeded.
    """
    with opened(a) as left, opened(b) as right:
        forms = [_form(side) for side in (left, right)]
        said = [_metadata(side) for side in (left, right)]
        form = forms[0]
        if form is None or form != forms[1] or None in said:
            return database.compare(a, b, context)
        rest = tuple(finding for finding in database.compare(a, b, context) if not _is_told(finding, form))
        found = findings_of(Walk(context), {"metadata": said[0]}, {"metadata": said[1]}, context)
        only_a, only_b = Lone(), Lone()
        with reading(a, "MBTiles", sqlite3.Error):
            cursors = [
                side.connection.execute(f"{form.query} ORDER BY 1, 2, 3")  # a constant of this module
                for side in (left, right)
            ]
            common = _joined(iter(cursors[0]), iter(cursors[1]), only_a, only_b)
            return (*rest, *settled(found, compare_tiles(common, only_a, only_b, context)))


def _form(side: Database) -> _Form | None:
    """Return how the tiles of a file lie; None if it is no MBTiles, says more, or has an address twice."""
    for form in _FORMS:
        known = {name: side.tables[name] for name, _ in form.tables if name in side.tables}
        if all(name in known and {*known[name].names} == columns for name, columns in form.tables):
            computed = any(table.computed for table in known.values())
            return None if computed or _says_more(side, form) else form
    return None


def _says_more(side: Database, form: _Form) -> bool:
    """Return whether an address stands twice or is none, a tile is no blob, or what must be empty is not."""
    tiles = f"SELECT 1 FROM ({form.query})"  # noqa: S608  # as above
    twice = f"{tiles} GROUP BY zoom_level, tile_column, tile_row HAVING count(*) > 1"
    try:
        return any(
            side.connection.execute(query).fetchone() is not None
            for query in (twice, f"{tiles} WHERE {_NO_TILE}", form.unused)
            if query
        )
    except sqlite3.Error:
        return True


def _is_told(finding: Finding, form: _Form) -> bool:
    """Return whether a finding of the database is about rows that are compared as tiles or metadata."""
    own = str(finding.where.get("layer", "")) in dict(form.tables)
    return own and finding.kind not in _SCHEMA


def _metadata(side: Database) -> dict[str, object] | None:
    """Return the metadata by name, with the one that is JSON parsed; None if it is not what MBTiles has.

    Of a name that stands several times all values count, each at its place: readers take the first or the last.
    """
    if "metadata" not in side.tables:
        return None
    rows = side.rows("metadata")
    if not {"name", "value"} <= rows.keys():
        return None
    values: dict[str, list[object]] = {}
    for name, value in zip(rows["name"], rows["value"], strict=True):
        if not isinstance(name, str):
            return None
        values.setdefault(name, []).append(value)
    found: dict[str, object] = {
        name: said[0] if len(said) == 1 else {str(at): value for at, value in enumerate(said)}
        for name, said in sorted(values.items())
    }
    with suppress(ValueError, DuplicateKey, RecursionError):
        if isinstance(text := found.get("json"), str):
            found["json"] = read_json(text.encode(), Context())
    return found


def _joined(
    a: Iterator[_Row], b: Iterator[_Row], only_a: Lone, only_b: Lone
) -> Iterator[tuple[Address, bytes, bytes]]:
    """Yield the tiles that both have, in order; note those that only one side has."""
    left, right = next(a, None), next(b, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[:3] < right[:3]):
            assert left is not None  # noqa: S101  # by the condition of the loop
            only_a.add(_address(left))
            left = next(a, None)
        elif left is None or right[:3] < left[:3]:
            only_b.add(_address(right))
            right = next(b, None)
        else:
            yield _address(left), left[3], right[3]
            left, right = next(a, None), next(b, None)


def _address(row: _Row) -> Address:
    """Return zoom, column and row from the top: MBTiles count rows from below."""
    zoom, column, below = row[:3]
    return zoom, column, (1 << zoom) - 1 - below
