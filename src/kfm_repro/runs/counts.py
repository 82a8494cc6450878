"""How many rows or features an output has: from a footer or a header where one says it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

__all__ = ["count_records", "countable"]


def count_records(path: Path, name: str) -> dict[str, int]:
    """Return ``{"row_count": n}`` or ``{"feature_count": n}``, empty where the format has neither.

    A file that cannot be read has no count; that it is damaged is found when it is compared.
    """
    counter = _COUNTERS.get(Path(name).suffix.lower())
    if counter is None:
        return {}
    try:
        return counter(path)
    except Exception:  # noqa: BLE001 - libraries raise anything on damaged files, and a count is optional
        return {}


def countable(name: str) -> bool:
    """Return whether files of this name have rows or features that can be counted here."""
    return Path(name).suffix.lower() in _COUNTERS


def _csv_rows(path: Path) -> dict[str, int]:
    import csv

    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = sum(1 for row in csv.reader(file) if row)
    return {"row_count": max(rows - 1, 0)}


def _parquet_rows(path: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    name = "feature_count" if b"geo" in (metadata.metadata or {}) else "row_count"
    return {name: metadata.num_rows}


def _geojson_features(path: Path) -> dict[str, int]:
    document = json.loads(path.read_bytes())
    features = document.get("features") if isinstance(document, dict) else None
    return {"feature_count": len(features)} if isinstance(features, list) else {}


def _geopackage_features(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        names = [
            row[0]
            for row in database.execute(
                "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' ORDER BY table_name"
            )
        ]
        quoted = ['"' + name.replace('"', '""') + '"' for name in names]
        count = sum(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in quoted)  # noqa: S608
    return {"feature_count": count}


_COUNTERS: dict[str, Callable[[Path], dict[str, int]]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".parquet": _parquet_rows,
    ".geoparquet": _parquet_rows,
    ".geojson": _geojson_features,
    ".gpkg": _geopackage_features,
}
