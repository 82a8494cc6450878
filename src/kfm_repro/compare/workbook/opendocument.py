"""OpenDocument spreadsheets (ODS, ODF 1.3): every sheet as a table; what the package holds besides by members."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
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
    for name, rows in a.sheets.items():
        mine = [finding for finding in told if finding.where.get("layer") == name]
        if not _alike(rows, b.sheets[name], mine):
            return attributes_differ(
                "cells differ in formula, type, style or digits that their values do not show"
            )
    if told:
        return ()
    return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence="the same cells, spelled otherwise"),)


def _alike(a: list[Row], b: list[Row], told: list[Finding]) -> bool:
    """Return whether the rows of a sheet differ in nothing but what was told of their values."""
    rungs = {finding.rung for finding in told}
    tolerated = Rung.TOLERANCE in rungs
    if Rung.ORDER not in rungs:
        return len(a) == len(b) and all(map(partial(_same, tolerated=tolerated), a, b))
    exact = all(finding.kind is Kind.ROW_ORDER for finding in told)
    sides = [
        Counter((row.manner, () if tolerated else row.written if exact else row.plain) for row in side)
        for side in (a, b)
    ]
    return sides[0] == sides[1]


def _same(a: Row, b: Row, *, tolerated: bool) -> bool:
    """Return whether two rows of one place are written alike, but for values that are known to differ."""
    if a.manner != b.manner or len(a.values) != len(b.values):
        return False
    cells = zip(a.values, b.values, a.written, b.written, a.plain, b.plain, strict=True)
    return all(
        one == other or (value != another and (tolerated or left == right))
        for value, another, one, other, left, right in cells
    )
