"""Changed geometries as a drawing: small outlines in drawing units, the farthest first, the rest as a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.arrays import integers, texts
from kfm_repro.compare.vector.claims import Pairs, are_finite
from kfm_repro.compare.vector.measure import Ground, offsets
from kfm_repro.model.figures import GRID, MAX_SHAPES, Density, Drawing, Shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

__all__ = ["PAIR", "drawing_of"]

PAIR = "pair"
"""Name under which a shape bears the number of its pair, until whoever knows its row names it."""

_PART = 1_000_000
_MOST_VERTICES, _FEWEST_VERTICES = 160, 8
_MOST_SIMPLIFIED = 2_000
_ALL_VERTICES = 200_000
"""Most vertices of all outlines together: about two megabytes of a report."""
_CELLS = 32
_MARGIN = 1e-9


@dataclass(frozen=True)
class _Frame:
    """Where the drawing lies: x and y of its upper left corner, and drawing units per unit of each ordinate."""

    left: float
    top: float
    scale_x: float
    scale_y: float
    width: int
    height: int
    unit_m: float | None

    def place(self, points: Floats) -> Floats:
        """Return coordinates of shape (n, 2) in drawing units, y downwards."""
        import numpy as np

        return np.column_stack(
            [(points[:, 0] - self.left) * self.scale_x, (self.top - points[:, 1]) * self.scale_y]
        )


def drawing_of(pairs: Pairs, indexes: tuple[int, ...]) -> Drawing | None:
    """Return the drawing of the pairs at ``indexes``, None where there is nothing that can be drawn."""
    import numpy as np
    import shapely

    at = np.array([i for i in indexes if pairs.a[i] is not None and pairs.b[i] is not None], np.intp)
    at = at[are_finite(pairs.a[at]) & are_finite(pairs.b[at])]
    if not at.size:
        return None
    a, b = pairs.a[at], pairs.b[at]
    bounds = np.hstack([shapely.bounds(a), shapely.bounds(b)])
    if not np.isfinite(bounds).all():
        return None
    frame = _frame(bounds, pairs.ground)
    ways, metres = _ways(a, b, pairs.ground)
    order = np.argsort(-np.where(np.isfinite(metres), metres, -1.0), kind="stable")
    shown, rest = order[:MAX_SHAPES], order[MAX_SHAPES:]
    most = min(_MOST_VERTICES, max(_FEWEST_VERTICES, _ALL_VERTICES // (2 * len(shown))))
    shapes = tuple(
        Shape(
            key={PAIR: int(at[i])},
            a=old,
            b="" if new == old else new,
            metres=_short(metres[i]) if pairs.ground.in_metres and math.isfinite(metres[i]) else None,
            east=_short(ways[i][0]),
            north=_short(ways[i][1]),
        )
        for i, old, new in zip(
            shown.tolist(), *(_outlines(side[shown], frame, most) for side in (a, b)), strict=True
        )
    )
    density = _density(bounds[rest], frame) if rest.size else None
    return Drawing(
        width=frame.width,
        height=frame.height,
        unit_m=frame.unit_m,
        of=len(at),
        shapes=shapes,
        density=density,
    )


def _frame(bounds: Floats, ground: Ground) -> _Frame:
    import numpy as np

    left, bottom = bounds[:, [0, 4]].min(), bounds[:, [1, 5]].min()
    right, top = bounds[:, [2, 6]].max(), bounds[:, [3, 7]].max()
    middle = (bottom + top) / 2
    squeeze = max(0.05, math.cos(math.radians(min(abs(middle), 89.0)))) if ground.geographic else 1.0
    wide, high = (right - left) * squeeze, top - bottom
    longest = max(wide, high, abs(left) * _MARGIN, abs(top) * _MARGIN, _MARGIN)
    unit_m = None
    if ground.in_metres:
        line = np.array([[left, middle], [left + longest / squeeze / 1000, middle]])
        unit_m = _short(abs(offsets(line[:1], line[1:], ground)[0, 0]) * 1000 / GRID)
    return _Frame(
        left=left, top=top, scale_x=GRID / longest * squeeze, scale_y=GRID / longest,
        width=max(GRID // 5, math.ceil(wide / longest * GRID)),
        height=max(GRID // 5, math.ceil(high / longest * GRID)),
        unit_m=unit_m,
    )  # fmt: skip


def _ways(a: npt.NDArray[np.object_], b: npt.NDArray[np.object_], ground: Ground) -> tuple[Floats, Floats]:
    """Return the way of the vertex of each pair that went farthest, and its length; of others the centres' way.

    The length is NaN where vertices have no counterpart.
    """
    import numpy as np
    import shapely

    alike = shapely.get_num_coordinates(a) == shapely.get_num_coordinates(b)
    centres = [np.nan_to_num(shapely.get_coordinates(shapely.centroid(side))) for side in (a, b)]
    ways = np.zeros((len(a), 2))
    filled = ~(shapely.is_empty(a) | shapely.is_empty(b))
    if all(len(side) == len(a) for side in centres):
        ways[filled] = offsets(centres[0], centres[1], ground)[filled]
    metres = np.full(len(a), np.nan)
    for chosen in _parts(np.flatnonzero(alike & filled), shapely.get_num_coordinates(a)):
        left, owner = shapely.get_coordinates(a[chosen], return_index=True)
        each = offsets(left, shapely.get_coordinates(b[chosen]), ground)
        far = np.hypot(*each.T)
        most = np.maximum.reduceat(far, np.flatnonzero(np.diff(owner, prepend=-1)))
        places = np.flatnonzero(far == most[owner])
        pairs, first = np.unique(owner[places], return_index=True)
        ways[chosen[pairs]], metres[chosen[pairs]] = each[places[first]], most[pairs]
    return np.nan_to_num(ways, posinf=0.0, neginf=0.0), metres


def _parts(chosen: npt.NDArray[np.intp], counts: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the chosen geometries in parts of about ``_PART`` coordinates, so that memory stays bounded."""
    import numpy as np

    if chosen.size:
        part = np.cumsum(counts[chosen], dtype=np.int64) // _PART
        yield from np.split(chosen, np.flatnonzero(np.diff(part)) + 1)


