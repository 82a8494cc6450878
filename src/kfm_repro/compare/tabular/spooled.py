"""Two delimited texts too large for the memory that there is: written as Parquet files of texts, and compared so."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.memory import economise
from kfm_repro.compare.tabular.dialect import header, sniff
from kfm_repro.compare.tabular.diff import Classifiers, compare_sources
from kfm_repro.compare.tabular.lines import Unsure, decoded
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.opening import MARKS, address_of, find_lines
from kfm_repro.compare.tabular.quotes import has_bare_empty, has_quoted_empty
from kfm_repro.compare.tabular.source import ParquetSource

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare_spooled"]

_BLOCK = 1 << 22
"""Bytes that are read at once: they become one row group."""
_PER_LINE = 32
_LONGEST = 1 << 26
"""Bytes of the longest record; a quote that never closes is not looked for in the whole text."""


def compare_spooled(
    a: Path, b: Path, context: Context, classifiers: Classifiers = lambda _: {}
) -> tuple[Finding, ...]:
    """Return everything in which the cells of two texts differ, in the memory that ``context`` gives.

    ``classifiers`` are asked with the names of the columns; see `compare_tables`.
    The files of texts lie below TMPDIR and are removed whatever happens; they take about as much as both sides.
    Raises Unsure for texts that are not written plainly, whose headers differ or that are not UTF-8.
    """
    import pyarrow.parquet as pq

    if library() is None:
        raise Unsure
    if context.options.memory_bytes is not None:
        economise()
    with tempfile.TemporaryDirectory(prefix="kfm-repro-text-") as folder:
        copies = [Path(folder, name) for name in ("a.parquet", "b.parquet")]
        texts = [_Text(path) for path in (a, b)]
        if texts[0].header != texts[1].header or texts[0].delimiter != texts[1].delimiter:
            raise Unsure
        for text, copy in zip(texts, copies, strict=True):
            text.write(copy)
        if any(text.quoted_empty for text in texts) and any(text.bare_empty for text in texts):
            raise Unsure  # two sorts of empty cells, see `quotes`
        with (
            pq.ParquetFile(copies[0]) as file_a,
            pq.ParquetFile(copies[1]) as file_b,
            ParquetSource(file_a, copies[0]) as left,
            ParquetSource(file_b, copies[1]) as right,
        ):
            told_apart = classifiers(texts[0].names)
            return compare_sources(left, right, context, classifiers=told_apart, text=True)


class _Text:
    """One side: what its first record says, and what was met of empty cells once it has been written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.read(_BLOCK)
        if head.startswith(MARKS):
            raise Unsure
        cut = head.rfind(b"\n") + 1
        self.delimiter = sniff(decoded(head[:cut]))
        self.names, raw = header(decoded(next(self._blocks(), b"")), self.delimiter)
        self.header = raw.encode()
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):  # noqa: PLR2004
            raise Unsure
        self.quoted_empty = self.bare_empty = False

    def write(self, copy: Path) -> None:
        """Write all records but the header as a table of texts, a row group per block."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([(name, pa.string()) for name in self.names])
        skipped = len(self.header)
        with pq.ParquetWriter(
            copy, schema, compression="lz4", use_dictionary=False, write_statistics=False
        ) as out:
            for block in self._blocks():
                rows = block[skipped:]
                skipped = 0
                if rows:
                    out.write_table(self._table(rows, schema))

    def _table(self, rows: bytes, schema: pa.Schema) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        text = decoded(rows)
        self.quoted_empty = self.quoted_empty or has_quoted_empty(text, self.delimiter)
        self.bare_empty = self.bare_empty or has_bare_empty(text, self.delimiter)
        try:
            table = arrow_csv.read_csv(
                pa.py_buffer(rows),
                read_options=arrow_csv.ReadOptions(column_names=self.names, block_size=_LONGEST),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, ignore_empty_lines=False
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=schema, strings_can_be_null=False, null_values=[]
                ),
            )
        except pa.ArrowException as exc:
            raise Unsure from exc
        return table

    def _blocks(self) -> Iterator[bytes]:
        """Yield the text in blocks of whole records. Raises Unsure where it is not written plainly."""
        rest = b""
        with self.path.open("rb", buffering=0) as file:
            while True:
                read = file.read(_BLOCK)
                data = bytearray(rest + read)
                if not data:
                    return
                if len(rest) > _LONGEST:
                    raise Unsure
                places = find_lines(
                    address_of(data), len(data), self.delimiter, per_line=_PER_LINE, whole=not read
                )
                end = places.end()
                rest = bytes(data[end:])
                if end:
                    yield bytes(data[:end])
                if not read:
                    return
