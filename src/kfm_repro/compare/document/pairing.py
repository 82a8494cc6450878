"""Which member of A became which of B, among array members that match nothing exactly.

A pairing only decides how differences are told, never whether there are any: what is paired is walked, what
is not is reported as removed and added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BUDGET", "Leftovers", "pair_leftovers"]

BUDGET = 50_000
"""Most that DeepDiff weighs in one document: it compares every scalar of one side with every one of the
other, which takes about 10 to 40 µs for each such pair.
"""
_NEAR = 0.5
"""Largest DeepDiff distance (0 equal, 1 nothing shared) at which two members count as one that changed."""


@dataclass(frozen=True)
class Leftovers:
    """The members of one side that equal none of the other: what, at which index, of how many values."""

    members: Sequence[Any]
    places: Sequence[int]
    sizes: Sequence[int]


def pair_leftovers(
    removed: Leftovers, added: Leftovers, number: Callable[[object], int], budget: int
) -> tuple[list[tuple[int, int]], int, bool]:
    """Return pairs (i, j) of members that are one, changed; their cost; whether the budget was too small.

    The pairs are ascending and one-to-one. Objects are paired by the key whose values name most of them on
    both sides; the rest by DeepDiff's distance if that costs no more than ``budget``, else by their index.
    ``number`` gives equal values equal numbers.
    """
    pairs = _by_naming_key(removed.members, added.members, number)
    gone, came = {i for i, _ in pairs}, {j for _, j in pairs}
    rest_a = [i for i in range(len(removed.members)) if i not in gone]
    rest_b = [j for j in range(len(added.members)) if j not in came]
    if not rest_a or not rest_b:
        return sorted(pairs), 0, False
    cost = sum(removed.sizes[i] for i in rest_a) * sum(added.sizes[j] for j in rest_b)
    if cost > budget:
        at = {added.places[j]: j for j in rest_b}
        found = [(i, at[removed.places[i]]) for i in rest_a if removed.places[i] in at]
        return sorted([*pairs, *found]), 0, True
    try:
        near = _by_distance([removed.members[i] for i in rest_a], [added.members[j] for j in rest_b])
    except Exception:  # noqa: BLE001  # only how differences are told depends on it, never whether there are any
        near = []
    pairs.extend((rest_a[i], rest_b[j]) for i, j in near)
    return sorted(pairs), cost, False


def _by_naming_key(
    removed: Sequence[Any], added: Sequence[Any], number: Callable[[object], int]
) -> list[tuple[int, int]]:
    best: list[tuple[int, int]] = []
    left, right = (_named(members, number) for members in (removed, added))
    for name, values in left.items():
        others = right.get(name, {})
        found = [
            (i, others[value])
            for value, i in values.items()
            if i is not None and others.get(value) is not None
        ]
        if len(found) > len(best):
            best = found  # type: ignore[assignment]  # both are positions: None was left out above
    return best


def _named(members: Sequence[Any], number: Callable[[object], int]) -> dict[int, dict[int, int | None]]:
    """Return by key and by the value under it the position of the object, None if it is not its alone."""
    names: dict[int, dict[int, int | None]] = {}
    for at, member in enumerate(members):
        if isinstance(member, dict):
            for key, value in member.items():
                if isinstance(value, str | int):
                    values = names.setdefault(number(key), {})
                    found = number(value)
                    values[found] = None if found in values else at
    return names


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
    # A path on the side that lacks a member may lead through the other side's index.
    return _one_to_one(sorted((i, j) for i, j in found if i < len(removed) and j < len(added)))


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
