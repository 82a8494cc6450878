"""What is right to say of each writer's files: written again, a decade later, with another seed, threads, row order.

A finding is ``kind:rung``, with ``@place`` where the place is part of what is right. ``always`` must be found under
every perturbation; the other fields add to it under theirs. ``may`` can be found: what threads, memory or a second
that ends decide. Nothing else may.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXPECTED", "Expected", "is_right", "is_wrongly_equal"]

Said = frozenset[str]


@dataclass(frozen=True)
class Expected:
    """The findings of one writer."""

    always: Said = frozenset()
    decade: Said = frozenset()
    seed: Said = frozenset()
    threads: Said = frozenset()
    shuffled: Said = frozenset()
    may: Said = frozenset()

    def must(self, perturbation: str) -> Said:
        return self.always | getattr(self, perturbation, frozenset())


def is_right(expected: Expected, perturbation: str, found: set[str]) -> bool:
    """Return whether all that must be found is, and nothing else but what may be."""
    must = expected.must(perturbation)
    allowed = must | expected.may
    return all(any(_fits(want, said) for said in found) for want in must) and all(
        any(_fits(want, said) for want in allowed) for said in found
    )


def is_wrongly_equal(expected: Expected, perturbation: str, found: set[str]) -> bool:
    """Return whether data that differ are called identical or equivalent."""
    return any(":value" in want for want in expected.must(perturbation)) and not any(
        ":value" in said or ":unknown" in said for said in found
    )


def _fits(want: str, said: str) -> bool:
    return said == want or ("@" not in want and said.partition("@")[0] == want)


def _said(*texts: str) -> Said:
    return frozenset(texts)


def _only(kind: str) -> Expected:
    """Return what holds for a writer without noise whose rows were shuffled."""
    return Expected(shuffled=_said(kind))


_TIME = "timestamp:container"
_ROWS, _FEATURES = _only("row-order:order"), _only("feature-order:order")
_QUIET = Expected()
_GPKG = Expected(
    always=_said(f"{_TIME}@last_change,out"),
    shuffled=_said("feature-order:order@out"),
    may=_said("layout:container", "spatial-index:container", "extent-metadata:container"),
)
_SHAPEFILE = Expected(
    decade=_said(_TIME),
    shuffled=_said("feature-order:order"),
    may=_said("row-order:order", "spatial-index:container", "layout:container", "extent-metadata:container"),
)
_ZIPPED = "timestamp:container"
_XLSX_DATE = "timestamp:container@docProps/core.xml"
_PANDAS_INDEX = "value:value@A,Sheet1"
"""pandas numbers the rows in the first column: other rows bear other numbers."""
_TILES = Expected(
    shuffled=_said("feature-order:order@out"), may=_said("extent-metadata:container", "layout:container")
)
_PDF_DATE = f"{_TIME}@/CreationDate"

EXPECTED: dict[str, Expected] = {
    # vector
    "ogr_geojson": _FEATURES,
    "ogr_geojsonseq": Expected(shuffled=_said(), may=_said("feature-order:order", "row-order:order")),
    "ogr_gpkg": _GPKG,
    "ogr_shp": _SHAPEFILE,
    "ogr_fgb": Expected(may=_said("feature-order:order")),
    "ogr_fgb_noindex": _FEATURES,
    "ogr_kml": _FEATURES,
    "ogr_libkml": _FEATURES,
    "ogr_kmz": Expected(always=_said(_ZIPPED), shuffled=_said("feature-order:order")),
    "ogr_gml": _FEATURES,
    "ogr_gpx": _FEATURES,
    "ogr_csv": Expected(may=_said("row-order:order", "feature-order:order")),
    # The column ogc_fid numbers the rows as they were written.
    "ogr_sqlite": Expected(shuffled=_said("row-order:order@out", "value:value@ogc_fid,out")),
    "ogr_pdf": _only("bytes:value"),
    "ogr_gdb": Expected(may=_said("bytes:value", "identifier:container", "identifier:value")),
    "ogr_mapinfo": Expected(
        may=_said("garbage:container", "row-order:value"), shuffled=_said("bytes:value")
    ),
    "ogr_jsonfg": _FEATURES,
    "ogr_pgdump": _only("row-order:value"),
    "ogr_pmtiles": _TILES,
    "ogr_mbtiles": _TILES,
    "ogr_mvt": Expected(shuffled=_said("feature-order:order"), may=_said("value:value@/json")),
    "ogr_mapml": _only("row-order:value"),
    "ogr_shz": Expected(
        always=_said(_ZIPPED),
        shuffled=_said("feature-order:order"),
        may=_said(f"{_TIME}@out.dbf", "row-order:order", "layout:container", "extent-metadata:container"),
    ),
    "ogr_gmt": _only("row-order:value"),
    "ogr_dxf": _only("row-order:value"),
    "ogr_xlsx": Expected(always=_said(_ZIPPED), shuffled=_said("row-order:order"), may=_said("layout:container")),
    "ogr_ods": Expected(always=_said(_ZIPPED), shuffled=_said("row-order:order"), may=_said("layout:container")),
    "gpd_tojson": Expected(
        # geopandas writes the row's number as the id of its feature: other rows bear other ids.
        may=_said("geometry:value"),
        shuffled=_said("value:value"),
    ),
    "gpd_geoparquet": _FEATURES,
    "gpd_geoparquet_covering": _FEATURES,
    "gpd_feather": Expected(may=_said("row-order:order", "feature-order:order")),
    "fiona_shp": _SHAPEFILE,
    "fiona_gpkg": _GPKG,
    "pyshp_shp": _SHAPEFILE,
    # tables
    "pd_csv": _ROWS,
    "pd_csvgz": Expected(always=_said(f"{_TIME}@gzip header"), shuffled=_said("row-order:order@out.csv")),
    "pd_csvzip": Expected(always=_said(f"{_TIME}@out.csv"), shuffled=_said("row-order:order@out.csv")),
    "pd_parquet_arrow": _ROWS,
    "pd_parquet_fastparquet": _ROWS,
    "pd_feather": _ROWS,
    "pd_xlsx_openpyxl": Expected(
        always=_said(_XLSX_DATE, _ZIPPED),
        shuffled=_said("row-order:order", _PANDAS_INDEX),
        may=_said("layout:container"),
    ),
    "pd_xlsx_xlsxwriter": Expected(
        always=_said(_XLSX_DATE), shuffled=_said("row-order:order", _PANDAS_INDEX), may=_said("layout:container")
    ),
    "pd_json": Expected(shuffled=_said(), may=_said("array-order:order", "row-order:order")),
    "pd_pickle": _only("bytes:value"),
    # The order along the axis of an array is data.
    "pd_hdf": Expected(always=_said(_TIME), shuffled=_said("value:value")),
    "polars_parquet": _ROWS,
    "polars_ipc": _ROWS,
    "polars_group_by": Expected(
        may=_said("row-order:order", "float-noise:noise@val", "value:value@val", "layout:container")
    ),
    "duckdb_parquet": _ROWS,
    "duckdb_group_by": Expected(may=_said("row-order:order", "float-noise:noise@s", "value:value@s")),
    "duckdb_file": Expected(
        may=_said("bytes:value", "layout:container", "garbage:container", "identifier:container", "row-order:order")
    ),
    "arrow_dataset": _ROWS,
    # The names of the files are drawn anew.
    "arrow_write_to_dataset": Expected(
        may=_said(
            "missing-output:value", "extra-output:value", "identifier:container", "row-order:order", "layout:container"
        )
    ),
    "arrow_orc": _ROWS,
    "sqlite_pandas": _only("row-order:order@t"),
    "csv_of_today": Expected(always=_said("timestamp:value@made"), shuffled=_said("row-order:order")),
    # documents
    "json_set": Expected(seed=_said("array-order:order@/tags")),
    "repr_object": Expected(may=_said("address:value")),
    "listed_folder": _QUIET,
    "hash_of_text": Expected(seed=_said("value:value")),
    "stac_item": Expected(always=_said("timestamp:value@created", "timestamp:value@datetime")),
    "rdf_ntriples": Expected(always=_said("identifier:container")),
    "rdf_jsonld": Expected(always=_said("identifier:container")),
    "rdf_turtle": _QUIET,
    "zip_write": Expected(always=_said(_ZIPPED)),
    "zip_writestr": Expected(always=_said(f"{_ZIPPED}@a.txt")),
    "tar_add": Expected(always=_said(_TIME)),
    "tar_gz": Expected(always=_said(f"{_TIME}@gzip header"), may=_said(_TIME)),
    "gz_open": Expected(always=_said(f"{_TIME}@gzip header")),
    "bz2_open": _QUIET,
    "xz_open": _QUIET,
    "zstd_open": _QUIET,
    "mpl_png": _QUIET,
    "mpl_svg": Expected(always=_said("identifier:container", f"{_TIME}@/svg/metadata/RDF/Work/date")),
    "mpl_pdf": Expected(always=_said(_PDF_DATE)),
    "mpl_ps": Expected(always=_said(_PDF_DATE)),
    "pil_png": _QUIET,
    "pil_tif": _QUIET,
    "pil_jpg": _QUIET,
    "pil_pdf": Expected(always=_said(_PDF_DATE, f"{_TIME}@/ModDate")),
    "reportlab_pdf": Expected(always=_said(_PDF_DATE, f"{_TIME}@/ModDate", "identifier:container@/ID")),
    # rasters and arrays
    "rio_gtiff": _QUIET,
    "rio_gtiff_deflate": _QUIET,
    "rio_gtiff_zstd": _QUIET,
    "rio_cog": _QUIET,
    "rio_overviews": _QUIET,
    "rio_statistics": _QUIET,
    "rio_block_order": _only("block-layout:container"),
    "rio_png": _QUIET,
    "rio_jpg": _QUIET,
    "rio_jp2": _QUIET,
    "rio_gpkg": Expected(always=_said(f"{_TIME}@last_change,out")),
    "rio_netcdf": Expected(
        may=_said("timestamp:value@/@history", "path:value@/@history"), decade=_said("timestamp:value@/@history")
    ),
    "rio_copy": _QUIET,
    "np_save": _QUIET,
    "np_savez": Expected(may=_said(_ZIPPED)),
    "xr_netcdf4": _QUIET,
    "xr_h5netcdf": _QUIET,
    "xr_scipy": _QUIET,
    "xr_history": Expected(always=_said("timestamp:value@/@history")),
    "xr_dask": Expected(may=_said("layout:container")),
    "xr_zarr2": _QUIET,
    "xr_zarr3": _QUIET,
    "zarr2_zip": Expected(always=_said(_ZIPPED), may=_said("entry-order:order", "duplicate-entry:container")),
    "zarr3_zip": Expected(always=_said(_ZIPPED), may=_said("entry-order:order", "duplicate-entry:container")),
    "h5py_default": _QUIET,
    "h5py_track_times": Expected(always=_said(f"{_TIME}@/a")),
    "h5py_latest": _QUIET,
    "py_mbtiles": _QUIET,
    "py_pmtiles": _QUIET,
}  # fmt: skip
