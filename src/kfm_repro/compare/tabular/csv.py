"""CSV and TSV files: their cells are compared as texts, their spelling is told apart from their content."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.dialect import Text, cells, header, load, sniff
from kfm_repro.compare.tabular.diff import Classifiers, compare_tables, compare_texts
from kfm_repro.compare.tabular.lines import Unsure
from kfm_repro.compare.tabular.opening import open_texts
from kfm_repro.compare.tabular.quotes import has_bare_empty, has_quoted_empty
from kfm_repro.compare.tabular.spooled import compare_spooled
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.lines import TextSource

__all__ = ["compare"]

_COPIES = 12
"""So many times its size a text takes while it is compared whole."""
_NEEDED = ("pyarrow.compute", "kfm_repro.compare.tabular.records")
"""What takes longest to load of what compares two opened texts."""
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_NEWLINES = {"\r\n": "CRLF", "\n": "LF", "\r": "CR", "": "none"}


@dataclass(frozen=True)
class _File:
    """One side: its text, delimiter and first record."""

    source: Text
    delimiter: str
    names: list[str]
    raw_header: str

    @property
    def newline(self) -> str:
        """What ends the first record."""
        ending = self.raw_header[len(self.raw_header.rstrip("\r\n")) :]
        return _NEWLINES.get(ending, "mixed")


def compare(
    a: Path, b: Path, context: Context, *, classifiers: Classifiers = lambda _: {}
) -> tuple[Finding, ...]:
    """Compare two CSV or TSV files, each with the delimiter, encoding and line ending it has.

    ``classifiers`` are asked with the names of A's columns; see `compare_tables`.

    A quoted and an unquoted cell of the same text are the same, unless both sorts of empty cells occur: then
    writers tell an empty text from null by the quotes. A missing cell and an empty one are not the same.
    Raises Unreadable for an empty file and for broken quoting.
    """
    found = _in_pieces(a, b, context, classifiers)
    if found is not None:
        return found
    most, size = context.options.memory_bytes, a.stat().st_size + b.stat().st_size
    if most is not None and size * _COPIES > most:
        raise LimitExceeded(
            f"reading both whole would take about {size * _COPIES} bytes, more than {most}, and they are not "
            "written plainly enough to be read in pieces"
        )
    left, right = _open(load(a)), _open(load(b))
    if left.delimiter != right.delimiter and sorted(left.names) != sorted(right.names):
        left, right = _same_delimiter(left, right)
    sides = (left, right)
    told = any(has_quoted_empty(side.source.text, side.delimiter) for side in sides) and any(
        has_bare_empty(side.source.text, side.delimiter) for side in sides
    )
    table_a, blank_a = cells(left.source, left.delimiter, quoted_empty=told)
    table_b, blank_b = cells(right.source, right.delimiter, quoted_empty=told)
    exchanged: tuple[Finding, ...] = ()
    if _exchanged(left.names, table_a, right.names, table_b):
        exchanged = (_exchanged_finding(left, right),)
        table_a, table_b = _with_header_row(table_a), _with_header_row(table_b)
    told_apart = classifiers(table_a.column_names)
    findings = (*exchanged, *compare_tables(table_a, table_b, context, text=True, classifiers=told_apart))
    style = _style(left, right, (blank_a, blank_b), equal=not findings)
    return (*findings, *style)


def _in_pieces(
    a: Path, b: Path, context: Context, classifiers: Classifiers = lambda _: {}
) -> tuple[Finding, ...] | None:
    """Compare two large files by their records; None for small, odd or too many ones."""
    sizes, most = (a.stat().st_size, b.stat().st_size), context.options.memory_bytes
    beyond = most is not None and sum(sizes) * _COPIES > most
    if min(sizes) < context.limits.whole_text_bytes and not beyond:
        return None
    try:
        if beyond:
            return compare_spooled(a, b, context, classifiers)
        left, right = _opened(a, b)
        findings = compare_texts(left, right, context, classifiers(left.names))
    except Unsure:
        return None
    if not findings:
        return None
    ends = tuple(side.data[len(side.data) - 1 :] == b"\n" for side in (left, right))
    aspects = [("newline at the end", ends)] if ends[0] != ends[1] else []
    return (*findings, *_style_finding(aspects))


def _opened(a: Path, b: Path) -> tuple[TextSource, TextSource]:
    """Open both texts, while what compares them is loaded: the compiled loops leave the interpreter to that."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        opening = pool.submit(open_texts, a, b)
        for module in _NEEDED:
            import_module(module)
    return opening.result()


