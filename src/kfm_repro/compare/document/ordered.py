"""Of which arrays the order says something: rows, axes and vertices are data, a set of objects or texts is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Place"]

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
_RECORDS = frozenset(
    (
        *("bands", "eo:bands", "raster:bands"),  # STAC 1.1.0: the bands of an asset, in its order
        *("layers", "cells", "steps"),  # MapLibre styles: what is drawn above what; notebooks; workflows
        "fields",  # Table Schema and Arrow: the columns of a table
    )
)
"""The same for arrays of objects alone; texts there are names."""
_TABULAR = frozenset(("columns", "index", "data", "extent"))
"""The same for arrays that hold no objects: data frames split into parts, extents."""
_PREFIX = "proj:"
"""Fields of the STAC projection extension: shapes, transforms, bounding boxes, the axes of a PROJJSON."""


@dataclass(frozen=True)
class Place:
    """What the way to a value says about order: its nearest key, and whether one above keeps all in order."""

    own: str = ""
    below: bool = False

    @classmethod
    def of(cls, parts: Sequence[str | int]) -> Place:
        """Return the place to which ``parts`` lead."""
        place = cls()
        for part in parts:
            place = place.under(part) if isinstance(part, str) else place
        return place

    def under(self, key: str) -> Place:
        """Return the place of the value that an object here holds under ``key``."""
        return Place(key, self.below or key in _BELOW or key.startswith(_PREFIX))

    def is_ordered(self, members: Sequence[Any]) -> bool:
        """Return whether the members of an array here mean something else in another order.

        Objects mostly name themselves and texts are mostly tags, so arrays of nothing else are sets unless their
        place says otherwise. Numbers and arrays are told apart by nothing but their place: they are always
        in order.
        """
        if self.below or self.own in _ORDERED:
            return True
        if all(isinstance(member, dict) for member in members):
            return self.own in _RECORDS
        return self.own in _TABULAR or not all(isinstance(member, str) for member in members)
