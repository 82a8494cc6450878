"""Vector data written by the libraries that people write it with, by format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import shapely

__all__ = ["FORMATS", "VectorFormat"]


@dataclass(frozen=True)
class VectorFormat:
    """How a GeoDataFrame is written, and what the file is called."""

    suffix: str
    write: Callable[[Any, Path], None]


def by_ogr(driver: str, **options: Any) -> Callable[[Any, Path], None]:
    def write(frame: Any, path: Path) -> None:
        frame.to_file(path, driver=driver, engine="pyogrio", **options)

    return write


def csv_with_wkt(frame: Any, path: Path) -> None:
    shapes = shapely.to_wkt(frame.geometry.values, rounding_precision=-1, output_dimension=4)
    pd.DataFrame(frame.drop(columns="geometry")).assign(WKT=shapes).to_csv(path, index=False)


def geojson(frame: Any, path: Path) -> None:
    path.write_text(frame.to_json(drop_id=True, default=str), encoding="utf-8")


def geojson_lines(frame: Any, path: Path) -> None:
    texts = [json.dumps(feature, default=str) + "\n" for feature in frame.iterfeatures(drop_id=True)]
    path.write_text("".join(texts), encoding="utf-8")


def parquet(frame: Any, path: Path) -> None:
    frame.to_parquet(path, index=False)


FORMATS = {
    "CSV with WKT": VectorFormat(".csv", csv_with_wkt),
    "FlatGeobuf": VectorFormat(".fgb", by_ogr("FlatGeobuf", SPATIAL_INDEX="NO")),
    "GeoJSON": VectorFormat(".geojson", geojson),
    "GeoJSONSeq": VectorFormat(".geojsonl", geojson_lines),
    "GML": VectorFormat(".gml", by_ogr("GML")),
    "KML": VectorFormat(".kml", by_ogr("KML")),
    "GeoPackage": VectorFormat(".gpkg", by_ogr("GPKG", layer="counties")),
    "Shapefile": VectorFormat(".shp", by_ogr("ESRI Shapefile")),
    "GeoParquet": VectorFormat(".parquet", parquet),
}
