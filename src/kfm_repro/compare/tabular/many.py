"""Very many rows without equal partner: matched by a key or not at all, and looked at one column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.match import Pairing, lacking, usable_columns
from kfm_repro.compare.tabular.numbering import Numbers, draw_seed, pair_rows_by_number

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.rows import Residue

__all__ = ["CodesOnDemand", "codes_on_demand", "pair_many"]


class CodesOnDemand(Sequence["Ints"]):
    """The codes of the residual rows of one side per column, of which only the last one asked for is kept."""

    def __init__(self, shared: _Shared, side: int) -> None:
        self._shared, self._side = shared, side

    def __len__(self) -> int:
        return len(self._shared.columns)

    @overload
    def __getitem__(self, at: int) -> Ints: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Ints]: ...
    def __getitem__(self, at: int | slice) -> Ints | Sequence[Ints]:
        """Return the codes of a column."""
        if isinstance(at, slice):
            raise TypeError("the codes of one column at a time")
        return self._shared.codes(at)[self._side]


class _Shared:
    def __init__(self, columns: Sequence[FileColumn], rows_a: Ints, rows_b: Ints) -> None:
        self.columns = columns
        self._rows = (rows_a, rows_b)
        self._last: tuple[int, tuple[Ints, Ints]] | None = None

    def codes(self, at: int) -> tuple[Ints, Ints]:
        if self._last is None or self._last[0] != at:
            self._last = None
            column = self.columns[at]
            cells = [
                column.cells(rows, of_a=of_a) for rows, of_a in zip(self._rows, (True, False), strict=True)
            ]
            self._last = at, ex.codes(*(ex.exact(side) for side in cells))
        return self._last[1]


def codes_on_demand(
    columns: Sequence[FileColumn], rows_a: Ints, rows_b: Ints
) -> tuple[CodesOnDemand, CodesOnDemand]:
    """Return the codes of some rows of A and of B."""
    shared = _Shared(columns, rows_a, rows_b)
    return CodesOnDemand(shared, 0), CodesOnDemand(shared, 1)


def pair_many(columns: Sequence[FileColumn], rest: Residue, context: Context) -> Pairing:
    """Return the residual rows paired by the declared key, or else by the first column that names all rows.

    Without one no rows are paired, and the note says so.
    """
    import numpy as np

    names = [column.label for column in columns]
    declared = context.options.key
    note = lacking(columns, context)
    none = np.zeros(0, np.int64)
    if declared and not note:
        key = tuple(names.index(name) for name in declared)
        said = f"rows matched by the declared key ({', '.join(declared)})"
        return Pairing(*_on(columns, key, rest), key, said, declared=True)
    for i in usable_columns(columns, context):
        column = columns[i]
        if column.is_float or not (column.names_rows_of(0) and column.names_rows_of(1)) or column.is_measure:
            continue
        said = f"{note}rows matched by {column.label}, which is unique on both sides"
        return Pairing(*_on(columns, (i,), rest), (i,), said)
    said = f"{note}no key found; {len(rest.a)} and {len(rest.b)} rows were too many to match by likeness"
    return Pairing(none, none, note=said)


def _on(columns: Sequence[FileColumn], key: tuple[int, ...], rest: Residue) -> tuple[Ints, Ints]:
    """Pair the residual rows that agree in some columns, in order of appearance."""
    import numpy as np

    seed = draw_seed()
    sides = [Numbers.of(len(rows), seed) for rows in (rest.a, rest.b)]
    for i in key:
        for numbers, rows, of_a in zip(sides, (rest.a, rest.b), (True, False), strict=True):
            at = 0
            for chunk in columns[i].cells(rows, of_a=of_a).chunks:
                numbers.part(at, at + len(chunk)).mix(chunk)
                at += len(chunk)
    partner, _ = pair_rows_by_number(*sides)
    a = np.flatnonzero(partner >= 0)
    return a, partner[a]
