"""Arrow IPC files and streams, and both versions of Feather: values, metadata, and how they were written."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.tabular.decoded import check_size, collect, compare_decoded
from kfm_repro.compare.tabular.ipc_messages import Written, scan
from kfm_repro.compare.tabular.metadata import Described, described_findings
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.context import Context

__all__ = ["compare", "read_table"]

_FILE, _FEATHER_1 = b"ARROW1", b"FEA1"


@dataclass(frozen=True)
class _File:
    """One side: its table, the metadata of the footer and of batches, and how it was written."""

    table: pa.Table
    metadata: dict[bytes, bytes]
    written: dict[str, Any]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Arrow files, streams or Feather files by schema, values, metadata and layout.

    A file and a stream of the same content differ in layout alone. Raises Unreadable for a damaged or cut
    file, and LimitExceeded for one that would decode to too much, before it is decoded.
    """
    left, right = _open(a, context), _open(b, context)
    findings = compare_decoded(left.table, right.table, context)
    described = [
        Described(f.table.schema.metadata or {}, f.table.schema, f.table.num_rows) for f in (left, right)
    ]
    return (
        *findings,
        *described_findings(described[0], described[1], context),
        *_file_metadata(left, right, context),
        *_layout(left, right, equal=not findings),
    )


def read_table(path: Path, context: Context) -> tuple[pa.Table, dict[bytes, bytes]]:
    """Return the rows of a file or stream and its key-value metadata. Raises Unreadable and LimitExceeded."""
    file = _open(path, context)
    return file.table, {**(file.table.schema.metadata or {}), **file.metadata}


def _open(path: Path, context: Context) -> _File:
    import pyarrow as pa

    with path.open("rb") as source:
        start = source.read(len(_FILE))
    with reading(path, "Arrow", pa.ArrowException, RecursionError):
        if start.startswith(_FEATHER_1):
            return _feather_1(path, context)
        written = scan(path)
        check_size(written.decoded, context)
        opener = pa.ipc.open_file if start == _FILE else pa.ipc.open_stream
        with pa.memory_map(str(path)) as source, opener(source) as reader:
            metadata = dict(getattr(reader, "metadata", None) or {})
            table = collect(reader.schema, _batches(reader, metadata), context, rows=written.rows)
        if table.num_rows != written.rows:
            raise ValueError(f"{table.num_rows} rows are listed, {written.rows} are there")
    return _File(table, metadata, _aspects(written))


def _batches(
    reader: Any,  # noqa: ANN401 - either reader of an untyped library
    metadata: dict[bytes, bytes],
) -> Iterator[pa.RecordBatch]:
    """Yield the record batches; what the message of one says besides is put into ``metadata``."""
    if hasattr(reader, "num_record_batches"):
        found = (reader.get_batch_with_custom_metadata(i) for i in range(reader.num_record_batches))
    else:
        found = reader.iter_batches_with_custom_metadata()
    for i, (batch, own) in enumerate(found):
        metadata.update((b"batch %d: %s" % (i, key), value) for key, value in (own or {}).items())
        yield batch


def _feather_1(path: Path, context: Context) -> _File:
    """Read the format before Arrow's own: it has no compression, so that its size bounds the table's."""
    from pyarrow import feather

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        table = feather.read_table(path, memory_map=False)
    checked = collect(table.schema, table.to_batches(), context)
    return _File(checked, {}, {"container": "Feather version 1"})


def _aspects(written: Written) -> dict[str, Any]:
    return {
        "container": "stream" if written.is_stream else "file",
        "compression": ", ".join(sorted(written.codecs)) or "none",
        "format version": f"V{written.version + 1}",
        "record batches": written.batches,
        "rows per batch": " ".join(map(str, written.lengths[:_SHOWN])),
        "dictionary batches": written.dictionaries,
    }


_SHOWN = 20
_BY_CONTENT = ("record batches", "rows per batch", "dictionary batches")
"""What follows from the rows too, and is compared only where these are equal."""


def _layout(a: _File, b: _File, *, equal: bool) -> list[Finding]:
    left, right = a.written, b.written
    differing = [
        name
        for name in dict.fromkeys((*left, *right))
        if name in left and name in right and left[name] != right[name] and (equal or name not in _BY_CONTENT)
    ]
    if not differing:
        return []
    said = "; ".join(f"{name} {left[name]} against {right[name]}" for name in differing)
    detail = {name: [left[name], right[name]] for name in differing}
    return [Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=said, detail=detail)]


def _file_metadata(a: _File, b: _File, context: Context) -> list[Finding]:
    """Compare the metadata of the footer and of batches, which hardly any writer sets."""
    import pyarrow as pa

    empty = pa.schema([])
    return described_findings(Described(a.metadata, empty, 0), Described(b.metadata, empty, 0), context)
