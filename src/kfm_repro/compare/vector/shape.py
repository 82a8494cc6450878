"""Geometries as flat arrays of vertices, and rings laid on one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    T = TypeVar("T", bound=np.number[Any])

__all__ = [
    "Flat",
    "align",
    "all_per",
    "are_plane",
    "bags",
    "closed",
    "every",
    "flatten",
    "most",
    "same_structure",
    "without_repeats",
]

POLYGON = 3
_CHUNK_VERTICES = 1_000_000
_CANDIDATES = 3
_QUARTER = 0.25


@dataclass(frozen=True)
class Flat:
    """Every vertex of n geometries that are no collections.

    ``xyzm`` float64 of shape (vertices, 4), NaN where an ordinate is absent, or (vertices, 2) where all are plane;
    ``length`` the vertices of
    each chain (a point, a line or one ring), ``geometry`` the geometry and ``part`` the part within all
    parts to which a chain belongs, ``ring`` whether it is a ring of a polygon.
    """

    xyzm: Floats
    length: Ints
    geometry: Ints
    part: Ints
    ring: Bools
    count: int

    @cached_property
    def start(self) -> Ints:
        """The first vertex of each chain."""
        import numpy as np

        return np.asarray(np.cumsum(self.length) - self.length, np.int64)

    @cached_property
    def owner(self) -> Ints:
        """The geometry of each vertex."""
        import numpy as np

        return np.repeat(self.geometry, self.length)

    @cached_property
    def spans(self) -> tuple[Ints, Ints]:
        """The first vertex of each geometry, and how many it has."""
        import numpy as np

        counts = np.zeros(self.count, np.int64)
        np.add.at(counts, self.geometry, self.length)
        return np.asarray(np.cumsum(counts) - counts, np.int64), counts


def are_plane(*sides: npt.NDArray[np.object_]) -> bool:
    """Return whether no geometry of any side has heights or measures."""
    import shapely

    return not any(shapely.has_z(side).any() or shapely.has_m(side).any() for side in sides)


def flatten(geometries: npt.NDArray[np.object_], *, plane: bool = False) -> Flat:
    """Return the vertices of points, lines, polygons and their multi forms (no collections, no None).

    ``plane`` says that none has heights or measures.
    """
    import numpy as np
    import shapely

    parts, owner = shapely.get_parts(geometries, return_index=True)
    is_polygon = shapely.get_type_id(parts) == POLYGON
    rings, ring_of = shapely.get_rings(parts[is_polygon], return_index=True)
    part = np.concatenate([np.flatnonzero(~is_polygon), np.flatnonzero(is_polygon)[ring_of]])
    ring = np.concatenate([np.zeros((~is_polygon).sum(), bool), np.ones(len(rings), bool)])
    order = np.argsort(part, kind="stable")
    chains = np.concatenate([parts[~is_polygon], rings])[order]
    xyzm = shapely.get_coordinates(chains, include_z=not plane, include_m=not plane)
    return Flat(
        xyzm=np.ascontiguousarray(xyzm),
        length=shapely.get_num_coordinates(chains).astype(np.int64),
        geometry=owner[part[order]].astype(np.int64),
        part=part[order].astype(np.int64),
        ring=ring[order],
        count=len(geometries),
    )


def all_per(values: Bools, owner: Ints, count: int) -> Bools:
    """Return for each of ``count`` geometries whether all of its ``values`` hold."""
    import numpy as np

    result = np.ones(count, bool)
    result[owner[~values]] = False
    return result


def same_structure(a: npt.NDArray[np.object_], b: npt.NDArray[np.object_]) -> tuple[Bools, Flat, Flat]:
    """Return which pairs have the same parts and rings with the same numbers of vertices, and those flattened."""
    import numpy as np
    import shapely

    same: Bools = (shapely.get_num_geometries(a) == shapely.get_num_geometries(b)) & (
        shapely.get_num_coordinates(a) == shapely.get_num_coordinates(b)
    )
    chosen = np.flatnonzero(same)
    plane = are_plane(a, b)
    left, right = (flatten(side[chosen], plane=plane) for side in (a, b))
    chains = [np.bincount(flat.geometry, minlength=len(chosen)) for flat in (left, right)]
    even = chains[0] == chains[1]
    keep_left, keep_right = even[left.geometry], even[right.geometry]
    alike = (left.length[keep_left] == right.length[keep_right]) & (
        _part_within(left)[keep_left] == _part_within(right)[keep_right]
    )
    even &= all_per(alike, left.geometry[keep_left], len(chosen))
    result = np.zeros(len(a), bool)
    result[chosen[even]] = True
    if not even.all():
        left, right = (flatten(side[result], plane=plane) for side in (a, b))
    return result, left, right


def closed(geometries: npt.NDArray[np.object_]) -> Bools:
    """Return for each geometry whether its rings end where they start in height and measure as well."""
    import numpy as np

    flat = flatten(geometries, plane=are_plane(geometries))
    rings = np.flatnonzero(flat.ring & (flat.length > 0))
    first = flat.start[rings]
    ends = flat.xyzm[first], flat.xyzm[first + flat.length[rings] - 1]
    same = ((ends[0] == ends[1]) | (np.isnan(ends[0]) & np.isnan(ends[1]))).all(axis=1)
    return all_per(same, flat.geometry[rings], flat.count)


def without_repeats(flat: Flat) -> Flat:
    """Return the chains of lines and rings without vertices that repeat the one before in every ordinate."""
    import numpy as np

    repeats = _repeats(flat)
    if not repeats.any():
        return flat
    chain = np.repeat(np.arange(len(flat.length)), flat.length)
    length = np.bincount(chain[~repeats], minlength=len(flat.length)).astype(np.int64)
    return replace(flat, xyzm=np.ascontiguousarray(flat.xyzm[~repeats]), length=length)


def _repeats(flat: Flat) -> Bools:
    """Return which vertices repeat the one before in every ordinate."""
    import numpy as np

    repeats = np.zeros(len(flat.xyzm), bool)
    for ordinate in range(flat.xyzm.shape[1]):
        bits = (flat.xyzm[:, ordinate] + 0.0).view(np.uint64)
        again = bits[1:] == bits[:-1]
        if ordinate:
            repeats[1:] &= again
        else:
            repeats[1:] = again
    repeats[flat.start[flat.length > 0]] = False
    return repeats


def align(a: Flat, b: Flat) -> tuple[Floats, Bools, Bools]:
    """Lay the chains of ``b`` on those of ``a``; both have the same structure.

    Returns the vertices of ``b`` in the order in which they lie nearest to those of ``a`` (rings may start
    elsewhere or run the other way, lines only run the other way), and per geometry whether a chain was
    rotated and whether one was reversed. Rings that share no vertex with their partner are laid by the
    vertex nearest to the first one, over both directions.
    """
    import numpy as np

    laid = b.xyzm.copy()
    rotated, reversed_ = np.zeros(a.count, bool), np.zeros(a.count, bool)
    start = a.start
    equal = _near(a, b.xyzm)
    for ring in (True, False):
        chains = np.flatnonzero((a.ring == ring) & ~equal & (a.length > 1))
        for length in np.unique(a.length[chains]):
            alike = chains[a.length[chains] == length]
            step = max(1, _CHUNK_VERTICES // int(length))
            for first in range(0, len(alike), step):
                some = alike[first : first + step]
                index = start[some][:, None] + np.arange(length)
                best, shift, back = _best(a.xyzm[index], b.xyzm[index], ring=ring)
                laid[index] = best
                rotated[a.geometry[some[shift]]] = True
                reversed_[a.geometry[some[back]]] = True
    return laid, rotated, reversed_


def _near(a: Flat, other: Floats) -> Bools:
    """Return the chains that no turn can bring nearer.

    Turning a ring by one vertex moves some vertex by the longest edge, reversing a line one by its length:
    vertices that are all a quarter of the longest edge apart or less lie as well as they can. A ring that
    goes to and fro may be an exception, so that chains of the very same vertices are always tried.
    """
    import numpy as np

    count = len(a.length)
    filled = a.length > 0
    first = a.start[filled]
    plane, rest, longest = np.zeros(count), np.zeros(count), np.zeros(count)
    if len(a.xyzm):
        apart = _apart(a.xyzm, other)
        plane[filled] = np.maximum.reduceat(most(apart[:, :2]), first)
        rest[filled] = np.maximum.reduceat(most(apart[:, 2:]), first)
        edge = np.zeros(len(a.xyzm))
        edge[:-1] = most(np.abs(a.xyzm[1:, :2] - a.xyzm[:-1, :2]))
        edge[first + a.length[filled] - 1] = 0.0
        longest[filled] = np.maximum.reduceat(np.nan_to_num(edge), first)
    alike = bags(a, a.xyzm) == bags(a, other)
    result: Bools = ((plane == 0.0) & (rest == 0.0)) | ((plane < longest * _QUARTER) & ~alike)
    return result


def bags(flat: Flat, xyzm: Floats) -> npt.NDArray[np.uint64]:
    """Return a number per chain that is the same for the same vertices in any order; a ring's end is left out."""
    import numpy as np

    mixed = np.zeros(len(xyzm), np.uint64)
    for ordinate in range(xyzm.shape[1]):
        mixed ^= np.where(np.isnan(xyzm[:, ordinate]), 0.0, xyzm[:, ordinate] + 0.0).view(np.uint64)
        mixed *= np.uint64(0x9E37_79B9_7F4A_7C15)
        mixed ^= mixed >> np.uint64(29)
    filled = flat.length > 0
    mixed[(flat.start + flat.length - 1)[filled & flat.ring]] = 0
    total = np.zeros(len(flat.length), np.uint64)
    if len(mixed):
        total[filled] = np.add.reduceat(mixed, flat.start[filled])
    return total


