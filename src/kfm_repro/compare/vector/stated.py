"""What the metadata of a GeoParquet file states of its geometries, held against the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.vector.extent import NAMES, box_fits, each_extent, fits, whole_extent

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.vector.extent import Floats

__all__ = ["Stated"]

_PLANE = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Stated:
    """What the ``geo`` metadata of one side states, held against the rows of that side, read when asked for."""

    geo: dict[str, Any]
    schema: pa.Schema
    read: Callable[[], pa.Table]

    @cached_property
    def table(self) -> pa.Table:
        """The rows."""
        return self.read()

    @property
    def columns(self) -> dict[str, Any]:
        """Return what is stated of each geometry column."""
        found: dict[str, Any] = self.geo.get("columns", {})
        return found

    def wkb(self, name: str) -> list[bytes | None] | None:
        """Return the geometries of a column, None when it is no column of WKB."""
        import pyarrow as pa

        column = self.columns.get(name, {})
        if column.get("encoding", "WKB") != "WKB" or self.schema.names.count(name) != 1:
            return None
        values = self.table.column(name)
        plain = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
        return values.to_pylist() if plain else None

    def box_fits(self, name: str) -> bool:
        """Return whether the ``bbox`` of a column, if it is stated, is that of the geometries."""
        if "bbox" not in self.columns.get(name, {}):
            return True
        wkb = self.wkb(name)
        return wkb is not None and box_fits(self.columns[name]["bbox"], whole_extent(wkb))

    def covering(self, name: str) -> str:
        """Return the column of bounding boxes of a geometry column, "" when its boxes are not those.

        A covering is a struct of nothing but the bounds of each geometry (GeoParquet 1.1, bbox covering).
        """
        covering = self.columns.get(name, {}).get("covering")
        root, members = _members(covering.get("bbox") if isinstance(covering, dict) else None)
        if not root or self.schema.names.count(root) != 1:
            return ""
        claimed = _bounds(self.table.column(root), members)
        wkb = None if claimed is None else self.wkb(name)
        if claimed is None or wkb is None:
            return ""
        return root if fits(claimed, each_extent(wkb), single=True) else ""


def _members(paths: object) -> tuple[str, dict[str, str]]:
    """Return the column and the member of its struct for each bound; no column when they are no covering."""
    if not isinstance(paths, dict) or not set(_PLANE) <= set(paths) <= set(NAMES):
        return "", {}
    if not all(isinstance(p, list) and [type(step) for step in p] == [str, str] for p in paths.values()):
        return "", {}
    roots = sorted({path[0] for path in paths.values()})
    return (roots[0], {bound: path[1] for bound, path in paths.items()}) if len(roots) == 1 else ("", {})


def _bounds(boxes: pa.ChunkedArray, members: dict[str, str]) -> Floats | None:
    """Return the bounds of each feature, None when the column holds something else or more than bounds."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_struct(boxes.type) or sorted(f.name for f in boxes.type) != sorted(members.values()):
        return None
    if not all(pa.types.is_floating(field.type) for field in boxes.type):
        return None
    claimed = np.full((len(boxes), len(NAMES)), np.nan)
    for bound, member in members.items():
        claimed[:, NAMES.index(bound)] = pc.struct_field(boxes, member).cast(pa.float64()).to_numpy()
    return claimed
