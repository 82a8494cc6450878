"""The sheets of a workbook as tables: the first row names the columns where it may."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.mixed import typed_tables
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.workbook.sheet import letters
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["Book", "compare_books"]

Book = dict[str, list[list[Any]]]
"""Cells by sheet and row; the rows of a sheet are equally long."""


def compare_books(a: Book, b: Book, context: Context) -> list[Finding]:
    """Compare the sheets that both books have as tables, and name those that one alone has."""
    findings: list[Finding] = []
    for name in a:
        if name in b:
            left, right = a[name], b[name]
            headed = _is_header(left) and _is_header(right)
            *tables, classifiers = typed_tables(_columns(left, headed=headed), _columns(right, headed=headed))
            findings += compare_tables(
                tables[0], tables[1], context, classifiers=classifiers, where={"layer": name}
            )
    for side, mine, other in (("A", a, b), ("B", b, a)):
        findings += [
            Finding(
                kind=Kind.SCHEMA, rung=Rung.VALUE, where={"layer": name}, evidence=f"a sheet only in {side}"
            )
            for name in mine
            if name not in other
        ]
    return findings


def _is_header(rows: list[list[Any]]) -> bool:
    """Return whether the first row names columns: texts alone, no two the same."""
    first = rows[0] if rows else []
    return (
        bool(first)
        and all(isinstance(cell, str) and cell for cell in first)
        and len(set(first)) == len(first)
    )


def _columns(rows: list[list[Any]], *, headed: bool) -> dict[str, list[Any]]:
    names = rows[0] if headed else [letters(i) for i in range(len(rows[0]) if rows else 0)]
    body = rows[1:] if headed else rows
    return {name: [_plain(row[i]) for row in body] for i, name in enumerate(names)}


def _plain(cell: object) -> object:
    """Return a cell as a scalar that columns are made of; calamine hands out empty cells as empty texts."""
    if cell == "" and isinstance(cell, str):
        return None
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return f"{cell.total_seconds()} s" if isinstance(cell, dt.timedelta) else cell