def _outlines(geometries: npt.NDArray[np.object_], frame: _Frame, most: int) -> list[str]:
    """Return geometries as lines of at most ``most`` vertices each, simplified as far as that takes."""
    import numpy as np
    import shapely

    whole = shapely.transform(shapely.force_2d(geometries), frame.place)
    placed, tolerance = _thinned(whole), 0.5
    while tolerance < GRID and (large := shapely.get_num_coordinates(placed) > most).any():
        placed[large] = shapely.simplify(placed[large], tolerance, preserve_topology=False)
        tolerance *= 2
    boxed = np.flatnonzero(shapely.is_empty(placed) | (shapely.get_num_coordinates(placed) > most))
    placed[boxed] = shapely.box(*shapely.bounds(whole[boxed]).T)
    return _paths(placed)


def _thinned(geometries: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return geometries, large ones as lines without the vertices that lie next to the one before.

    To simplify a line takes the square of its length where it goes to and fro.
    """
    import shapely

    thinned, tolerance = geometries.copy(), 0.5
    large = shapely.get_num_coordinates(thinned) > _MOST_SIMPLIFIED
    if large.any():
        thinned[large] = _as_lines(thinned[large])
    while tolerance < GRID and large.any():
        thinned[large] = shapely.remove_repeated_points(thinned[large], tolerance)
        large = shapely.get_num_coordinates(thinned) > _MOST_SIMPLIFIED
        tolerance *= 2
    return thinned


def _as_lines(geometries: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return collections with the rings of polygons as lines: of those, as few as two points may be left."""
    import shapely

    parts, owner = _plain_parts(geometries)
    areas = shapely.get_dimensions(parts) == 2  # noqa: PLR2004
    parts[areas] = shapely.boundary(parts[areas])
    made: npt.NDArray[np.object_] = shapely.geometrycollections(parts, indices=owner)
    return made


def _paths(geometries: npt.NDArray[np.object_]) -> list[str]:
    """Return the lines of each geometry as a path."""
    import numpy as np
    import shapely

    parts, owner = _plain_parts(geometries)
    areas = shapely.get_dimensions(parts) == 2  # noqa: PLR2004
    rings, ring_of = shapely.get_rings(parts[areas], return_index=True)
    part_of = np.concatenate([np.flatnonzero(~areas), np.flatnonzero(areas)[ring_of]])
    order = np.argsort(part_of, kind="stable")
    chains = np.concatenate([parts[~areas], rings])[order]
    found = [""] * len(geometries)
    lines = _lines(
        np.rint(shapely.get_coordinates(chains)).astype(np.int64), shapely.get_num_coordinates(chains)
    )
    for which, line in zip(owner[part_of[order]].tolist(), lines, strict=True):
        found[which] += line
    return found


def _plain_parts(geometries: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.intp]]:
    """Return the points, lines and polygons of all geometries, however deep in collections, and whose they are."""
    import numpy as np
    import shapely

    parts, owner = shapely.get_parts(geometries, return_index=True)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    return parts, np.asarray(owner, np.intp)


