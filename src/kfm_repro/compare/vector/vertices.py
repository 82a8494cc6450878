"""Rules for pairs with the same parts and the same numbers of vertices: what moved, and how far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kfm_repro.compare.vector.claims import Pairs, claim
from kfm_repro.compare.vector.laid import Laid, all_equal, are_several, lay, lay_alike
from kfm_repro.compare.vector.measure import azimuth, is_rounded, ulps
from kfm_repro.compare.vector.shape import closed, every, flatten, most
from kfm_repro.compare.vector.turned import STARTED_ELSEWHERE, WOUND_THE_OTHER_WAY
from kfm_repro.model.finding import Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kfm_repro.compare.context import Classified

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

__all__ = ["as_told", "axes", "displaced", "noise", "orders", "parts", "signed_zero"]

_MAX_ULP = 4
_MAX_DECIMALS = 15
_POLYGONS = (3, 6)
_POINT_MOVED = 10.0
"""Metres: a lone point that lies further away has moved, whatever its decimals say."""
_FULL_TURN = 360.0
_WRAP_SLACK = 1e-9
"""Degrees: adding and taking 360 costs a few units in the last place."""
_RIGID = 1e-3
"""A shift is constant when no vertex leaves the mean way by more than this part of its length."""


def signed_zero(pairs: Pairs) -> list[Classified]:
    """Claim ordinates that are equal as numbers and not as bits."""
    laid = lay(pairs, turn=False)
    same = laid.same(laid.flat.xyzm, laid.other)
    evidence = "the ordinates are equal numbers with other bits: signed zero or the payload of NaN"
    return claim(
        laid.spread(same, len(pairs.a)), Kind.FLOAT_NOISE, Rung.NOISE, evidence, detail={"max_ulp": 0}
    )


def orders(pairs: Pairs) -> list[Classified]:
    """Claim rings with another start or direction; and lines the other way, which is data."""
    laid = lay_alike(pairs)
    same = laid.same(laid.flat.xyzm, laid.other)
    size = len(pairs.a)
    line, ring = same & laid.line & laid.reversed, same & ~laid.line
    evidence = "the same vertices from the other end"
    found = claim(laid.spread(line, size), Kind.LINE_DIRECTION, Rung.VALUE, evidence)
    turned = (laid.spread(mask, size) for mask in (ring & laid.reversed, ring & ~laid.reversed))
    return found + _turned_rings(*turned)


def as_told(told: npt.NDArray[np.uint8]) -> list[Classified]:
    """Claim the same of pairs of which `turned` has told it already."""
    return _turned_rings(told == WOUND_THE_OTHER_WAY, told == STARTED_ELSEWHERE)


def _turned_rings(wound: Bools, started: Bools) -> list[Classified]:
    evidence = "the same rings, wound the other way"
    found = claim(wound, Kind.RING_ORIENTATION, Rung.NOISE, evidence)
    evidence = "the same rings, started at another vertex"
    return found + claim(started, Kind.RING_START, Rung.NOISE, evidence)


def parts(pairs: Pairs) -> list[Classified]:
    """Claim the same parts or holes in another order; rings may start elsewhere too, which is noise."""
    import numpy as np
    import shapely

    many = are_several(pairs.a)
    several = np.flatnonzero(many & are_several(pairs.b))
    bags_a, bags_b = (_bags(values[several]) for values in (pairs.a, pairs.b))
    pure = np.zeros(len(pairs.a), bool)
    pure[several] = [a == b for a, b in zip(bags_a, bags_b, strict=True)]
    found = claim(pure, Kind.PART_ORDER, Rung.ORDER, "the same parts or holes in another order")
    polygon = np.isin(shapely.get_type_id(pairs.a), _POLYGONS) & ~pure & many
    polygon[polygon] = closed(pairs.a[polygon]) & closed(pairs.b[polygon])
    chosen = np.flatnonzero(polygon)
    # A normal form only reorders: two of them alike prove the rest equal, two unlike prove nothing.
    normal = [shapely.normalize(values[chosen]) for values in (pairs.a, pairs.b)]
    alike = np.zeros(len(polygon), bool)
    alike[chosen] = shapely.equals_identical(*normal)
    evidence = "the same rings in another order of parts or holes, some turned or wound the other way"
    return found + claim(alike, Kind.RING_START, Rung.NOISE, evidence)


def axes(pairs: Pairs) -> list[Classified]:
    """Claim x and y exchanged, and longitudes a full turn apart."""
    import numpy as np

    laid = lay(pairs, turn=False)
    a, b = laid.flat.xyzm, laid.other
    swapped = laid.same(a[:, [1, 0, *range(2, a.shape[1])]], b)
    found = claim(laid.spread(swapped, len(pairs.a)), Kind.AXIS_SWAP, Rung.VALUE, "x and y are exchanged")
    turned = _swapped_and_turned(pairs)
    evidence = "x and y are exchanged, rings started elsewhere or wound the other way"
    found += claim(turned & ~laid.spread(swapped, len(pairs.a)), Kind.AXIS_SWAP, Rung.VALUE, evidence)
    if pairs.ground.geographic:
        turns = np.round((b[:, 0] - a[:, 0]) / _FULL_TURN)
        near = np.abs(b[:, 0] - a[:, 0] - _FULL_TURN * turns) <= _WRAP_SLACK
        wrapped = laid.every(near & all_equal(a[:, 1:], b[:, 1:])) & ~laid.every(turns == 0)
        evidence = "longitudes differ by full turns of 360 degrees"
        found += claim(laid.spread(wrapped, len(pairs.a)), Kind.LONGITUDE_WRAP, Rung.VALUE, evidence)
    return found


def _swapped_and_turned(pairs: Pairs) -> Bools:
    """Return the pairs of polygons with x and y exchanged: that turns every ring, and some writers turn it back."""
    import numpy as np
    import shapely

    bounds_a, bounds_b = (shapely.bounds(values).reshape(-1, 4) for values in (pairs.a, pairs.b))
    chosen = np.flatnonzero(
        np.isin(shapely.get_type_id(pairs.a), _POLYGONS) & (bounds_a[:, [1, 0, 3, 2]] == bounds_b).all(axis=1)
    )
    some = pairs.take(chosen)
    found = np.zeros(len(pairs.a), bool)
    if chosen.size:
        a = shapely.set_coordinates(some.a.copy(), shapely.get_coordinates(some.a)[:, ::-1])
        laid = lay(replace(some, a=a))
        found[chosen] = laid.spread(laid.same(laid.flat.xyzm, laid.other), len(chosen))
    return found


def noise(*, normal: bool) -> _NoiseRule:
    """Return the rule for heights, a few ulp, and rounding; ``normal``: parts in normal order."""
    return _NoiseRule(normal=normal)


@dataclass(frozen=True)
class _NoiseRule:
    normal: bool

    def __call__(self, pairs: Pairs) -> list[Classified]:
        laid = lay(pairs, normal=self.normal)
        size = len(pairs.a)
        a, b = laid.flat.xyzm, laid.other
        apart = most(ulps(a, b))
        backwards = laid.line & laid.reversed
        close = laid.every(apart <= _MAX_ULP)
        found = claim(
            laid.spread(close & backwards, size), Kind.LINE_DIRECTION, Rung.VALUE,
            "the same line from the other end, up to 4 ulp",
        )  # fmt: skip
        for turned, extra in self._turns(laid):
            mask = close & ~backwards & turned
            farthest = int(apart[mask[laid.flat.owner]].max(initial=0)) if mask.any() else 0
            found += claim(
                laid.spread(mask, size), Kind.FLOAT_NOISE, Rung.NOISE,
                f"no ordinate is more than {farthest} ulp apart{extra}", detail={"max_ulp": farthest},
            )  # fmt: skip
        plane = laid.same(a[:, :2], b[:, :2]) & ~close
        found += _heights(pairs, laid, plane & ~backwards)
        return found + self._rounded(pairs, laid, ~close & ~plane & ~backwards)

    def _turns(self, laid: Laid) -> list[tuple[Bools, str]]:
        turned = laid.rotated | laid.reversed
        order = ", parts in another order" if self.normal else ""
        return [(~turned, order), (turned, f"{order}, rings started elsewhere or wound the other way")]

    def _rounded(self, pairs: Pairs, laid: Laid, left: Bools) -> list[Classified]:
        import numpy as np

        a, b = laid.flat.xyzm, laid.other
        ways = laid.ways(pairs.ground)
        way = np.hypot(*ways.T)
        # Whatever has few decimals is what it was moved to, rounded: one way for all vertices is a shift.
        single = np.bincount(laid.flat.owner, minlength=laid.flat.count) == 1
        left &= ~_rigid(laid, ways)[0] | single
        if pairs.ground.geographic:
            left &= ~single | (np.bincount(laid.flat.owner, way, laid.flat.count) <= _POINT_MOVED)
        found: list[Classified] = []
        for decimals in range(_MAX_DECIMALS + 1):
            for exact, other, side in ((a, b, "B"), (b, a, "A")):
                hit = _rounded_to(laid, exact, other, decimals, left)
                left &= ~hit
                for turned, extra in self._turns(laid):
                    mask = hit & turned
                    found += claim(
                        laid.spread(mask, len(pairs.a)), Kind.PRECISION, Rung.VALUE,
                        f"{side} is the other side rounded to {decimals} decimals{extra}",
                        detail={"decimals": decimals, "rounded": side},
                        metres=way[mask[laid.flat.owner]] if pairs.ground.in_metres else None,
                    )  # fmt: skip
        return found


def _rounded_to(laid: Laid, exact: Floats, other: Floats, decimals: int, left: Bools) -> Bools:
    """Return which of the pairs ``left`` are rounded at every vertex, asking about the first vertices first."""
    import numpy as np

    owner, (starts, counts) = laid.flat.owner, laid.flat.spans
    first = starts[left & (counts > 0)]
    passed = owner[first[every(is_rounded(exact[first], other[first], decimals))]]
    hit = np.zeros(laid.flat.count, bool)
    hit[passed] = True
    if len(passed):
        rows = np.flatnonzero(hit[owner])
        bad = ~every(is_rounded(exact[rows], other[rows], decimals))
        hit[owner[rows[bad]]] = False
    return hit


def _heights(pairs: Pairs, laid: Laid, mask: Bools) -> list[Classified]:
    import numpy as np

    rows = mask[laid.flat.owner]
    with np.errstate(invalid="ignore"):
        apart = np.abs(laid.flat.xyzm[rows, 2:] - laid.other[rows, 2:])
    far = [float(np.nanmax(column)) if np.isfinite(column).any() else 0.0 for column in apart.T]
    detail = {"max_z": far[0], "max_m": far[1]} if rows.any() else {}
    evidence = "x and y are equal, heights (Z) or measures (M) differ"
    return claim(laid.spread(mask, len(pairs.a)), Kind.DIMENSION, Rung.VALUE, evidence, detail=detail)


def displaced(pairs: Pairs) -> list[Classified]:
    """Claim vertices that lie elsewhere, vertex by vertex; one way for all is a shift, and said so."""
    import numpy as np

    laid = lay(pairs)
    if not laid.index.size:
        return []
    owner = laid.flat.owner
    ways = laid.ways(pairs.ground)
    far = np.hypot(*ways.T)
    rigid, mean = _rigid(laid, ways)
    found: list[Classified] = []
    within = _within(pairs, laid, far)
    for mask, evidence in ((rigid, "moved as a whole"), (~rigid, "vertices lie elsewhere")):
        for rung, chosen in ((Rung.VALUE, mask & ~within), (Rung.TOLERANCE, mask & within)):
            rows = chosen[owner]
            limit = f"; within the tolerance geometry = {pairs.tolerance}" if rung is Rung.TOLERANCE else ""
            found += claim(
                laid.spread(chosen, len(pairs.a)), Kind.GEOMETRY, rung, evidence + limit,
                detail=_shift(mean[chosen & rigid], pairs) | _unit(pairs, far[rows]),
                metres=far[rows] if pairs.ground.in_metres else None,
            )  # fmt: skip
    return found


def _rigid(laid: Laid, ways: Floats) -> tuple[Bools, Floats]:
    """Return which geometries moved as a whole, and the mean way of each."""
    import numpy as np

    owner, (_, counts) = laid.flat.owner, laid.flat.spans
    mean = np.column_stack([np.bincount(owner, ways[:, k], laid.flat.count) / counts for k in (0, 1)])
    slack = _RIGID * np.hypot(*mean.T)[owner]
    return laid.every(np.hypot(*(ways - mean[owner]).T) <= slack), mean


def _within(pairs: Pairs, laid: Laid, far: Floats) -> Bools:
    """Return which pairs a declared tolerance covers: equal heights, and no line reversed."""
    import numpy as np

    if pairs.tolerance is None:
        return np.zeros(laid.flat.count, bool)
    level = all_equal(laid.flat.xyzm[:, 2:], laid.other[:, 2:])
    return laid.every((far <= pairs.tolerance) & level) & ~(laid.line & laid.reversed)


def _shift(ways: Floats, pairs: Pairs) -> dict[str, object]:
    """Return the one way that all features went, when there is one."""
    import numpy as np

    if not len(ways) or not np.isfinite(ways).all():
        return {}
    mean = ways.mean(axis=0)
    length = float(np.hypot(*mean))
    if (np.hypot(*(ways - mean).T) > 10 * _RIGID * length).any():
        return {}
    east, north = (float(f"{value:.6g}") for value in mean)
    unit = pairs.ground.unit_name
    return {"shift": {"east": east, "north": north, "azimuth": azimuth(east, north), "unit": unit}}


def _unit(pairs: Pairs, far: Floats) -> dict[str, object]:
    import numpy as np

    if pairs.ground.in_metres or not np.isfinite(far).any():
        return {}
    return {"max_displacement": float(np.nanmax(far)), "unit": pairs.ground.unit_name}


def _bags(geometries: npt.NDArray[np.object_]) -> list[tuple[bytes, ...]]:
    """Return the parts of each geometry as sorted bytes; of polygons the shell first and the holes sorted."""
    import shapely

    flat = flatten(geometries)
    bits = (flat.xyzm + 0.0).tobytes()
    chains: list[list[tuple[int, bytes]]] = [[] for _ in range(flat.count)]
    start, row = flat.start.tolist(), flat.xyzm.itemsize * 4
    for begin, length, part, owner in zip(
        start, flat.length.tolist(), flat.part.tolist(), flat.geometry.tolist(), strict=True
    ):
        chains[owner].append((part, bits[begin * row : (begin + length) * row]))
    empties = shapely.get_num_geometries(geometries).tolist()
    return [_bag(members, count) for members, count in zip(chains, empties, strict=True)]


def _bag(members: list[tuple[int, bytes]], count: int) -> tuple[bytes, ...]:
    by_part: dict[int, list[bytes]] = {}
    for part, chain in members:
        by_part.setdefault(part, []).append(chain)
    inner = (b"|".join([chains[0], *sorted(chains[1:])]) for chains in by_part.values())
    return (str(count).encode(), *sorted(inner))
