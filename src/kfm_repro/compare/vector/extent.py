"""Extents that a file states, held against its own geometries: what is derived is only taken for it if it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kfm_repro.compare.vector.wkb import geometries

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

__all__ = ["NAMES", "box_fits", "each_extent", "extents_of", "fits", "fitting", "whole_extent"]

NAMES = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
"""The order of the columns of an extent; z is NaN where there are no heights."""
_AXES = 3
_FLAT, _HIGH = 4, 6


def each_extent(wkb: Sequence[bytes | None]) -> Floats:
    """Return the extent of each geometry, float64 of shape (n, 6); NaN for null, empty and unreadable ones."""
    return extents_of(geometries(wkb))


def extents_of(shapes: npt.NDArray[np.object_]) -> Floats:
    """Return the same for geometries that have been read."""
    import numpy as np
    import shapely

    coordinates, owner = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    found = np.full((len(shapes), 2 * _AXES), np.nan)
    if not len(owner):
        return found
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    found[owner[starts], :_AXES] = np.fmin.reduceat(coordinates, starts)
    found[owner[starts], _AXES:] = np.fmax.reduceat(coordinates, starts)
    return found


def whole_extent(wkb: Sequence[bytes | None]) -> Floats:
    """Return the extent of all geometries together, float64 of shape (6,); NaN when there are none."""
    import numpy as np

    found = each_extent(wkb)
    if not len(found):
        return np.full(2 * _AXES, np.nan)
    return np.concatenate([np.fmin.reduce(found[:, :_AXES]), np.fmax.reduce(found[:, _AXES:])])


def fits(claimed: Floats, extent: Floats, *, single: bool, slack: float = 0.0) -> bool:
    """Return whether every stated extent is that of the geometries; see `fitting`."""
    return bool(fitting(claimed, extent, single=single, slack=slack).all())


def fitting(claimed: Floats, extent: Floats, *, single: bool, slack: float = 0.0) -> Bools:
    """Return which stated extents are those of the geometries, of shape (…).

    ``claimed`` and ``extent`` are float64 of one shape (…, 6); NaN is "nothing there", and a z that is not
    stated is not asked for. ``single`` allows bounds that were written in single precision, which round away
    from the geometry as R-trees do. ``slack`` is the relative distance that writing as a text may leave.
    """
    import numpy as np

    same = (claimed == extent) | (np.isnan(claimed) & np.isnan(extent))
    same |= np.abs(claimed - extent) <= slack * np.abs(extent)
    same[..., [2, 5]] |= np.isnan(claimed[..., [2, 5]])
    if single:
        # Some writers round to the nearest, then step outward: two steps are what one bound can be away.
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = (extent[..., part].astype(np.float32) for part in (slice(0, 3), slice(3, 6)))
            for _ in range(2):
                low, high = np.nextafter(low, np.float32(-np.inf)), np.nextafter(high, np.float32(np.inf))
            same[..., :3] |= (claimed[..., :3] <= extent[..., :3]) & (claimed[..., :3] >= low)
            same[..., 3:] |= (claimed[..., 3:] >= extent[..., 3:]) & (claimed[..., 3:] <= high)
    fit: Bools = same.all(axis=-1)
    return fit


def box_fits(box: object, extent: Floats) -> bool:
    """Return whether a ``bbox`` of JSON, four or six numbers, is the extent of the geometries."""
    import numpy as np

    if not isinstance(box, list) or len(box) not in (_FLAT, _HIGH):
        return False
    if any(type(value) not in (int, float) for value in box):
        return False
    try:
        claimed = np.array(box, np.float64)
    except OverflowError:
        return False
    if len(box) == _FLAT:
        claimed = np.insert(claimed, [2, 4], np.nan)
    return not bool(np.isnan(claimed[[0, 1, 3, 4]]).any()) and fits(claimed, extent, single=False)
