"""Rows of A that were edited, of which only some columns are read: their numbers prove the other cells.

The row of B with the same key says what the cells may be that are not read. A row of such cells whose number is that of
A's row is that row, as surely as rows of one number are equal anywhere (see `numbering`); where the numbers differ, the
cells are read. So a wrong guess costs time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.arrays import filled, integers, numpy_of
from kfm_repro.compare.tabular.exact import exact, unequal
from kfm_repro.compare.tabular.unique import is_unique

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.numbering import Numbers

__all__ = ["Guess", "learned"]

_ALIKE = 0.5
"""Part of the rows of A that has a row of the same key in B, at least."""
_MOST_BYTES = 1 << 30
"""Bytes of the cells of B, at most: each column is held in one piece."""


@dataclass(frozen=True)
class Guess:
    """That rows of A without equal partner are rows of B but for some columns.

    ``b`` are the cells of the rows of B without equal partner, per column; ``key`` is the column that names them,
    ``read`` those (the key among them) of which A's cells are to be read.
    """

    b: Sequence[pa.Array]
    key: int
    read: frozenset[int]

    def cells(self, read: Callable[[int], pa.Array], numbers: Numbers) -> list[pa.Array]:
        """Return the cells per column of rows of A that have these numbers; ``read`` gives those of one column."""
        known = {i: read(i) for i in sorted(self.read)}
        partners = _partners(known[self.key], self.b[self.key])
        every = range(len(self.b))
        cells = [known[i] if i in known else self.b[i].take(partners) for i in every]
        found = numbers.begun()
        for column in cells:
            found.mix(column)
        if found.unlike(numbers).any():
            return [known[i] if i in known else read(i) for i in every]
        return cells


def learned(a: Sequence[pa.Array], b: Sequence[pa.ChunkedArray]) -> Guess | None:
    """Guess from some rows of A, and all of B, without equal partner; None where there is nothing to be gained."""
    if sum(column.nbytes for column in b) > _MOST_BYTES:
        return None
    whole = [_whole(column) for column in b]
    key = next((i for i in range(len(b)) if a[i].type == b[i].type and _names_rows(whole[i])), None)
    if key is None:
        return None
    partners = _partners(a[key], whole[key])
    if partners.null_count > len(partners) * (1 - _ALIKE):
        return None
    read = [i for i in range(len(b)) if i == key or _edited(a[i], whole[i], partners)]
    return Guess(whole, key, frozenset(read)) if len(read) < len(b) else None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def _names_rows(cells: pa.Array) -> bool:
    import pyarrow as pa

    column = pa.chunked_array([cells])
    return not pa.types.is_floating(cells.type) and not cells.null_count and is_unique(exact(column))


def _partners(names: pa.Array, others: pa.Array) -> pa.Array:
    """Return the place of every name among others, null where it is none of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    own, values = (exact(pa.chunked_array([side])).chunk(0) for side in (names, others))
    return pc.index_in(own, value_set=values)


def _edited(a: pa.Array, b: pa.Array, partners: pa.Array) -> bool:
    """Return whether any cell of rows of A is another one than that of its partner in B, or of another type."""
    import numpy as np
    import pyarrow as pa

    if a.type != b.type:
        return True
    places = numpy_of(filled(partners, -1))
    here = np.flatnonzero(places >= 0)
    sides = a.take(integers(here)), b.take(integers(places[here]))
    return unequal(*(exact(pa.chunked_array([side])) for side in sides)) is not None
