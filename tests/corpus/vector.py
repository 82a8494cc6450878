"""Writers of vector data: GDAL through pyogrio and fiona, geopandas, pyshp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.sample import layer, table

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers

_NO_TIMES = ("KML", "LIBKML", "GPX", "MVT", "PMTiles", "MBTiles")
OGR: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "ogr_geojson": ("GeoJSON", "geojson", "polygons", {}),
    "ogr_geojsonseq": ("GeoJSONSeq", "geojsonl", "polygons", {}),
    "ogr_gpkg": ("GPKG", "gpkg", "polygons", {}),
    "ogr_shp": ("ESRI Shapefile", "shp", "polygons", {}),
    "ogr_fgb": ("FlatGeobuf", "fgb", "polygons", {}),
    "ogr_fgb_noindex": ("FlatGeobuf", "fgb", "polygons", {"SPATIAL_INDEX": "NO"}),
    "ogr_kml": ("KML", "kml", "polygons", {}),
    "ogr_libkml": ("LIBKML", "kml", "polygons", {}),
    "ogr_kmz": ("LIBKML", "kmz", "polygons", {}),
    "ogr_gml": ("GML", "gml", "polygons", {}),
    "ogr_gpx": ("GPX", "gpx", "points", {"GPX_USE_EXTENSIONS": "YES"}),
    "ogr_csv": ("CSV", "csv", "polygons", {"GEOMETRY": "AS_WKT"}),
    "ogr_sqlite": ("SQLite", "sqlite", "polygons", {}),
    "ogr_pdf": ("PDF", "pdf", "polygons", {}),
    "ogr_gdb": ("OpenFileGDB", "gdb", "polygons", {}),
    "ogr_mapinfo": ("MapInfo File", "tab", "polygons", {}),
    "ogr_jsonfg": ("JSONFG", "json", "polygons", {}),
    "ogr_pgdump": ("PGDUMP", "sql", "polygons", {}),
    "ogr_pmtiles": ("PMTiles", "pmtiles", "points", {"MAXZOOM": "6"}),
    "ogr_mbtiles": ("MBTiles", "mbtiles", "points", {"MAXZOOM": "6"}),
    "ogr_mvt": ("MVT", "mvtdir", "points", {"MAXZOOM": "4"}),
    "ogr_mapml": ("MapML", "mapml", "polygons", {}),
    "ogr_shz": ("ESRI Shapefile", "shz", "polygons", {}),
    "ogr_gmt": ("OGR_GMT", "gmt", "polygons", {}),
}


def add(writers: Writers) -> None:
    for name, (driver, suffix, shape, options) in OGR.items():
        writers.add(_ogr(driver, shape, options), suffix, name)
    for function, suffix in (
        (ogr_dxf, "dxf"),
        (ogr_xlsx, "xlsx"),
        (ogr_ods, "ods"),
        (gpd_tojson, "geojson"),
        (gpd_geoparquet, "parquet"),
        (gpd_geoparquet_covering, "parquet"),
        (gpd_feather, "feather"),
        (fiona_shp, "shp"),
        (fiona_gpkg, "gpkg"),
        (pyshp_shp, "shp"),
    ):
        writers.add(function, suffix)


def _ogr(driver: str, shape: str, options: dict[str, str]) -> Any:
    def write(path: Path) -> None:
        frame = layer(shape)
        if driver in _NO_TIMES:
            frame = frame.drop(columns=["when"])
        frame.to_file(path, driver=driver, engine="pyogrio", **options)

    return write


def ogr_dxf(path: Path) -> None:
    layer("polygons")[["geometry"]].to_file(path, driver="DXF", engine="pyogrio")


def ogr_xlsx(path: Path) -> None:
    import pyogrio

    pyogrio.write_dataframe(table(), path, driver="XLSX")


def ogr_ods(path: Path) -> None:
    import pyogrio

    pyogrio.write_dataframe(table(), path, driver="ODS")


def gpd_tojson(path: Path) -> None:
    path.write_text(layer("polygons").drop(columns=["when"]).to_json())


def gpd_geoparquet(path: Path) -> None:
    layer("polygons").to_parquet(path)


def gpd_geoparquet_covering(path: Path) -> None:
    layer("polygons").to_parquet(path, write_covering_bbox=True, geometry_encoding="geoarrow")


def gpd_feather(path: Path) -> None:
    layer("polygons").to_feather(path)


def fiona_shp(path: Path) -> None:
    layer("polygons").drop(columns=["when"]).to_file(path, engine="fiona")


def fiona_gpkg(path: Path) -> None:
    layer("polygons").to_file(path, driver="GPKG", engine="fiona")


def pyshp_shp(path: Path) -> None:
    import shapefile

    frame = layer("points")
    with shapefile.Writer(str(path)) as writer:
        writer.field("id", "N")
        writer.field("name", "C")
        for key, name, point in zip(frame.id, frame.name, frame.geometry, strict=True):
            writer.record(key, name)
            writer.point(point.x, point.y)
