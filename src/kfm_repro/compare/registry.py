"""The table of formats: which comparator looks at which file. A new format is one file and one row here."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from kfm_repro.compare.context import Context
from kfm_repro.model.finding import Finding, Kind

__all__ = [
    "BINARY",
    "CHUNK",
    "FORMATS",
    "TEXT",
    "Comparator",
    "Format",
    "are_one",
    "candidates",
    "format_by_content",
    "format_by_name",
    "recognise",
]

Comparator = Callable[[Path, Path, Context], tuple[Finding, ...]]

_HEAD_BYTES = 4096
_TAIL_BYTES = 8
"""As long as the longest ``tail`` with what comes after."""
_SEARCHED_BYTES = 64 << 20
"""Larger documents are GeoJSON by their first bytes or not at all."""
_GEOJSON_TYPE = (
    rb'"type"\s*:\s*"(?:FeatureCollection|Feature|GeometryCollection|(?:Multi)?(?:Point|LineString|Polygon))"'
)
_GEOJSON_FIRST = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\s*" + _GEOJSON_TYPE)
_GEOJSON_ANYWHERE = re.compile(_GEOJSON_TYPE)

_SQLITE = (".gpkg", ".sqlite", ".db", ".mbtiles")
_ZARR = (".zarray", ".zattrs", ".zgroup", ".zmetadata")
"""Names, not suffixes: what describes a store of Zarr's second version."""
_XML = (".xml", ".svg", ".gpx", ".rels", ".xsd", ".vrt", ".qgs", ".sld", ".xmp")


@dataclass(frozen=True)
class Format:
    """One row: how a format is recognised and what compares it.

    ``magic`` (the bytes at offset ``at``) wins over ``suffixes``, so that a wrong extension does not mislead;
    with ``tail``, only in a file that also ends so (``after`` bytes before its end), or is called so.
    ``old`` says that older files of the format have no magic: the suffix is enough. ``opaque`` says that a
    text is never of the format, though it may begin with the same letters. A ``dialect_of`` another format begins
    as that does: the suffix tells them apart.
    ``residual`` is the kind reported when the bytes differ and the comparator found the meaning equal.
    ``comparator`` is ``module:function``, imported when first needed.
    """

    name: str
    comparator: str
    residual: Kind
    suffixes: tuple[str, ...] = ()
    magic: bytes = b""
    at: int = 0
    tail: bytes = b""
    after: int = 0
    old: bool = False
    opaque: bool = False
    dialect_of: str = ""

    def load(self) -> Comparator:
        """Import and return the comparator."""
        module, _, function = self.comparator.partition(":")
        return cast("Comparator", getattr(import_module(f"kfm_repro.compare.{module}"), function))


