"""How many rows or features an output has: from a footer or a header where one says it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import mmap
import re
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from kfm_repro.runs.csvcount import count_csv_rows

__all__ = ["count_records", "countable", "has_no_records", "is_vector_name", "may_be_geojson"]

_OPENERS: dict[str, Callable[[Path], io.BufferedIOBase]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_TEXTS = frozenset(
    {
        ".csv",
        ".tsv",
        ".tab",
        ".json",
        ".geojson",
        ".geojsonl",
        ".geojsons",
        ".geojsonseq",
        ".jsonl",
        ".ndjson",
    }
)
_MAX_UNPACKED_BYTES = 512 << 20
_RECORD_SEPARATOR = b"\x1e"


def count_records(path: Path, name: str) -> dict[str, int]:
    """Return ``{"row_count": n}`` or ``{"feature_count": n}``, empty where the format has neither.

    A file that cannot be read has no count; that it is damaged is found when it is compared.
    """
    counter = _COUNTERS.get(_suffix(name))
    if counter is None:
        return {}
    try:
        packing = Path(name).suffix.lower()
        return _unpacked(counter, path, _OPENERS[packing]) if packing in _OPENERS else counter(path)
    except Exception:  # noqa: BLE001 - libraries raise anything on damaged files, and a count is optional
        return {}


_PERHAPS = frozenset((".json", ".duckdb", ".ddb"))
"""Not every JSON is GeoJSON, and not everywhere is duckdb installed."""


def countable(name: str) -> bool:
    """Return whether files of this name always have rows or features; one in JSON has them only as GeoJSON."""
    suffix = _suffix(name)
    return suffix in _COUNTERS and suffix not in _PERHAPS


def _suffix(name: str) -> str:
    """Return the suffix that tells the format: of a text that is compressed the one before."""
    suffix = Path(name).suffix.lower()
    inner = Path(name[: -len(suffix)]).suffix.lower() if suffix in _OPENERS else ""
    return inner if inner in _TEXTS else suffix


def _unpacked(
    counter: Callable[[Path], dict[str, int]], path: Path, opener: Callable[[Path], io.BufferedIOBase]
) -> dict[str, int]:
    """Count what is compressed; no count of what unpacks to more than a count is worth."""
    with opener(path) as source, tempfile.NamedTemporaryFile(prefix="kfm-count-") as target:
        size = 0
        while block := source.read(1 << 20):
            size += len(block)
            if size > _MAX_UNPACKED_BYTES:
                return {}
            target.write(block)
        target.flush()
        return counter(Path(target.name))


def may_be_geojson(name: str) -> bool:
    """Return whether files of this name are JSON, which has features when it is GeoJSON."""
    return _suffix(name) == ".json"


def has_no_records(name: str) -> bool:
    """Return whether files of this name are known to have neither rows nor features: texts, images, documents."""
    return Path(name).suffix.lower() in _NO_RECORDS


def is_vector_name(name: str) -> bool:
    """Return whether files of this name have, or may have, features that are not counted here; also compressed."""
    parts = {suffix.lower() for suffix in Path(name).suffixes[-2:]}
    return bool(parts & _VECTORS)


def _csv_rows(path: Path) -> dict[str, int]:
    return _rows(count_csv_rows(path))


def _tsv_rows(path: Path) -> dict[str, int]:
    return _rows(count_csv_rows(path, b"\t"))


def _parquet_rows(path: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    name = "feature_count" if b"geo" in (metadata.metadata or {}) else "row_count"
    return {name: metadata.num_rows}


def _arrow_rows(path: Path) -> dict[str, int]:
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(len(_ARROW_FILE))
    with pa.memory_map(str(path)) as source:
        if start == _ARROW_FILE:
            with pa.ipc.open_file(source) as reader:
                return {"row_count": reader.count_rows()}
        with pa.ipc.open_stream(source) as stream:
            return {"row_count": sum(batch.num_rows for batch in stream)}


_ARROW_FILE = b"ARROW1"


def _orc_rows(path: Path) -> dict[str, int]:
    from pyarrow import orc

    return {"row_count": orc.ORCFile(path).nrows}


def _duckdb_rows(path: Path) -> dict[str, int]:
    """Count the rows of all tables; no count where duckdb is not installed, or a log holds further rows."""
    import duckdb

    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        raise OSError(f"{log.name} holds rows that are not in the database yet")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(str(path), read_only=True, config=settings) as database:
        tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal")
        names = [
            ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in row) for row in tables.fetchall()
        ]
        counted = [database.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names]  # noqa: S608 - quoted
    return {"row_count": sum(row[0] for row in counted if row)}


class _GeoJson(msgspec.Struct):
    """What the count needs of a GeoJSON text; its features are checked to be JSON and not built."""

    type: str
    features: list[msgspec.Raw] | None = None


def _geojson_features(path: Path) -> dict[str, int]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        document = msgspec.json.decode(memoryview(text), type=_GeoJson)
        if document.type == "Feature":
            return {"feature_count": 1}
        found = document.features if document.type == "FeatureCollection" else None
        answer = {} if found is None else {"feature_count": len(found)}
        # The features are views of the mapped file, which cannot be closed before them.
        document.features = found = None
        return answer


class _Typed(msgspec.Struct):
    type: str = ""


def _json_lines(path: Path) -> dict[str, int]:
    """Count records: lines that are not blank, or what follows a record separator (RFC 8142).

    No count when the first or the last of the lines is no JSON: the text is another, or was cut off.
    """
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"").removeprefix(b"\xef\xbb\xbf")
        file.seek(0)
        if first.startswith(_RECORD_SEPARATOR):
            blocks = iter(lambda: file.read(1 << 20), b"")
            return {"feature_count": sum(block.count(_RECORD_SEPARATOR) for block in blocks)}
        count, last = 0, first
        for line in file:
            if not line.isspace():
                count, last = count + 1, line
    if first:
        json.loads(first)
        json.loads(last.removeprefix(b"\xef\xbb\xbf"))
    try:
        is_feature = msgspec.json.decode(first, type=_Typed).type == "Feature"
    except msgspec.MsgspecError:
        is_feature = False
    return {"feature_count" if is_feature else "row_count": count}


def _geojson_lines(path: Path) -> dict[str, int]:
    return {"feature_count": sum(_json_lines(path).values())}


def _geopackage_features(path: Path) -> dict[str, int]:
    with closing(_open_database(path)) as database:
        kinds = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents ORDER BY table_name"))
        layers = [name for name, kind in kinds.items() if kind == "features"]
        if layers:
            return {"feature_count": _sum_rows(database, layers)}
        tables = [name for name, kind in kinds.items() if kind == "attributes"]
        if tables:
            return {"row_count": _sum_rows(database, tables)}
        return {} if kinds else {"feature_count": 0}


def _database_rows(path: Path) -> dict[str, int]:
    with closing(_open_database(path)) as database:
        found = dict(
            database.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                "ORDER BY name"
            )
        )
        return {"row_count": _sum_rows(database, _tables_of_rows(found))}


def _tables_of_rows(found: dict[str, str | None]) -> list[str]:
    """Return the tables that hold a user's rows: none that a virtual table keeps for itself, no catalogue.

    ``found`` has the statement that made each. A full text table has rows; an index or a view of another does not.
    """
    virtual = {name: match[1].lower() for name, sql in found.items() if (match := _VIRTUAL.match(sql or ""))}
    kept_by_them = tuple(f"{name}_" for name in virtual)
    catalogues = _CATALOGUES if "geometry_columns" in map(str.lower, found) else ()
    return [
        name
        for name in found
        if not name.lower().startswith(catalogues)
        and (virtual[name].startswith("fts") if name in virtual else not name.startswith(kept_by_them))
    ]


_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+(\w+)", re.IGNORECASE | re.DOTALL)
_CATALOGUES = (
    "data_licenses", "elementarygeometries", "geom_cols_ref_sys", "geometry_columns", "iso_metadata", "knn", "networks",
    "raster_coverages", "rl2map_", "se_external_graphics", "se_fonts", "se_group_style", "se_raster_style",
    "se_vector_style", "spatial_ref_sys", "spatialindex", "spatialite_history", "sql_statements_log",
    "stored_procedures", "stored_variables", "topologies", "vector_coverages", "vector_layers",
    "views_geometry_columns", "virts_geometry_columns", "wms_",
)  # fmt: skip
"""How the tables begin that OGR and SpatiaLite keep beside a user's own."""


