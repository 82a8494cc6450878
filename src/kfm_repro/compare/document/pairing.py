"""Which member of A became which of B, among array members that match nothing exactly.

A pairing only decides how differences are told, never whether there are any: what is paired is walked, what
is not is reported as removed and added.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ["pair_leftovers"]

_MOST_PAIRS = 400
"""Most (removed, added) combinations that DeepDiff weighs: it takes about 1 ms for each."""
_NEAR = 0.5
"""Largest DeepDiff distance (0 equal, 1 nothing shared) at which two members count as one that changed."""


def pair_leftovers(
    removed: Sequence[Any],
    added: Sequence[Any],
    number: Callable[[object], int],
    small: bool,  # noqa: FBT001
) -> list[tuple[int, int]]:
    """Return (i, j) pairs of ``removed`` and ``added`` that are one member, changed; ascending, one-to-one.

    Objects are paired by the key whose values name most of them on both sides; then, if ``small`` and few
    are left, by DeepDiff's distance. ``number`` gives equal values equal numbers.
    """
    pairs = _by_naming_key(removed, added, number)
    gone, came = {i for i, _ in pairs}, {j for _, j in pairs}
    rest_a = [i for i in range(len(removed)) if i not in gone]
    rest_b = [j for j in range(len(added)) if j not in came]
    if small and rest_a and rest_b and len(rest_a) * len(rest_b) <= _MOST_PAIRS:
        near = _by_distance([removed[i] for i in rest_a], [added[j] for j in rest_b])
        pairs.extend((rest_a[i], rest_b[j]) for i, j in near)
    return sorted(pairs)


def _by_naming_key(
    removed: Sequence[Any], added: Sequence[Any], number: Callable[[object], int]
) -> list[tuple[int, int]]:
    best: list[tuple[int, int]] = []
    names = dict.fromkeys(key for member in removed if isinstance(member, dict) for key in member)
    for name in names:
        left, right = (_named(members, name, number) for members in (removed, added))
        found = [(i, right[value]) for value, i in left.items() if value in right]
        if len(found) > len(best):
            best = found
    return best


def _named(members: Sequence[Any], name: Hashable, number: Callable[[object], int]) -> dict[int, int]:
    """Return the position of each object by its value under ``name``, where that value is its alone."""
    values = [
        (number(member[name]), at)
        for at, member in enumerate(members)
        if isinstance(member, dict) and name in member and isinstance(member[name], str | int)
    ]
    counts = Counter(value for value, _ in values)
    return {value: at for value, at in values if counts[value] == 1}


def _by_distance(removed: list[Any], added: list[Any]) -> list[tuple[int, int]]:
    from deepdiff import DeepDiff

    tree = DeepDiff(
        removed,
        added,
        ignore_order=True,
        report_repetition=True,
        view="tree",
        cutoff_distance_for_pairs=_NEAR,
        cutoff_intersection_for_pairs=1,
        # Otherwise objects that share no key count as one changed value, and as near.
        threshold_to_diff_deeper=0,
    )
    found: dict[tuple[int, int], None] = {}
    for kind in sorted(tree):
        for level in tree[kind]:
            one = level.path(output_format="list")
            other = level.path(output_format="list", use_t2=True)
            changed = len(one) > 1 or kind in ("values_changed", "type_changes")
            if changed and one and other and isinstance(one[0], int) and isinstance(other[0], int):
                found[one[0], other[0]] = None
    return _one_to_one(sorted(found))


def _one_to_one(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    seen_a: set[int] = set()
    seen_b: set[int] = set()
    kept: list[tuple[int, int]] = []
    for i, j in pairs:
        if i not in seen_a and j not in seen_b:
            kept.append((i, j))
            seen_a.add(i)
            seen_b.add(j)
    return kept
