"""The table of formats: which comparator looks at which file. A new format is one file and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from kfm_repro.compare.context import Context
from kfm_repro.model.finding import Finding, Kind

__all__ = [
    "BINARY",
    "FORMATS",
    "TEXT",
    "Comparator",
    "Format",
    "format_by_content",
    "format_by_name",
    "recognise",
]

Comparator = Callable[[Path, Path, Context], tuple[Finding, ...]]

_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """One row: how a format is recognised and what compares it.

    ``magic`` (the first bytes) wins over ``suffixes``, so that a wrong extension does not mislead.
    ``residual`` is the kind reported when the bytes differ and the comparator found the meaning equal.
    ``comparator`` is ``module:function``, imported when first needed.
    """

    name: str
    comparator: str
    residual: Kind
    suffixes: tuple[str, ...] = ()
    magic: bytes = b""

    def load(self) -> Comparator:
        """Import and return the comparator."""
        module, _, function = self.comparator.partition(":")
        return cast("Comparator", getattr(import_module(f"kfm_repro.compare.{module}"), function))


FORMATS: tuple[Format, ...] = (
    Format("parquet", "columnar:compare", Kind.LAYOUT, (".parquet", ".geoparquet", ".pq"), b"PAR1"),
    Format("sqlite", "database:compare", Kind.LAYOUT, (".gpkg", ".sqlite", ".db"), b"SQLite format 3\x00"),
    Format("gzip", "archive:compare_gzip", Kind.LAYOUT, (".gz",), b"\x1f\x8b"),
    Format("zip", "archive:compare_zip", Kind.LAYOUT, (".zip", ".kmz", ".npz"), b"PK\x03\x04"),
    Format("geojson", "vector.geojson:compare", Kind.ENCODING, (".geojson",)),
    Format("csv", "tabular.csv:compare", Kind.ENCODING, (".csv", ".tsv")),
    Format("json", "document:compare_json", Kind.ENCODING, (".json", ".jsonld")),
    Format("yaml", "document:compare_yaml", Kind.ENCODING, (".yaml", ".yml")),
)
TEXT = Format("text", "text:compare", Kind.ENCODING)
BINARY = Format("binary", "bytes:compare", Kind.BYTES)


def recognise(a: Path, b: Path, name: str) -> Format:
    """Return the format in which ``a`` and ``b``, both called ``name`` among the outputs, are compared.

    The first bytes of either side decide, so that a wrong extension misleads nobody and a damaged side
    is still read as what it should be; then the last suffix of the name; then whether both are text.
    """
    heads = tuple(_head(path) for path in (a, b))
    for row in FORMATS:
        if row.magic and any(head.startswith(row.magic) for head in heads):
            return row
    suffix = Path(name).suffix.lower()
    for row in FORMATS:
        if suffix in row.suffixes and not row.magic:
            if row.name == "json" and all(b'"FeatureCollection"' in head for head in heads):
                return next(other for other in FORMATS if other.name == "geojson")
            return row
    return BINARY if any(_looks_binary(head) for head in heads) else TEXT


def format_by_content(path: Path) -> str:
    """Return what the first bytes of a file say it is: a format of the table, ``text``, or "" for no answer."""
    head = _head(path)
    known = next((row.name for row in FORMATS if row.magic and head.startswith(row.magic)), "")
    return known or ("text" if head and not _looks_binary(head) else "")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _looks_binary(head: bytes) -> bool:
    if b"\x00" in head:
        return True
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start < len(head) - 3
    return False


def format_by_name(name: str) -> str:
    """Return the format that a name promises, empty when no row has its suffix; reads nothing."""
    suffix = Path(name).suffix.lower()
    return next((row.name for row in FORMATS if suffix in row.suffixes), "")