def _open_database(path: Path) -> sqlite3.Connection:
    """Open a database without ever writing beside it. Raises OSError when rows still wait in a journal."""
    for suffix in ("-wal", "-journal"):
        journal = path.with_name(path.name + suffix)
        if journal.is_file() and journal.stat().st_size:
            raise OSError(f"{journal.name} holds rows that are not in the database yet")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def _sum_rows(database: sqlite3.Connection, tables: Iterable[str]) -> int:
    quoted = ['"' + name.replace('"', '""') + '"' for name in tables]
    return sum(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in quoted)  # noqa: S608


def _flatgeobuf_features(path: Path) -> dict[str, int]:
    """Read ``features_count``, the ninth field of the header (FlatGeobuf 3.x header.fbs); 0 stands for unknown."""
    with path.open("rb") as file:
        magic, size = struct.unpack("<8sI", file.read(12))
        header = file.read(min(size, 1 << 20))
    if magic[:3] != b"fgb" or magic[3] != _FLATGEOBUF_MAJOR:
        return {}
    (table,) = struct.unpack_from("<I", header, 0)
    vtable = table - struct.unpack_from("<i", header, table)[0]
    (length,) = struct.unpack_from("<H", header, vtable)
    place = 4 + 2 * _FEATURES_COUNT
    offset = struct.unpack_from("<H", header, vtable + place)[0] if place < length else 0
    count = struct.unpack_from("<Q", header, table + offset)[0] if offset else 0
    if not count and path.stat().st_size > 12 + size:
        return {}
    return {"feature_count": count}


