"""Rows as numbers: which rows differ in place, which have an equal row elsewhere, and what remains.

Everything here is exact. A row gets a number through a hash, and every hash match is verified by equality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.arrays import integers, numpy_of
from kfm_repro.compare.tabular.unique import is_unique

if TYPE_CHECKING:
    import numpy as np

    from kfm_repro.compare.tabular.exact import Ints, Mask
    from kfm_repro.compare.tabular.numbering import Numbers
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["Residue", "equal_elsewhere", "pair_equal", "residue", "row_ids", "whole_row_ids"]


@dataclass(frozen=True)
class Residue:
    """The rows without an equal partner.

    ``a``, ``b`` are their positions in the tables, ascending; ``codes_a``, ``codes_b`` hold one array per
    column with a number per residual row, equal if and only if the cells are. ``equal_a``, ``equal_b`` are
    the positions of rows that moved: equal pairs found out of place. Every position in neither was equal in
    place; for tables of different length the common ends may have been.
    """

    a: Ints
    b: Ints
    codes_a: Sequence[Ints]
    codes_b: Sequence[Ints]
    equal_a: Ints
    equal_b: Ints
    anchor: int | None = None
    """A column that is unique and equal in place: rows at the same position belong together."""
    partner: Ints | None = None
    """B's row for every row of A outside of ``a``, for tables in files; else positions say it."""
    copies: tuple[Mask, Mask] | None = None
    """Which rows of ``a`` and ``b`` the other side has as well, but less often; None where it is to be found."""
    others: Callable[[], Mask] | None = None
    """Gives the places at which A and B hold rows that are not equal, for tables in files of as many rows."""
    lanes: Callable[[], tuple[Numbers, Numbers]] | None = None
    """Gives the number of every row of A and of B, for tables in files."""


def residue(columns: Sequence[Column], rows_a: int, rows_b: int, usable: Sequence[int]) -> Residue:
    """Compare in place, then as multisets, and return the rows that no equal row cancels.

    Of rows that occur more than once, those at the same position belong together first; of what is left, the
    n-th copy in A and the n-th in B. So which copy is left alone is the same however tables are read.

    ``usable`` are the columns that may serve as anchor, best first; with one, rows are only compared in place.
    """
    import numpy as np

    if not columns:
        return Residue(
            np.arange(min(rows_a, rows_b), rows_a), np.arange(min(rows_a, rows_b), rows_b), (), (), *_none()
        )
    if rows_a == rows_b:
        at_a, equal = _differing_in_place(columns, rows_a)
        anchor = _anchor(columns, equal, usable) if len(at_a) else None
        if anchor is not None:
            return _anchored(columns, at_a, equal, anchor)
        at_b = at_a
    else:
        at_a, at_b = _of_different_length(columns, rows_a, rows_b, usable)
    if not len(at_a) or not len(at_b):
        empty = tuple(_none()[0] for _ in columns)
        codes = tuple(taken_codes(column, at_a, at_b) for column in columns) if len(at_a) + len(at_b) else ()
        codes_a = tuple(pair[0] for pair in codes) or empty
        codes_b = tuple(pair[1] for pair in codes) or empty
        return Residue(at_a, at_b, codes_a, codes_b, *_none())
    codes = tuple(taken_codes(column, at_a, at_b) for column in columns)
    ids_a, ids_b = row_ids([pair[0] for pair in codes], [pair[1] for pair in codes])
    equal_a, equal_b = pair_equal(ids_a, ids_b)
    left_a, left_b = _without(len(at_a), equal_a), _without(len(at_b), equal_b)
    return Residue(
        at_a[left_a],
        at_b[left_b],
        tuple(pair[0][left_a] for pair in codes),
        tuple(pair[1][left_b] for pair in codes),
        at_a[equal_a],
        at_b[equal_b],
    )


def _none() -> tuple[Ints, Ints]:
    import numpy as np

    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def _without(size: int, indexes: Ints) -> Ints:
    import numpy as np

    keep = np.ones(size, np.bool_)
    keep[indexes] = False
    return np.flatnonzero(keep)


def taken_codes(column: Column, at_a: Ints, at_b: Ints) -> tuple[Ints, Ints]:
    """Return the numbers (see `exact.codes`) of a column's cells at some positions of A and of B."""
    sides = (
        side if len(at) == len(side) else side.take(integers(at))
        for side, at in zip(column.exact, (at_a, at_b), strict=True)
    )
    return ex.codes(*sides)


def _differing_in_place(columns: Sequence[Column], rows: int) -> tuple[Ints, set[int]]:
    """Return the positions at which any column differs, and the columns that differ nowhere."""
    import numpy as np

    differing = np.zeros(rows, np.bool_)
    equal: set[int] = set()
    for i, column in enumerate(columns):
        mask = ex.unequal(*column.exact)
        if mask is None:
            equal.add(i)
        else:
            differing |= mask
    return np.flatnonzero(differing), equal


def _anchor(columns: Sequence[Column], equal: set[int], usable: Sequence[int]) -> int | None:
    """Return a column that is equal in place, never null, unique and no float; None when there is none."""
    for i in usable:
        values = columns[i].exact[0]
        if i in equal and not columns[i].is_float and not values.null_count and is_unique(values):
            return i
    return None


def _anchored(columns: Sequence[Column], at: Ints, equal: set[int], anchor: int) -> Residue:
    import numpy as np

    same = np.zeros(len(at), np.int64)
    codes = [(same, same) if i in equal else taken_codes(column, at, at) for i, column in enumerate(columns)]
    codes_a, codes_b = (tuple(pair[side] for pair in codes) for side in (0, 1))
    return Residue(at, at, codes_a, codes_b, *_none(), anchor)


