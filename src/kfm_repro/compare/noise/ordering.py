"""How two sequences relate: what stayed, moved, changed in place, came and went; exact and bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

__all__ = ["Alignment", "align", "count_moved"]

_MATCHER_WORK = 2_000_000
"""Most equal (i, j) pairs for which the longest-block matcher is asked; beyond it neighbours decide."""


@dataclass(frozen=True)
class Alignment:
    """How the members of A relate to those of B; indexes are positions, ascending in A.

    ``same`` pairs equal members, ``changed`` members that stand in each other's place; ``removed`` and
    ``added`` have no partner. ``moved`` is how many equal members stand in another order.
    """

    same: tuple[tuple[int, int], ...]
    changed: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]
    moved: int


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Alignment:
    """Relate two sequences of comparable tokens; equal tokens mean equal members.

    As many equal members as possible are paired: the multiset intersection, never fewer.
    """
    if len(a) == len(b):
        differing = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        left, right = Counter(a[i] for i in differing), Counter(b[i] for i in differing)
        if not left & right:
            at = set(differing)
            same = tuple((i, i) for i in range(len(a)) if i not in at)
            return Alignment(same, tuple((i, i) for i in differing), (), (), 0)
    common = sum((Counter(a) & Counter(b)).values())
    pairs = _blocks(a, b)
    if len(pairs) < common:
        pairs = _multiset(a, b)
    moved = count_moved(pairs)
    changed, removed, added = _gaps(pairs, len(a), len(b), moved=moved)
    return Alignment(tuple(pairs), changed, removed, added, moved)


def _blocks(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pair equal members that keep their order: common ends first, then the longest common blocks."""
    start = 0
    stop = min(len(a), len(b))
    while start < stop and a[start] == b[start]:
        start += 1
    tail = 0
    while tail < stop - start and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
        tail += 1
    middle_a, middle_b = a[start : len(a) - tail], b[start : len(b) - tail]
    pairs = [(i, i) for i in range(start)]
    counts_b = Counter(middle_b)
    if sum(n * counts_b[x] for x, n in Counter(middle_a).items()) <= _MATCHER_WORK:
        matcher = SequenceMatcher(None, middle_a, middle_b, autojunk=False)
        for i, j, n in matcher.get_matching_blocks():
            pairs.extend((start + i + k, start + j + k) for k in range(n))
    pairs.extend((len(a) - k, len(b) - k) for k in range(tail, 0, -1))
    return pairs


def _multiset(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pair equal members wherever they stand: the n-th of a kind in A with the n-th in B."""
    places: dict[Hashable, list[int]] = {}
    for j in range(len(b) - 1, -1, -1):
        places.setdefault(b[j], []).append(j)
    pairs: list[tuple[int, int]] = []
    for i, x in enumerate(a):
        left = places.get(x)
        if left:
            pairs.append((i, left.pop()))
    return pairs


def count_moved(pairs: Iterable[tuple[int, int]]) -> int:
    """Return the fewest of the paired members that must move for the rest to keep their order."""
    values = [j for _, j in sorted(pairs)]
    tails: list[int] = []
    for value in values:
        at = bisect_left(tails, value)
        tails[at : at + 1] = [value]
    return len(values) - len(tails)


def _gaps(
    pairs: list[tuple[int, int]], size_a: int, size_b: int, *, moved: int
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...], tuple[int, ...]]:
    """Pair the members without a partner that stand alike between the same neighbours."""
    paired_a, paired_b = {i for i, _ in pairs}, {j for _, j in pairs}
    rest_a = [i for i in range(size_a) if i not in paired_a]
    rest_b = [j for j in range(size_b) if j not in paired_b]
    if moved:
        if rest_a == rest_b:
            return tuple(zip(rest_a, rest_b, strict=True)), (), ()
        return (), tuple(rest_a), tuple(rest_b)
    gap_a, gap_b = _by_gap(rest_a, [i for i, _ in pairs]), _by_gap(rest_b, [j for _, j in pairs])
    changed: list[tuple[int, int]] = []
    removed: list[int] = []
    added: list[int] = []
    for gap in sorted(gap_a.keys() | gap_b.keys()):
        left, right = gap_a.get(gap, []), gap_b.get(gap, [])
        if len(left) == len(right):
            changed.extend(zip(left, right, strict=True))
        else:
            removed.extend(left)
            added.extend(right)
    return tuple(changed), tuple(removed), tuple(added)


def _by_gap(rest: list[int], paired: list[int]) -> dict[int, list[int]]:
    """Group the unpaired positions by how many paired ones stand before them."""
    gaps: dict[int, list[int]] = {}
    before = 0
    for position in rest:
        while before < len(paired) and paired[before] < position:
            before += 1
        gaps.setdefault(before, []).append(position)
    return gaps