FORMATS: tuple[Format, ...] = (
    Format(
        "parquet", "columnar:compare", Kind.LAYOUT, (".parquet", ".geoparquet", ".pq"), b"PAR1", tail=b"PAR1"
    ),
    Format("parquet", "columnar:compare", Kind.LAYOUT, (), b"PARE", tail=b"PARE"),
    Format(
        "arrow",
        "tabular.ipc:compare",
        Kind.LAYOUT,
        (".arrow", ".feather", ".ipc"),
        b"ARROW1\x00\x00",
        tail=b"ARROW1",
        old=True,
    ),
    Format(
        "arrow-stream",
        "tabular.ipc:compare",
        Kind.LAYOUT,
        (".arrows",),
        b"\xff\xff\xff\xff",
        tail=b"\xff\xff\xff\xff\x00\x00\x00\x00",
        old=True,
    ),
    Format("feather", "tabular.ipc:compare", Kind.LAYOUT, (), b"FEA1", tail=b"FEA1", opaque=True),
    Format("orc", "tabular.orc:compare", Kind.LAYOUT, (".orc",), b"ORC", tail=b"ORC", after=1, opaque=True),
    Format("flatgeobuf", "vector.flatgeobuf:compare", Kind.LAYOUT, (".fgb",), b"fgb\x03fgb"),
    Format("sqlite", "tiles.mbtiles:compare_sqlite", Kind.LAYOUT, _SQLITE, b"SQLite format 3\x00"),
    Format("duckdb", "duckdbfile:compare", Kind.LAYOUT, (".duckdb", ".ddb"), b"DUCK", at=8, opaque=True),
    Format(
        "shapefile", "vector.shapefile:compare_shapes", Kind.LAYOUT, (".shp", ".shx"), b"\x00\x00\x27\x0a"
    ),
    Format("dbf", "vector.shapefile:compare_table", Kind.LAYOUT, (".dbf",)),
    Format(
        "shapefile part",
        "vector.shapefile:compare_part",
        Kind.ENCODING,
        (".prj", ".cpg", ".qix", ".sbn", ".sbx", ".fix", ".idm", ".ind"),
    ),
    Format("gzip", "archive:compare_gzip", Kind.LAYOUT, (".gz",), b"\x1f\x8b"),
    Format("bzip2", "archive:compare_bzip2", Kind.LAYOUT, (".bz2", ".tbz2"), b"1AY&SY", at=4, opaque=True),
    Format("zip", "zipped:compare", Kind.LAYOUT, (".zip", ".kmz", ".npz"), b"PK\x03\x04"),
    Format("xlsx", "workbook:compare", Kind.LAYOUT, (".xlsx", ".xlsm"), b"PK\x03\x04"),
    Format("ods", "workbook.opendocument:compare", Kind.LAYOUT, (".ods",), b"PK\x03\x04"),
    Format("zip", "zipped:compare", Kind.LAYOUT, (), b"PK\x05\x06"),
    Format("tiff", "raster.geotiff:compare", Kind.LAYOUT, (".tif", ".tiff"), b"II*\x00"),
    Format("tiff", "raster.geotiff:compare", Kind.LAYOUT, (), b"MM\x00*"),
    Format("tiff", "raster.geotiff:compare", Kind.LAYOUT, (), b"II+\x00"),
    Format("tiff", "raster.geotiff:compare", Kind.LAYOUT, (), b"MM\x00+"),
    Format("npy", "arrays.npy:compare", Kind.LAYOUT, (".npy",), b"\x93NUMPY"),
    Format("hdf5", "arrays.hdf5:compare", Kind.LAYOUT, (".h5", ".hdf5", ".nc", ".nc4"), b"\x89HDF\r\n\x1a\n"),
    Format("xz", "archive:compare_xz", Kind.LAYOUT, (".xz", ".txz"), b"\xfd7zXZ\x00"),
    Format("zstd", "archive:compare_zstd", Kind.LAYOUT, (".zst", ".zstd", ".tzst"), b"\x28\xb5\x2f\xfd"),
    Format("pdf", "document.pdf:compare_pdf", Kind.BYTES, (".pdf",), b"%PDF-"),
    Format("postscript", "document.pdf:compare_postscript", Kind.ENCODING, (".ps", ".eps"), b"%!PS"),
    Format("netcdf", "arrays.netcdf:compare", Kind.LAYOUT, (), b"CDF\x01"),
    Format("netcdf", "arrays.netcdf:compare", Kind.LAYOUT, (), b"CDF\x02"),
    Format("netcdf", "arrays.netcdf:compare", Kind.LAYOUT, (), b"CDF\x05"),
    Format("png", "raster.images:compare_png", Kind.LAYOUT, (".png",), b"\x89PNG\r\n\x1a\n"),
    Format("jpeg", "raster.images:compare_jpeg", Kind.LAYOUT, (".jpg", ".jpeg"), b"\xff\xd8\xff"),
    Format("pmtiles", "tiles.pmtiles:compare", Kind.LAYOUT, (".pmtiles",), b"PMTiles\x03"),
    Format("tar", "archive:compare_tar", Kind.LAYOUT, (".tar",), b"ustar", at=257, old=True),
    Format("geojson", "vector.geojson:compare", Kind.ENCODING, (".geojson",)),
    Format("jsonl", "jsonlines:compare", Kind.ENCODING, (".jsonl", ".ndjson")),
    Format("kml", "vector.kml:compare", Kind.ENCODING, (".kml",), dialect_of="xml"),
    Format("gml", "vector.gml:compare", Kind.ENCODING, (".gml",), dialect_of="xml"),
    Format(
        "geojsonseq", "vector.geojson_seq:compare", Kind.ENCODING, (".geojsonl", ".geojsons", ".geojsonseq")
    ),
    Format("csv", "delimited:compare", Kind.ENCODING, (".csv", ".tsv", ".tab")),
    Format("json", "document:compare_json", Kind.ENCODING, (".json", *_ZARR)),
    Format("jsonld", "document.rdf:compare_jsonld", Kind.ENCODING, (".jsonld",)),
    Format("ntriples", "document.rdf:compare_ntriples", Kind.ENCODING, (".nt",)),
    Format("turtle", "document.rdf:compare_turtle", Kind.ENCODING, (".ttl",)),
    Format("xml", "document.xml:compare_xml", Kind.ENCODING, _XML, b"<?xml", old=True),
    Format("xml", "document.xml:compare_xml", Kind.ENCODING, (), b"\xef\xbb\xbf<?xml"),
    Format("xml", "document.xml:compare_xml", Kind.ENCODING, (), "\ufeff<?xml".encode("utf-16-le")),
    Format("xml", "document.xml:compare_xml", Kind.ENCODING, (), "\ufeff<?xml".encode("utf-16-be")),
    Format("mvt", "tiles.pyramid:compare_tile_pair", Kind.LAYOUT, (".mvt", ".pbf")),
    Format("dbase", "dbase:compare", Kind.LAYOUT, (".dat",)),
    Format("toml", "document:compare_toml", Kind.ENCODING, (".toml",)),
    Format("yaml", "document:compare_yaml", Kind.ENCODING, (".yaml", ".yml")),
)
CHUNK = Format("zarr", "arrays.chunks:compare", Kind.CHUNKING)
"""A chunk of a Zarr store that is a folder: known by what lies beside it."""
TEXT = Format("text", "text:compare", Kind.ENCODING)
BINARY = Format("binary", "bytes:compare", Kind.BYTES)


