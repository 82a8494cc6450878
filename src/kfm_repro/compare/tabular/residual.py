"""The cells of the rows without equal partner, read from two files as far as they are not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.tabular.inferred import learned
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.foreign import Foreign
    from kfm_repro.compare.tabular.numbering import Numbers
    from kfm_repro.compare.tabular.source import ParquetSource

    Parts = dict[int, Ints]
    """Rows, ascending, by the row group that they lie in."""
    Read = Callable[[int, int, Ints], pa.Array]
    """Gives the cells of a column in a row group: some of its rows, which are not none."""

__all__ = ["with_cells"]

_LEAST_SAMPLE = 100
"""Rows that say which columns were edited."""
_LEAST_GROUPS = 3
"""Row groups of which rows are wanted: of fewer, the one to learn from is most."""


def with_cells(
    columns: Sequence[FileColumn],
    rows: tuple[Ints, Ints],
    foreign: Foreign | None = None,
    numbers: Numbers | None = None,
) -> list[FileColumn]:
    """Return the columns with the cells of some rows of A and of B (ascending) at hand.

    ``numbers`` are those of all rows of A, where they are known: they spare reading some columns of it again.
    """
    sources = cast("tuple[ParquetSource, ParquetSource]", columns[0].sources)
    parts_a, parts_b = (_parts(side, source.starts) for side, source in zip(rows, sources, strict=True))

    def read_a(i: int, group: int, here: Ints) -> pa.Array:
        return sources[0].take_of(columns[i].at[0], group, here)

    def read_b(i: int, group: int, here: Ints) -> pa.Array:
        kept = None if foreign is None else foreign.cells(i, group, here)
        return sources[1].take_of(columns[i].at[1], group, here) if kept is None else kept

    width = len(columns)
    cells_b = _in_chunks(_read(parts_b, width, read_b), [column.b for column in columns])
    first = None if numbers is None else _sample(parts_a, sources[0].starts)
    if numbers is None or first is None:
        found = _read(parts_a, width, read_a)
    else:
        found = _inferred(parts_a, first, numbers, cells_b, read_a)
    cells_a = _in_chunks(found, [column.a for column in columns])
    return [
        replace(column, a=cells_a[i], b=cells_b[i], rows_a=rows[0], rows_b=rows[1])
        for i, column in enumerate(columns)
    ]


def _parts(rows: Ints, starts: Ints) -> Parts:
    import numpy as np

    cuts = np.searchsorted(rows, starts)
    return {
        group: rows[cuts[group] : cuts[group + 1]]
        for group in range(len(starts) - 1)
        if cuts[group] < cuts[group + 1]
    }


def _in_chunks(cells: Iterable[Sequence[pa.Array]], like: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Return the cells of row groups, in this order, by column."""
    import pyarrow as pa

    groups = list(cells)
    return [pa.chunked_array([group[i] for group in groups], type=of.type) for i, of in enumerate(like)]


def _read(parts: Parts, width: int, read: Read) -> list[list[pa.Array]]:
    """Return per row group the cells of so many columns; each is a task of its own."""
    tasks = [(i, group) for i in range(width) for group in parts]
    cells = dict(zip(tasks, in_parallel(lambda task: read(*task, parts[task[1]]), tasks), strict=True))
    return [[cells[i, group] for i in range(width)] for group in parts]


def _sample(parts: Parts, starts: Ints) -> int | None:
    """Return the smallest row group that holds enough rows to learn from; None where that is no saving."""
    enough = [group for group, rows in parts.items() if len(rows) >= _LEAST_SAMPLE]
    if len(parts) < _LEAST_GROUPS or not enough:
        return None
    return min(enough, key=lambda group: int(starts[group + 1] - starts[group]))


def _inferred(
    parts: Parts, first: int, numbers: Numbers, cells_b: Sequence[pa.ChunkedArray], read: Read
) -> list[list[pa.Array]]:
    """Return what `_read` does, given B's cells, having learned from one row group how the rows were edited."""
    width = len(cells_b)
    (sample,) = _read({first: parts[first]}, width, read)
    guess = learned(sample, cells_b)
    others = {group: rows for group, rows in parts.items() if group != first}
    if guess is None:
        found = _read(others, width, read)
    else:
        found = list(
            in_parallel(
                lambda group: guess.cells(lambda i: read(i, group, parts[group]), numbers.take(parts[group])),
                others,
            )
        )
    by_group = {first: sample, **dict(zip(others, found, strict=True))}
    return [by_group[group] for group in parts]
