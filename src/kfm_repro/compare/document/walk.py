"""Walking two documents side by side: exact equality by shared numbers, then every place that differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from kfm_repro.compare.document.ordered import Place
from kfm_repro.compare.document.pairing import BUDGET, Leftovers, pair_leftovers
from kfm_repro.compare.document.scalars import Members, OrderedMap, Pairs, scalar_key
from kfm_repro.compare.noise.ordering import Alignment, align, count_moved

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from kfm_repro.compare.context import Context

__all__ = ["ANY", "MISSING", "Leaf", "Order", "Parts", "Walk"]

Parts = tuple["str | int", ...]
"""The keys and indexes that lead to a place: integers are indexes of arrays."""

ANY = "*"
"""Stands for any index in a pointer that names several places."""


class _Missing:
    """The side on which a member is missing."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


@dataclass(frozen=True)
class Leaf:
    """A place where the two differ: ``parts`` lead to it in A (in B if A has no such member)."""

    parts: Parts
    a: Any
    b: Any


@dataclass(frozen=True)
class Order:
    """An object or array whose members stand in another order; ``moved`` of ``of`` moved.

    ``meant`` says that this order is data: axes, vertices, an ordered map.
    """

    parts: Parts
    array: bool
    meant: bool
    moved: int
    of: int
    a: Any
    b: Any


