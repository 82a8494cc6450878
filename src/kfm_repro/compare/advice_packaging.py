"""What a pipeline writes so that packaging stays the same: the option of each library, ready to paste.

``tests/corpus/steady.py`` writes with these options under two clocks; the bytes are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kfm_repro.model.finding import Finding, Kind

__all__ = ["packaging_advice"]


@dataclass(frozen=True)
class _Row:
    """One row of the catalogue: which findings it is about, and what to do."""

    kind: Kind
    fits: Callable[[Finding], bool]
    text: str


def packaging_advice(finding: Finding) -> str:
    """Return the option that keeps this packaging the same, empty when none is known."""
    return next((row.text for row in _ROWS if row.kind is finding.kind and row.fits(finding)), "")


def _pointer(*ends: str) -> Callable[[Finding], bool]:
    return lambda finding: str(finding.where.get("pointer", "")).endswith(ends)


def _member(*ends: str) -> Callable[[Finding], bool]:
    return lambda finding: str(finding.where.get("member", "")).endswith(ends)


def _says(*starts: str) -> Callable[[Finding], bool]:
    return lambda finding: finding.evidence.startswith(starts)


_PDF = (
    "Matplotlib: savefig(..., metadata={'CreationDate': None}); ReportLab: Canvas(..., invariant=1);"
    " Pillow: save(..., creationDate=time.gmtime(0), modDate=time.gmtime(0)); or SOURCE_DATE_EPOCH=0 (not Pillow)"
)
_SQLITE = "copy the finished database with VACUUM INTO 'new.gpkg', or write it in one transaction"

_ROWS = (
    _Row(
        Kind.TIMESTAMP,
        lambda finding: finding.where.get("column") == "last_change",
        "set OGR_CURRENT_DATE=2000-01-01T00:00:00.000Z while writing the GeoPackage",
    ),
    _Row(
        Kind.TIMESTAMP,
        lambda finding: "gzip" in str(finding.where.get("member", "")),
        "write gzip without the time: gzip -n; in Python mtime=0"
        " (pandas: compression={'method': 'gzip', 'mtime': 0})",
    ),
    _Row(
        Kind.TIMESTAMP,
        _member("docProps/core.xml"),
        "XlsxWriter: workbook.set_properties({'created': datetime(2000, 1, 1)}); openpyxl has no option",
    ),
    _Row(
        Kind.TIMESTAMP,
        _says("date of the entry"),
        "write every entry as zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), names sorted",
    ),
    _Row(
        Kind.TIMESTAMP,
        _says("mtime:"),
        "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu; in Python set mtime, uid and gid"
        " of each TarInfo to 0 and use format=tarfile.GNU_FORMAT",
    ),
    _Row(Kind.TIMESTAMP, _pointer("/CreationDate", "/ModDate"), _PDF),
    _Row(Kind.IDENTIFIER, _pointer("/ID"), _PDF),
    _Row(
        Kind.TIMESTAMP,
        lambda finding: str(finding.where.get("pointer", "")).startswith("/svg/metadata"),
        "Matplotlib: savefig(..., metadata={'Date': None})",
    ),
    _Row(Kind.IDENTIFIER, _says("ids of elements"), "Matplotlib: rcParams['svg.hashsalt'] = 'any fixed text'"),
    _Row(
        Kind.IDENTIFIER,
        _says("the same graph"),
        "give every node a name: rdflib graph.skolemize(), or serialise as Turtle, which sorts",
    ),
    _Row(
        Kind.TIMESTAMP,
        _says("modification times in the headers of objects"),
        "h5py: create_dataset(..., track_times=False); PyTables: track_times=False",
    ),
    _Row(
        Kind.TIMESTAMP,
        lambda finding: finding.where.get("pointer") == "/header/date" or "date of the last update" in finding.evidence,
        "GDAL: layer option DBF_DATE_LAST_UPDATE=2000-01-01"
        " (pyogrio: write_dataframe(..., DBF_DATE_LAST_UPDATE='2000-01-01'))",
    ),
    _Row(Kind.TIMESTAMP, _pointer("/DateTime", "/TIFFTAG_DATETIME"), "leave the tag TIFFTAG_DATETIME out"),
    _Row(Kind.LIBRARY_VERSION, _pointer("/Software"), "Matplotlib: savefig(..., metadata={'Software': None})"),
    _Row(
        Kind.ENTRY_ORDER,
        lambda _: True,
        "add the members sorted by name; zarr: zarr.config.set({'async.concurrency': 1})",
    ),
    _Row(Kind.BLOCK_LAYOUT, lambda _: True, "write the blocks in one order with the same options, or as a COG"),
    _Row(Kind.DEAD_SPACE, lambda _: True, "write into a new file, or copy it (gdal_translate): old blocks stay in it"),
    _Row(Kind.GARBAGE, _says("free pages"), _SQLITE),
    _Row(Kind.LAYOUT, _says("file header: transactions"), _SQLITE),
    _Row(
        Kind.LAYOUT,
        _says("every value of the hdf5"),
        "xarray with dask: dataset.load() before to_netcdf(), or write Zarr",
    ),
    _Row(Kind.CHUNKING, lambda _: True, "state chunks and compression when writing"),
)  # fmt: skip