def _lines(points: Ints, lengths: Ints) -> list[str]:
    """Return lines of so many ``points``, of shape (n, 2), each: without the points that repeat the one before."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = np.cumsum(lengths)
    starts = ends - lengths
    fresh = np.ones(len(points) + 1, np.bool_)
    fresh[1:-1] = (points[1:] != points[:-1]).any(axis=1)
    fresh[starts] = True
    before = np.append(0, np.cumsum(fresh[:-1]))
    counts = before[ends] - before[starts]
    closed = lengths > 1
    closed[closed] = (points[starts[closed]] == points[ends[closed] - 1]).all(axis=1)
    back = closed & (counts > 2)  # noqa: PLR2004  # the way back to the first point is said by a letter
    shown = points[np.delete(np.flatnonzero(fresh[:-1]), before[ends[back]] - 1)]
    gap, line = texts([" ", "L"])  # of plain texts pyarrow would ask pandas what they are
    words = pc.binary_join_element_wise(*(integers(column).cast(pa.string()) for column in shown.T), gap)
    places = integers(np.append(0, np.cumsum(counts - back)))
    said = pc.binary_join(pa.LargeListArray.from_arrays(places, words), line).to_pylist()
    for i in np.flatnonzero(counts == 1).tolist():
        said[i] = f"{said[i]}L{said[i]}"
    return [f"M{text}Z" if around else f"M{text}" for text, around in zip(said, closed.tolist(), strict=True)]


def _density(bounds: Floats, frame: _Frame) -> Density:
    """Return how many pairs lie where, each counted once, in the middle of its old bounds."""
    import numpy as np

    columns = max(1, round(_CELLS * frame.width / max(frame.width, frame.height)))
    rows = max(1, round(_CELLS * frame.height / max(frame.width, frame.height)))
    middle = np.column_stack([bounds[:, [0, 2]].mean(axis=1), bounds[:, [1, 3]].mean(axis=1)])
    placed = frame.place(middle)
    column = np.clip((placed[:, 0] / frame.width * columns).astype(np.int64), 0, columns - 1)
    row = np.clip((placed[:, 1] / frame.height * rows).astype(np.int64), 0, rows - 1)
    found, counts = np.unique(row * columns + column, return_counts=True)
    cells = tuple((int(n % columns), int(n // columns), int(c)) for n, c in zip(found, counts, strict=True))
    return Density(columns=columns, rows=rows, cells=cells)


def _short(value: float) -> float:
    """Six significant digits: more would print the noise of the measure itself."""
    return float(f"{float(value):.6g}")