def _of_different_length(
    columns: Sequence[Column], rows_a: int, rows_b: int, usable: Sequence[int]
) -> tuple[Ints, Ints]:
    """Return the positions that differ in place and those beyond; only what the ends leave where no row has a copy."""
    import numpy as np

    if any(columns[i].names_rows() for i in usable):
        return _between_common_ends(columns, rows_a, rows_b)
    least = min(rows_a, rows_b)
    differing = np.zeros(least, np.bool_)
    for column in columns:
        a, b = column.exact
        mask = ex.unequal(a.slice(0, least), b.slice(0, least))
        if mask is not None:
            differing |= mask
    at = np.flatnonzero(differing)
    return np.append(at, np.arange(least, rows_a)), np.append(at, np.arange(least, rows_b))


def _between_common_ends(columns: Sequence[Column], rows_a: int, rows_b: int) -> tuple[Ints, Ints]:
    """Return the positions of A and of B between the rows that are equal at both ends."""
    import numpy as np

    least = min(rows_a, rows_b)
    head = _leading(columns, 0, 0, least)
    tail = _trailing(columns, rows_a, rows_b, least - head)
    return np.arange(head, rows_a - tail), np.arange(head, rows_b - tail)


def _leading(columns: Sequence[Column], from_a: int, from_b: int, length: int) -> int:
    """Return how many rows from ``from_a`` and ``from_b`` on are equal in place."""
    for column in columns:
        a, b = column.exact
        mask = ex.unequal(a.slice(from_a, length), b.slice(from_b, length))
        if mask is not None:
            length = int(mask.argmax())
    return length


def _trailing(columns: Sequence[Column], rows_a: int, rows_b: int, length: int) -> int:
    """Return how many of the last ``length`` rows are equal, counted from the end."""
    for column in columns:
        a, b = column.exact
        mask = ex.unequal(a.slice(rows_a - length, length), b.slice(rows_b - length, length))
        if mask is not None:
            length = int(mask[::-1].argmax())
    return length


def row_ids(codes_a: Sequence[Ints], codes_b: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return a number per row of A and of B, from 0 on; same number if and only if all codes are equal.

    Takes one array of codes per column. Hash collisions are found and resolved.
    """
    import numpy as np

    joined = [np.concatenate(pair) for pair in zip(codes_a, codes_b, strict=True)]
    size_a = len(codes_a[0])
    if len(joined) == 1:
        ids = _dense(joined[0])
    else:
        ids = _dense(_mixed(joined).view(np.int64))
        first = _first_of(ids)
        if not all(np.array_equal(part, part[first][ids]) for part in joined):
            ids = np.unique(np.stack(joined, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return ids[:size_a], ids[size_a:]


def _mixed(parts: Sequence[Ints]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return a 64-bit hash over several int64 arrays (the finaliser of SplitMix64 per column)."""
    import numpy as np

    state = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        state ^= part.view(np.uint64)
        state += np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def _dense(numbers: Ints) -> Ints:
    """Return each number's rank by first appearance."""
    import numpy as np

    ids: Ints = numpy_of(integers(numbers).dictionary_encode().indices).astype(np.int64)
    return ids


def _first_of(ids: Ints) -> Ints:
    import numpy as np

    first = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
    return first


def pair_equal(ids_a: Ints, ids_b: Ints) -> tuple[Ints, Ints]:
    """Pair the n-th row of a number in A with the n-th of that number in B; return both sides' indexes.

    The pairs are sorted by A's index.
    """
    import numpy as np

    size = int(max(ids_a.max(initial=-1), ids_b.max(initial=-1))) + 1
    count_a, count_b = np.bincount(ids_a, minlength=size), np.bincount(ids_b, minlength=size)
    fewer = np.minimum(count_a, count_b)
    chosen_a, chosen_b = _first_occurrences(ids_a, count_a, fewer), _first_occurrences(ids_b, count_b, fewer)
    order = np.argsort(chosen_a, kind="stable")
    return chosen_a[order], chosen_b[order]


def _first_occurrences(ids: Ints, counts: Ints, wanted: Ints) -> Ints:
    """Return the indexes of the first ``wanted[id]`` rows of each id, grouped by id."""
    import numpy as np

    order = np.argsort(ids, kind="stable")
    starts = np.cumsum(counts) - counts
    grouped = ids[order]
    rank = np.arange(len(ids)) - starts[grouped]
    return order[rank < wanted[grouped]]


def whole_row_ids(columns: Sequence[Column]) -> tuple[Ints, Ints]:
    """Return `row_ids` over every row of both tables."""
    codes = [ex.codes(*column.exact) for column in columns]
    return row_ids([pair[0] for pair in codes], [pair[1] for pair in codes])


def equal_elsewhere(columns: Sequence[Column], rows: Ints, *, of_a: bool) -> Mask:
    """Return which of some rows of one table (A if ``of_a``) equal any row of the other."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(rows) or not columns:
        return np.zeros(len(rows), np.bool_)
    pairs = [column.exact if of_a else column.exact[::-1] for column in columns]
    wanted = [own.take(rows) for own, _ in pairs]
    candidates = np.arange(len(pairs[0][1]))
    for own, (_, other) in zip(wanted, pairs, strict=True):
        if pa.types.is_null(own.type):
            continue
        here = other if len(candidates) == len(other) else other.take(candidates)
        candidates = candidates[numpy_of(pc.is_in(here, value_set=own.combine_chunks()))]
    if not len(candidates):
        return np.zeros(len(rows), np.bool_)
    codes = [ex.codes(own, other.take(candidates)) for own, (_, other) in zip(wanted, pairs, strict=True)]
    ids, others = row_ids([pair[0] for pair in codes], [pair[1] for pair in codes])
    return np.isin(ids, others)