def _best(a: Floats, b: Floats, *, ring: bool) -> tuple[Floats, Bools, Bools]:
    """Return ``b`` (chains, vertices, 4) in its best order, and which chains were rotated and reversed.

    The plane decides, the other ordinates break ties. A ring whose end differs from its start in height or
    measure stays as it is: turning it would drop a value.
    """
    import numpy as np

    best = b.copy()
    plane, rest = _errors(a, b)
    free = _closed(b) if ring else np.ones(len(b), bool)
    shift, back = np.zeros(len(a), bool), np.zeros(len(a), bool)
    for backwards in (False, True):
        for rank in range(_CANDIDATES if ring else 1):
            # Whatever lies exactly already is not tried again: mostly all do after the first candidate.
            open_ = np.flatnonzero(free & ((plane > 0.0) | (rest > 0.0)))
            if not open_.size or (ring and rank >= b.shape[1] - 1):
                break
            way = b[open_, ::-1] if backwards else b[open_]
            candidate, moved = _rotation(a[open_], way, rank) if ring else (way, np.zeros(len(open_), bool))
            apart, further = _errors(a[open_], candidate)
            nearer = (apart < plane[open_]) | ((apart == plane[open_]) & (further < rest[open_]))
            better = open_[nearer]
            best[better], plane[better], rest[better] = candidate[nearer], apart[nearer], further[nearer]
            shift[better], back[better] = moved[nearer], backwards
    return best, shift, back


