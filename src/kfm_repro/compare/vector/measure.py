"""Measures between vertices: metres on the ground, units in the last place, decimals that were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

__all__ = ["GEOGRAPHIC", "UNKNOWN_GROUND", "Ground", "azimuth", "figures", "is_rounded", "offsets", "ulps"]

_SEMI_MAJOR = 6_378_137.0
_ECCENTRICITY_2 = 0.006_694_379_990_14
"""WGS 84; the scale at a latitude is exact to 1.2e-4 against geodesics of a few kilometres."""


@dataclass(frozen=True)
class Ground:
    """What one unit of the coordinates is on the ground.

    ``geographic`` coordinates are degrees of longitude and latitude; else ``unit`` is the metres of one
    unit, None where nobody knows, and then distances are in the units of the coordinates.
    """

    geographic: bool = True
    unit: float | None = 1.0

    @property
    def in_metres(self) -> bool:
        """Return whether distances are metres."""
        return self.geographic or self.unit is not None

    @property
    def unit_name(self) -> str:
        """Return the word for the unit of distances."""
        return "m" if self.in_metres else "units of the coordinates"


GEOGRAPHIC = Ground()
UNKNOWN_GROUND = Ground(geographic=False, unit=None)


def offsets(a: Floats, b: Floats, ground: Ground) -> Floats:
    """Return the way from each vertex of ``a`` to that of ``b``: east and north, float64 of shape (n, 2).

    Geographic coordinates use the scale of the ellipsoid at the vertex and the short way around.
    """
    import numpy as np

    way = b[:, :2] - a[:, :2]
    if not ground.geographic:
        return way * (1.0 if ground.unit is None else ground.unit)
    latitude = np.radians(a[:, 1])
    w_2 = 1.0 - _ECCENTRICITY_2 * np.sin(latitude) ** 2
    w = np.sqrt(w_2)
    # The short way is taken only where it is shorter: the modulo would blur differences of a few ulp.
    wrapped = (way[:, 0] + 180.0) % 360.0 - 180.0
    longitude = np.where(np.abs(way[:, 0]) > 180.0, wrapped, way[:, 0])  # noqa: PLR2004 - half a turn
    east = longitude * np.radians(_SEMI_MAJOR) * np.cos(latitude) / w
    north = way[:, 1] * np.radians(_SEMI_MAJOR * (1.0 - _ECCENTRICITY_2)) / (w_2 * w)
    return np.column_stack([east, north])


def ulps(a: Floats, b: Floats) -> npt.NDArray[np.uint64]:
    """Return the distance of ``a`` and ``b`` in units in the last place, element by element.

    Signed zeros are 0 apart, two NaN as well, NaN and a number the largest distance there is.
    """
    import numpy as np

    sign_free = np.uint64(0x7FFF_FFFF_FFFF_FFFF)
    size_a = np.ascontiguousarray(a).view(np.uint64) & sign_free
    size_b = np.ascontiguousarray(b).view(np.uint64) & sign_free
    apart = np.where(
        np.signbit(a) == np.signbit(b),
        np.maximum(size_a, size_b) - np.minimum(size_a, size_b),
        size_a + size_b,
    )
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    apart = np.where(nan_a & nan_b, np.uint64(0), apart)
    farthest = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    result: npt.NDArray[np.uint64] = np.where(nan_a != nan_b, farthest, apart)
    return result


def is_rounded(exact: Floats, rounded: Floats, decimals: int) -> Bools:
    """Return where ``rounded`` is ``exact`` rounded to ``decimals``, element by element (x, y first).

    Heights and measures may be left alone.

    Writers round the decimal text and numpy the double; the two may end two units apart.
    """
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(rounded - np.round(exact, decimals)) <= 2.0 * np.spacing(np.abs(rounded))
    beyond = exact[:, 2:], rounded[:, 2:]
    near[:, 2:] |= (beyond[0] == beyond[1]) | (np.isnan(beyond[0]) & np.isnan(beyond[1]))
    return np.asarray(near, bool)


def figures(distances: Floats) -> dict[str, float]:
    """Return ``max``, ``p95`` and ``rmse`` of distances; what is not finite is left out."""
    import numpy as np

    finite = distances[np.isfinite(distances)]
    if not finite.size:
        return {}
    return {
        "max": _shorten(finite.max()),
        "p95": _shorten(np.percentile(finite, 95)),
        "rmse": _shorten(np.sqrt(np.mean(finite**2))),
    }


def azimuth(east: float, north: float) -> float:
    """Return the direction of a way in degrees clockwise from north, 0 to 360."""
    import math

    return round(math.degrees(math.atan2(east, north)) % 360.0, 1)


def _shorten(value: np.float64) -> float:
    """Six significant digits: more would print the noise of the measure itself."""
    return float(f"{float(value):.6g}")
