"""Two delimited texts reduced to the records in which they may differ; the invariant is that of `large`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.tabular.arrays import texts
from kfm_repro.compare.tabular.large import MOST_IN_PLACE, codes_of
from kfm_repro.compare.tabular.lines import differing_lines, number_lines
from kfm_repro.compare.tabular.numbering import ALL_TAKEN, draw_seed, pair_rows_by_number
from kfm_repro.compare.tabular.quotes import has_quoted_empty
from kfm_repro.compare.tabular.rows import Residue, pair_equal, row_ids

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.lines import TextSource

__all__ = ["reduce_texts"]

_MOST_RECORDS = 20_000
"""Most records that are read one by one; beyond it both texts are read whole."""


def reduce_texts(
    columns: Sequence[FileColumn], usable: Sequence[int]
) -> tuple[list[FileColumn], Residue] | None:
    """Return the rows of two texts without equal partner and all that moved; None for the strict reader to say.

    Records of other bytes may have the same cells (quoted or not): they cancel each other as cells.
    """
    import numpy as np

    a, b = cast("tuple[TextSource, TextSource]", columns[0].sources)
    none = np.zeros(0, np.int64)
    if a.rows == b.rows:
        at = differing_lines(a, b)
        if len(at) <= MOST_IN_PLACE * a.rows:
            held = _with_records(columns, at, at)
            anchor = None if held is None else _anchor_of_texts(held, usable)
            if held is not None and anchor is not None:
                return held, Residue(at, at, *codes_of(held), none, none, anchor)
    lanes = tuple(number_lines(side, seed) for seed in (draw_seed(),) for side in (a, b))
    partner, state = pair_rows_by_number(lanes[0], lanes[1])
    rest_a, rest_b = np.flatnonzero(partner < 0), np.flatnonzero(state)
    held = _with_records(columns, rest_a, rest_b)
    if held is None:
        return None
    codes = codes_of(held)
    if len(rest_a) and len(rest_b) and len(pair_equal(*row_ids(*codes))[0]):
        return None
    copies = partner[rest_a] == ALL_TAKEN, state[rest_b] == 2  # noqa: PLR2004  # see pair_rows_by_number
    return held, Residue(
        rest_a,
        rest_b,
        *codes,
        none,
        none,
        partner=partner,
        copies=copies,
        others=lambda: lanes[0].one != lanes[1].one,
        lanes=lambda: (lanes[0], lanes[1]),
    )


def _with_records(columns: Sequence[FileColumn], rows_a: Ints, rows_b: Ints) -> list[FileColumn] | None:
    """Return the columns with the cells of some rows at hand; None for too many, or some not written plainly."""
    import pyarrow as pa

    if len(rows_a) + len(rows_b) > _MOST_RECORDS:
        return None
    sides = []
    for source, rows in zip(
        cast("tuple[TextSource, TextSource]", columns[0].sources), (rows_a, rows_b), strict=True
    ):
        raw = [source.text(row) for row in rows.tolist()]
        if any(b'""' in text and has_quoted_empty(text.decode(), source.delimiter) for text in raw):
            return None
        if not all(text.isascii() for text in raw) and not source.is_utf8:
            return None
        records = source.records(rows)
        if any(len(record) != len(source.names) for record in records):
            return None
        sides.append(
            [pa.chunked_array([texts(cells)]) for cells in zip(*records, strict=True)]
            or [pa.chunked_array([], pa.string()) for _ in source.names]
        )
    return [
        replace(column, a=sides[0][column.at[0]], b=sides[1][column.at[1]], rows_a=rows_a, rows_b=rows_b)
        for column in columns
    ]


def _anchor_of_texts(columns: Sequence[FileColumn], usable: Sequence[int]) -> int | None:
    """Return a column that is equal in place and names the rows; ``columns`` hold the rows that differ in place."""
    for i in usable:
        column = columns[i]
        if column.a.equals(column.b) and column.names_rows_of(0):
            return i
    return None
