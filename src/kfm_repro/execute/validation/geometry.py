"""Geometries of an output: validity, types, reference system, extent, empties."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kfm_repro.errors import LimitExceeded
from kfm_repro.execute.collect import Produced
from kfm_repro.execute.validation.schema import MAX_BYTES

__all__ = ["MAX_FEATURES", "describe_geometries", "is_vector"]

MAX_FEATURES = 500_000
"""Features that are read of one layer; a report says when there are more."""
_MAX_REASONS = 5
_PARQUET = (".parquet", ".geoparquet")
_LON, _LAT = 180.0, 90.0
_CRS84 = "OGC:CRS84"
_TYPES = (
    "Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip
"""By the type ids of GEOS."""


def is_vector(item: Produced) -> bool:
    """Return whether an output has geometries that can be described: GeoJSON, GeoPackage, GeoParquet."""
    suffix = PurePosixPath(item.entry.path).suffix.lower()
    if suffix in _PARQUET:
        return _geo(item.file) is not None
    return suffix in (".geojson", ".gpkg")


def describe_geometries(file: Path, name: str, *, disclose: bool) -> dict[str, Any]:
    """Return status and the layers of one output; extents only when its values may be shown.

    A layer fails when a geometry is invalid or cannot be read, when it has no reference system, and when
    longitudes and latitudes lie outside the world. Raises LimitExceeded, and whatever a reader raises.
    """
    suffix = PurePosixPath(name).suffix.lower()
    layers = _parquet_layers(file) if suffix in _PARQUET else _vector_layers(file, suffix)
    described = [
        _layer(layer, crs, total, batches, disclose=disclose) for layer, crs, total, batches in layers
    ]
    faults = [item["reason"] for item in described if item["reason"]]
    status = "fail" if faults or not described else "pass"
    reason = faults[0] if faults else "" if described else "it holds no layer with geometries"
    return {"status": status, "reason": reason, "layers": described}


_Layer = tuple[str, Any, int | None, Iterable[Any]]


@dataclass
class _Measured:
    """What was counted in the geometries of one layer."""

    counts: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)

    def take(self, values: Any) -> None:  # noqa: ANN401 - an Arrow array of WKB
        """Count some more geometries."""
        import numpy as np
        import shapely

        blobs = np.array(values.to_pylist(), dtype=object)
        if not len(blobs):
            return
        made = shapely.from_wkb(blobs, on_invalid="ignore")
        nulls = sum(blob is None for blob in blobs)
        shapes = made[~shapely.is_missing(made)]
        wrong = shapes[~shapely.is_valid(shapes)]
        self.counts["features"] += len(blobs)
        self.counts["null"] += nulls
        self.counts["unreadable"] += len(blobs) - len(shapes) - nulls
        self.counts["empty"] += int(shapely.is_empty(shapes).sum())
        self.counts["invalid"] += len(wrong)
        few = wrong[: _MAX_REASONS - len(self.reasons)]
        self.reasons += [str(reason) for reason in shapely.is_valid_reason(few)]
        self.types.update(_type_name(int(code)) for code in shapely.get_type_id(shapes))
        part = shapely.bounds(shapes[~shapely.is_empty(shapes)])
        if len(part):
            low, high = part[:, :2].min(axis=0).tolist(), part[:, 2:].max(axis=0).tolist()
            old = self.bounds or [*low, *high]
            self.bounds = [*map(min, old[:2], low), *map(max, old[2:], high)]


def _layer(
    layer: str,
    crs: Any,  # noqa: ANN401 - pyproj.CRS | None
    total: int | None,
    batches: Iterable[Any],
    *,
    disclose: bool,
) -> dict[str, Any]:
    measured = _Measured()
    for values in batches:
        measured.take(values)
    counts, extent = measured.counts, measured.bounds
    fault = _fault(counts, crs, extent)
    document: dict[str, Any] = {"layer": layer} if layer else {}
    document |= {
        "status": "fail" if fault else "pass",
        "reason": f"layer {layer}: {fault}" if fault and layer else fault,
        "features": counts["features"],
        **{name: counts[name] for name in ("null", "empty", "invalid", "unreadable")},
        "geometry_types": dict(sorted(measured.types.items())),
        "crs": _crs_name(crs),
    }
    if total is not None and total > counts["features"]:
        document["sampled"] = f"{counts['features']} of {total} features"
    if not disclose:
        return document | {"extent": "withheld: its label does not allow values to be shown"}
    if measured.reasons:
        document["invalid_reasons"] = measured.reasons
    return document | {"extent": [value if math.isfinite(value) else None for value in extent] or None}


def _fault(counts: Counter[str], crs: Any, extent: list[float]) -> str:  # noqa: ANN401 - pyproj.CRS | None
    if counts["unreadable"]:
        return f"{counts['unreadable']} geometries cannot be read"
    if counts["invalid"]:
        return f"{counts['invalid']} of {counts['features']} geometries are invalid"
    if crs is None:
        return "no coordinate reference system"
    if not all(math.isfinite(value) for value in extent):
        return "coordinates that are no numbers"
    if extent and crs.is_geographic:
        outside = max(abs(extent[0]), abs(extent[2])) > 2 * _LON or max(abs(extent[1]), abs(extent[3])) > _LAT
        if outside:
            return "longitudes or latitudes outside the world"
    return ""


def _vector_layers(file: Path, suffix: str) -> Iterator[_Layer]:
    import pyogrio

    if suffix == ".geojson" and file.stat().st_size > MAX_BYTES:
        raise LimitExceeded(f"it is larger than {MAX_BYTES >> 20} MiB")
    options: dict[str, Any] = {"IMMUTABLE": "YES"} if suffix == ".gpkg" else {}
    for layer, kind in pyogrio.list_layers(file):
        if kind is None:
            continue
        info = pyogrio.read_info(file, layer=layer)
        meta, table = pyogrio.read_arrow(file, layer=layer, columns=[], max_features=MAX_FEATURES, **options)
        values = table.column(meta["geometry_name"] or "wkb_geometry")
        name = str(layer) if suffix == ".gpkg" else ""
        yield name, _crs(info["crs"]), int(info["features"]), values.chunks


def _parquet_layers(file: Path) -> Iterator[_Layer]:
    import pyarrow.parquet as pq

    said_columns = (_geo(file) or {}).get("columns")
    columns: dict[str, Any] = said_columns if isinstance(said_columns, dict) else {}
    source = pq.ParquetFile(file)
    for name in sorted(columns):
        said = columns[name]
        if not isinstance(said, dict) or said.get("encoding") != "WKB":
            raise LimitExceeded(f"geometries of {name!r} are not stored as WKB, and are not looked at")
        crs = _crs(said.get("crs", _CRS84))
        layer = name if len(columns) > 1 else ""
        yield layer, crs, source.metadata.num_rows, _wkb(source, name)


def _wkb(source: Any, name: str) -> Iterator[Any]:  # noqa: ANN401 - pyarrow.parquet.ParquetFile
    read = 0
    for batch in source.iter_batches(batch_size=65_536, columns=[name]):
        yield batch.column(0).slice(0, MAX_FEATURES - read)
        read += batch.num_rows
        if read >= MAX_FEATURES:
            return


def _geo(file: Path) -> dict[str, Any] | None:
    """Return the metadata of GeoParquet, None for another Parquet file and for one that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        text = (pq.read_metadata(file).metadata or {}).get(b"geo")
        document = json.loads(text) if text else None
    except (OSError, ValueError, RecursionError, pa.ArrowException):
        return None
    return document if isinstance(document, dict) else None


def _crs(said: Any) -> Any:  # noqa: ANN401 - text or PROJJSON in, pyproj.CRS | None out
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if not said:
        return None
    try:
        return CRS.from_user_input(json.dumps(said) if isinstance(said, dict) else said)
    except CRSError:
        return None


def _crs_name(crs: Any) -> str | None:  # noqa: ANN401 - pyproj.CRS | None
    if crs is None:
        return None
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _type_name(code: int) -> str:
    return _TYPES[code] if 0 <= code < len(_TYPES) else "Other"
