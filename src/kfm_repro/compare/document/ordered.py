"""Of which arrays the order says something: rows, axes and vertices are data, a set of objects or texts is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

__all__ = ["order_is_data"]

_BELOW = frozenset(("coordinates", "bbox"))
"""Keys anywhere below which the order of an array is what it says (RFC 7946, 3.1.1 and 5)."""
_ORDERED = frozenset(
    (
        *("arcs", "transform", "scale", "translate"),  # TopoJSON 2.1; affine transforms
        *("paths", "rings", "points"),  # Esri JSON geometries
        *("interval", "axis"),  # STAC collections 1.1.0, temporal extent; PROJJSON, coordinate systems
        *("@list", "@context"),  # JSON-LD 1.1, 9.7 and 4.1: a later context overrides an earlier one
        *("dims", "dimension_names", "_ARRAY_DIMENSIONS", "codecs", "filters"),  # xarray, Zarr
    )
)
"""Keys whose own array, and the arrays in it, are in order, whatever they hold."""
_TABULAR = frozenset(("columns", "index", "data", "extent"))
"""The same for arrays that hold no objects: data frames split into parts, extents."""
_PREFIX = "proj:"
"""Fields of the STAC projection extension: shapes, transforms, bounding boxes, the axes of a PROJJSON."""


def order_is_data(parts: Sequence[str | int], a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Return whether the members of an array at this place mean something else in another order.

    Objects name themselves and texts are mostly tags, so arrays of nothing else are sets unless their place
    says otherwise. Numbers and arrays are told apart by nothing but their place: they are always in order.
    """
    names = [part for part in parts if isinstance(part, str)]
    if any(name in _BELOW or name.startswith(_PREFIX) for name in names):
        return True
    own = names[-1] if names else ""
    members = list(chain(a, b))
    if own in _ORDERED or all(isinstance(member, dict) for member in members):
        return own in _ORDERED
    return own in _TABULAR or not all(isinstance(member, str) for member in members)
