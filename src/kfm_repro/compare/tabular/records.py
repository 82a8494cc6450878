"""Two delimited texts reduced to the records in which they may differ; the invariant is that of `large`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import kfm_repro.compare.tabular.exact as ex
from kfm_repro.compare.tabular.large import MOST_IN_PLACE, codes_of
from kfm_repro.compare.tabular.lines import Unsure, changed_columns, differing_lines, number_lines
from kfm_repro.compare.tabular.multisets import pair_numbered
from kfm_repro.compare.tabular.numbering import ALL_TAKEN, draw_seed
from kfm_repro.compare.tabular.rows import Residue, pair_equal, row_ids

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.lines import TextSource

__all__ = ["reduce_texts"]

_FIRST_LOOK = 2_000
"""Records that tell, where many differ, whether any column may be equal in place."""
_COPIES = 12
"""So many times their size records take while they are compared as rows."""


def reduce_texts(
    columns: Sequence[FileColumn], usable: Sequence[int], memory: int
) -> tuple[list[FileColumn], Residue]:
    """Return the rows of two texts without equal partner and all that moved.

    Records of other bytes may have the same cells (quoted or not): they cancel each other as cells. ``memory`` is
    in bytes. Raises Unsure where the strict reader is to be asked.
    """
    import numpy as np

    a, b = cast("tuple[TextSource, TextSource]", columns[0].sources)
    if a.rows == b.rows:
        found = _in_place(columns, usable, memory)
        if found is not None:
            return found
    none = np.zeros(0, np.int64)
    lanes = tuple(number_lines(side, seed) for seed in (draw_seed(),) for side in (a, b))
    partner, state, others = pair_numbered(lambda: (lanes[0], lanes[1]))
    rest_a, rest_b = np.flatnonzero(partner < 0), np.flatnonzero(state)
    held = _with_cells(columns, range(len(columns)), (rest_a, rest_b), memory)
    codes = codes_of(held)
    if len(rest_a) and len(rest_b) and len(pair_equal(*row_ids(*codes))[0]):
        raise Unsure
    copies = partner[rest_a] == ALL_TAKEN, state[rest_b] == 2  # noqa: PLR2004  # see pair_rows_by_number
    return held, Residue(
        rest_a,
        rest_b,
        *codes,
        none,
        none,
        partner=partner,
        copies=copies,
        others=others,
        lanes=lambda: (lanes[0], lanes[1]),
    )


def _in_place(
    columns: Sequence[FileColumn], usable: Sequence[int], memory: int
) -> tuple[list[FileColumn], Residue] | None:
    """Return the rows that differ in place, if a column that does not says which belong together; else None.

    Only the columns whose bytes differ somewhere are read as cells.
    """
    import numpy as np

    a, b = cast("tuple[TextSource, TextSource]", columns[0].sources)
    at = np.zeros(0, np.int64)
    for rows in (min(_FIRST_LOOK, a.rows), a.rows):
        at = differing_lines(a, b, rows)
        if len(at) > MOST_IN_PLACE * rows:
            first = changed_columns(a, b, at[:_FIRST_LOOK])
            if all(first[columns[i].at[0]] for i in usable):
                return None
    counts = changed_columns(a, b, at)
    changed = [i for i, column in enumerate(columns) if counts[column.at[0]]]
    held = _with_cells(columns, changed, (at, at), memory)
    anchor = next(
        (i for i in usable if (i not in changed or held[i].a.equals(held[i].b)) and held[i].names_rows_of(0)),
        None,
    )
    if anchor is None:
        return None
    none, same = np.zeros(0, np.int64), np.zeros(len(at), np.int64)
    codes = [ex.codes(*column.exact) if i in changed else (same, same) for i, column in enumerate(held)]
    sides = tuple(tuple(pair[side] for pair in codes) for side in (0, 1))
    return held, Residue(at, at, sides[0], sides[1], none, none, anchor)


def _with_cells(
    columns: Sequence[FileColumn], which: Sequence[int], rows: tuple[Ints, Ints], memory: int
) -> list[FileColumn]:
    """Return the columns, some of them with the cells of some rows of A and of B at hand.

    Raises Unsure for more than ``memory``, and where the strict reader is to be asked.
    """
    sources = cast("tuple[TextSource, TextSource]", columns[0].sources)
    if _COPIES * sum(source.size_of(at) for source, at in zip(sources, rows, strict=True)) > memory:
        raise Unsure
    read = [
        source.columns_of(at, [columns[i].at[side] for i in which])
        for side, (source, at) in enumerate(zip(sources, rows, strict=True))
    ]
    if read[0] is None or read[1] is None:
        raise Unsure
    held = list(columns)
    for i, a, b in zip(which, read[0], read[1], strict=True):
        held[i] = replace(held[i], a=a, b=b, rows_a=rows[0], rows_b=rows[1])
    return held
