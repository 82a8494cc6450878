"""Columns of an output: types, how much of them is null, and between what their values lie."""

from __future__ import annotations

import array
import codecs
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path, PurePosixPath
from typing import Any

from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.execute.collect import Produced

__all__ = ["MAX_BYTES", "MAX_ROWS", "describe_columns", "is_table"]

MAX_ROWS = 1_000_000
"""Rows that are read of one table; a report says when there are more."""
MAX_BYTES = 256 << 20
"""Largest file that is read as a whole; formats that can be streamed have no such limit."""
_CSV = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".geoparquet")
_VECTOR = (".geojson", ".gpkg")
_MAX_COLUMNS = 5_000
_BATCH = 65_536
_TEXT = 60


def is_table(item: Produced) -> bool:
    """Return whether an output has columns that can be described: CSV, Parquet, GeoJSON, GeoPackage."""
    return _suffix(item.entry.path) in (*_CSV, *_PARQUET, *_VECTOR)


def describe_columns(file: Path, name: str, *, disclose: bool) -> dict[str, Any]:
    """Return status, rows and columns of one table; the range of a column only when its values may be shown.

    Raises Unreadable, LimitExceeded, and whatever a reader raises on a damaged file.
    """
    suffix = _suffix(name)
    tables: Iterable[tuple[str, int | None, Iterator[Any]]]
    if suffix in _CSV:
        tables = [("", None, _csv(file, _CSV[suffix]))]
    elif suffix in _PARQUET:
        tables = [("", *_parquet(file))]
    else:
        tables = _layers(file, suffix)
    text = suffix in _CSV
    described = [
        _table(layer, rows, batches, text=text, disclose=disclose) for layer, rows, batches in tables
    ]
    faults = [table["reason"] for table in described if table["reason"]]
    status = "fail" if faults or not described else "pass"
    reason = faults[0] if faults else "" if described else "it holds no table"
    if len(described) == 1 and "layer" not in described[0]:
        return described[0] | {"status": status, "reason": reason}
    return {"status": status, "reason": reason, "layers": described}


@dataclass
class _Range:
    """The least and the greatest value so far."""

    low: Any = None
    high: Any = None

    def widen(self, low: Any, high: Any) -> None:  # noqa: ANN401 - values of any type
        """Take a range in."""
        if low is None or high is None:
            return
        self.low = low if self.low is None or low < self.low else self.low
        self.high = high if self.high is None or high > self.high else self.high


@dataclass
class _Column:
    """What is known of a column so far. ``kinds`` are what the cells of a text table can be read as."""

    stored: str
    nulls: int = 0
    rows: int = 0
    kinds: set[str] = field(default_factory=set)
    values: _Range = field(default_factory=_Range)
    numbers: _Range = field(default_factory=_Range)

    @property
    def kind(self) -> str:
        """The type: as stored, or for cells of text the narrowest that all of them allow."""
        return next((kind for kind in ("text", "number", "integer") if kind in self.kinds), self.stored)

    @property
    def range(self) -> _Range:
        """Between what its values lie."""
        return self.numbers if self.kind in ("number", "integer") else self.values


def _table(
    layer: str, total: int | None, batches: Iterator[Any], *, text: bool, disclose: bool
) -> dict[str, Any]:
    columns: dict[str, _Column] = {}
    names: list[str] = []
    read = 0
    for batch in batches:
        names = list(batch.schema.names)
        if len(names) > _MAX_COLUMNS:
            raise LimitExceeded(f"it has {len(names)} columns, more than {_MAX_COLUMNS}")
        part = batch.slice(0, max(MAX_ROWS - read, 0))
        read += part.num_rows
        for name, values in zip(names, part.columns, strict=True):
            column = columns.setdefault(name, _Column("text" if text else str(values.type)))
            (_take_cells if text else _take)(column, values)
        if read >= MAX_ROWS:
            break
    document: dict[str, Any] = {"layer": layer} if layer else {}
    twice = sorted({name for name in names if names.count(name) > 1})
    reason = f"columns of the same name: {', '.join(twice[:5])}" if twice else ""
    reason = reason or ("" if names else "it has no columns")
    document |= {"status": "fail" if reason else "pass", "reason": reason, "rows_read": read}
    if total is not None:
        document["rows"] = total
    if read >= MAX_ROWS and total != read:
        document["sampled"] = f"the first {MAX_ROWS} rows"
    document["columns"] = [_described(name, column, disclose=disclose) for name, column in columns.items()]
    return document


