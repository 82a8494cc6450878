"""One table through the real writer of every tabular format; a writer says what its format cannot express."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json
import lzma
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import xlsxwriter

__all__ = ["PACKED", "WRITERS", "pack"]


def _parquet(table: pa.Table, path: Path, **how: Any) -> None:
    pq.write_table(table, path, **how)


def _arrow(table: pa.Table, path: Path, compression: str | None = None, chunk: int | None = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)


def _arrow_stream(
    table: pa.Table, path: Path, compression: str | None = None, chunk: int | None = None
) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)


def _feather(table: pa.Table, path: Path, **how: Any) -> None:
    pa.feather.write_feather(table, path, **how)


def _orc(table: pa.Table, path: Path, **how: Any) -> None:
    pa.orc.write_table(table, path, **how)


def _csv(table: pa.Table, path: Path, delimiter: str = ",") -> None:
    """Write with Arrow, which tells null from an empty text."""
    pa.csv.write_csv(table, path, pa.csv.WriteOptions(quoting_style="needed", delimiter=delimiter))


def _tsv(table: pa.Table, path: Path) -> None:
    _csv(table, path, "\t")


def _jsonl(table: pa.Table, path: Path) -> None:
    lines = (json.dumps(row, default=str) + "\n" for row in table.to_pylist())
    path.write_text("".join(lines), encoding="utf-8")


def _sqlite(table: pa.Table, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        table.to_pandas().to_sql("t", database, index=False)


def _duckdb(table: pa.Table, path: Path) -> None:
    with duckdb.connect(str(path)) as database:
        database.register("given", table)
        database.execute("CREATE TABLE t AS SELECT * FROM given")


def _xlsx(table: pa.Table, path: Path) -> None:
    workbook = xlsxwriter.Workbook(path)
    workbook.set_properties({"created": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)})
    sheet = workbook.add_worksheet("t")
    sheet.write_row(0, 0, table.column_names)
    for number, row in enumerate(table.to_pylist()):
        sheet.write_row(number + 1, 0, row.values())
    workbook.close()


WRITERS: dict[str, Callable[..., None]] = {
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "arrow": _arrow,
    "arrows": _arrow_stream,
    "feather": _feather,
    "orc": _orc,
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "xlsx": _xlsx,
}
"""By suffix."""


def _zstd(data: bytes, level: int = 3) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    del level
    return bytes(sink.getvalue())


PACKED: dict[str, Callable[..., bytes]] = {
    "gz": lambda data, level=6: gzip.compress(data, level, mtime=0),
    "bz2": lambda data, level=9: bz2.compress(data, level),
    "xz": lambda data, level=6: lzma.compress(data, preset=level),
    "zst": _zstd,
}
"""By suffix."""


def pack(path: Path, suffix: str, **how: Any) -> Path:
    """Compress a file beside itself and return where."""
    packed = path.with_name(f"{path.name}.{suffix}")
    packed.write_bytes(PACKED[suffix](path.read_bytes(), **how))
    return packed
