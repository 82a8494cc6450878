"""The noise catalogue: what makes files differ that hold the same, and what a pipeline writes so that they do not.

Each row has a pair of files in ``tests/corpus``. For rows that are ``tried``, ``tests/corpus/steady.py`` writes
with the option that the row names; the bytes are equal under two clocks, or whatever else the row is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kfm_repro.model.finding import Finding, Kind

__all__ = ["CATALOGUE", "Row"]


@dataclass(frozen=True)
class Row:
    """One row of the catalogue: where the noise is, which findings are about it, and what to do.

    ``tried`` says that the files were equal, byte for byte, when they were written as the text says.
    """

    name: str
    place: str
    kind: Kind
    fits: Callable[[Finding], bool]
    text: str
    tried: bool = False


def _pointer(*ends: str) -> Callable[[Finding], bool]:
    return lambda finding: str(finding.where.get("pointer", "")).endswith(ends)


def _member(*ends: str) -> Callable[[Finding], bool]:
    return lambda finding: str(finding.where.get("member", "")).endswith(ends)


def _says(*starts: str) -> Callable[[Finding], bool]:
    return lambda finding: finding.evidence.startswith(starts)


def _any(_: Finding) -> bool:
    return True


_PDF = (
    "Matplotlib: savefig(..., metadata={'CreationDate': None}); ReportLab: Canvas(..., invariant=1);"
    " Pillow: save(..., creationDate=time.gmtime(0), modDate=time.gmtime(0)); or SOURCE_DATE_EPOCH=0 (not Pillow)"
)
_SQLITE = "copy the finished database with VACUUM INTO 'new.gpkg', or write it in one transaction"
_TAR = (
    "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu; in Python set mtime, uid and gid"
    " of each TarInfo to 0, uname and gname to '', and use format=tarfile.GNU_FORMAT"
)
_GZIP = (
    "write gzip without the time: gzip -n; in Python mtime=0"
    " (pandas: compression={'method': 'gzip', 'mtime': 0})"
)
_ATTRIBUTES = (
    "zip: ZipInfo(...).external_attr = 0o644 << 16; tar: mode, uid and gid of each TarInfo as well, uname ''"
)
_PINNED = "pin the library that writes the file (a lock file): its version stands in the file"

CATALOGUE = (
    Row(
        "gpkg-last-change",
        "GeoPackage: `last_change` in `gpkg_contents`",
        Kind.TIMESTAMP,
        lambda finding: finding.where.get("column") == "last_change",
        "set OGR_CURRENT_DATE=2000-01-01T00:00:00.000Z while writing the GeoPackage",
        tried=True,
    ),
    Row(
        "gpkg-metadata",
        "GeoPackage: `timestamp` in `gpkg_metadata_reference`",
        Kind.TIMESTAMP,
        lambda finding: finding.where.get("layer") == "gpkg_metadata_reference",
        "set OGR_CURRENT_DATE=2000-01-01T00:00:00.000Z while writing the GeoPackage (GDAL 3.3 or newer)",
        tried=True,
    ),
    Row(
        "gzip-time",
        "gzip: MTIME in the header",
        Kind.TIMESTAMP,
        lambda finding: "gzip" in str(finding.where.get("member", "")),
        _GZIP,
        tried=True,
    ),
    Row(
        "gzip-name",
        "gzip: the name of the file in the header",
        Kind.ENTRY_METADATA,
        lambda finding: finding.where.get("member") == "gzip header" and finding.evidence.startswith("FNAME"),
        "write gzip without the name: gzip -n; in Python gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0)",
        tried=True,
    ),
    Row(
        "xlsx-created",
        "XLSX: `created` and `modified` in `docProps/core.xml`",
        Kind.TIMESTAMP,
        _member("docProps/core.xml"),
        "XlsxWriter: workbook.set_properties({'created': datetime(2000, 1, 1)}); openpyxl has no option",
        tried=True,
    ),
    Row(
        "zip-dates",
        "zip, XLSX, ODS, KMZ, SHZ: dates of the entries",
        Kind.TIMESTAMP,
        _says("date of the entry"),
        "write every entry as zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), names sorted; GDAL (KMZ, SHZ, ODS, XLSX),"
        " pandas and openpyxl have no option: pack the finished file again so",
        tried=True,
    ),
    Row("tar-times", "tar: mtime of the entries", Kind.TIMESTAMP, _says("mtime:"), _TAR, tried=True),
    Row(
        "pdf-dates",
        "PDF, PostScript: CreationDate, ModDate",
        Kind.TIMESTAMP,
        _pointer("/CreationDate", "/ModDate", "/CreateDate", "/ModifyDate", "/MetadataDate"),
        _PDF,
        tried=True,
    ),
    Row(
        "pdf-id",
        "PDF: the id of the file, a digest of content and time",
        Kind.IDENTIFIER,
        _pointer("/ID", "/DocumentID", "/InstanceID"),
        _PDF,
        tried=True,
    ),
    Row(
        "svg-date",
        "SVG of Matplotlib: date in the metadata",
        Kind.TIMESTAMP,
        lambda finding: str(finding.where.get("pointer", "")).startswith("/svg/metadata"),
        "Matplotlib: savefig(..., metadata={'Date': None})",
        tried=True,
    ),
    Row(
        "svg-ids",
        "SVG of Matplotlib: ids of elements, drawn at random",
        Kind.IDENTIFIER,
        _says("ids of elements"),
        "Matplotlib: rcParams['svg.hashsalt'] = 'any fixed text'",
        tried=True,
    ),
    Row(
        "rdf-blank-nodes",
        "RDF: names of blank nodes, drawn at random",
        Kind.IDENTIFIER,
        _says("the same graph"),
        "give every node a name: rdflib graph.skolemize(), or serialise as Turtle, which sorts",
        tried=True,
    ),
    Row(
        "part-names",
        "tables in part files: names drawn at random",
        Kind.IDENTIFIER,
        _says("the part files bear names"),
        "pyarrow: write_to_dataset(..., basename_template='part-{i}.parquet')",
        tried=True,
    ),
    Row(
        "hdf5-times",
        "HDF5: modification times in the headers of objects",
        Kind.TIMESTAMP,
        _says("modification times in the headers of objects"),
        "h5py: create_dataset(..., track_times=False); PyTables: track_times=False",
        tried=True,
    ),
    Row(
        "dbf-date",
        "dBASE, Shapefile: the day in the header",
        Kind.TIMESTAMP,
        lambda finding: (
            finding.where.get("pointer") == "/header/date" or "date of the last update" in finding.evidence
        ),
        "GDAL: layer option DBF_DATE_LAST_UPDATE=2000-01-01"
        " (pyogrio: write_dataframe(..., DBF_DATE_LAST_UPDATE='2000-01-01'))",
        tried=True,
    ),
    Row(
        "tiff-date",
        "TIFF: the tag DateTime",
        Kind.TIMESTAMP,
        _pointer("/DateTime", "/TIFFTAG_DATETIME"),
        "leave the tag TIFFTAG_DATETIME out",
        tried=True,
    ),
    Row(
        "png-software",
        "PNG of Matplotlib, TIFF: the tag Software",
        Kind.LIBRARY_VERSION,
        _pointer("/Software"),
        "Matplotlib: savefig(..., metadata={'Software': None})",
    ),
    Row(
        "library-version",
        "Parquet, GeoParquet, SQLite, PDF, netCDF-4 and others: the version of the library",
        Kind.LIBRARY_VERSION,
        _any,
        _PINNED,
    ),
    Row(
        "entry-order",
        "zip, tar, Zarr: the order of the entries",
        Kind.ENTRY_ORDER,
        _any,
        "add the members sorted by name; zarr: zarr.config.set({'async.concurrency': 1})",
        tried=True,
    ),
    Row(
        "entries-twice",
        "zip, Zarr: entries that a later one of the same name hides",
        Kind.DUPLICATE_ENTRY,
        _any,
        "write a Zarr store as a folder, and pack that once it is finished",
        tried=True,
    ),
    Row(
        "entry-attributes",
        "zip, tar: modes and owners of the entries",
        Kind.ENTRY_METADATA,
        _says("external_attr", "uid", "gid", "uname", "gname", "mode"),
        _ATTRIBUTES,
        tried=True,
    ),
    Row(
        "tiff-blocks",
        "TIFF: order, compression and size of the blocks",
        Kind.BLOCK_LAYOUT,
        _any,
        "write the blocks in one order with the same options, or as a COG",
        tried=True,
    ),
    Row(
        "tiff-dead-blocks",
        "TIFF: blocks that were written again",
        Kind.DEAD_SPACE,
        _any,
        "write into a new file, or copy it (gdal_translate): old blocks stay in it",
        tried=True,
    ),
    Row(
        "sqlite-free-pages",
        "SQLite, GeoPackage: free pages with deleted rows",
        Kind.GARBAGE,
        _says("free pages"),
        _SQLITE,
        tried=True,
    ),
    Row(
        "sqlite-layout",
        "SQLite, GeoPackage: transactions, schema changes, pages in the header",
        Kind.LAYOUT,
        _says("file header:", "every value of the sqlite"),
        f"{_SQLITE}; insert in the order of the key",
        tried=True,
    ),
    Row(
        "gpkg-rtree",
        "GeoPackage: nodes of the spatial index",
        Kind.SPATIAL_INDEX,
        _any,
        "sort the features before writing, with one version of GDAL; or SPATIAL_INDEX=NO",
        tried=True,
    ),
    Row(
        "dat-garbage",
        "MapInfo .dat: memory that GDAL does not set",
        Kind.GARBAGE,
        _says("what a writer did not set"),
        "GDAL has no option: write a GeoPackage, or a MIF file, instead",
        tried=True,
    ),
    Row(
        "layer-name",
        "FlatGeobuf, GeoJSON, KML, GML, GeoPackage: a layer that is named after its file",
        Kind.LAYER_NAME,
        _any,
        "name the layer: pyogrio write_dataframe(..., layer='wells'), ogr2ogr -nln wells",
        tried=True,
    ),
    Row(
        "netcdf-tasks",
        "netCDF-4 of xarray with dask: chunks in the order in which tasks end",
        Kind.LAYOUT,
        _says("every value of the hdf5"),
        "xarray with dask: dataset.load() before to_netcdf(), or write Zarr",
        tried=True,
    ),
    Row(
        "hdf5-chunks",
        "HDF5, netCDF-4, Zarr: chunks and compression",
        Kind.CHUNKING,
        _any,
        "state chunks and compression when writing",
    ),
    Row(
        "parquet-layout",
        "Parquet: row groups, encodings, compression",
        Kind.LAYOUT,
        _says("row groups", "encodings", "compression"),
        "state row_group_size, compression and version when writing, with one library",
    ),
    Row(
        "duckdb-file",
        "DuckDB: the ids of the database, stale memory in its blocks",
        Kind.LAYOUT,
        _says("every value of the duckdb"),
        "DuckDB has no option: export the tables (COPY ... TO 'table.parquet') and keep those",
        tried=True,
    ),
)
"""In the order in which rows are asked: the first that fits."""
