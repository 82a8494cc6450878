"""What a report can draw: bounded pictures of a finding, in drawing units instead of coordinates.

They say where and how far in a form that shows no position on earth. All are small: the numbers that bound them
stand here.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

__all__ = [
    "GRID",
    "MAX_SHAPES",
    "MAX_TIMES",
    "Density",
    "Drawing",
    "Figures",
    "Histogram",
    "Outline",
    "Shape",
    "Times",
    "Window",
]

MAX_SHAPES = 5_000
"""Most features that a drawing has one by one; those beyond are counted in its density grid."""
MAX_TIMES = 40
"""Most times of one side, spread evenly over all that there are."""
GRID = 10_000
"""Length of the longer side of a drawing, in drawing units."""

Window = tuple[float, float]
"""Start and end, in seconds since 1970 (UTC)."""
Outline = Annotated[str, msgspec.Meta(pattern="^[MLZ0-9 -]*$", max_length=20_000)]
"""Lines in the grammar of SVG paths: ``M x y``, ``L x y`` and ``Z``, whole drawing units, y downwards."""


class _Picture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all pictures: built once; what is not there is not written."""


class Histogram(_Picture, frozen=True, kw_only=True):
    """How far apart numbers lie: ``counts[i]`` distances from ``edges[i]`` up to below ``edges[i + 1]``.

    ``unit`` is ``ulp`` (units in the last place) or ``relative`` (to the larger of the two). Pairs that occur often
    may count once; what lies beyond the edges is in the first and the last bar.
    """

    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Times(_Picture, frozen=True, kw_only=True):
    """Times embedded in the two sides, ascending, in seconds since 1970 (UTC); ``of`` so many pairs."""

    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    of: int = 0


class Density(_Picture, frozen=True, kw_only=True):
    """How much differs where: ``cells`` are (column, row, count) from the upper left, empty ones left out."""

    columns: Annotated[int, msgspec.Meta(ge=1, le=256)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=256)]
    cells: tuple[tuple[int, int, int], ...] = ()


class Shape(_Picture, frozen=True, kw_only=True):
    """One changed feature: its outline in A and, where it is another, in B, and how far it went: metres, east, north.

    ``metres`` is None where vertices have no counterparts, or nobody knows the unit.
    """

    key: dict[str, Any] = {}
    a: Outline = ""
    b: Outline = ""
    metres: float | None = None
    east: float = 0.0
    north: float = 0.0


class Drawing(_Picture, frozen=True, kw_only=True):
    """Changed features, the worst first. ``unit_m`` are the metres of one drawing unit, None where nobody knows.

    ``of`` features differ in all; those that are not among ``shapes`` are counted in ``density``.
    """

    width: int = GRID
    height: int = GRID
    unit_m: float | None = None
    of: int = 0
    shapes: tuple[Shape, ...] = ()
    density: Density | None = None


class Figures(_Picture, frozen=True, kw_only=True):
    """What of a finding can be drawn."""

    histogram: Histogram | None = None
    times: Times | None = None
    drawing: Drawing | None = None
    density: Density | None = None
