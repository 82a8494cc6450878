"""The cells of the rows without equal partner, read from two files as far as they are not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.foreign import Foreign
    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = ["with_cells"]


def with_cells(
    columns: Sequence[FileColumn], rows: tuple[Ints, Ints], foreign: Foreign | None = None
) -> list[FileColumn]:
    """Return the columns with the cells of some rows of A and of B (ascending) at hand."""
    every = range(len(columns))
    b = _read(columns, 1, every, rows[1], foreign)
    a = _read(columns, 0, every, rows[0])
    return [
        replace(column, a=a[i], b=b[i], rows_a=rows[0], rows_b=rows[1]) for i, column in enumerate(columns)
    ]


def _read(
    columns: Sequence[FileColumn],
    side: int,
    chosen: Sequence[int],
    rows: Ints,
    foreign: Foreign | None = None,
) -> list[pa.ChunkedArray]:
    """Return the cells of some rows of one side in the chosen columns; every row group is a task of its own."""
    import numpy as np
    import pyarrow as pa

    source = cast("ParquetSource", columns[0].sources[side])
    cuts = np.searchsorted(rows, source.starts)
    parts = [
        (group, rows[cuts[group] : cuts[group + 1]])
        for group in range(source.groups)
        if cuts[group] < cuts[group + 1]
    ]

    def taken(task: tuple[int, int, Ints]) -> pa.Array:
        i, group, here = task
        kept = None if foreign is None else foreign.cells(i, group, here)
        return source.take_of(columns[i].at[side], group, here) if kept is None else kept

    cells = list(in_parallel(taken, [(i, *part) for i in chosen for part in parts]))
    return [
        pa.chunked_array(
            cells[at * len(parts) : (at + 1) * len(parts)], type=source.schema.field(columns[i].at[side]).type
        )
        for at, i in enumerate(chosen)
    ]
