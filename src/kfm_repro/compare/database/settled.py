"""Tables of which most rows are equal in place: those are settled by SQLite, and never come to Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.database.beside import quoted
from kfm_repro.compare.database.numbering import counts
from kfm_repro.compare.vector.wkb import strip_header

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.database.beside import Beside
    from kfm_repro.compare.database.read import Database, Table

__all__ = ["Settled", "settled"]

_HEAD = 8
"""Bytes before the envelope of a geometry: mark, version, flags and SRS id (GeoPackage 1.4, clause 2.1.3)."""
_MOST = 0.5
"""Part of the rows that may differ: beyond it every row is read at once, which is quicker."""
_COLUMNS = 200
"""Columns that one condition may hold: SQLite nests no expression deeper than 1000."""
_SAMPLE = 1_000
"""Rows of a column that are asked first whether they may name the rows."""
_ROWS = 10_000
"""Rows that are asked for in one statement."""


@dataclass(frozen=True)
class Settled:
    """The rows of both sides that differ in place, by column; the key column stands first.

    ``heads`` are the distinct headers of all geometries of A and of B.
    """

    a: dict[str, list[Any]]
    b: dict[str, list[Any]]
    heads: list[list[bytes]]


def settled(
    together: Beside, table_a: Table, table_b: Table, geometries: Sequence[str], context: Context
) -> Settled | None:
    """Return the rows of a table that differ in place, None where they would say less than all rows.

    They say as much where the rows have the same numbers and the same columns, and one column names them alike
    on both sides: then rows at the same place belong together, and no row is looked for elsewhere.
    """
    geometry, number = geometries[0], table_a.row_number
    if not _alike(table_a, table_b) or geometry != geometries[1]:
        return None
    numbers = together.row_numbers(table_a.name, table_b.name)
    if numbers is None:
        return None
    unlike = together.unlike(table_a.name, table_b.name, table_a.names, int(_MOST * len(numbers)))
    if unlike is None:
        return None
    rows = sorted({row for found in unlike.values() for row in found})
    if not rows:
        return Settled({}, {}, [])
    key = _key(together.a, table_a, [name for name, found in unlike.items() if not found], numbers, context)
    return (
        _read(
            together,
            (table_a, table_b),
            [key, *(name for name in table_a.names if name != number)],
            rows,
            geometry,
        )
        if key
        else None
    )


def _read(
    together: Beside, tables: tuple[Table, Table], names: Sequence[str], rows: list[int], geometry: str
) -> Settled | None:
    sides = zip((together.a, together.b), tables, strict=True)
    a, b = (_chosen(side, table.name, dict.fromkeys(names), rows) for side, table in sides)
    heads = _both_heads(together.a, tables[0].name, geometry, b) if geometry in names else [[], []]
    return None if heads is None else Settled(a, b, heads)


def _alike(a: Table, b: Table) -> bool:
    """Return whether two tables have the same columns, all stored, and rows that have numbers."""
    same = a.row_number == b.row_number and a.names == b.names and not a.computed and not b.computed
    return same and a.numbered and b.numbered and len(a.names) <= _COLUMNS


def _values(side: Database, table: str, wanted: str, most: int) -> list[Any]:
    return [value for (value,) in side.query(table, wanted, f"LIMIT {most}")]


def _key(side: Database, table: Table, alike: Sequence[str], numbers: list[int], context: Context) -> str:
    """Return the first column that names the rows among those that are alike on both sides, "" for none.

    A number that merely counts the rows names none.
    """
    declared, ignored = context.options.key, context.options.ignore
    for column in alike:
        if column in ignored or (declared and (column,) != tuple(declared)):
            continue
        if column == table.row_number:
            if not counts(column, numbers):
                return column
            continue
        if _names_rows_in(side, table.name, column):
            return column
    return ""


def _names_rows_in(side: Database, table: str, column: str) -> bool:
    """Return `_names_rows` of a column: of the records, where they have noted its numbers."""
    import numpy as np

    records = side.records.get(table)
    known = None if records is None else records.named.get(column)
    if known is not None:
        ordered = np.sort(known)
        return bool(len(ordered)) and not (ordered[1:] == ordered[:-1]).any()
    return all(_names_rows(_values(side, table, quoted(column), most)) for most in (_SAMPLE, -1))


def _names_rows(values: list[Any]) -> bool:
    """Return whether values are all whole numbers or all texts, and none occurs twice."""
    return set(map(type, values)) in ({int}, {str}) and len(set(values)) == len(values)


def _chosen(side: Database, table: str, names: Iterable[str], rows: Sequence[int]) -> dict[str, list[Any]]:
    """Return some columns of some rows, which are ascending numbers."""
    wanted = ", ".join(map(quoted, names))
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(rows), _ROWS):
        chosen = ", ".join(map(str, rows[first : first + _ROWS]))
        found += side.query(table, wanted, f"WHERE rowid IN ({chosen}) ORDER BY rowid")
    return {name: [row[at] for row in found] for at, name in enumerate(names)}


def _both_heads(a: Database, table: str, geometry: str, b: dict[str, list[Any]]) -> list[list[bytes]] | None:
    heads = _heads(a, table, geometry)
    others = None if heads is None else _also(heads, b[geometry])
    return None if heads is None or others is None else [heads, others]


def _heads(side: Database, table: str, geometry: str) -> list[bytes] | None:
    """Return the distinct first bytes of the geometries; None when one is no plain GeoPackage geometry.

    Headers that name several reference systems are told apart row by row, which is not done here.
    """
    known = side.records.get(table)
    if known is not None:
        found = known.beginnings()
        return None if found is None else _plain_heads(*found)
    column = quoted(geometry)
    head = f"substr({column}, 1, {_HEAD})"
    kinds = f"min(typeof({column})), max(typeof({column}))"
    asked = side.query(table, f"min({head}), max({head}), min(length({column})), {kinds}")
    first, last, shortest, *types = asked[0]
    if not isinstance(first, bytes) or not set(types) <= {"blob", "null"}:
        return None
    heads = [first]
    if first != last:
        heads = [row for (row,) in side.query(table, f"DISTINCT {head}") if row is not None]
    return _plain_heads(heads, shortest)


def _plain_heads(heads: list[bytes], shortest: int) -> list[bytes] | None:
    if shortest < _HEAD or any(not strip_header(head + bytes(shortest - _HEAD))[0] for head in heads):
        return None
    return heads if _one_system(heads) else None


def _also(heads: list[bytes], values: Sequence[bytes | None]) -> list[bytes] | None:
    """Return the headers of B: those of the geometries that it shares with A, and of those that differ.

    With several headers in A nobody knows which of them stand before the geometries that both have.
    """
    found = {strip_header(value)[0][:_HEAD] for value in values if isinstance(value, bytes)}
    if any(value is not None and not isinstance(value, bytes) for value in values) or b"" in found:
        return None
    shared = set(heads)
    if len(shared) > 1 and not found <= shared:
        return None
    both = sorted(shared | found)
    return both if _one_system(both) else None


def _one_system(heads: Sequence[bytes]) -> bool:
    return len({(head[3] & 1, head[4:]) for head in heads}) <= 1
