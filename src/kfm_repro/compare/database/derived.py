"""What a GeoPackage derives from its features, extents, counts, indexes, held against these features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.database.beside import quoted
from kfm_repro.compare.database.headers import BEGINNING, stated_extents
from kfm_repro.compare.database.rtree import leads_to
from kfm_repro.compare.vector.extent import each_extent, fits
from kfm_repro.compare.vector.wkb import strip_header

if TYPE_CHECKING:
    from kfm_repro.compare.database.geopackage import Package
    from kfm_repro.compare.database.read import Database
    from kfm_repro.compare.vector.extent import Floats

__all__ = ["MOST_SEARCHED", "Derived"]

MOST_SEARCHED = 100_000
"""Features of a layer of which each is looked for in the spatial index: it takes reading them all."""

_TEXT = 1e-14
"""GDAL writes the bounds into SQL as decimals of 15 or 16 digits."""
_EMPTY_FLAGS = ", ".join(f"x'{flags:02x}'" for flags in range(256) if flags & 0x10)
_BOUNDS = {"min_x": 0, "min_y": 1, "max_x": 3, "max_y": 4}


@dataclass(frozen=True)
class Derived:
    """One side: its tables, and what its bookkeeping says of them."""

    database: Database
    package: Package
    known: dict[str, Floats] = field(default_factory=dict)

    def extents(self, layer: str) -> Floats | None:
        """Return the extent of each feature, float64 of shape (n, 6), None where there are no geometries."""
        geometry = self.package.geometry(layer)
        table = self.database.tables.get(layer)
        if not geometry or table is None or geometry not in table.names:
            return None
        if layer not in self.known:
            blobs = self.database.rows(layer, (geometry,))[geometry]
            bodies = [strip_header(blob)[1] if isinstance(blob, bytes) else None for blob in blobs]
            self.known[layer] = each_extent(bodies)
        return self.known[layer]

    def extent_fits(self, layer: str) -> bool:
        """Return whether the extent in gpkg_contents, if it is stated, is that of the features.

        Bounds may be in single precision: GDAL takes some from the R-tree.
        """
        import numpy as np

        row = self.package.contents.get(layer, {})
        stated = [row.get(name) for name in _BOUNDS]
        if stated == [None] * len(stated):
            return True
        extents = self.extents(layer)
        if extents is None or not len(extents) or any(not isinstance(v, int | float) for v in stated):
            return False
        claimed = np.full(6, np.nan)
        claimed[[*_BOUNDS.values()]] = [float(value) for value in stated if value is not None]
        whole = np.concatenate([np.fmin.reduce(extents[:, :3]), np.fmax.reduce(extents[:, 3:])])
        return fits(claimed, whole, single=True, slack=_TEXT)

    def count_fits(self, layer: str) -> bool:
        """Return whether the count in gpkg_ogr_contents, if it is stated, is the number of rows."""
        stated: Any = self.package.counts.get(layer, {}).get("feature_count")
        if stated is None:
            return True
        table = self.database.tables.get(layer)
        if table is None or not table.columns:
            return False
        return type(stated) is int and stated == self.database.count(layer)

    def index_fits(self, layer: str) -> bool:
        """Return whether the spatial index, if there is one, leads to each geometry that is not empty.

        Beyond `MOST_SEARCHED` features only their number is held against that of the entries.
        """
        import numpy as np

        name = self.package.index_of(layer)
        table, nodes = (
            next((table for table in self.package.indexes if table.lower() == name + end), None)
            for end in ("_rowid", "_node")
        )
        if table is None:
            return True
        entries = self.database.count(table)
        if nodes is not None and self.is_searched(layer):
            return self._leads(layer, nodes)
        if entries == self._not_empty(layer):
            return True
        extents = self.extents(layer)
        return extents is not None and entries == int(np.count_nonzero(~np.isnan(extents[:, 0])))

    def is_searched(self, layer: str) -> bool:
        """Return whether a layer has few enough rows, and named by numbers, for its index to be read."""
        table = self.database.tables.get(layer)
        return bool(table and table.row_number and self.database.count(layer) <= MOST_SEARCHED)

    def _leads(self, layer: str, nodes: str) -> bool:
        geometry = self.package.geometry(layer)
        table = self.database.tables[layer]
        if geometry not in table.names:
            return False
        beginning = f"substr({quoted(geometry)}, 1, {BEGINNING})"
        rows = self.database.query(layer, f"{quoted(table.row_number)}, {beginning}")
        extents = None
        if all(head is None or isinstance(head, bytes) for _, head in rows):
            extents = stated_extents([head for _, head in rows])
        if extents is None:
            extents = self.extents(layer)
        stored = self.database.rows(nodes)
        tree = dict(zip(stored.get("nodeno", ()), stored.get("data", ()), strict=True))
        return extents is not None and leads_to(tree, [number for number, _ in rows], extents)

    def _not_empty(self, layer: str) -> int:
        """Return how many geometries do not say of themselves that they are empty, -1 where there are none.

        The flag is bit 4 of the fourth byte (GeoPackage 1.4, clause 2.1.3).
        """
        geometry = self.package.geometry(layer)
        if layer not in self.database.tables or geometry not in self.database.tables[layer].names:
            return -1
        known = self.database.records.get(layer)
        not_empty = None if known is None else known.not_empty()
        if not_empty is not None:
            return not_empty
        column = quoted(geometry)
        flagged = f"sum(substr({column}, 4, 1) IN ({_EMPTY_FLAGS}))"
        ((filled, empty),) = self.database.query(layer, f"count({column}), {flagged}")
        return int(filled) - int(empty or 0)
