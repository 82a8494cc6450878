"""The rows of two files paired as multisets: equal rows at one position first, then the n-th of a kind with the n-th.

The same rule as in memory (`rows.residue`), so that both say the same of rows that occur more than once: which copy
is the one too many, and at how many places another row stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.tabular.inplace import differing
from kfm_repro.compare.tabular.numbering import ALL_TAKEN, NOWHERE, Numbers, draw_seed, pair_rows_by_number
from kfm_repro.compare.tabular.spill import BYTES_PER_ROW, pair_spilled
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kfm_repro.compare.tabular.exact import Ints, Mask
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.source import ParquetSource

    States = NDArray[np.uint8]

__all__ = ["pair_numbered", "pair_rows"]

_LACKING, _TOO_MANY = 1, 2
"""States of rows of B without partner; see `pair_rows_by_number`."""


def pair_rows(
    columns: Sequence[FileColumn], lanes: Callable[[], tuple[Numbers, Numbers]], memory: int
) -> tuple[Ints, States, Callable[[], Mask]]:
    """Return partners and states as `pair_rows_by_number` does, and what gives the places of rows that are not equal.

    ``lanes`` gives the numbers of all rows. Where they would take more than ``memory`` bytes, they go through files.
    """
    a, b = columns[0].sources
    if (a.rows + b.rows) * BYTES_PER_ROW > memory:
        others = cache(lambda: _others(columns))
        seed = draw_seed()

        def through_files(keep: Mask | None) -> tuple[Ints, States]:
            blocks = (_blocks(columns, 0, seed, keep), _blocks(columns, 1, seed, keep))
            return pair_spilled(blocks, (a.rows, b.rows), memory)

        return (*_in_place_first(through_files, others()), lambda: others().copy())

    return pair_numbered(lanes)


def pair_numbered(
    lanes: Callable[[], tuple[Numbers, Numbers]],
) -> tuple[Ints, States, Callable[[], Mask]]:
    """Return the same for rows of which ``lanes`` gives the numbers."""

    def at_hand(keep: Mask | None) -> tuple[Ints, States]:
        return pair_rows_by_number(*lanes()) if keep is None else _pair_some(*lanes(), keep)

    @cache
    def unequal() -> Mask:
        rows = min(len(side.one) for side in lanes())
        one, other = (side.part(0, rows) for side in lanes())
        return one.unlike(other)

    return (*_in_place_first(at_hand, unequal()), lambda: unequal().copy())


def _in_place_first(pair: Callable[[Mask | None], tuple[Ints, States]], others: Mask) -> tuple[Ints, States]:
    """Pair all rows; where that tears equal rows at one position apart, pair those and then the others.

    ``others`` are the places that hold rows which are not equal, as far as both sides go. Where every row at
    the other places is paired with itself, the others are paired as they would be without these.
    """
    import numpy as np

    partner, state = pair(None)
    alike = np.flatnonzero(~others)
    if np.array_equal(partner[alike], alike):
        return partner, state
    found, left = pair(others)
    found[alike], left[alike] = alike, 0
    # What has no partner now may be equal to a row that has one in its place.
    found[found < 0] = np.where(partner[found < 0] == NOWHERE, NOWHERE, ALL_TAKEN)
    left[left > 0] = np.where(state[left > 0] == _LACKING, _LACKING, _TOO_MANY)
    return found, left


def _pair_some(a: Numbers, b: Numbers, keep: Mask) -> tuple[Ints, States]:
    """Pair the rows at the places of ``keep`` and beyond it by their numbers."""
    import numpy as np

    partner, state = np.full(len(a.one), NOWHERE, np.int64), np.ones(len(b.one), np.uint8)
    at_a, at_b = (_kept(keep, 0, len(side.one)) for side in (a, b))
    found, left = pair_rows_by_number(a.take(at_a), b.take(at_b))
    found[found >= 0] = at_b[found[found >= 0]]
    partner[at_a], state[at_b] = found, left
    return partner, state


def _kept(keep: Mask, start: int, stop: int) -> Ints:
    """Return the places between two that a mask keeps or does not reach."""
    import numpy as np

    reached = max(start, min(stop, len(keep)))
    return np.concatenate([np.flatnonzero(keep[start:reached]) + start, np.arange(reached, stop)])


def _blocks(
    columns: Sequence[FileColumn], side: int, seed: int, keep: Mask | None
) -> Iterator[tuple[Ints, Numbers]]:
    """Yield the numbers of the rows of A (0) or B (1) with their places, a row group at a time."""
    import numpy as np

    source = cast("ParquetSource", columns[0].sources[side])

    def numbered(group: int) -> tuple[Ints, Numbers]:
        start, stop = (int(row) for row in source.starts[group : group + 2])
        numbers = Numbers.of(stop - start, seed)
        for column in columns:
            numbers.mix(source.piece(column.at[side], group))
        if keep is None:
            return np.arange(start, stop), numbers
        places = _kept(keep, start, stop)
        return places, numbers.take(places - start)

    yield from in_parallel(numbered, range(source.groups))


def _others(columns: Sequence[FileColumn]) -> Mask:
    """Return the places, as far as both files go, at which they do not hold equal rows, by their columns in place."""
    import numpy as np

    mask = np.zeros(min(source.rows for source in columns[0].sources), np.bool_)
    for _, difference in differing(columns, len(mask)):
        mask[difference.places] = True
    return mask