def _closed(b: Floats) -> Bools:
    import numpy as np

    first, last = b[:, 0], b[:, -1]
    result: Bools = ((first == last) | (np.isnan(first) & np.isnan(last))).all(axis=1)
    return result


def _rotation(a: Floats, b: Floats, rank: int) -> tuple[Floats, Bools]:
    """Return ``b`` started at the vertex that is the ``rank``-th nearest to the first of ``a``.

    More than the nearest is asked for, since a ring may pass through its first vertex again.
    """
    import numpy as np

    turns = b.shape[1] - 1
    far = ((b[:, :-1, :2] - a[:, :1, :2]) ** 2).sum(axis=2)
    begin = far.argmin(axis=1) if rank == 0 else np.argsort(far, axis=1, kind="stable")[:, rank]
    index = (begin[:, None] + np.arange(turns)) % turns
    body = np.take_along_axis(b, index[:, :, None], axis=1)
    return np.concatenate([body, body[:, :1]], axis=1), begin > 0


def _errors(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the largest difference in the plane and beyond it per chain; half a NaN is endless."""
    apart = _apart(a, b)
    return most(apart[:, :, :2]).max(axis=1), most(apart[:, :, 2:]).max(axis=1)


def _apart(a: Floats, b: Floats) -> Floats:
    """Return how far ordinates are apart; two NaN are not, and half a NaN is endless."""
    import numpy as np

    apart = np.abs(a - b)
    odd = np.isnan(apart)
    if odd.any():
        apart[odd] = np.where(np.isnan(a[odd]) & np.isnan(b[odd]), 0.0, np.inf)
    return apart


def most(values: npt.NDArray[T]) -> npt.NDArray[T]:
    """Return the largest along the last axis, which is short; 0 where it has no length."""
    import numpy as np

    found = np.zeros(values.shape[:-1], values.dtype) if not values.shape[-1] else values[..., 0]
    for at in range(1, values.shape[-1]):
        found = np.maximum(found, values[..., at])
    return found


def every(values: Bools) -> Bools:
    """Return whether all hold along the last axis, which is short."""
    import numpy as np

    found = np.ones(values.shape[:-1], bool) if not values.shape[-1] else values[..., 0]
    for at in range(1, values.shape[-1]):
        found = found & values[..., at]
    return found


def _part_within(flat: Flat) -> Ints:
    """Return the number of each chain's part within its own geometry."""
    import numpy as np

    if not len(flat.part):
        return flat.part
    starts = np.concatenate([[True], flat.geometry[1:] != flat.geometry[:-1]])
    first = np.maximum.accumulate(np.where(starts, flat.part, 0))
    return flat.part - first
