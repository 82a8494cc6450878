"""Row numbers that a driver adds: when they only count the rows, and when something may refer to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.database.read import Database, Table

__all__ = ["counting_column", "counts", "is_driver_key", "reference", "renumbered"]

_DRIVER_KEYS = ("fid", "ogc_fid")
"""Names that GDAL gives the row number; a key of another name is the user's own and data."""
_WHOLE = re.compile(r"[0-9]+")
_LONGEST = 18
_ORDERS = (Kind.FEATURE_ORDER, Kind.ROW_ORDER)
_MOVES = (*_ORDERS, Kind.ROWS_ADDED, Kind.ROWS_REMOVED, Kind.DUPLICATE_ROWS)


def counting_column(tables: tuple[Table, Table], rows: tuple[dict[str, list[Any]], ...]) -> str:
    """Return the column that merely counts the rows on both sides, "" when there is none.

    Only the keys that GDAL adds count, only from 1 upwards without gaps, and only when the rows differ.
    """
    name = tables[0].row_number
    if not name or name != tables[1].row_number:
        return ""
    counting = all(counts(name, side[name]) for side in rows)
    return name if counting and rows[0] != rows[1] else ""


def counts(name: str, numbers: list[Any]) -> bool:
    """Return whether a column is a key that GDAL adds, and numbers the rows from 1 upwards without gaps."""
    return is_driver_key(name) and numbers == list(range(1, len(numbers) + 1))


def is_driver_key(name: str) -> bool:
    """Return whether a column is called like a key that GDAL adds."""
    return name.lower() in _DRIVER_KEYS


def reference(database: Database, table: Table, count: int, own: Callable[[str], bool]) -> str:
    """Return what may refer to the ``count`` rows of a table by their number, "" when nothing can.

    A declared key, a view, and a column of another table of the user's in which such a number stands: as a
    number, or within a text. ``own`` tells those tables from a container's bookkeeping.
    """
    if table.name.lower() in database.referred:
        return "a foreign key"
    views = [entry.name for entry in database.entries if entry.kind == "view"]
    if views:
        return f"the view {views[0]}"
    for name, other in database.tables.items():
        if name == table.name or not own(name):
            continue
        skipped = other.row_number if other.row_number.lower() in _DRIVER_KEYS else ""
        for column, values in database.rows(name).items():
            if column != skipped and any(_names_a_row(value, count) for value in values):
                return f"{name}.{column}"
    return ""


def renumbered(findings: tuple[Finding, ...], column: str, layer: str, referrer: str) -> Iterator[Finding]:
    """Return the findings of the rows without their number, and the number itself where it is referred to."""
    note = f"{column} counts the rows on both sides and is renumbered with them"
    for finding in findings:
        if finding.kind in _MOVES:
            evidence = f"{finding.evidence}; {note}" if finding.evidence else note
            yield msgspec.structs.replace(finding, evidence=evidence)
        else:
            yield finding
    moved = sum(finding.count for finding in findings if finding.kind in _ORDERS)
    if referrer and moved:
        yield Finding(
            kind=Kind.VALUE, rung=Rung.VALUE, where={"layer": layer, "column": column}, count=moved,
            evidence=f"fid renumbered: {note}, and {referrer} may refer to rows by it"[:300],
        )  # fmt: skip


def _names_a_row(value: object, count: int) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        return 1 <= value <= count
    if isinstance(value, str):
        return any(len(w) <= _LONGEST and 1 <= int(w) <= count for w in _WHOLE.findall(value))
    # A geometry says nothing of rows; any other blob may say anything.
    return isinstance(value, bytes) and value[:2] != b"GP"
