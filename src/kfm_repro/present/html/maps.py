"""Changed features drawn old and new with the way they went, and grids of where how much differs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kfm_repro.model.figures import GRID, Density, Drawing, Shape
from kfm_repro.present.visible import visible
from kfm_repro.present.words import in_metres

__all__ = ["Arrow", "Drawn", "Grid", "Map", "Square", "grid_of", "map_of"]

_LONGEST_ARROW = 0.09
"""As a share of a drawing's longer side."""
_MOST_ROWS = 500
_THINNEST_UNIT = 1e-12
"""Metres of one drawing unit below which there is no scale to show."""
_STEPS = (1, 2, 5)
_PAIR = re.compile(r"(-?\d+) (-?\d+)")


@dataclass(frozen=True)
class Arrow:
    """A line with a head, in drawing units."""

    line: str
    head: str


@dataclass(frozen=True)
class Drawn:
    """One feature; ``row`` is whether the table beside the map has it."""

    anchor: str
    name: str
    a: str
    b: str
    arrow: Arrow | None
    metres: str
    way: str
    row: bool


@dataclass(frozen=True)
class Square:
    """One cell of a grid: place, shade from 1 to 5, count."""

    x: str
    y: str
    shade: int
    count: int


@dataclass(frozen=True)
class Grid:
    """How much differs where."""

    name = "grid"
    width: int
    height: int
    cell_width: str
    cell_height: str
    squares: tuple[Square, ...]
    total: int


@dataclass(frozen=True)
class Map:
    """Features, the worst last, so that it lies on top; ``rows`` the worst first."""

    name = "map"
    anchor: str
    width: int
    height: int
    features: tuple[Drawn, ...]
    rows: tuple[Drawn, ...]
    of: int
    grid: Grid | None
    scale_units: str
    scale_text: str
    enlarged: str
    margin: int
    text_size: int


def map_of(drawing: Drawing, anchor: str, most: int) -> Map:
    """Return the map of a drawing with at most ``most`` features; the drawing has the worst first."""
    shapes = drawing.shapes[:most]
    farthest = max((math.hypot(shape.east, shape.north) for shape in shapes), default=0.0)
    size = float(max(_side(drawing.width), _side(drawing.height)))
    stretch = _LONGEST_ARROW * size / farthest if farthest > 0 and math.isfinite(farthest) else 0.0
    drawn = [_drawn(shape, f"{anchor}-{at}", at, stretch, size) for at, shape in enumerate(shapes)]
    units, text = _scale(drawing)
    enlarged = ""
    if drawing.unit_m and stretch:
        enlarged = _count(stretch * drawing.unit_m)
    return Map(
        anchor=f"{anchor}-map",
        width=_side(drawing.width),
        height=_side(drawing.height),
        features=tuple(reversed(drawn)),
        rows=tuple(item for item in drawn if item.row),
        of=max(drawing.of, len(drawing.shapes)),
        grid=grid_of(drawing.density, _side(drawing.width), _side(drawing.height))
        if drawing.density
        else None,
        scale_units=units,
        scale_text=text,
        enlarged=enlarged,
        margin=round(0.02 * size),
        text_size=round(0.022 * size),
    )


def grid_of(density: Density, width: int = GRID, height: int = 0) -> Grid:
    """Return a grid, by default with square cells; the fullest cells are strongest."""
    height = height or max(1, round(width * density.rows / density.columns))
    cell_w, cell_h = width / density.columns, height / density.rows
    cells = [
        (c, r, n) for c, r, n in density.cells if 0 <= c < density.columns and 0 <= r < density.rows and n > 0
    ]
    most = max((count for _, _, count in cells), default=1)
    squares = tuple(
        Square(f"{column * cell_w:.2f}", f"{row * cell_h:.2f}", math.ceil(count / most * 5), count)
        for column, row, count in cells
    )
    total = sum(count for _, _, count in cells)
    return Grid(width, height, f"{cell_w:.2f}", f"{cell_h:.2f}", squares, total)


def _drawn(shape: Shape, anchor: str, at: int, stretch: float, size: float) -> Drawn:
    name = ", ".join(f"{visible(key, 40)} {visible(value, 60)}" for key, value in shape.key.items())
    way = ""
    if shape.east or shape.north:
        way = f"{math.degrees(math.atan2(shape.east, shape.north)) % 360:.0f}°"
    return Drawn(
        anchor=anchor,
        name=name or f"feature {at + 1}",
        a=shape.a,
        b=shape.b or shape.a,
        arrow=_arrow(shape, stretch, size),
        metres="" if shape.metres is None else in_metres(shape.metres),
        way=way,
        row=at < _MOST_ROWS,
    )


def _arrow(shape: Shape, stretch: float, whole: float) -> Arrow | None:
    """Return the way of a feature from the middle of its old outline, all ways stretched alike."""
    points = [(int(x), int(y)) for x, y in _PAIR.findall(shape.a or shape.b)]
    east, south = shape.east * stretch, -shape.north * stretch
    length = math.hypot(east, south)
    if not points or not length or not math.isfinite(length):
        return None
    x, y = _middle(points)
    tip_x, tip_y = x + east, y + south
    size = min(0.016 * whole, max(0.004 * whole, length / 3))
    along, across = (
        (east / length * size, south / length * size),
        (-south / length * size / 2, east / length * size / 2),
    )
    left = (tip_x - along[0] + across[0], tip_y - along[1] + across[1])
    right = (tip_x - along[0] - across[0], tip_y - along[1] - across[1])
    return Arrow(
        f"M{x:.1f} {y:.1f}L{tip_x:.1f} {tip_y:.1f}",
        f"M{tip_x:.1f} {tip_y:.1f}L{left[0]:.1f} {left[1]:.1f}L{right[0]:.1f} {right[1]:.1f}Z",
    )


def _middle(points: Sequence[tuple[int, int]]) -> tuple[float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _scale(drawing: Drawing) -> tuple[str, str]:
    """Return the length of a scale bar in drawing units, at most a quarter of the width, and its text."""
    unit = drawing.unit_m
    if unit is None or not _THINNEST_UNIT <= unit <= 1 / _THINNEST_UNIT:
        return "", ""
    most = unit * _side(drawing.width) / 4
    power = 10.0 ** math.floor(math.log10(most))
    metres = max(step * power for step in _STEPS if step * power <= most)
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"  # noqa: PLR2004 - a kilometre
    return f"{metres / unit:.2f}", text


def _side(length: int) -> int:
    return min(max(length, 1), 10 * GRID)


def _count(times: float) -> str:
    """Return how much arrows are enlarged, two digits of it; empty where they are not."""
    if times <= 1.5:  # noqa: PLR2004 - nobody sees less
        return ""
    return f"{float(f'{times:.2g}'):,.0f}".replace(",", " ")
