"""Finding the columns that name a row when nobody declared them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice
from typing import TYPE_CHECKING, cast

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.filed import FileColumn, repeats
from kfm_repro.compare.tabular.rows import pair_equal, row_ids

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.rows import Residue
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["candidates"]

_MOST_SINGLE = 4
_MOST_PAIRED = 8
"""Columns of which pairs are tried: 28 pairs."""
_SAMPLE = 20_000


def candidates(
    columns: Sequence[Column],
    rest: Residue,
    stable: Sequence[int],
    overlaps: Sequence[int],
    most: int = _MOST_SINGLE,
) -> list[tuple[int, ...]]:
    """Return the keys worth weighing, those that pair most residual rows first.

    A key is a column, or a pair of columns, without nulls, unique on both sides; what keeps it from being
    unique are at most as many rows as it leaves unpaired (duplicated rows). ``stable`` are the columns whose values
    A and B share, ``overlaps`` how many residual rows each column alone would pair. Columns of fractions
    name a row only if no other column does.
    """
    ranked = sorted(stable, key=lambda i: (-overlaps[i], i))
    measures: list[int] = []
    singles: list[tuple[int, ...]] = []
    for i in ranked:
        if len(singles) == most:
            break
        if columns[i].is_measure:  # asks for whole columns: only as far as the answer matters
            measures.append(i)
        elif _unique_single(columns[i], rest, overlaps[i]):
            singles.append((i,))
    if not singles:
        named = ((i,) for i in measures if overlaps[i] and _unique_single(columns[i], rest, overlaps[i]))
        singles = list(islice(named, 1))
    if any(overlaps[key[0]] for key in singles):
        return singles
    parts = [i for i in ranked if overlaps[i] and i not in measures][:_MOST_PAIRED]
    pairs = [pair for pair in combinations(sorted(parts), 2) if _unique_pair(columns, pair, rest)]
    return pairs[:_MOST_SINGLE] + singles


def _unique_single(column: Column, rest: Residue, paired: int) -> bool:
    return column.names_rows((len(rest.a) - paired, len(rest.b) - paired))


def _unique_pair(columns: Sequence[Column], pair: tuple[int, ...], rest: Residue) -> bool:
    """Return whether two columns together are a key, looking at a sample first."""
    paired, _ = pair_equal(*row_ids([rest.codes_a[i] for i in pair], [rest.codes_b[i] for i in pair]))
    if not len(paired):
        return False
    spare = (len(rest.a) - len(paired), len(rest.b) - len(paired))
    chosen = [columns[i] for i in pair]
    if any(side.null_count for column in chosen for side in column.exact):
        return False
    for size in (_SAMPLE, None):
        codes = [ex.codes(*(side.slice(0, size) for side in column.exact)) for column in chosen]
        ids = row_ids([code[0] for code in codes], [code[1] for code in codes])
        for side_ids, unpaired in zip(ids, spare, strict=True):
            distinct = int((_counts(side_ids) > 0).sum())
            if distinct < len(side_ids) - unpaired:
                return False
    return not isinstance(chosen[0], FileColumn) or _unique_in_files(cast("list[FileColumn]", chosen), spare)


def _unique_in_files(columns: Sequence[FileColumn], spare: tuple[int, int]) -> bool:
    """Return the same over all rows of two files, of which only some cells are at hand."""
    places = [[column.at[side] for column in columns] for side in (0, 1)]
    found = repeats(list(columns[0].sources), places)
    return all(count <= unpaired for count, unpaired in zip(found, spare, strict=True))


def _counts(ids: ex.Ints) -> ex.Ints:
    import numpy as np

    return np.bincount(ids)
