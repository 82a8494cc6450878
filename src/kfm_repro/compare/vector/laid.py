"""Pairs of geometries of one structure, the vertices of B laid on those of A."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kfm_repro.compare.vector.measure import Ground, offsets
from kfm_repro.compare.vector.shape import Flat, align, all_per, bags, closed, every, same_structure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kfm_repro.compare.vector.claims import Pairs

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]
    Objects = npt.NDArray[np.object_]

__all__ = ["Laid", "all_equal", "are_several", "lay", "lay_alike"]

_LINES = (1, 5)
_POLYGONS = (3, 6)


@dataclass(frozen=True)
class Laid:
    """Pairs of one structure: the vertices of A, and those of B laid on them."""

    index: npt.NDArray[np.intp]
    flat: Flat
    other: Floats
    rotated: Bools
    reversed: Bools
    line: Bools
    kept: list[Floats] = field(default_factory=list)

    def ways(self, ground: Ground) -> Floats:
        """Return the way of each vertex; see `offsets`."""
        if not self.kept:
            self.kept.append(offsets(self.flat.xyzm, self.other, ground))
        return self.kept[0]

    def spread(self, mask: Bools, size: int) -> Bools:
        """Return a mask over the pairs asked."""
        import numpy as np

        result = np.zeros(size, bool)
        result[self.index[mask]] = True
        return result

    def every(self, values: Bools) -> Bools:
        """Return for which pairs ``values`` hold at each vertex."""
        return all_per(values, self.flat.owner, self.flat.count)

    def same(self, a: Floats, b: Floats) -> Bools:
        """Return for which pairs all ordinates of all vertices are equal numbers."""
        return self.every(all_equal(a, b))


def lay(pairs: Pairs, *, turn: bool = True, normal: bool = False) -> Laid:
    """Return the pairs of the same structure, B laid on A; ``turn`` lets rings rotate and chains reverse."""
    return pairs.once(("laid", turn, normal), lambda: _laid(pairs, turn=turn, normal=normal))


def _laid(pairs: Pairs, *, turn: bool, normal: bool) -> Laid:
    import numpy as np
    import shapely

    if not normal:
        index, left, right = pairs.once("flat", lambda: _flat(pairs.a, pairs.b))
        return _turned(index, left, right, pairs, turn=turn)
    allowed = np.isin(shapely.get_type_id(pairs.a), _POLYGONS) & are_several(pairs.a)
    allowed[allowed] = closed(pairs.a[allowed]) & closed(pairs.b[allowed])
    chosen = np.flatnonzero(allowed)
    index, left, right = _flat(*(shapely.normalize(side[chosen]) for side in (pairs.a, pairs.b)))
    return _turned(chosen[index], left, right, pairs, turn=turn)


def _flat(a: Objects, b: Objects) -> tuple[npt.NDArray[np.intp], Flat, Flat]:
    """Return which pairs are of the same structure, and the vertices of those."""
    import numpy as np

    same, left, right = same_structure(a, b)
    return np.flatnonzero(same), left, right


def _turned(index: npt.NDArray[np.intp], left: Flat, right: Flat, pairs: Pairs, *, turn: bool) -> Laid:
    import numpy as np
    import shapely

    none = np.zeros(left.count, bool)
    other, rotated, backwards = align(left, right) if turn else (right.xyzm, none, none)
    return Laid(index, left, other, rotated, backwards, np.isin(shapely.get_type_id(pairs.a[index]), _LINES))


def lay_alike(pairs: Pairs) -> Laid:
    """Return `lay` of those pairs that have the same vertices, in whichever order."""
    index, left, right = pairs.once("flat", lambda: _flat(pairs.a, pairs.b))
    alike = all_per(bags(left, left.xyzm) == bags(right, right.xyzm), left.geometry, left.count)
    if alike.all():
        return lay(pairs)
    chosen = index[alike]
    laid = lay(pairs.take(chosen))
    return replace(laid, index=chosen[laid.index])


def are_several(geometries: Objects) -> Bools:
    """Return which geometries have more than one part or ring: one alone stands in no order."""
    import numpy as np
    import shapely

    several = (shapely.get_num_geometries(geometries) > 1) | (shapely.get_num_interior_rings(geometries) > 0)
    lone = np.flatnonzero(~several & (shapely.get_type_id(geometries) == _POLYGONS[1]))
    several[lone] = shapely.get_num_interior_rings(shapely.get_geometry(geometries[lone], 0)) > 0
    return np.asarray(several, bool)


def all_equal(a: Floats, b: Floats) -> Bools:
    """Return at which vertices every ordinate is equal, or NaN on both sides."""
    import numpy as np

    equal = a == b
    if not equal.all():
        equal |= np.isnan(a) & np.isnan(b)
    return every(equal)