_FLATGEOBUF_MAJOR, _FEATURES_COUNT = 3, 8


def _shapefile_features(path: Path) -> dict[str, int]:
    """Take the count from the index beside the shapes (ESRI Shapefile, July 1998): 8 bytes each after 100."""
    index = next(
        (found for suffix in (".shx", ".SHX") if (found := path.with_suffix(suffix)).is_file()), None
    )
    if index is None:
        return {}
    with index.open("rb") as file:
        code, words = struct.unpack(">i20xi", file.read(28))
    if code != _SHAPEFILE_CODE or words * 2 != index.stat().st_size:
        return {}
    count = (words * 2 - 100) // 8
    table = next(
        (found for suffix in (".dbf", ".DBF") if (found := path.with_suffix(suffix)).is_file()), None
    )
    if table is None:
        return {"feature_count": count}
    records, deleted = _dbf_records(table)
    return {"feature_count": count - deleted} if records == count else {}


_SHAPEFILE_CODE = 9994


def _dbf_rows(path: Path) -> dict[str, int]:
    count, deleted = _dbf_records(path)
    return {"row_count": count - deleted}


def _dbf_records(path: Path) -> tuple[int, int]:
    """Return how many records a dBASE table has, and how many of them are marked as deleted (a ``*`` in front).

    Raises OSError for a table that is cut off.
    """
    with path.open("rb") as file:
        count, header, record = struct.unpack("<4xIHH", file.read(12))
        if not header or not record or path.stat().st_size < header + count * record:
            raise OSError("the table is cut off")
        if not count:
            return 0, 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return count, text[header : header + count * record : record].count(b"*")


def _rows(count: int | None) -> dict[str, int]:
    return {} if count is None else {"row_count": count}


_COUNTERS: dict[str, Callable[[Path], dict[str, int]]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".tab": _tsv_rows,
    ".parquet": _parquet_rows,
    ".geoparquet": _parquet_rows,
    ".arrow": _arrow_rows,
    ".feather": _arrow_rows,
    ".arrows": _arrow_rows,
    ".ipc": _arrow_rows,
    ".orc": _orc_rows,
    ".duckdb": _duckdb_rows,
    ".ddb": _duckdb_rows,
    ".geojson": _geojson_features,
    ".json": _geojson_features,
    ".geojsonl": _geojson_lines,
    ".geojsons": _geojson_lines,
    ".geojsonseq": _geojson_lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".gpkg": _geopackage_features,
    ".sqlite": _database_rows,
    ".sqlite3": _database_rows,
    ".db": _database_rows,
    ".fgb": _flatgeobuf_features,
    ".shp": _shapefile_features,
    ".dbf": _dbf_rows,
}

_VECTORS = frozenset({
    ".kml", ".kmz", ".gml", ".gpx", ".topojson", ".zip", ".mif", ".dxf", ".osm", ".pbf", ".mvt", ".pmtiles", ".mbtiles",
    ".geojson", ".geojsonl", ".geojsons", ".geojsonseq", ".geoparquet", ".gpkg", ".fgb", ".shp",
})  # fmt: skip
_NO_RECORDS = frozenset({
    ".txt", ".md", ".rst", ".log", ".html", ".htm", ".css", ".js", ".pdf", ".xml", ".yaml", ".yml", ".toml", ".ini",
    ".cfg", ".py", ".sql", ".sh", ".ipynb", ".jsonld", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".bmp", ".tif",
    ".tiff", ".vrt", ".asc", ".jp2", ".nc", ".prj", ".cpg", ".shx", ".sbn", ".sbx", ".qix", ".qml", ".sld", ".npy",
    ".sha256",
})  # fmt: skip
"""What has no count that could be missing. The companions of a Shapefile have that of its ``.shp``."""
