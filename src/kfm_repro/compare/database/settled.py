"""Layers of which most geometries are equal in place: those are settled by SQLite, and never decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.database.beside import quoted
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
_ROWS = 10_000
"""Rows that are asked for in one statement."""


@dataclass(frozen=True)
class Settled:
    """The columns of both sides, in which geometries that are equal in place are None on both.

    ``heads`` are the distinct headers of all geometries of A and of B.
    """

    a: dict[str, list[Any]]
    b: dict[str, list[Any]]
    heads: list[list[bytes]]


def settled(
    together: Beside, table_a: Table, table_b: Table, geometries: Sequence[str], context: Context
) -> Settled | None:
    """Return a layer with the geometries that differ in place, None where that would say less than all of them.

    It says as much where rows are the same by number and one column names them on both sides: then rows at
    the same place belong together, and no row is looked for elsewhere.
    """
    name, number = geometries[0], table_a.row_number
    stored = all(name in table.names and not table.computed for table in (table_a, table_b))
    if not name or name != geometries[1] or not stored or not number or number != table_b.row_number:
        return None
    if set(table_a.names) != set(table_b.names):
        return None
    a = together.a.rows(table_a.name, tuple(column for column in table_a.names if column != name))
    if [row for (row,) in together.b.query(table_b.name, "rowid")] != a[number]:
        return None
    unlike = together.unlike(table_a.name, table_b.name, table_a.names)
    able = [column for column in a if column != number and not unlike[column]]
    heads = _heads(together.a, table_a.name, name)
    if heads is None or len(unlike[name]) > _MOST * len(a[number]) or not _named(a, able, context):
        return None
    b = {column: _filled(together.b, table_b, column, a, unlike[column]) for column in a}
    for columns, side, table in ((a, together.a, table_a), (b, together.b, table_b)):
        columns[name] = _filled(side, table, name, a, unlike[name])
    other = _also(heads, b[name])
    if other is None:
        return None
    return Settled(
        {column: a[column] for column in table_a.names},
        {column: b[column] for column in table_b.names},
        [heads, other],
    )


def _named(a: dict[str, list[Any]], able: Sequence[str], context: Context) -> bool:
    """Return whether one of the columns that are alike on both sides names the rows."""
    declared = context.options.key
    chosen = [
        c for c in able if c not in context.options.ignore and (not declared or (c,) == tuple(declared))
    ]
    return any(
        {type(value) for value in a[column]} in ({int}, {str}) and len(set(a[column])) == len(a[column])
        for column in chosen
    )


def _heads(side: Database, table: str, geometry: str) -> list[bytes] | None:
    """Return the distinct first bytes of the geometries; None when one is no plain GeoPackage geometry.

    Headers that name several reference systems are told apart row by row, which is not done here.
    """
    column = quoted(geometry)
    head = f"substr({column}, 1, {_HEAD})"
    kinds = f"min(typeof({column})), max(typeof({column}))"
    found = side.query(table, f"min({head}), max({head}), min(length({column})), {kinds}")
    first, last, shortest, *types = found[0]
    if not isinstance(first, bytes) or not set(types) <= {"blob", "null"}:
        return None
    heads = [first]
    if first != last:
        heads = [row for (row,) in side.query(table, f"DISTINCT {head}") if row is not None]
    if any(not strip_header(head + bytes(shortest - len(head)))[0] for head in heads):
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


def _filled(
    side: Database, table: Table, column: str, known: dict[str, list[Any]], unlike: Sequence[int]
) -> list[Any]:
    """Return a column of one side: what A has, where it has it, and what is read of the rows that differ."""
    if column in known and not unlike:
        return known[column]
    numbers = known[table.row_number]
    values = list(known[column]) if column in known else [None] * len(numbers)
    for first in range(0, len(unlike), _ROWS):
        chosen = ", ".join(map(str, unlike[first : first + _ROWS]))
        for row, value in side.query(table.name, f"rowid, {quoted(column)}", f"WHERE rowid IN ({chosen})"):
            values[bisect_left(numbers, row)] = value
    return values