@dataclass
class Walk:
    """One comparison: gives equal values equal numbers, and collects what differs.

    Two values get the same number in ``_meaning`` when they are equal but for the order of keys, in
    ``_writing`` when the keys stand in the same order too, and in ``_loose`` when they are equal but for the
    order of keys and of arrays that are sets. Floats count by their bits, 1 is not 1.0 and
    True is not 1. Numbers are handed out from the structure itself: no hash decides. ``by_place`` holds the
    arrays whose members were too many or too large to pair by likeness.
    """

    context: Context
    leaves: list[Leaf] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    by_place: list[Parts] = field(default_factory=list)
    _budget: int = BUDGET
    _numbers: dict[Hashable, int] = field(default_factory=dict)
    _meaning: dict[int, int] = field(default_factory=dict)
    _writing: dict[int, int] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _loose: dict[tuple[int, Place], int] = field(default_factory=dict)
    _held: list[object] = field(default_factory=list)

    def compare(self, a: object, b: object) -> bool:
        """Collect what differs between two documents; return whether they are exactly equal."""
        equal = self._number(a) == self._number(b)
        if self._size(a) + self._size(b) > self.context.limits.document_nodes:
            self._budget = 0
        same = equal and self._spelled(a) == self._spelled(b)
        if not same:
            self._visit((), a, b)
            if not self.leaves and not self.orders:
                self.leaves.append(Leaf((), a, b))
        return same

    def _size(self, value: object) -> int:
        """Return how many containers and scalars a value that has its number holds, itself included."""
        return self._sizes.get(id(value), 1) if _is_container(value) else 1

    def _number(self, value: object) -> int:
        """Return the number of a value; equal values, whatever the order of their keys, share it."""
        if not _is_container(value):
            return self._intern(scalar_key(value))
        known = self._meaning.get(id(value))
        if known is None:
            key: Hashable
            if isinstance(value, dict):
                members = sorted((self._intern(scalar_key(k)), self._number(v)) for k, v in value.items())
                key = ("object", tuple(members))
            elif isinstance(value, Members):
                key = ("set", tuple(sorted(map(self._number, value))))
            else:
                key = (_shape(value), tuple(map(self._number, value)))
            known = self._meaning[id(value)] = self._intern(key)
            inside = value.values() if isinstance(value, dict) else value
            self._sizes[id(value)] = 1 + sum(map(self._size, inside))
            self._held.append(value)
        return known

    def _spelled(self, value: object) -> int:
        """Return the number that equal values share only if all their keys stand in the same order."""
        if not _is_container(value) or isinstance(value, Members):
            return self._number(value)
        known = self._writing.get(id(value))
        if known is None:
            key: Hashable
            if isinstance(value, dict):
                members = tuple((self._intern(scalar_key(k)), self._spelled(v)) for k, v in value.items())
                key = ("written object", members)
            else:
                key = (f"written {_shape(value)}", tuple(map(self._spelled, value)))
            known = self._writing[id(value)] = self._intern(key)
        return known

    def _equivalent(self, value: object, place: Place) -> int:
        """Return the number of a value that those share which differ from it in nothing but order."""
        if not _is_container(value):
            return self._number(value)
        known = self._loose.get((id(value), place))
        if known is None:
            key: Hashable
            if isinstance(value, dict):
                members = sorted(
                    (self._intern(scalar_key(k)), self._equivalent(v, place.under(str(k))))
                    for k, v in value.items()
                )
                key = ("loose object", tuple(members))
            else:
                numbers = [self._equivalent(v, place) for v in value]
                free = isinstance(value, Members) or not _is_ordered(place, value)
                key = (f"loose {_shape(value)}", free, tuple(sorted(numbers) if free else numbers))
            known = self._loose[id(value), place] = self._intern(key)
        return known

    def _intern(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _visit(self, parts: Parts, a: object, b: object) -> None:
        if self._number(a) == self._number(b) and self._spelled(a) == self._spelled(b):
            return
        if isinstance(a, dict) and isinstance(b, dict):
            self._visit_objects(parts, a, b)
        elif _is_array(a) and _is_array(b) and _shape(a) == _shape(b):
            self._visit_arrays(parts, a, b)
        else:
            self.leaves.append(Leaf(parts, a, b))

    def _visit_objects(self, parts: Parts, a: dict[Any, Any], b: dict[Any, Any]) -> None:
        mine = {scalar_key(key): (key, value) for key, value in a.items()}
        theirs = {scalar_key(key): (key, value) for key, value in b.items()}
        common_a = [key for key in mine if key in theirs]
        common_b = [key for key in theirs if key in mine]
        if common_a != common_b:
            moved = sum(x != y for x, y in zip(common_a, common_b, strict=True))
            names = [[str(theirs[key][0]) for key in keys] for keys in (common_a, common_b)]
            self.orders.append(Order(parts, False, False, moved, len(common_a), *names))  # noqa: FBT003
        for key, (name, value) in mine.items():
            place = (*parts, str(name))
            if key in theirs:
                self._visit(place, value, theirs[key][1])
            else:
                self.leaves.append(Leaf(place, value, MISSING))
        for key, (name, value) in theirs.items():
            if key not in mine:
                self.leaves.append(Leaf((*parts, str(name)), MISSING, value))

    def _visit_arrays(self, parts: Parts, a: Sequence[Any], b: Sequence[Any]) -> None:
        place = Place.of(parts)
        meant = _is_ordered(place, a) or _is_ordered(place, b)
        loose = tuple([self._equivalent(v, place) for v in side] for side in (a, b))
        if meant and loose[0] == loose[1]:
            aligned = align(*loose)
        else:
            aligned = align([self._number(v) for v in a], [self._number(v) for v in b])
            if not meant:
                aligned = _with_equivalents(aligned, *loose)
        for i, j in aligned.same:
            self._visit((*parts, i), a[i], b[j])
        changed, removed, added = aligned.changed, aligned.removed, aligned.added
        if removed and added:
            paired = self._paired(parts, (a, b), (removed, added))
            changed = (*changed, *paired)
            gone, came = {i for i, _ in paired}, {j for _, j in paired}
            removed = tuple(i for i in removed if i not in gone)
            added = tuple(j for j in added if j not in came)
        moved = count_moved((*aligned.same, *changed))
        if moved:
            self.orders.append(Order(parts, True, meant, moved, len(a), a, b))  # noqa: FBT003
        for i, j in sorted(changed):
            self._visit((*parts, i), a[i], b[j])
        self.leaves.extend(Leaf((*parts, i), a[i], MISSING) for i in removed)
        self.leaves.extend(Leaf((*parts, j), MISSING, b[j]) for j in added)

    def _paired(
        self, parts: Parts, sides: tuple[Sequence[Any], Sequence[Any]], left: tuple[Sequence[int], ...]
    ) -> list[tuple[int, int]]:
        """Return which members without an equal became which, and take what that cost off the budget."""
        members = [[side[i] for i in places] for side, places in zip(sides, left, strict=True)]
        leftovers = [
            Leftovers(found, places, [self._size(member) for member in found])
            for found, places in zip(members, left, strict=True)
        ]
        pairs, cost, hurried = pair_leftovers(leftovers[0], leftovers[1], self._number, self._budget)
        self._budget -= cost
        if hurried:
            self.by_place.append(parts)
        return [(left[0][i], left[1][j]) for i, j in pairs]


def _is_ordered(place: Place, value: Sequence[Any]) -> bool:
    return isinstance(value, OrderedMap | Pairs) or place.is_ordered(value)


def _with_equivalents(aligned: Alignment, loose_a: Sequence[int], loose_b: Sequence[int]) -> Alignment:
    """Pair members without an equal with those that differ from them in order alone, wherever they stand."""
    left_a = sorted([*(i for i, _ in aligned.changed), *aligned.removed])
    left_b = sorted([*(j for _, j in aligned.changed), *aligned.added])
    places: dict[int, list[int]] = {}
    for j in reversed(left_b):
        places.setdefault(loose_b[j], []).append(j)
    found = [(i, places[loose_a[i]].pop()) for i in left_a if places.get(loose_a[i])]
    gone, came = {i for i, _ in found}, {j for _, j in found}
    changed = tuple((i, j) for i, j in aligned.changed if i not in gone and j not in came)
    kept_a, kept_b = {i for i, _ in changed}, {j for _, j in changed}
    return Alignment(
        same=tuple(sorted((*aligned.same, *found))),
        changed=changed,
        removed=tuple(i for i in left_a if i not in gone and i not in kept_a),
        added=tuple(j for j in left_b if j not in came and j not in kept_b),
        moved=aligned.moved,
    )


def _is_container(value: object) -> TypeGuard[dict[Any, Any] | list[Any] | tuple[Any, ...]]:
    return isinstance(value, dict | list | tuple)


def _is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple) and not isinstance(value, Members)


def _shape(value: object) -> str:
    """Return what tells arrays apart that are no plain ones: ordered maps, pairs, a stream of documents."""
    return "list" if isinstance(value, tuple) else type(value).__name__
