"""Columns of well-known text in tables that have no types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.classify import classify_pairs

if TYPE_CHECKING:
    from kfm_repro.compare.context import Classified, Context
    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = ["wkt_classifiers"]

_NAMES = frozenset({"wkt", "geometry", "geom", "the_geom", "shape", "geometry_wkt", "geom_wkt", "wkt_geom"})
"""What the column is called: by GDAL (`WKT`), GeoPandas, PostGIS, ArcGIS, QGIS."""
_FORM = re.compile(
    r"\s*(?:(?:MULTI)?(?:POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION)\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)",
    re.IGNORECASE,
)
_DEEPEST = 32


def wkt_classifiers(names: Sequence[str]) -> Mapping[str, PairClassifier]:
    """Return what tells differing cells apart in those of the columns that are called like geometries."""
    return {name: classify_wkt for name in names if name.strip().lower() in _NAMES}


def classify_wkt(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
    """Tell apart pairs of cells: two geometries by what they mean, everything else as texts.

    A table of texts has no reference system, so that distances are in the units of the coordinates.
    """
    from kfm_repro.compare.vector.geometry import classify_geometries
    from kfm_repro.compare.vector.measure import UNKNOWN_GROUND

    geometric = [
        at for at, pair in enumerate(zip(a, b, strict=True)) if all(map(_is_wkt, pair)) and any(pair)
    ]
    shapes = [_wkb([side[at] for at in geometric]) for side in (a, b)]
    good = [at for at in range(len(geometric)) if all(_read_all(side, at) for side in shapes)]
    known = [geometric[at] for at in good]
    rest = sorted(set(range(len(a))) - set(known))
    parts: list[tuple[list[int], tuple[Classified, ...]]] = []
    if known:
        left, right = ([side[at] or None for at in good] for side in shapes)
        parts.append((known, classify_geometries(left, right, context, UNKNOWN_GROUND)))
    if rest:
        parts.append((rest, classify_pairs([(a[at], b[at]) for at in rest], context, text=True)))
    return tuple(
        replace(group, indexes=tuple(at[i] for i in group.indexes))
        for at, groups in parts
        for group in groups
    )


def _is_wkt(cell: object) -> bool:
    """Return whether a cell is empty or begins as a geometry, and does not nest deeper than 32."""
    if cell is None or cell == "":
        return True
    return isinstance(cell, str) and _FORM.match(cell) is not None and _depth(cell) <= _DEEPEST


def _depth(text: str) -> int:
    depth = deepest = 0
    for mark in re.findall(r"[()]", text):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    return deepest


def _wkb(cells: list[str | None]) -> list[bytes | None]:
    """Return the WKB of each cell: b"" for an empty cell, None for one that cannot be read."""
    import shapely

    found = shapely.from_wkt([cell or None for cell in cells], on_invalid="ignore")
    blobs = shapely.to_wkb(found, output_dimension=4, byte_order=1, flavor="iso")
    return [blob if cell else b"" for cell, blob in zip(cells, blobs, strict=True)]


def _read_all(side: list[bytes | None], at: int) -> bool:
    return side[at] is not None