@dataclass(frozen=True)
class _Look:
    """The first and the last bytes of a file."""

    head: bytes
    tail: bytes

    def begins(self, row: Format) -> bool:
        begun = bool(row.magic) and self.head.startswith(row.magic, row.at)
        return begun and not (row.opaque and not self.binary)

    def whole(self, row: Format) -> bool:
        return self.begins(row) and self.tail[: len(self.tail) - row.after].endswith(row.tail)

    @property
    def binary(self) -> bool:
        return _looks_binary(self.head)


def recognise(a: Path, b: Path, name: str) -> Format:
    """Return the format in which ``a`` and ``b``, both called ``name`` among the outputs, are compared.

    The first bytes of either side decide, so that a wrong extension misleads nobody and a damaged side
    is still read as what it should be; then the last suffix of the name; then whether both are text.
    """
    return candidates(a, b, name)[0]


def candidates(a: Path, b: Path, name: str) -> tuple[Format, ...]:
    """Return the formats to try, best first: the next one counts where neither side is of the one before.

    What both the bytes and the name promise is not second-guessed.
    """
    looks = tuple(_look(path) for path in (a, b))
    named = _by_suffix(name)
    last = BINARY if any(look.binary for look in looks) else TEXT
    rows = [*_promised(named, a, b, looks), last]
    for row in sorted(FORMATS, key=lambda row: row != named):
        if any(look.whole(row) for look in looks) or (
            row == named and any(look.begins(row) for look in looks)
        ):
            if named and named.dialect_of == row.name:
                return (named, row, *rows[1:])
            return _with_likeness(row) if row == named or last is BINARY else (row, *rows)
    return tuple(rows)


def _with_likeness(row: Format) -> tuple[Format, ...]:
    """Return the format, and after it the one whose first bytes it shares: a workbook is a zip file too."""
    return (
        row,
        *(other for other in FORMATS if other != row and other.name == "zip" and other.magic == row.magic),
    )


def _promised(named: Format | None, a: Path, b: Path, looks: tuple[_Look, ...]) -> tuple[Format, ...]:
    """Return what the name promises, if it may be: formats with a magic are known by that."""
    if named is None or (named.magic and not named.old):
        return ()
    if named.name == "json" and all(_is_geojson(*side) for side in zip((a, b), looks, strict=True)):
        return (next(row for row in FORMATS if row.name == "geojson"), named)
    return (named,)


def _is_geojson(path: Path, look: _Look) -> bool:
    """Return whether the ``type`` of the outermost object is one of GeoJSON (RFC 7946, section 1.4)."""
    if _GEOJSON_FIRST.match(look.head):
        return True
    if path.stat().st_size > _SEARCHED_BYTES:
        return b'"FeatureCollection"' in look.head
    raw = path.read_bytes()
    if not _GEOJSON_ANYWHERE.search(raw):
        return False
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError, MemoryError):
        return False
    kind = document.get("type") if isinstance(document, dict) else None
    return isinstance(kind, str) and bool(_GEOJSON_ANYWHERE.match(f'"type":"{kind}"'.encode()))


def format_by_content(path: Path) -> str:
    """Return what the first bytes of a file say it is: a format of the table, ``text``, or "" for no answer."""
    look = _look(path)
    begun = next((row for row in FORMATS if look.begins(row)), None)
    if begun:
        return begun.name if look.whole(begun) else ""
    return "text" if look.head and not look.binary else ""


def are_one(name: str, other: str) -> bool:
    """Return whether one comparator reads both formats: Arrow files and streams are the same table."""
    read = [{row.comparator for row in FORMATS if row.name == one} for one in (name, other)]
    return read[0] == read[1] != set()


def _look(path: Path) -> _Look:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return _Look(head, file.read(_TAIL_BYTES))


def _looks_binary(head: bytes) -> bool:
    """Return whether the first bytes are neither UTF-8 nor UTF-16 with its mark, or hold a NUL."""
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = codecs.getincrementaldecoder("utf-16" if marked else "utf-8")().decode(head)
    except UnicodeDecodeError:
        return True
    return "\x00" in text


def _by_suffix(name: str) -> Format | None:
    suffix = Path(name).suffix.lower() or Path(name).name
    return next((row for row in FORMATS if suffix in row.suffixes), None)


def format_by_name(name: str) -> str:
    """Return the format that a name promises, empty when no row has its suffix; reads nothing."""
    row = _by_suffix(name)
    return row.name if row else ""
