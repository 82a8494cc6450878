"""JSON Lines (NDJSON): a table whose rows are the lines, whose columns are the members of their objects."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.mixed import typed_tables
from kfm_repro.compare.tabular.decoded import check_size
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import MISSING
from kfm_repro.compare.vector.numbers import any_exact, decimal_number, whole_number
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare"]

_MOST_TEXTS = 4
"""Files may be this many times as large as a text that is compared line by line."""
_MOST_CELLS = 50_000_000
"""Most cells, missing ones among them: lines may have as many different members as they are."""
_VALUE_BYTES = 64
"""What an object of Python takes, and its place in another one."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class _File:
    """One side: the values of its lines by column, and how it is written."""

    count: int
    columns: dict[str, list[Any]]
    shapes: Counter[tuple[str, str]]
    written: dict[str, object]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two files of one JSON value per line, as rows and members.

    A member that is missing is not one that is null; nested values are compared whole. A line that is no
    object is a row of one nameless member. Raises Unreadable for a line that is no JSON or repeats a key, and
    LimitExceeded.
    """
    left, right = _open(a, context), _open(b, context)
    if not left.columns and not right.columns:
        # Objects without members are rows too, and Arrow counts no rows without columns.
        for side in (left, right):
            side.columns["(no members)"] = [None] * side.count
    # Order of keys is told per line.
    aligned = {name: right.columns[name] for name in (*left.columns, *right.columns) if name in right.columns}
    *tables, classifiers = typed_tables(left.columns, aligned)
    findings = compare_tables(tables[0], tables[1], context, classifiers=classifiers)
    return (*findings, *_key_order(left, right), *_style(left, right))


def _open(path: Path, context: Context) -> _File:
    most = _MOST_TEXTS * context.limits.text_bytes
    if path.stat().st_size > most:
        raise LimitExceeded(f"more than {most} bytes of JSON lines")
    with reading(path, "JSON Lines", RecursionError, ArithmeticError, MemoryError):
        raw = path.read_bytes()
        mark, encoding = next((row for row in _BOMS if raw.startswith(row[0])), (b"", "utf-8"))
        text = raw[len(mark) :].decode(encoding)
        check_size(_parsed(text), context)
        lines = text.split("\n")
        ended = lines[:-1] if not lines[-1] else lines
        full = [line for line in ended if line.strip()]
        if not full:
            raise ValueError("it is empty")
        rows = _rows(text, full)
        columns = _columns(rows)
        shapes = Counter((_shape(row), _shape(row, sorted)) for row in rows)
    written = {
        "encoding": encoding,
        "byte order mark": bool(mark),
        "lines that end in CR LF": sum(line.endswith("\r") for line in ended),
        "blank lines": len(ended) - len(full),
        "newline at the end": not lines[-1],
    }
    return _File(len(rows), columns, shapes, written)


def _parsed(text: str) -> int:
    """Return about how many bytes the values of a text take once parsed: an empty list of two bytes is an object."""
    values = sum(map(text.count, ",[{\n"))
    return len(text) + values * _VALUE_BYTES


def _rows(text: str, lines: Sequence[str]) -> list[Any]:
    exact = any_exact(text)
    decoder = json.JSONDecoder(
        object_pairs_hook=_object,
        parse_float=decimal_number if exact else None,
        parse_int=whole_number if exact else None,
    )
    return [decoder.decode(line) for line in lines]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated in one object")
    if any(key.startswith("\x00") for key in found):
        raise ValueError("a key begins with NUL")
    return found


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the values by member in order of first appearance, `MISSING` where a row has no such member."""
    objects = [row if isinstance(row, dict) else None for row in rows]
    names = dict.fromkeys(key for row in objects if row is not None for key in row)
    if len(names) * len(rows) > _MOST_CELLS:
        raise LimitExceeded(f"{len(rows)} lines of {len(names)} members are more than {_MOST_CELLS} cells")
    columns = {
        name: [MISSING if row is None else row.get(name, MISSING) for row in objects] for name in names
    }
    if None in objects:
        nameless = "(value)"
        while nameless in columns:
            nameless += " "
        columns[nameless] = [
            row if made is None else MISSING for row, made in zip(rows, objects, strict=True)
        ]
    return columns


def _shape(value: object, order: Callable[[Iterable[str]], Iterable[str]] = list) -> str:
    """Return the keys of a value at every depth, in their order or in that of ``order``."""
    if isinstance(value, dict):
        keys = order(value)
        return "{" + ",".join(json.dumps(key) + _shape(value[key], order) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_shape(member, order) for member in value) + "]"
    return ""


def _key_order(a: _File, b: _File) -> list[Finding]:
    """Report lines of the same keys in another order; other keys are other columns, which are reported."""
    moved, other = a.shapes - b.shapes, b.shapes - a.shapes
    keys: list[Counter[str]] = [Counter(), Counter()]
    for side, shapes in zip(keys, (moved, other), strict=True):
        for (_, unordered), count in shapes.items():
            side[unordered] += count
    if not moved or keys[0] != keys[1]:
        return []
    return [
        Finding(
            kind=Kind.KEY_ORDER,
            rung=Rung.ORDER,
            count=moved.total(),
            of=a.count,
            evidence="objects whose keys stand in another order",
        )
    ]


def _style(a: _File, b: _File) -> list[Finding]:
    """Report how the files are written differently; counts of lines belong to the content while it differs."""
    differing = [name for name in a.written if a.written[name] != b.written[name]]
    if a.count != b.count:
        differing = [name for name in differing if name != "lines that end in CR LF"]
    if not differing:
        return []
    said = ", ".join(f"{name} {a.written[name]} against {b.written[name]}" for name in differing)
    detail = {name: [a.written[name], b.written[name]] for name in differing}
    return [Finding(kind=Kind.ENCODING, rung=Rung.CONTAINER, evidence=f"written with {said}", detail=detail)]
