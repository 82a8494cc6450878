"""Rules for pairs whose vertices cannot be counted off against each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from kfm_repro.compare.vector.claims import Pairs, Rule, apply, claim
from kfm_repro.compare.vector.measure import Ground, offsets
from kfm_repro.compare.vector.shape import Flat, align, all_per, are_plane, every, flatten, without_repeats
from kfm_repro.model.finding import Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kfm_repro.compare.context import Classified

    Bools = npt.NDArray[np.bool_]
    Objects = npt.NDArray[np.object_]
    Floats = npt.NDArray[np.float64]

__all__ = ["densified", "repeated", "repeated_besides", "reshaped"]

_MEASURED = 2_000
"""Most pairs whose Hausdorff distance is taken: it costs about 0.1 ms for 50 vertices, and more for more."""
_MEASURED_VERTICES = 2_000_000
_SAME_SHAPE = 1e-9
"""Part of the extent by which a vertex set on a line may leave it: doubles cannot do better on a slope."""
_CHAINS = (1, 3, 5, 6)
_POLYGONS = (3, 6)
_FEWEST_OF_LINE, _FEWEST_OF_RING = 2, 4
"""Vertices that a line and a closed ring cannot do without."""


def repeated(pairs: Pairs) -> list[Classified]:
    """Claim the same lines or rings with vertices that repeat the one before in every ordinate."""
    import numpy as np
    import shapely

    chosen = np.flatnonzero(np.isin(shapely.get_type_id(pairs.a), _CHAINS))
    plane = are_plane(pairs.a[chosen], pairs.b[chosen])
    whole = [flatten(values[chosen], plane=plane) for values in (pairs.a, pairs.b)]
    flat_a, flat_b = (without_repeats(flat) for flat in whole)
    if flat_a is whole[0] and flat_b is whole[1]:
        return []
    even = _same_chains(flat_a, flat_b) & (_dropped(whole[0], flat_a) | _dropped(whole[1], flat_b))
    a, b = _only(flat_a, even), _only(flat_b, even)
    other, _, backwards = align(a, b)
    same = all_per(every((a.xyzm == other) | (np.isnan(a.xyzm) & np.isnan(other))), a.owner, a.count)
    line = np.isin(shapely.get_type_id(pairs.a[chosen[even]]), (1, 5))
    mask = np.zeros(len(pairs.a), bool)
    mask[chosen[even][same & ~(line & backwards)]] = True
    evidence = "one side repeats vertices; every other vertex is equal"
    return claim(mask, Kind.REPEATED_VERTEX, Rung.NOISE, evidence)


def repeated_besides(rules: Iterable[Rule]) -> Rule:
    """Return a rule that asks ``rules`` again about the pairs that repeat vertices, without the repeats.

    What they call an order is the repeated vertex that it comes with: the worse of the two.
    """
    asked = tuple(rules)

    def rule(pairs: Pairs) -> list[Classified]:
        import numpy as np

        (a, changed_a), (b, changed_b) = (_cleaned(values) for values in (pairs.a, pairs.b))
        changed = np.flatnonzero(changed_a | changed_b)
        cleaned = replace(pairs.take(changed), a=a[changed], b=b[changed])
        return [
            replace(
                group,
                kind=str(Kind.REPEATED_VERTEX) if group.rung == Rung.ORDER else group.kind,
                rung=str(Rung.NOISE) if group.rung == Rung.ORDER else group.rung,
                indexes=tuple(changed[list(group.indexes)].tolist()),
                evidence=f"{group.evidence}; one side repeats vertices",
            )
            for group in apply(asked, cleaned)
        ]

    return rule


def _cleaned(geometries: Objects) -> tuple[Objects, Bools]:
    """Return lines and polygons without repeated vertices, and which of them had some.

    GEOS looks at the plane alone and refuses what collapses: both are left as they are.
    """
    import numpy as np
    import shapely

    result, changed = np.asarray(geometries, object).copy(), np.zeros(len(geometries), bool)
    chosen = np.flatnonzero(np.isin(shapely.get_type_id(result), _CHAINS))
    before = flatten(result[chosen], plane=are_plane(result[chosen]))
    wanted = without_repeats(before)
    if wanted is before:
        return result, changed
    planar = without_repeats(replace(before, xyzm=before.xyzm[:, :2])).length
    long = (wanted.length == 0) | (wanted.length >= np.where(before.ring, _FEWEST_OF_RING, _FEWEST_OF_LINE))
    good = _dropped(before, wanted) & all_per((wanted.length == planar) & long, before.geometry, before.count)
    for at in chosen[good].tolist():
        try:
            result[at] = shapely.remove_repeated_points(result[at])
        except shapely.errors.GEOSException:  # vertices so near that their distance is none: a ring collapses
            continue
        changed[at] = True
    return result, changed


def densified(pairs: Pairs) -> list[Classified]:
    """Claim the same shape with other vertices along it."""
    import numpy as np
    import shapely

    chosen = np.flatnonzero(_measurable(pairs) & _other_count(pairs))
    if not chosen.size:
        return []
    a, b = pairs.a[chosen], pairs.b[chosen]
    bounds = shapely.bounds(a)
    # Far from the origin the grain of the doubles themselves is larger than a part of a small extent.
    grain = 4 * np.spacing(np.abs(bounds).max(axis=1))
    extent = np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    slack = np.maximum(_SAME_SHAPE * extent, grain)
    far = shapely.hausdorff_distance(_outline(a), _outline(b))
    mask = np.zeros(len(pairs.a), bool)
    mask[chosen[far <= slack]] = True
    counts = [shapely.get_num_coordinates(values[mask]).sum() for values in (pairs.a, pairs.b)]
    detail = {"vertices_a": int(counts[0]), "vertices_b": int(counts[1])}
    evidence = f"the same shape with {counts[0]} against {counts[1]} vertices"
    return claim(mask, Kind.DENSIFIED, Rung.VALUE, evidence, detail=detail)


def reshaped(pairs: Pairs) -> list[Classified]:
    """Claim everything else: another shape, with its Hausdorff distance and the change of area."""
    import numpy as np
    import shapely

    able = _measurable(pairs)
    chosen = np.flatnonzero(able)
    centre = _centres(pairs.a[chosen])
    a, b = (_local(values[chosen], centre, pairs.ground) for values in (pairs.a, pairs.b))
    far = shapely.hausdorff_distance(_outline(a), _outline(b)) if chosen.size else np.zeros(0)
    # The scale of the ground is known to about ten digits.
    areas = [float(f"{shapely.area(values).sum():.9g}") for values in (a, b)]
    detail: dict[str, object] = {}
    if any(areas):
        detail = {"area_a": areas[0], "area_b": areas[1], "area_change": areas[1] - areas[0]} | _overlap(a, b)
    if not pairs.ground.in_metres and np.isfinite(far).any():
        detail["max_displacement"] = float(np.nanmax(far))
    metres = far if pairs.ground.in_metres else None
    evidence = "another shape (distances by Hausdorff)"
    found = claim(able, Kind.GEOMETRY, Rung.VALUE, evidence, detail=detail, metres=metres)
    evidence = "another shape; too many or too odd to measure all"
    return found + claim(~able, Kind.GEOMETRY, Rung.VALUE, evidence)


def _overlap(a: Objects, b: Objects) -> dict[str, object]:
    """Return the intersection over union of polygons, all pairs together; nothing when one is not valid."""
    import numpy as np
    import shapely

    polygons = np.isin(shapely.get_type_id(a), _POLYGONS) & np.isin(shapely.get_type_id(b), _POLYGONS)
    a, b = a[polygons], b[polygons]
    if not a.size or not (shapely.is_valid(a) & shapely.is_valid(b)).all():
        return {}
    shared = float(shapely.area(shapely.intersection(a, b)).sum())
    whole = float(shapely.area(a).sum() + shapely.area(b).sum()) - shared
    return {"iou": float(f"{shared / whole:.6g}")} if whole else {}


def _dropped(before: Flat, after: Flat) -> Bools:
    """Return which geometries lost vertices."""
    import numpy as np

    counts = [np.bincount(flat.owner, minlength=flat.count) for flat in (before, after)]
    return np.asarray(counts[0] != counts[1], bool)


def _same_chains(a: Flat, b: Flat) -> Bools:
    """Return for which geometries both sides have the same chains, by number, kind and length."""
    import numpy as np

    even: Bools = np.bincount(a.geometry, minlength=a.count) == np.bincount(b.geometry, minlength=b.count)
    keep_a, keep_b = even[a.geometry], even[b.geometry]
    alike = (a.length[keep_a] == b.length[keep_b]) & (_first_ring(a)[keep_a] == _first_ring(b)[keep_b])
    return even & all_per(alike, a.geometry[keep_a], a.count)


def _first_ring(flat: Flat) -> Bools:
    """Return where a new part begins: a hole of one polygon is no shell of the next."""
    import numpy as np

    if not len(flat.part):
        return np.zeros(0, bool)
    return np.concatenate([[True], flat.part[1:] != flat.part[:-1]])


def _only(flat: Flat, keep: Bools) -> Flat:
    import numpy as np

    number = np.cumsum(keep) - 1
    chains, rows = keep[flat.geometry], keep[flat.owner]
    return Flat(
        np.ascontiguousarray(flat.xyzm[rows]),
        flat.length[chains],
        number[flat.geometry[chains]],
        flat.part[chains],
        flat.ring[chains],
        int(keep.sum()),
    )


def _measurable(pairs: Pairs) -> Bools:
    """Return the pairs that can be measured: finite, and within a bound of pairs and vertices."""
    import numpy as np
    import shapely

    counts = shapely.get_num_coordinates(pairs.a) + shapely.get_num_coordinates(pairs.b)
    bounds = np.column_stack([shapely.bounds(pairs.a), shapely.bounds(pairs.b)])
    finite = np.isfinite(bounds).all(axis=1)
    # The measure compares every vertex with every segment: the product of both counts is its cost.
    cost = shapely.get_num_coordinates(pairs.a).astype(float) * shapely.get_num_coordinates(pairs.b)
    small = (np.cumsum(counts) <= _MEASURED_VERTICES) & (np.cumsum(cost) <= _MEASURED_VERTICES * 100)
    result: Bools = finite & small & (np.arange(len(pairs.a)) < _MEASURED)
    return result


def _other_count(pairs: Pairs) -> Bools:
    import shapely

    result: Bools = shapely.get_num_coordinates(pairs.a) != shapely.get_num_coordinates(pairs.b)
    return result


def _outline(geometries: Objects) -> Objects:
    """Return the boundaries of polygons and everything else as it is, in two dimensions."""
    import numpy as np
    import shapely

    flat = shapely.force_2d(geometries)
    polygon = np.isin(shapely.get_type_id(flat), (3, 6))
    result = np.asarray(flat, object).copy()
    result[polygon] = shapely.boundary(result[polygon])
    return result


def _centres(geometries: Objects) -> Floats:
    import numpy as np
    import shapely

    bounds = shapely.bounds(geometries).reshape(-1, 4)
    return np.column_stack([(bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2])


def _local(geometries: Objects, centre: Floats, ground: Ground) -> Objects:
    """Return the geometries in metres around a centre each, by the scale of the ellipsoid there."""
    import numpy as np
    import shapely

    flat = np.asarray(shapely.force_2d(geometries), object).copy()
    xy, owner = shapely.get_coordinates(flat, return_index=True)
    if not len(xy):
        return flat
    unit = offsets(centre, centre + 1e-6, ground) / 1e-6
    result: Objects = shapely.set_coordinates(flat, (xy - centre[owner]) * unit[owner])
    return result
