"""Pairing rows without a key: by all columns that A and B share, then by all but one, then by the most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.rows import Residue, pair_equal, row_ids

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["MOST_COMPARISONS", "pair_similar"]

MOST_COMPARISONS = 8_000_000
"""Most cells that are compared to match every residual row with every other."""
_MOST_LEFT_OUT = 64


def pair_similar(
    rest: Residue, stable: Sequence[int], overlaps: Sequence[int], live: Sequence[int]
) -> tuple[Ints, Ints, str]:
    """Return pairs of residual rows that agree in most of the columns ``stable``, and how they were found.

    ``live`` are all columns in which A and B share any value at all; the loosest step asks half of them.

    Each step looks only at what the step before left. The last one compares every row with every other and
    is skipped beyond `MOST_COMPARISONS` cells; the returned note says so.
    """
    import numpy as np

    pairs: list[tuple[Ints, Ints]] = []
    left = (np.arange(len(rest.a)), np.arange(len(rest.b)))
    least = 0.5 * min(len(rest.a), len(rest.b))
    shared = [i for i in stable if overlaps[i] >= least] or list(stable)
    for chosen in _subsets(shared):
        left = _take_equal(rest, chosen, left, pairs)
    note = "no key found: rows matched by the columns that agree"
    if len(left[0]) * len(left[1]) * len(live) > MOST_COMPARISONS:
        note += f"; {len(left[0])} and {len(left[1])} rows were too many to match by likeness"
    elif len(left[0]) and len(left[1]):
        pairs.append(_most_alike(rest, live, left))
    a = np.concatenate([pair[0] for pair in pairs] or [left[0][:0]])
    b = np.concatenate([pair[1] for pair in pairs] or [left[1][:0]])
    return a, b, note


def _subsets(shared: list[int]) -> list[list[int]]:
    """Return all shared columns, then all but one (the last ones first)."""
    if len(shared) < 3 or len(shared) > _MOST_LEFT_OUT:  # noqa: PLR2004  # of two columns, one left says too little
        return [shared]
    return [shared, *([i for i in shared if i != out] for out in reversed(shared))]


def _take_equal(
    rest: Residue, chosen: Sequence[int], left: tuple[Ints, Ints], pairs: list[tuple[Ints, Ints]]
) -> tuple[Ints, Ints]:
    """Pair the rows of ``left`` that agree in ``chosen``, add them to ``pairs`` and return the others."""
    import numpy as np

    if not len(left[0]) or not len(left[1]):
        return left
    ids = row_ids([rest.codes_a[i][left[0]] for i in chosen], [rest.codes_b[i][left[1]] for i in chosen])
    a, b = pair_equal(*ids)
    pairs.append((left[0][a], left[1][b]))
    return np.delete(left[0], a), np.delete(left[1], b)


def _most_alike(rest: Residue, live: Sequence[int], left: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Pair rows greedily by the number of equal cells; a pair agrees in at least half of the columns.

    Among equals, the pair with the smallest position in A and then in B comes first.
    """
    import numpy as np

    alike = np.zeros((len(left[0]), len(left[1])), np.int16)
    for i in live:
        alike += rest.codes_a[i][left[0]][:, None] == rest.codes_b[i][left[1]][None, :]
    at_a, at_b = np.nonzero(alike >= max(1, (len(live) + 1) // 2))
    order = np.lexsort((at_b, at_a, -alike[at_a, at_b]))
    free_a, free_b = np.ones(len(left[0]), np.bool_), np.ones(len(left[1]), np.bool_)
    chosen: list[tuple[int, int]] = []
    for i, j in zip(at_a[order].tolist(), at_b[order].tolist(), strict=True):
        if free_a[i] and free_b[j]:
            free_a[i] = free_b[j] = False
            chosen.append((i, j))
    picked = np.array(chosen, np.int64).reshape(-1, 2)
    return left[0][picked[:, 0]], left[1][picked[:, 1]]
