"""Vector data written by the libraries that people write it with, by format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def geojson(frame: Any, path: Path) -> None:
    path.write_text(frame.to_json(drop_id=True, default=str), encoding="utf-8")


def parquet(frame: Any, path: Path) -> None:
    frame.to_parquet(path, index=False)


FORMATS = {
    "GeoJSON": VectorFormat(".geojson", geojson),
    "GeoPackage": VectorFormat(".gpkg", by_ogr("GPKG", layer="counties")),
    "GeoParquet": VectorFormat(".parquet", parquet),
}
