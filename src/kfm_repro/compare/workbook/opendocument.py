"""OpenDocument spreadsheets (ODS, ODF 1.3): every sheet as a table; what the package holds besides by members."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from kfm_repro.compare.archive import compare_zip
from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.workbook.opendocument_read import Content, Row, read_content
from kfm_repro.compare.workbook.package import attributes_differ, properties
from kfm_repro.compare.workbook.sheet import events
from kfm_repro.compare.workbook.tables import compare_books
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["compare"]

_CONTENT, _META = "content.xml", "meta.xml"
_BLOCK = 1 << 20


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two OpenDocument files: the cells of spreadsheets by sheet, every other member by what it is.

    Dates and programs in ``meta.xml`` are ``container``. Raises Unreadable, LimitExceeded.
    """
    outer = context.inner

    def inner(left: Path, right: Path, name: str, deeper: Context) -> tuple[Finding, ...]:
        if name == _CONTENT:
            return _content(left, right, deeper)
        if name == _META:
            with reading(left, "OpenDocument", expat.ExpatError):
                return properties(events(left), events(right), deeper)
        return outer(left, right, name, replace(deeper, inner=outer)) if outer else ()

    return compare_zip(a, b, replace(context, inner=inner))


def _content(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    sides = []
    for path in (a, b):
        with reading(path, "OpenDocument"), path.open("rb") as file:
            sides.append(read_content(_blocks(file)))
    told = compare_books(sides[0].book(), sides[1].book(), context)
    if any(finding.rung in (Rung.VALUE, Rung.UNKNOWN) for finding in told):
        return tuple(told)
    return (*told, *_beyond_values(sides[0], sides[1], told))


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _beyond_values(a: Content, b: Content, told: list[Finding]) -> tuple[Finding, ...]:
    """Report what the sheets say besides their values: in place, or by how often where rows were moved."""
    if a.frame != b.frame:
        shown = next(((x, y) for x, y in zip(a.frame, b.frame, strict=False) if x != y), ("", ""))
        plain = shown[0].strip("\0"), shown[1].strip("\0")
        return attributes_differ("what the document says besides its rows differs", plain)
    exact = all(finding.kind is Kind.ROW_ORDER for finding in told)
    for name, rows in a.sheets.items():
        sides = [_seen(side, exact=exact) for side in (rows, b.sheets[name])]
        if (Counter(sides[0]) != Counter(sides[1])) if told else (sides[0] != sides[1]):
            return attributes_differ(
                "cells differ in formula, type, style or digits that their values do not show"
            )
    if told:
        return ()
    return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence="the same cells, spelled otherwise"),)


def _seen(rows: list[Row], *, exact: bool) -> list[tuple[tuple[str, ...], ...]]:
    return [(row.manner, row.written) if exact else (row.manner,) for row in rows]
