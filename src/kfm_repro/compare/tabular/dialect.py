"""Reading a CSV or TSV file as text cells, nothing inferred, and how it was written.

Files whose quoting is beyond doubt, without blank lines, go through Arrow's reader. Everything else goes
through the strict reader of the standard library: Arrow's accepts a quoted field that never ends, which would
hide a truncated file.
"""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.tabular.quotes import (
    PLACEHOLDER,
    is_well_quoted,
    with_placeholders,
    with_quoted_empties,
)
from kfm_repro.errors import LimitExceeded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

__all__ = ["DELIMITERS", "Text", "cells", "header", "load", "sniff"]

DELIMITERS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED_CHARACTERS = 1 << 16
_SNIFFED_RECORDS = 50
_BATCH = 1 << 16
_LONGEST_FIELD = (1 << 31) - 1
_MOST_PADDING = 10_000_000
"""Most missing cells that one batch of records of uneven length is filled up with."""


@dataclass(frozen=True)
class Text:
    """The text of a file, without its byte order mark, and how it was encoded."""

    path: Path
    text: str
    encoding: str
    bom: bool


def load(path: Path) -> Text:
    """Decode a file: by its byte order mark, else as UTF-8, else as Latin-1 (every byte a character).

    Raises Unreadable for a file without content and for one that holds NUL characters.
    """
    with reading(path, "CSV"):
        data = path.read_bytes()
        mark, encoding = next((row for row in _BOMS if data.startswith(row[0])), (b"", "utf-8"))
        if mark:
            text = data[len(mark) :].decode(encoding)
        else:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                text, encoding = data.decode("latin-1"), "latin-1"
    if not text.strip("\r\n"):
        raise _unreadable(path, "it is empty")
    if "\0" in text:
        raise _unreadable(path, "it holds NUL characters")
    return Text(path, text, encoding, bool(mark))


def _unreadable(path: Path, why: str) -> Unreadable:
    error = Unreadable(f"cannot be read as CSV: {why}")
    error.path = path
    return error


def sniff(text: str) -> str:
    """Return the delimiter under which the first records are most regular, then widest; else a comma."""
    head = text[:_SNIFFED_CHARACTERS]
    if len(head) < len(text):
        first = text[: text.find("\n", len(head)) + 1]  # a first record that is longer is read whole
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or first or head
    scores: list[tuple[bool, int]] = []
    for delimiter in DELIMITERS:
        widths: list[int] = []
        with suppress(csv.Error):  # the records read until an error still tell
            for record in islice(_records(head, delimiter), _SNIFFED_RECORDS):
                widths += [len(record)] if record else []
        regular = len(set(widths)) == 1
        scores.append((regular and widths[0] > 1, widths[0] if widths else 0))
    best = max(range(len(DELIMITERS)), key=lambda i: (scores[i], -i))
    return DELIMITERS[best]


def header(text: str, delimiter: str) -> tuple[list[str], str]:
    """Return the first record that is not blank, and the raw text of its lines.

    Raises csv.Error when its quoting is broken.
    """
    lines = io.StringIO(text, newline="")
    raw: list[str] = []

    def kept() -> Iterator[str]:
        for line in lines:
            raw.append(line)
            yield line

    with _long_fields():
        for record in csv.reader(kept(), delimiter=delimiter, strict=True):
            if record:
                return record, "".join(raw).lstrip("\r\n")
    return [], ""


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    with _long_fields():
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the reader's limit on the length of a field, which is global, and put it back."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def cells(source: Text, delimiter: str, *, quoted_empty: bool = False) -> tuple[pa.Table, int]:
    """Return all records but the first as columns of texts, and the number of blank lines left out.

    A record shorter than the longest has nulls at its end, so that a missing cell is no empty one; columns
    beyond the header are named by their place. In a file of one column a blank line is an empty cell.
    Raises Unreadable for broken quoting, a quoted field that never ends among it, and LimitExceeded where
    one overlong record would blow up all others. ``quoted_empty`` tells quoted empty cells from bare ones, as
    `with_quoted_empties` says.
    """
    import pyarrow as pa

    with reading(source.path, "CSV", csv.Error, pa.ArrowException):
        names, _ = header(source.text, delimiter)
        text = with_placeholders(source.text, delimiter) if quoted_empty else source.text
        fast = _with_arrow(text, delimiter, len(names))
        table, blank = _with_stdlib(text, delimiter) if fast is None else (fast.slice(1), 0)
        if fast is not None:
            table = table.rename_columns(names)
        if quoted_empty:
            table = _told(table)
        return table, blank


def _told(table: pa.Table) -> pa.Table:
    """Return the table with placeholders in words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [with_quoted_empties(column, pc.equal(column, PLACEHOLDER)) for column in table.columns]
    return pa.Table.from_arrays(columns, [name.replace(PLACEHOLDER, "") for name in table.column_names])


def _with_arrow(text: str, delimiter: str, width: int) -> pa.Table | None:
    """Return all records as texts, or None where Arrow's reading might differ from the strict one."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    blank = any(pair in text for pair in ("\n\n", "\n\r", "\r\r")) or text[0] in "\r\n"
    data = text.encode()
    quoted = b'"' in data
    if blank or not width or (quoted and not is_well_quoted(data, delimiter)):
        return None
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={f"f{i}": pa.string() for i in range(width)},
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except pa.ArrowException:
        return None


def _with_stdlib(text: str, delimiter: str) -> tuple[pa.Table, int]:
    import pyarrow as pa

    records = _records(text, delimiter)
    names: list[str] = []
    blank = 0
    while not names:
        names = next(records)
        blank += not names
    batches: list[list[pa.Array]] = []
    single = len(names) == 1
    blank = 0 if single else blank
    while rows := list(islice(records, _BATCH)):
        if single:
            rows = [row or [""] for row in rows]
        filled = [row for row in rows if row]
        blank += len(rows) - len(filled)
        width = max((len(row) for row in filled), default=0)
        if width * len(filled) > _MOST_PADDING + sum(map(len, filled)):
            raise LimitExceeded(f"a record of {width} cells among {len(filled)} far shorter ones")
        padded = ([*row, *([None] * (width - len(row)))] for row in filled)
        batches.append([pa.array(column, pa.string()) for column in zip(*padded, strict=True)])
    width = max([len(names), *map(len, batches)])
    names += [f"(column {i + 1})" for i in range(len(names), width)]
    columns = [
        pa.chunked_array([_part(batch, i) for batch in batches], type=pa.string()) for i in range(width)
    ]
    return pa.Table.from_arrays(columns, names), blank


def _part(batch: list[pa.Array], at: int) -> pa.Array:
    """Return one column of a batch of records; nulls where the batch has no such column."""
    import pyarrow as pa

    return batch[at] if at < len(batch) else pa.nulls(len(batch[0]) if batch else 0, pa.string())
