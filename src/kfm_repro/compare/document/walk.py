"""Walking two documents side by side: exact equality by shared numbers, then every place that differs."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.pairing import pair_leftovers
from kfm_repro.compare.noise.ordering import align, count_moved

if TYPE_CHECKING:
    from collections.abc import Hashable

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
    """An object or array whose members stand in another order; ``moved`` of ``of`` moved."""

    parts: Parts
    array: bool
    moved: int
    of: int
    a: Any
    b: Any


@dataclass
class Walk:
    """One comparison: gives equal values equal numbers, and collects what differs.

    Two values get the same number in ``_meaning`` when they are equal but for the order of keys, and in
    ``_writing`` when the keys stand in the same order too. Floats count by their bits, 1 is not 1.0 and
    True is not 1. Numbers are handed out from the structure itself: no hash decides.
    """

    context: Context
    leaves: list[Leaf] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    _numbers: dict[Hashable, int] = field(default_factory=dict)
    _meaning: dict[int, int] = field(default_factory=dict)
    _writing: dict[int, int] = field(default_factory=dict)
    _held: list[object] = field(default_factory=list)

    def compare(self, a: object, b: object) -> bool:
        """Collect what differs between two documents; return whether they are exactly equal."""
        equal = self._number(a) == self._number(b)
        same = equal and self._spelled(a) == self._spelled(b)
        if not same:
            self._visit((), a, b)
            if not self.leaves and not self.orders:
                self.leaves.append(Leaf((), a, b))
        return same

    @property
    def nodes(self) -> int:
        """How many containers both documents hold."""
        return len(self._meaning)

    def _number(self, value: object) -> int:
        """Return the number of a value; equal values, whatever the order of their keys, share it."""
        if not isinstance(value, dict | list | tuple | set):
            return self._intern(_scalar_key(value))
        known = self._meaning.get(id(value))
        if known is None:
            key: Hashable
            if isinstance(value, dict):
                members = sorted((self._intern(_scalar_key(k)), self._number(v)) for k, v in value.items())
                key = ("object", tuple(members))
            elif isinstance(value, set):
                key = ("set", tuple(sorted(map(self._number, value))))
            else:
                key = ("array", tuple(map(self._number, value)))
            known = self._meaning[id(value)] = self._intern(key)
            self._held.append(value)
        return known

    def _spelled(self, value: object) -> int:
        """Return the number that equal values share only if all their keys stand in the same order."""
        if not isinstance(value, dict | list | tuple):
            return self._number(value)
        known = self._writing.get(id(value))
        if known is None:
            key: Hashable
            if isinstance(value, dict):
                members = tuple((self._intern(_scalar_key(k)), self._spelled(v)) for k, v in value.items())
                key = ("written object", members)
            else:
                key = ("written array", tuple(map(self._spelled, value)))
            known = self._writing[id(value)] = self._intern(key)
        return known

    def _intern(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _visit(self, parts: Parts, a: object, b: object) -> None:
        if self._number(a) == self._number(b) and self._spelled(a) == self._spelled(b):
            return
        if isinstance(a, dict) and isinstance(b, dict):
            self._visit_objects(parts, a, b)
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            self._visit_arrays(parts, a, b)
        else:
            self.leaves.append(Leaf(parts, a, b))

    def _visit_objects(self, parts: Parts, a: dict[Any, Any], b: dict[Any, Any]) -> None:
        mine = {_scalar_key(key): (key, value) for key, value in a.items()}
        theirs = {_scalar_key(key): (key, value) for key, value in b.items()}
        common_a = [key for key in mine if key in theirs]
        common_b = [key for key in theirs if key in mine]
        if common_a != common_b:
            moved = sum(x != y for x, y in zip(common_a, common_b, strict=True))
            names = [[str(theirs[key][0]) for key in keys] for keys in (common_a, common_b)]
            self.orders.append(Order(parts, False, moved, len(common_a), *names))  # noqa: FBT003
        for key, (name, value) in mine.items():
            place = (*parts, str(name))
            if key in theirs:
                self._visit(place, value, theirs[key][1])
            else:
                self.leaves.append(Leaf(place, value, MISSING))
        for key, (name, value) in theirs.items():
            if key not in mine:
                self.leaves.append(Leaf((*parts, str(name)), MISSING, value))

    def _visit_arrays(
        self, parts: Parts, a: list[Any] | tuple[Any, ...], b: list[Any] | tuple[Any, ...]
    ) -> None:
        aligned = align([self._number(v) for v in a], [self._number(v) for v in b])
        for i, j in aligned.same:
            self._visit((*parts, i), a[i], b[j])
        changed, removed, added = aligned.changed, aligned.removed, aligned.added
        if removed and added:
            found = pair_leftovers(
                [a[i] for i in removed], [b[j] for j in added], self._number, self._budget()
            )
            paired = [(removed[i], added[j]) for i, j in found]
            changed = (*changed, *paired)
            gone, came = {i for i, _ in paired}, {j for _, j in paired}
            removed = tuple(i for i in removed if i not in gone)
            added = tuple(j for j in added if j not in came)
        moved = count_moved((*aligned.same, *changed))
        if moved:
            self.orders.append(Order(parts, True, moved, len(a), a, b))  # noqa: FBT003
        for i, j in sorted(changed):
            self._visit((*parts, i), a[i], b[j])
        self.leaves.extend(Leaf((*parts, i), a[i], MISSING) for i in removed)
        self.leaves.extend(Leaf((*parts, j), MISSING, b[j]) for j in added)

    def _budget(self) -> bool:
        """Return whether the documents are small enough for the slow differ."""
        return self.nodes <= self.context.limits.document_nodes


def _scalar_key(value: object) -> Hashable:
    """Return what tells a scalar from every other: its type, and its bits or itself."""
    if type(value) is str:
        return value
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if value is None or isinstance(value, bool | str | int | bytes):
        return (type(value).__name__, value)
    if isinstance(value, tuple):
        return ("tuple", tuple(map(_scalar_key, value)))
    return (type(value).__name__, str(value))
