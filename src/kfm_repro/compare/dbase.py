"""dBASE tables, the attributes of Shapefiles and MapInfo files: date and leftovers of the header, then the records."""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.timestamps import in_window
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import Unreadable
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare"]

_HEADER = struct.Struct("<4BIHH")
_FIELD = struct.Struct("<11sc4sBB14s")
_DAY = 86_400.0
_LARGEST = 1 << 30
_LEFTOVERS = "what a writer did not set: uninitialised memory after the names of fields"


@dataclass(frozen=True)
class _Table:
    """One side: the date of the last update, the fields, and the bytes of the records and beyond."""

    version: int
    date: tuple[int, int, int]
    fields: tuple[tuple[str, bytes, int, int, bytes], ...]
    leftovers: bytes
    count: int
    size: int
    records: bytes
    reserved: bytes

    def cell(self, row: int, field: int) -> str:
        start = row * self.size + 1 + sum(entry[2] for entry in self.fields[:field])
        return self.records[start : start + self.fields[field][2]].decode("latin-1")


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two dBASE files. The order of records is data: the shapes of a Shapefile belong to them by it.

    The date of the last update and leftovers in field descriptors are packaging. Raises Unreadable.
    """
    tables = []
    for path in (a, b):
        with reading(path, "dBASE", struct.error):
            tables.append(_read(path))
    left, right = tables
    found: list[Finding] = []
    if left.date != right.date:
        found.append(_date(left, right, context))
    if left.leftovers != right.leftovers:
        found.append(
            Finding(kind=Kind.GARBAGE, rung=Rung.CONTAINER, where={"pointer": "/header"}, evidence=_LEFTOVERS)
        )
    if (left.version, left.reserved) != (right.version, right.reserved):
        found.append(
            Finding(
                kind=Kind.ENCODING,
                rung=Rung.VALUE,
                where={"pointer": "/header"},
                examples=(Example(a=scalar(left.reserved), b=scalar(right.reserved)),),
                evidence="version, code page or flags of the header",
            )
        )
    if (left.fields, left.size) != (right.fields, right.size):
        shown = [
            [[name, kind.decode("latin-1"), width] for name, kind, width, _, _ in t.fields] for t in tables
        ]
        example = Example(a=scalar(shown[0]), b=scalar(shown[1]))
        return (
            *found,
            Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, examples=(example,), evidence="the fields differ"),
        )
    return (*found, *_records(left, right, context))


def _read(path: Path) -> _Table:
    if path.stat().st_size > _LARGEST:
        raise Unreadable(f"a dBASE file of more than {_LARGEST} bytes")
    raw = path.read_bytes()
    version, year, month, day, count, header, size = _HEADER.unpack_from(raw)
    fields = []
    leftovers = b""
    at = 32
    while raw[at] != 0x0D:  # noqa: PLR2004  # the mark after the last field
        name, kind, memory, width, decimals, flags = _FIELD.unpack_from(raw, at)
        plain, _, rest = name.partition(b"\0")
        fields.append((plain.decode("latin-1"), kind, width, decimals, flags))
        leftovers += rest + memory
        at += 32
        if at >= header:
            raise ValueError("the list of fields does not end")
    if size != 1 + sum(entry[2] for entry in fields):
        raise ValueError("the fields do not fill the records")
    if len(raw) < header + count * size:
        raise EOFError("the file ends within a record")
    between = raw[at + 1 : header]
    return _Table(
        version, (year, month, day), tuple(fields), leftovers, count, size, raw[header:], raw[12:32] + between
    )


def _date(a: _Table, b: _Table, context: Context) -> Finding:
    shown = [f"{1900 + table.date[0]}-{table.date[1]:02}-{table.date[2]:02}" for table in (a, b)]
    inside = all(
        any(in_window(moment, _DAY, window) for window in side.windows)
        for moment, side in zip(map(_epoch, (a, b)), (context.a, context.b), strict=True)
    )
    evidence = "date of the last update" + ("; A's is the day of run A and B's of run B" if inside else "")
    example = Example(key={"field": "last update"}, a=shown[0], b=shown[1])
    where: dict[str, str | int] = {"pointer": "/header"}
    return Finding(
        kind=Kind.TIMESTAMP, rung=Rung.CONTAINER, where=where, examples=(example,), evidence=evidence
    )


def _epoch(table: _Table) -> float:
    try:
        return dt.datetime(1900 + table.date[0], table.date[1], table.date[2], tzinfo=dt.UTC).timestamp()
    except ValueError:
        return float("nan")


def _records(a: _Table, b: _Table, context: Context) -> Iterator[Finding]:
    if a.records == b.records:
        return
    if a.count != b.count:
        kind = Kind.ROWS_ADDED if b.count > a.count else Kind.ROWS_REMOVED
        evidence = f"{a.count} records in A, {b.count} in B"
        yield Finding(kind=kind, rung=Rung.VALUE, count=abs(a.count - b.count), of=a.count, evidence=evidence)
        return
    rows = [[t.records[i : i + t.size] for i in range(0, t.count * t.size, t.size)] for t in (a, b)]
    differing = [i for i, (x, y) in enumerate(zip(*rows, strict=True)) if x != y]
    if not differing:
        evidence = "bytes after the last record"
        yield Finding(kind=Kind.BYTES, rung=Rung.VALUE, evidence=evidence)
        return
    if sorted(rows[0]) == sorted(rows[1]):
        evidence = "the same records in another order, by which they belong to the shapes of another file"
        yield Finding(
            kind=Kind.ROW_ORDER, rung=Rung.VALUE, count=len(differing), of=a.count, evidence=evidence
        )
        return
    yield from _cells(a, b, differing, context)
    if any(rows[0][i][:1] != rows[1][i][:1] for i in differing):
        evidence = "records that are marked as deleted on one side only"
        yield Finding(kind=Kind.VALUE, rung=Rung.VALUE, evidence=evidence)


def _cells(a: _Table, b: _Table, differing: list[int], context: Context) -> Iterator[Finding]:
    for field, (name, *_) in enumerate(a.fields):
        pairs = [(i, a.cell(i, field), b.cell(i, field)) for i in differing]
        changed = [(i, x, y) for i, x, y in pairs if x != y]
        for part in classify_pairs([(x.strip(), y.strip()) for _, x, y in changed], context, text=True):
            chosen = [changed[index] for index in part.indexes]
            yield Finding(
                kind=Kind(part.kind),
                rung=Rung(part.rung),
                where={"column": name},
                count=len(chosen),
                of=a.count,
                examples=tuple(
                    Example(key={"row": i}, a=scalar(x), b=scalar(y)) for i, x, y in chosen[:MAX_EXAMPLES]
                ),
                evidence=part.evidence,
                detail=dict(part.detail),
            )
