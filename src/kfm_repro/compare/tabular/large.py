"""Two Parquet files that are not read whole: reduced to the rows in which they may differ, exactly, then compared.

The ladder: bytes of column chunks; columns in place; rows as a multiset. What every step relies on: each row of A
outside of the residue is proven equal to a row of B outside of it, one to one. So the multisets of what remains
differ exactly as the tables do, multiset(A) - multiset(B) = multiset(rest of A) - multiset(rest of B), whatever was
guessed on the way about keys or what is worth trying. What is left is compared as any small table is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, cast

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.bulk import Part, is_plain, merged, settle_cells
from kfm_repro.compare.tabular.cells import Pairs, Task, looked_at
from kfm_repro.compare.tabular.filed import FileColumn
from kfm_repro.compare.tabular.foreign import Foreign, number_rows
from kfm_repro.compare.tabular.inplace import Difference, differing, probe, told_apart
from kfm_repro.compare.tabular.many import codes_on_demand
from kfm_repro.compare.tabular.multisets import pair_rows
from kfm_repro.compare.tabular.numbering import ALL_TAKEN
from kfm_repro.compare.tabular.residual import with_cells
from kfm_repro.compare.tabular.rows import Residue, pair_equal, row_ids
from kfm_repro.compare.tabular.schema import Column, labels, plain_type
from kfm_repro.model.finding import MAX_EXAMPLES, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import Source
    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = [
    "MOST_IN_PLACE",
    "anchor_in_place",
    "can_be_reduced",
    "codes_of",
    "file_columns",
    "parts_in_place",
    "reduce",
]

_ALIKE = 0.9
"""Part of the first rows that is equal in place where it pays to compare the rest so."""
_MOST_LOOKED_AT = 1_000_000
"""Most pairs of a column that are kept to be looked at one by one (see `Limits.pairs`, which counts distinct ones)."""
_LEAST_LOOKED_AT = 1_000
"""As many are kept whatever memory there is."""
_BYTES_PER_PAIR = 512
"""What such a pair takes while it is looked at, if it is not longer than most."""
_MOST_AT_HAND = 1_000_000
"""Most rows without equal partner that are read as rows; beyond it they are read a column at a time."""
MOST_IN_PLACE = 0.2
"""Largest part of the rows that may differ in place, without anchor, before the rows are compared as a multiset."""


def can_be_reduced(a: pa.Schema, b: pa.Schema, leaves: tuple[int, int]) -> bool:
    """Return whether both tables consist of flat columns that `numbering` and `inplace` know, of equal types."""
    if any(len(set(side.names)) != len(side.names) for side in (a, b)):
        return False
    if any(len(side.names) != count or not count for side, count in zip((a, b), leaves, strict=True)):
        return False
    shared = [name for name in a.names if name in set(b.names)]
    return bool(shared) and all(
        _is_flat(a.field(name).type)
        and plain_type(a.field(name).type) == plain_type(b.field(name).type)
        and _is_flat(b.field(name).type)
        and a.field(name).nullable == b.field(name).nullable
        for name in shared
    )


def _is_flat(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or types.is_dictionary(kind) or types.is_nested(kind):
        return False
    views = types.is_string_view(kind) or types.is_binary_view(kind) or types.is_run_end_encoded(kind)
    return not (views or types.is_interval(kind) or types.is_null(kind))


def file_columns(columns: Sequence[Column], a: Source, b: Source) -> list[FileColumn]:
    """Return the columns that both files have as columns in files, none of their cells at hand."""
    import numpy as np

    none = np.zeros(0, np.int64)
    places = [{label: i for i, label in enumerate(labels(side.schema.names))} for side in (a, b)]
    return [
        FileColumn(
            column.label,
            column.a,
            column.b,
            column.same_type,
            (a, b),
            (places[0][column.label], places[1][column.label]),
            none,
            none,
        )
        for column in columns
    ]


def anchor_in_place(columns: Sequence[FileColumn], usable: Sequence[int]) -> int | None:
    """Return a column that is equal in place and names the rows: rows at the same position belong together."""
    a, b = columns[0].sources
    if a.rows != b.rows or not a.rows:
        return None
    for i in usable:
        column = columns[i]
        if column.is_float:
            continue
        alike, names = probe(column)
        if alike < 1.0 or not names or next(differing([column], a.rows), None) is not None:
            continue
        if column.names_rows_of(0):  # and so it does in B: the cells are the same
            return i
    return None


def parts_in_place(
    columns: Sequence[FileColumn], anchor: int, task: Task
) -> Iterator[tuple[int, list[Part], FileColumn]]:
    """Yield per differing column of tables with an anchor what its cells are, told apart; places are rows.

    The column comes with the cells at hand that were looked at.
    """
    import numpy as np

    settled: dict[int, list[Part]] = {}
    left: dict[int, _Left] = {}
    most = max(_LEAST_LOOKED_AT, min(_MOST_LOOKED_AT, task.context.memory // _BYTES_PER_PAIR))
    others = [column for i, column in enumerate(columns) if i != anchor]

    def settle(at: int, difference: Difference) -> tuple[list[Part], Ints]:
        if not is_plain(others[at], task):
            return [], np.arange(len(difference.places))
        found, here = settle_cells(others[at], difference.a, difference.b, task)
        return [part.at(difference.places) for part in found], here

    for at, difference, (parts, here) in told_apart(others, columns[anchor].sources[0].rows, settle):
        i = at + (at >= anchor)
        settled[i] = merged([*settled.get(i, []), *parts])
        left.setdefault(i, _Left(most)).add(difference.take(here), bounded=not columns[i].is_float)
    for i in sorted(settled):
        held = left[i].at_hand(columns[i])
        yield i, merged([*settled[i], *left[i].parts(held, task)]), held


@dataclass
class _Left:
    """Rows whose cells of one column are to be looked at one by one: not all of them when there are very many."""

    most: int
    found: list[Difference] = field(default_factory=list)
    count: int = 0
    beyond: int = 0
    beyond_first: Ints | None = None

    def add(self, difference: Difference, *, bounded: bool) -> None:
        """Add rows; beyond the bound they are only counted."""
        places = difference.places
        room = max(0, self.most - self.count) if bounded else len(places)
        if room and len(places):
            self.found.append(Difference(places[:room], difference.a[:room], difference.b[:room]))
        self.count += len(places[:room])
        if len(places) > room:
            self.beyond += len(places) - room
            if self.beyond_first is None:
                self.beyond_first = places[room : room + MAX_EXAMPLES].copy()

    def parts(self, held: FileColumn, task: Task) -> list[Part]:
        """Return what the cells are that are at hand; the others are values."""
        return [*(_looked_at(held, task) if self.found else ()), *self._beyond(held, task)]

    def at_hand(self, column: FileColumn) -> FileColumn:
        """Return the column with the cells at hand that are to be looked at."""
        import numpy as np

        if not self.found:
            return column
        places = np.concatenate([difference.places for difference in self.found])
        a, b = (
            _of_type(side, [getattr(d, name) for d in self.found])
            for side, name in ((column.a, "a"), (column.b, "b"))
        )
        return replace(column, a=a, b=b, rows_a=places, rows_b=places)

    def _beyond(self, column: FileColumn, task: Task) -> list[Part]:
        if self.beyond_first is None:
            return []
        evidence = f"{self.beyond} further pairs were beyond the limit and not looked at one by one"
        reason = task.context.options.ignore.get(column.label)
        rung = Rung.VALUE if reason is None else Rung.TOLERANCE
        evidence += "" if reason is None else f"; ignored by the settings: {reason}"
        return [Part(str(Kind.VALUE), str(rung), self.beyond, self.beyond_first, evidence)]


def _looked_at(held: FileColumn, task: Task) -> list[Part]:
    pairs = Pairs(held.rows_a, held.rows_a, *ex.codes(*held.exact))
    return [part.at(held.rows_a) for part in looked_at(held, pairs, task)]


def _of_type(like: pa.ChunkedArray, parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array(
        [chunk.cast(like.type) for part in parts for chunk in part.chunks], type=like.type
    )


def reduce(columns: Sequence[FileColumn], memory: int) -> tuple[list[FileColumn], Residue]:
    """Return the rows of two files without equal partner, their cells at hand if not too many, and all that moved.

    ``memory`` is in bytes: where the numbers of all rows would take more, they go through files.
    """
    import numpy as np

    a, b = cast("tuple[ParquetSource, ParquetSource]", columns[0].sources)
    at = _in_place(columns)
    if at is None:
        return _as_multisets(columns, memory)
    rest_a = np.concatenate([at, np.arange(min(a.rows, b.rows), a.rows)])
    rest_b = np.concatenate([at, np.arange(min(a.rows, b.rows), b.rows)])
    if len(rest_a) + len(rest_b) > _most_at_hand(a, b, memory):
        return _as_multisets(columns, memory)
    return _cancelled(columns, rest_a, rest_b)


def _most_at_hand(a: ParquetSource, b: ParquetSource, memory: int) -> int:
    """Return how many rows may be read as rows: with their codes they take a few times their size."""
    return min(_MOST_AT_HAND, int(memory) // (8 * max(1, int(a.row_bytes), int(b.row_bytes))))


def _as_multisets(columns: Sequence[FileColumn], memory: int) -> tuple[list[FileColumn], Residue]:
    import numpy as np

    a, b = cast("tuple[ParquetSource, ParquetSource]", columns[0].sources)
    most = _most_at_hand(a, b, memory)
    foreign = Foreign(columns, most)
    lanes = cache(lambda: number_rows(columns, foreign))
    partner, state, others = pair_rows(columns, lanes, memory)
    rest_a, rest_b = np.flatnonzero(partner < 0), np.flatnonzero(state)
    copies = partner[rest_a] == ALL_TAKEN, state[rest_b] == 2  # noqa: PLR2004  # see pair_rows_by_number
    none = np.zeros(0, np.int64)
    if len(rest_a) + len(rest_b) > most:
        held = list(columns)
        codes: tuple[Sequence[Ints], Sequence[Ints]] = codes_on_demand(held, rest_a, rest_b)
    else:
        held = with_cells(columns, (rest_a, rest_b), foreign, foreign.numbers_of_a)
        codes = codes_of(held)
    return held, Residue(
        rest_a, rest_b, *codes, none, none, partner=partner, copies=copies, others=others, lanes=lanes
    )


def _in_place(columns: Sequence[FileColumn]) -> Ints | None:
    """Return the rows that differ in place, among those that both tables have; None when too many do."""
    import numpy as np

    a, b = columns[0].sources
    least, most = min(a.rows, b.rows), max(a.rows, b.rows)
    if most - least > MOST_IN_PLACE * most or any(probe(column)[0] < _ALIKE for column in columns):
        return None
    mask = np.zeros(least, np.bool_)
    for _, difference in differing(columns, least):
        mask[difference.places] = True
        if len(difference.places) > MOST_IN_PLACE * least or mask.sum() > MOST_IN_PLACE * least:
            return None
    return np.flatnonzero(mask)


def _cancelled(columns: Sequence[FileColumn], rest_a: Ints, rest_b: Ints) -> tuple[list[FileColumn], Residue]:
    """Cancel the rows of a residue that are equal to one of the other side, and return what remains."""
    import numpy as np

    none = np.zeros(0, np.int64)
    held = with_cells(columns, (rest_a, rest_b))
    codes_a, codes_b = codes_of(held)
    if not len(rest_a) or not len(rest_b):
        return held, Residue(
            rest_a, rest_b, codes_a, codes_b, none, none, lanes=cache(lambda: number_rows(columns))
        )
    equal_a, equal_b = pair_equal(*row_ids(codes_a, codes_b))
    keep_a, keep_b = np.ones(len(rest_a), np.bool_), np.ones(len(rest_b), np.bool_)
    keep_a[equal_a] = keep_b[equal_b] = False
    left = Residue(
        rest_a[keep_a],
        rest_b[keep_b],
        tuple(codes[keep_a] for codes in codes_a),
        tuple(codes[keep_b] for codes in codes_b),
        rest_a[equal_a],
        rest_b[equal_b],
        lanes=cache(lambda: number_rows(columns)),
    )
    return held, left


def codes_of(columns: Sequence[FileColumn]) -> tuple[tuple[Ints, ...], tuple[Ints, ...]]:
    """Return the codes (see `exact.codes`) of the cells at hand of A and of B, per column."""
    pairs = [ex.codes(*column.exact) for column in columns]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
