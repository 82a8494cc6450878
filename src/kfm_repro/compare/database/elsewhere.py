"""Tables that hold the same rows in another order: proven by their records, told without reading their geometries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.database.beside import quoted
from kfm_repro.compare.database.numbering import is_driver_key
from kfm_repro.compare.mixed import typed_tables
from kfm_repro.compare.tabular.arrays import integers, typed
from kfm_repro.compare.tabular.diff import compare_order
from kfm_repro.compare.tabular.filed import FileColumn
from kfm_repro.compare.tabular.numbering import pair_rows_by_number
from kfm_repro.compare.tabular.schema import Column
from kfm_repro.compare.vector.wkb import strip_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.database.beside import Beside
    from kfm_repro.compare.database.read import Database, Table
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.model.finding import Finding

__all__ = ["moved_rows"]

_PIECE = 20_000
_HEAD = 1_000
"""Rows that are read first: mostly they say already that a column is not sorted."""


def moved_rows(
    together: Beside, tables: tuple[Table, Table], geometry: str, context: Context, *, unit: str
) -> tuple[Finding, ...] | None:
    """Return what differs between two tables of the same rows in another order; None where that is not proven.

    Their row numbers are those that GDAL gives, from 1 upwards without gaps, and go with the places. ``geometry`` is
    the column of geometries, "" for none; ``unit`` is what a row is called.
    """
    table, other = tables
    records = together.records(table.name, other.name)
    if records is None or not is_driver_key(table.row_number):
        return None
    a, b = records
    attributes = tuple(name for name in table.names if name not in (table.row_number, geometry))
    if len(a) != len(b) or not (a.counts and b.counts) or not attributes:
        return None
    if geometry and (geometry not in table.names or not a.are_of_one_system):
        return None
    partner, _ = pair_rows_by_number(a.numbers, b.numbers)
    if (partner < 0).any():
        return None
    columns: list[Column] = _attributes(together.a.rows(table.name, attributes), partner)
    if geometry:
        sides = ((together.a, table.name), (together.b, other.name))
        columns.append(_geometries(geometry, *(_Geometries.of(*side, geometry, len(a)) for side in sides)))
    places = a.numbers.unlike(b.numbers)
    return compare_order(columns, (partner, places), context, unit=unit, where={"layer": table.name})


def _attributes(rows: dict[str, list[Any]], partner: Ints) -> list[Column]:
    """Return A's columns, and B's, whose rows are the same in another order."""
    import numpy as np

    table, _, _ = typed_tables(rows, rows)
    back = np.empty(len(partner), np.int64)
    back[partner] = np.arange(len(partner))
    other = table.take(integers(back))
    return [Column(name, table[name], other[name]) for name in table.column_names]


def _geometries(name: str, a: _Geometries, b: _Geometries) -> FileColumn:
    import pyarrow as pa

    none = pa.chunked_array([], pa.binary())
    return FileColumn(name, none, none, sources=(a, b))


@dataclass
class _Geometries:
    """The geometries of a table whose rows are numbered from 1 upwards, as WKB in pieces; see `filed.Source`."""

    path: Path
    database: Database
    table: str
    column: str
    rows: int
    groups: int
    starts: Ints
    schema: Any = None

    @staticmethod
    def of(database: Database, table: str, column: str, rows: int) -> _Geometries:
        import numpy as np

        starts = np.append(np.arange(0, rows, _PIECE), rows)
        return _Geometries(database.path, database, table, column, rows, len(starts) - 1, starts)

    def head(self, column: int, rows: int) -> pa.Array:  # noqa: ARG002 - there is one column
        return self._between(0, min(rows, self.rows, _HEAD))

    def piece(self, column: int, group: int) -> pa.Array:  # noqa: ARG002 - as above
        return self._between(int(self.starts[group]), int(self.starts[group + 1]))

    def pieces(self, column: int) -> Iterator[tuple[int, pa.Array]]:
        for group in range(self.groups):
            yield int(self.starts[group]), self.piece(column, group)

    def take(self, column: int, rows: Ints) -> pa.ChunkedArray:  # noqa: ARG002 - as above
        import pyarrow as pa

        cells = [self._between(row, row + 1) for row in rows.tolist()]
        return pa.chunked_array(cells, type=pa.binary())

    def rises(self, column: int) -> bool:  # noqa: ARG002 - as above
        return False

    def ascends(self, column: int) -> bool:  # noqa: ARG002 - as above
        return False

    def counts_up(self, column: int) -> bool:  # noqa: ARG002 - as above
        return False

    def _between(self, start: int, stop: int) -> pa.Array:
        import pyarrow as pa

        found = self.database.query(
            self.table, quoted(self.column), f"WHERE rowid > {start} AND rowid <= {stop} ORDER BY rowid"
        )
        with reading(self.path, "GeoPackage", pa.ArrowException):
            if len(found) != stop - start:
                raise ValueError(f"{self.table} does not hold the rows that its pages do")
            bodies = [None if value is None else strip_header(value)[1] for (value,) in found]
            return typed(bodies, pa.binary())