def _described(name: str, column: _Column, *, disclose: bool) -> dict[str, Any]:
    fraction = round(column.nulls / column.rows, 6) if column.rows else None
    document: dict[str, Any] = {"name": name, "type": column.kind, "null_fraction": fraction}
    if column.range.low is None:
        return document
    if not disclose:
        return document | {"range": "withheld: its label does not allow values to be shown"}
    return document | {"min": _plain(column.range.low), "max": _plain(column.range.high)}


def _take(column: _Column, values: Any) -> None:  # noqa: ANN401 - an Arrow array
    """Count the nulls of some values of a column and widen its range."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column.rows += len(values)
    column.nulls += values.null_count
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind):
        return
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
    if values.null_count == len(values):
        return
    try:
        bounds = pc.min_max(values).as_py()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return
    column.values.widen(bounds["min"], bounds["max"])


def _take_cells(column: _Column, values: Any) -> None:  # noqa: ANN401 - an Arrow array of texts
    """Take cells of a text table: empty ones are nulls; numbers are what reads as numbers, but 007 is a text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = values.filter(pc.not_equal(values, pa.scalar("", values.type)))
    column.rows += len(values)
    column.nulls += len(values) - len(filled)
    if not len(filled):
        return
    bounds = pc.min_max(filled).as_py()
    column.values.widen(bounds["min"], bounds["max"])
    if not pc.any(pc.match_substring_regex(filled, r"^[+-]?0\d")).as_py():
        for kind, target in (("integer", pa.int64()), ("number", pa.float64())):
            try:
                bounds = pc.min_max(pc.cast(filled, target)).as_py()
            except pa.ArrowInvalid:
                continue
            column.kinds.add(kind)
            column.numbers.widen(bounds["min"], bounds["max"])
            return
    column.kinds.add("text")


def _parquet(file: Path) -> tuple[int, Iterator[Any]]:
    import pyarrow.parquet as pq

    source = pq.ParquetFile(file)
    return source.metadata.num_rows, source.iter_batches(batch_size=65_536)


def _layers(file: Path, suffix: str) -> Iterator[tuple[str, int | None, Iterator[Any]]]:
    """Yield each layer of vector data without its geometries: name, number of features, batches."""
    import pyogrio

    if file.stat().st_size > MAX_BYTES and suffix == ".geojson":
        raise LimitExceeded(f"it is larger than {MAX_BYTES >> 20} MiB")
    options: dict[str, Any] = {"IMMUTABLE": "YES"} if suffix == ".gpkg" else {}
    for layer, _ in pyogrio.list_layers(file):
        _, table = pyogrio.read_arrow(
            file, layer=layer, read_geometry=False, max_features=MAX_ROWS, **options
        )
        count = pyogrio.read_info(file, layer=layer)["features"]
        several = suffix == ".gpkg"
        yield str(layer) if several else "", count, iter(table.to_batches() or [_no_rows(table.schema)])


def _no_rows(schema: Any) -> Any:  # noqa: ANN401 - Arrow
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=schema)


def _csv(file: Path, delimiter: str) -> Iterator[Any]:
    """Yield a CSV file in batches of texts. Raises Unreadable when it is empty, ragged or no text."""
    import csv

    with file.open("rb") as raw:
        head = raw.read(4)
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    with file.open(encoding=encoding, newline="") as text:
        rows = csv.reader(text, delimiter=delimiter)
        try:
            header = next(rows, None)
            if not header:
                raise Unreadable("it has no header")
            cells: list[list[str]] = []
            for row in rows:
                if row and len(row) != len(header):
                    raise Unreadable(f"line {rows.line_num} has {len(row)} cells, the header {len(header)}")
                cells += [row] if row else []
                if len(cells) == _BATCH:
                    yield _batch(header, cells)
                    cells = []
            yield _batch(header, cells)
        except (UnicodeError, csv.Error) as exc:
            raise Unreadable(f"it is no text table: {type(exc).__name__}") from exc


def _batch(header: list[str], rows: list[list[str]]) -> Any:  # noqa: ANN401 - an Arrow record batch
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return pa.RecordBatch.from_arrays([_texts(cells) for cells in columns], names=header)


def _texts(cells: Sequence[str]) -> Any:  # noqa: ANN401 - an Arrow array
    """Return texts as an Arrow array; ``pyarrow.array`` would load all of pandas to look at them."""
    import pyarrow as pa

    data = [cell.encode() for cell in cells]
    offsets = array.array("q", itertools.accumulate(map(len, data), initial=0))
    return pa.LargeStringArray.from_buffers(len(data), pa.py_buffer(offsets), pa.py_buffer(b"".join(data)))


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of a table as a JSON scalar
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
