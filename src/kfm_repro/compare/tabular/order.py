"""Whether the rows that both tables have changed their order, by how much, and which sort explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.rows import Residue, whole_row_ids
from kfm_repro.compare.tabular.sorting import explain_order
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.cells import Task
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.match import Pairing
    from kfm_repro.compare.tabular.numbering import Numbers
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["order_finding"]


@dataclass(frozen=True)
class _Moved:
    """Places among the shared rows that hold another row: A's and B's row there, how many are shared."""

    a: Ints
    b: Ints
    ranks: Ints
    of: int


def order_finding(
    columns: Sequence[Column], counts: tuple[int, int], rest: Residue, pairing: Pairing, task: Task
) -> Finding | None:
    """Return the finding that shared rows stand in another order, or None when they do not.

    ``count`` is the number of places, counted among the rows that both sides have (``of``), each side in its own
    order, that hold another row; equal rows are interchangeable, and the two rows of a pair that changed are one.
    """
    moved = _moved(columns, counts, rest, pairing)
    if moved is None:
        return None
    reason, detail, shown = explain_order(columns, moved.a, pairing.key, text=task.text)
    noun = f"{task.unit}s"
    evidence = (
        f"{len(moved.ranks)} of {moved.of} shared {noun} stand at another position, "
        f"counted among the {noun} that both sides have; {reason}"
    )
    return Finding(
        kind=Kind.FEATURE_ORDER if task.unit == "feature" else Kind.ROW_ORDER,
        rung=Rung.ORDER,
        where=dict(task.where),
        count=len(moved.ranks),
        of=moved.of,
        examples=_examples(columns, moved, pairing.key or shown),
        evidence=evidence,
        detail=detail,
    )


def _examples(columns: Sequence[Column], moved: _Moved, shown: Sequence[int]) -> tuple[Example, ...]:
    """Show, for the first places, which row stands there in A and which in B."""
    columns = [columns[i] for i in (shown or (0,))]
    first = slice(0, MAX_EXAMPLES)
    names_a, names_b = (
        [column.values(rows[first], of_a=of_a) for column in columns]
        for rows, of_a in ((moved.a, True), (moved.b, False))
    )
    return tuple(
        Example(key={"position": rank}, a=_name(a), b=_name(b))
        for rank, a, b in zip(
            moved.ranks[first].tolist(), zip(*names_a, strict=True), zip(*names_b, strict=True), strict=True
        )
    )


def _name(values: tuple[Any, ...]) -> Any:  # noqa: ANN401  # a JSON scalar
    return scalar(values[0] if len(values) == 1 else list(values))


def _moved(
    columns: Sequence[Column], counts: tuple[int, int], rest: Residue, pairing: Pairing
) -> _Moved | None:
    """Return where the order differs, cheapest proof first; None when shared rows are in the same order."""
    import numpy as np

    if _all_in_place(counts, rest, pairing):
        return None
    partner = _partners(counts, rest, pairing)
    if counts[0] == counts[1] and (partner >= 0).all():
        ranks = _places_of_others(partner, rest, pairing)
        return _Moved(ranks, ranks, ranks, len(partner)) if len(ranks) else None
    shared_a = np.flatnonzero(partner >= 0)
    sequence = partner[shared_a]
    if not (np.diff(sequence) < 0).any():
        return None
    shared_b = np.sort(sequence)
    labels_a, labels_b = _labels(columns, rest, pairing)
    ranks = np.flatnonzero(labels_a[shared_a] != labels_b[shared_b])
    if not len(ranks) or _in_order(labels_a, labels_b):
        return None
    return _Moved(shared_a[ranks], shared_b[ranks], ranks, len(shared_a))


def _all_in_place(counts: tuple[int, int], rest: Residue, pairing: Pairing) -> bool:
    """Return whether every row with a partner stands where that stands, without a look at each."""
    import numpy as np

    return (
        rest.partner is None
        and counts[0] == counts[1]
        and not len(rest.equal_a)
        and np.array_equal(rest.a, rest.b)
        and np.array_equal(pairing.a, pairing.b)
    )


def _places_of_others(partner: Ints, rest: Residue, pairing: Pairing) -> Ints:
    """Return the places that hold another row, where every row has a partner."""
    import numpy as np

    if rest.others is None:
        return np.flatnonzero(partner != np.arange(len(partner)))
    other = rest.others()  # equal rows are interchangeable
    changed = rest.a[pairing.a]
    other[changed] = partner[changed] != changed
    return np.flatnonzero(other)


def _partners(counts: tuple[int, int], rest: Residue, pairing: Pairing) -> Ints:
    """Return, for every row of A, the row of B that it was matched with, or -1."""
    import numpy as np

    if rest.partner is not None:
        partner = rest.partner
        partner[rest.a] = -1
        partner[rest.a[pairing.a]] = rest.b[pairing.b]
        return partner
    partner = np.full(counts[0], -1, np.int64)
    here_a, here_b = np.ones(counts[0], np.bool_), np.ones(counts[1], np.bool_)
    here_a[rest.a] = here_a[rest.equal_a] = False
    here_b[rest.b] = here_b[rest.equal_b] = False
    partner[here_a] = np.flatnonzero(here_b)
    partner[rest.equal_a] = rest.equal_b
    partner[rest.a[pairing.a]] = rest.b[pairing.b]
    return partner


def _labels(columns: Sequence[Column], rest: Residue, pairing: Pairing) -> tuple[Ints, Ints]:
    """Return a number per row: shared by equal rows and by the two rows of a pair that changed."""
    import numpy as np

    if rest.lanes is not None:
        return _labels_by_number(rest.lanes(), rest, pairing)
    ids_a, ids_b = (ids.copy() for ids in whole_row_ids(columns))
    top = int(max(ids_a.max(initial=-1), ids_b.max(initial=-1))) + 1
    names = np.arange(top, top + len(pairing.a))
    ids_a[rest.a[pairing.a]] = names
    ids_b[rest.b[pairing.b]] = names
    return ids_a, ids_b


def _labels_by_number(lanes: tuple[Numbers, Numbers], rest: Residue, pairing: Pairing) -> tuple[Ints, Ints]:
    """Return the same, from 0 on, by the numbers of the rows of two files."""
    import numpy as np

    one = np.concatenate([lanes[0].one, lanes[1].one])
    names, ids = np.unique(one, return_inverse=True)
    ids_a, ids_b = ids[: len(lanes[0].one)], ids[len(lanes[0].one) :]
    fresh = np.arange(len(names), len(names) + len(pairing.a))
    ids_a[rest.a[pairing.a]] = fresh
    ids_b[rest.b[pairing.b]] = fresh
    return ids_a, ids_b


def _in_order(a: Ints, b: Ints) -> bool:
    """Return whether A and B become the same sequence by dropping only the surplus copies of each label.

    Which copy of a duplicated row is the extra one is open; taking a match as soon as there is one is
    optimal while only one side has something to drop, and errs towards "moved" when both do.
    """
    left, right = a.tolist(), b.tolist()
    count_a, count_b = Counter(left), Counter(right)
    spare_a, spare_b = count_a - count_b, count_b - count_a
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            i, j = i + 1, j + 1
        elif spare_a[left[i]] > 0:
            spare_a[left[i]] -= 1
            i += 1
        elif spare_b[right[j]] > 0:
            spare_b[right[j]] -= 1
            j += 1
        else:
            return False
    return all(spare_a[label] > 0 for label in left[i:]) and all(spare_b[label] > 0 for label in right[j:])