def _open(source: Text, delimiter: str = "") -> _File:
    delimiter = delimiter or sniff(source.text)
    with reading(source.path, "CSV", csv.Error):
        names, raw = header(source.text, delimiter)
    return _File(source, delimiter, names, raw)


def _same_delimiter(left: _File, right: _File) -> tuple[_File, _File]:
    """Read both with one delimiter if that makes their first records agree, or at least both a table."""
    try:
        as_left, as_right = _open(right.source, left.delimiter), _open(left.source, right.delimiter)
    except Unreadable:  # where the quotes do not close before it, it is no delimiter
        return left, right
    if as_left.names == left.names:
        return left, as_left
    if as_right.names == right.names:
        return as_right, right
    if len(as_left.names) > 1:
        return left, as_left
    return (as_right, right) if len(as_right.names) > 1 else (left, right)


def _exchanged(names_a: list[str], a: pa.Table, names_b: list[str], b: pa.Table) -> bool:
    """Return whether each first record is a row of the other file."""
    if names_a == names_b or len(names_a) != a.num_columns or a.num_columns != b.num_columns:
        return False
    return _holds(b, names_a) and _holds(a, names_b)


def _exchanged_finding(a: _File, b: _File) -> Finding:
    """Report that the first records changed places with rows.

    Readers take the first record for the header, and no cell proves that it is none: years and numbers are
    names of columns too. So a header that was sorted into the rows is another schema.
    """
    return Finding(
        kind=Kind.SCHEMA,
        rung=Rung.VALUE,
        examples=(Example(key={"record": 0}, a=scalar(a.names), b=scalar(b.names)),),
        evidence=(
            "the first records are exchanged with rows: each stands among the other file's rows; "
            "all records are compared as rows below, which is all if the files have no header"
        ),
    )


def _holds(table: pa.Table, record: list[str]) -> bool:
    import pyarrow.compute as pc

    if len(record) != table.num_columns:
        return False
    for i, cell in enumerate(record):
        table = table.filter(pc.equal(table.column(i), cell))
    return bool(table.num_rows)


def _with_header_row(table: pa.Table) -> pa.Table:
    """Return the table with its header as first row and columns named by their place."""
    import pyarrow as pa

    names = [f"(column {i + 1})" for i in range(table.num_columns)]
    first = pa.Table.from_arrays([pa.array([name], pa.string()) for name in table.column_names], names)
    return pa.concat_tables([first, table.rename_columns(names)])


def _style(a: _File, b: _File, blank: tuple[int, int], *, equal: bool) -> list[Finding]:
    """Report how the files are written differently.

    Counts of line ends and quotes belong to the content as long as cells differ; they are only compared when
    all cells are ``equal``.
    """
    aspects: list[tuple[str, tuple[object, ...]]] = [
        ("encoding", (a.source.encoding, b.source.encoding)),
        ("byte order mark", (a.source.bom, b.source.bom)),
        ("line ending", (a.newline, b.newline)),
        ("delimiter", (_NAMES[a.delimiter], _NAMES[b.delimiter])),
        ("blank lines", blank),
        ("newline at the end", tuple(side.source.text[-1] in "\r\n" for side in (a, b))),
    ]
    if equal:
        texts = (a.source.text, b.source.text)
        aspects.append(("quote characters", tuple(text.count('"') for text in texts)))
        if a.newline == b.newline:
            aspects.append(("LF", tuple(text.count("\n") for text in texts)))
            aspects.append(("CR", tuple(text.count("\r") for text in texts)))
    elif a.names == b.names and a.raw_header.count('"') != b.raw_header.count('"'):
        aspects.append(("quotes in the header", (a.raw_header.count('"'), b.raw_header.count('"'))))
    return _style_finding(aspects)


def _style_finding(aspects: Sequence[tuple[str, tuple[object, ...]]]) -> list[Finding]:
    differing = [(name, left, right) for name, (left, right) in aspects if left != right]
    if not differing:
        return []
    said = ", ".join(f"{name} {_said(left)} against {_said(right)}" for name, left, right in differing)
    detail = {name: [left, right] for name, left, right in differing}
    return [Finding(kind=Kind.ENCODING, rung=Rung.CONTAINER, evidence=f"written with {said}", detail=detail)]


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
