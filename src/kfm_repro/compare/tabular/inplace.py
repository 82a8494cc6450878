"""Two files column by column, in place: equal bytes are not decoded, the rest a row group at a time.

A row that differs in no column at its position is equal there, and that is proven before anything is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.arrays import filled, integers, numpy_of, typed
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints, Mask
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.instep import Unlike
    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = ["Difference", "differing", "probe", "told_apart"]

_PROBED = 20_000

R = TypeVar("R")


def probe(column: FileColumn) -> tuple[float, bool]:
    """Return which part of the first rows is equal in place, and whether they are all different and none null.

    A guess at what is worth trying; nothing is concluded from it.
    """
    import pyarrow.compute as pc

    heads = [source.head(at, _PROBED) for source, at in zip(column.sources, column.at, strict=True)]
    length = min(map(len, heads))
    if not length:
        return 1.0, False
    mask = _unequal(heads[0].slice(0, length), heads[1].slice(0, length))
    first = ex.exact(_chunked(heads[0]))
    names = not first.null_count and pc.count_distinct(first, mode="all").as_py() == len(first)
    return (1.0 if mask is None else 1.0 - float(mask.mean())), names


@dataclass(frozen=True)
class Difference:
    """Places at which a column differs, ascending, and its cells there."""

    places: Ints
    a: pa.ChunkedArray
    b: pa.ChunkedArray

    def take(self, which: Ints) -> Difference:
        """Return some of them."""
        if len(which) == len(self.places):
            return self
        return Difference(self.places[which], *(side.take(integers(which)) for side in (self.a, self.b)))


def differing(columns: Sequence[FileColumn], rows: int) -> Iterator[tuple[int, Difference]]:
    """Yield where column ``i`` differs among the first ``rows`` rows, piece by piece, ascending per column."""
    for i, difference, _ in told_apart(columns, rows, lambda _, __: None):
        yield i, difference


def told_apart(
    columns: Sequence[FileColumn], rows: int, tell: Callable[[int, Difference], R]
) -> Iterator[tuple[int, Difference, R]]:
    """Yield the same with what ``tell``, called by any thread, says of a column and a difference of it."""
    tasks = [(i, group) for i, column in enumerate(columns) for group in _groups(column, rows)]

    def compared(task: tuple[int, int]) -> list[tuple[int, Difference, R]]:
        i, group = task
        return [(i, found, tell(i, found)) for found in _differences(columns[i], group, rows)]

    for found in in_parallel(compared, tasks):
        yield from found


def _groups(column: FileColumn, rows: int) -> list[int]:
    starts = column.sources[0].starts
    return [group for group in range(len(starts) - 1) if starts[group] < min(rows, starts[group + 1])]


def _differences(column: FileColumn, group: int, rows: int) -> Iterator[Difference]:
    """Yield where a column differs within a row group of A."""
    import numpy as np

    a, b = cast("tuple[ParquetSource, ParquetSource]", column.sources)
    at_a, at_b = column.at
    start, stop = int(a.starts[group]), min(rows, int(a.starts[group + 1]))
    other = int(np.searchsorted(b.starts, start, "right")) - 1
    alike = (b.starts[other], b.starts[other + 1]) == (start, a.starts[group + 1])
    if alike and other == group and at_a == at_b:
        if a.same_bytes(b, at_a, group):
            return
        found = a.unlike_values(b, at_a, group) if stop == a.starts[group + 1] else None
        if found is not None:
            yield from _at_hand(found, start, column.a.type)
            return
    left = a.piece(at_a, group)
    while start < stop:
        end = min(stop, int(b.starts[other + 1]))
        if end > start:
            mine = left.slice(start - int(a.starts[group]), end - start)
            theirs = (b.piece if alike else b.kept_piece)(at_b, other).slice(
                start - int(b.starts[other]), end - start
            )
            mask = _unequal(mine, theirs)
            if mask is not None:
                places = np.flatnonzero(mask)
                yield Difference(places + start, *(_cells(side, places) for side in (mine, theirs)))
            start = end
        other += 1


def _at_hand(found: Unlike, first: int, kind: pa.DataType) -> Iterator[Difference]:
    """Yield the values that differ in a piece whose first row is ``first``, if any do."""
    import numpy as np
    import pyarrow as pa

    if found.places:
        cells = (typed(side, kind) for side in (found.a, found.b))
        a, b = (side if isinstance(side, pa.ChunkedArray) else _chunked(side) for side in cells)
        yield Difference(np.array(found.places, np.int64) + first, a, b)


def _cells(piece: pa.Array, places: Ints) -> pa.ChunkedArray:
    return _chunked(piece if len(places) == len(piece) else piece.take(integers(places)))


def _unequal(a: pa.Array, b: pa.Array) -> Mask | None:
    """Return where two pieces differ bit by bit, None when they do not."""
    import pyarrow as pa

    if pa.types.is_dictionary(a.type) and pa.types.is_dictionary(b.type):
        return _unequal_places(a, b)
    return ex.unequal(ex.exact(_chunked(a)), ex.exact(_chunked(b)))


def _unequal_places(a: pa.DictionaryArray, b: pa.DictionaryArray) -> Mask | None:
    """Return the same for strings by dictionary, through the place of each in A's."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values_a, values_b = (ex.exact(pa.chunked_array([side.dictionary])).chunk(0) for side in (a, b))
    sides = []
    for side, values, missing in ((a, values_a, -3), (b, values_b, -2)):
        places = numpy_of(filled(pc.index_in(values, value_set=values_a, skip_nulls=True), missing))
        if not side.indices.null_count and np.array_equal(places, np.arange(len(places))):
            sides.append(numpy_of(side.indices))  # each is in its own place
            continue
        places = np.append(places, -1)  # the last one stands for null
        sides.append(places.take(numpy_of(filled(side.indices, len(places) - 1))))
    mask: Mask = sides[0] != sides[1]
    return mask if mask.any() else None


def _chunked(array: pa.Array) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([array])
