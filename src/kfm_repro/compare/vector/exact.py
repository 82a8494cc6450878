"""Rules that need no measure: nulls, dimensions, types, collections, and other spellings of the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kfm_repro.compare.context import Classified
from kfm_repro.compare.vector.claims import Pairs, claim
from kfm_repro.model.finding import Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Indexes = npt.NDArray[np.intp]
    Objects = npt.NDArray[np.object_]

__all__ = [
    "RANK",
    "collections",
    "dimensions",
    "empty_or_null",
    "same_spelling",
    "single_or_multi",
    "types",
    "unreadable",
]

RANK = {str(rung): rank for rank, rung in enumerate(Rung)}
_COLLECTION = 7
_TO_MULTI = {0: 4, 1: 5, 3: 6}
_NAMES = {
    0: "Point", 1: "LineString", 2: "LinearRing", 3: "Polygon",
    4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip


def empty_or_null(pairs: Pairs) -> list[Classified]:
    """Claim null against a geometry, empty against one that is not, two empties unlike."""
    import shapely

    null_a, null_b = (_absent(values) for values in (pairs.wkb_a, pairs.wkb_b))
    empty_a, empty_b = shapely.is_empty(pairs.a), shapely.is_empty(pairs.b)
    hollow = null_a & empty_b | null_b & empty_a
    found = claim(hollow, Kind.EMPTY_NULL, Rung.VALUE, "null against an empty geometry")
    found += claim(null_a != null_b, Kind.EMPTY_NULL, Rung.VALUE, "null against a geometry")
    readable = ~(_absent(pairs.a) | _absent(pairs.b))
    one = readable & (empty_a != empty_b)
    found += claim(one, Kind.EMPTY_NULL, Rung.VALUE, "an empty geometry against one with vertices")
    both = readable & empty_a & empty_b
    both[both] = ~_same_iso(pairs.take(both))
    evidence = "two empty geometries of another type or dimension"
    return found + claim(both, Kind.EMPTY_NULL, Rung.VALUE, evidence)


def unreadable(pairs: Pairs) -> list[Classified]:
    """Claim what is no geometry, or none that the reader knows: its bytes differ."""
    bad = _absent(pairs.a) | _absent(pairs.b)
    return claim(bad, Kind.GEOMETRY, Rung.VALUE, "the bytes differ and cannot be read as a plain geometry")


def same_spelling(pairs: Pairs) -> list[Classified]:
    """Claim what is the same to the bit: another byte order or flavour of WKB, or another SRID."""
    import numpy as np
    import shapely

    # The same bits are the same numbers; writing them out again is only worth it where they are.
    same = np.asarray(shapely.equals_identical(pairs.a, pairs.b), bool)
    same[same] = _same_iso(pairs.take(same))
    srid = shapely.get_srid(pairs.a) == shapely.get_srid(pairs.b)
    found = claim(same & ~srid, Kind.CRS, Rung.VALUE, "the same coordinates under another SRID")
    evidence = "the same geometry, written otherwise"
    return found + claim(same & srid, Kind.ENCODING, Rung.CONTAINER, evidence)


def dimensions(pairs: Pairs) -> list[Classified]:
    """Claim height or measure on one side only."""
    import shapely

    z = shapely.has_z(pairs.a) != shapely.has_z(pairs.b)
    m = shapely.has_m(pairs.a) != shapely.has_m(pairs.b)
    flat = z | m
    flat[flat] = shapely.equals_identical(*(shapely.force_2d(side[flat]) for side in (pairs.a, pairs.b)))
    found = []
    for mask, what in ((z & m, "heights and measures"), (z & ~m, "heights (Z)"), (m & ~z, "measures (M)")):
        for same, rest in ((flat, "x and y are equal"), (~flat, "x and y differ as well")):
            evidence = f"only one side has {what}; {rest}"
            found += claim(mask & same, Kind.DIMENSION, Rung.VALUE, evidence)
    return found


def single_or_multi(judge: Callable[[Pairs], list[Classified]]) -> Callable[[Pairs], list[Classified]]:
    """Return the rule for a geometry against a multi-geometry of one part.

    ``judge`` classifies the two inner geometries: more than noise between them outweighs the wrapping.
    """

    def rule(pairs: Pairs) -> list[Classified]:
        import numpy as np
        import shapely

        kind_a, kind_b = shapely.get_type_id(pairs.a), shapely.get_type_id(pairs.b)
        one = (shapely.get_num_geometries(pairs.a) == 1) & (shapely.get_num_geometries(pairs.b) == 1)
        wrapped = np.zeros(len(one), bool)
        for single, multi in _TO_MULTI.items():
            wrapped |= one & ((kind_a == single) & (kind_b == multi) | (kind_a == multi) & (kind_b == single))
        chosen = np.flatnonzero(wrapped)
        inner = _inner(pairs, *(shapely.get_geometry(side[chosen], 0) for side in (pairs.a, pairs.b)))
        equal = np.asarray(inner.wkb_a == inner.wkb_b, bool)
        found = claim_at(chosen[equal], Kind.SINGLE_MULTI, "a single geometry against a multi-geometry of it")
        rest = np.flatnonzero(~equal)
        for group in judge(inner.take(rest)):
            at = chosen[rest[np.asarray(group.indexes, np.intp)]]
            if RANK[group.rung] >= RANK[Rung.VALUE]:
                evidence = f"{group.evidence}; and single against multi"
                found.append(_moved(group, at, group.kind, evidence))
            else:
                evidence = f"single against multi; and {group.kind} ({group.evidence})"
                found.append(_moved(group, at, str(Kind.SINGLE_MULTI), evidence, str(Rung.VALUE)))
        return found

    return rule


def types(pairs: Pairs) -> list[Classified]:
    """Claim geometries of two types, one group for each two."""
    import numpy as np
    import shapely

    kind_a, kind_b = shapely.get_type_id(pairs.a), shapely.get_type_id(pairs.b)
    found = []
    for left, right in np.unique(np.column_stack([kind_a, kind_b])[kind_a != kind_b], axis=0).tolist():
        mask = (kind_a == left) & (kind_b == right)
        found += claim(mask, Kind.GEOMETRY, Rung.VALUE, f"{_NAMES[left]} against {_NAMES[right]}")
    return found


def collections(judge: Callable[[Pairs], list[Classified]]) -> Callable[[Pairs], list[Classified]]:
    """Return the rule for two collections: their members in turn, and the worst that is found counts."""

    def rule(pairs: Pairs) -> list[Classified]:
        import numpy as np
        import shapely

        mine = shapely.get_type_id(pairs.a) == _COLLECTION
        even = shapely.get_num_geometries(pairs.a) == shapely.get_num_geometries(pairs.b)
        found = claim(mine & ~even, Kind.GEOMETRY, Rung.VALUE, "collections of another number of geometries")
        chosen = np.flatnonzero(mine & even)
        parts_a, owner = shapely.get_parts(pairs.a[chosen], return_index=True)
        members = _inner(pairs, parts_a, shapely.get_parts(pairs.b[chosen]))
        swapped = np.array([_same_members(members, owner == n) for n in range(len(chosen))], bool)
        found += claim_at(chosen[swapped], Kind.PART_ORDER, "the same members in another order", Rung.ORDER)
        worst: dict[int, Classified] = {}
        differ = np.flatnonzero(np.asarray(members.wkb_a != members.wkb_b, bool) & ~swapped[owner])
        for group in judge(members.take(differ)):
            for index in group.indexes:
                pair = int(chosen[owner[differ[index]]])
                if pair not in worst or RANK[group.rung] > RANK[worst[pair].rung]:
                    worst[pair] = group
        return found + _by_group(worst)

    return rule


def claim_at(indexes: Indexes, kind: Kind, evidence: str, rung: Rung = Rung.VALUE) -> list[Classified]:
    """Return the pairs at ``indexes`` (ascending) as one group, or nothing."""
    chosen = tuple(indexes.tolist())
    return [Classified(str(kind), str(rung), chosen, evidence)] if chosen else []


def _by_group(worst: dict[int, Classified]) -> list[Classified]:
    groups: dict[int, tuple[Classified, list[int]]] = {}
    for pair in sorted(worst):
        groups.setdefault(id(worst[pair]), (worst[pair], []))[1].append(pair)
    return [
        Classified(group.kind, group.rung, tuple(at), f"in members: {group.evidence}", group.detail)
        for group, at in groups.values()
    ]


def _same_members(members: Pairs, mine: Bools) -> bool:
    left, right = members.wkb_a[mine].tolist(), members.wkb_b[mine].tolist()
    return left != right and sorted(left) == sorted(right)


def _moved(group: Classified, at: Indexes, kind: str, evidence: str, rung: str = "") -> Classified:
    return Classified(kind, rung or group.rung, tuple(at.tolist()), evidence, group.detail, group.metres)


def _inner(pairs: Pairs, a: Objects, b: Objects) -> Pairs:
    return Pairs(a, b, _iso(a), _iso(b), pairs.ground, pairs.tolerance)


def _iso(geometries: Objects) -> Objects:
    import numpy as np
    import shapely

    return np.asarray(shapely.to_wkb(geometries, output_dimension=4, byte_order=1, flavor="iso"), object)


def _same_iso(pairs: Pairs) -> Bools:
    """Return where both sides are written alike, to the bits of every ordinate."""
    import numpy as np

    if not len(pairs.a):
        return np.zeros(0, bool)
    return np.asarray(_iso(pairs.a) == _iso(pairs.b), bool)


def _absent(values: Objects) -> Bools:
    import numpy as np

    return np.array([value is None for value in values], bool)
