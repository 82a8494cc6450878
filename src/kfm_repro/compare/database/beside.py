"""Two databases in one connection: SQLite finds the rows that differ in place, and only those come to Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as url_quote

from kfm_repro.compare.context import reading
from kfm_repro.errors import Unreadable

if TYPE_CHECKING:
    from kfm_repro.compare.database.read import Database
    from kfm_repro.compare.database.records import Records

__all__ = ["Beside", "beside", "quoted", "uri"]

_ROWS = 10_000
"""Rows that are asked for in one statement."""


@dataclass(frozen=True)
class Beside:
    """A connection that sees the tables of A as ``main`` and those of B as ``b``; both were opened alone before.

    There is none where SQLite cannot attach B to A: texts in UTF-8 on one side, in UTF-16 on the other.
    """

    a: Database
    b: Database
    connection: sqlite3.Connection | None

    def same(self, table: str, other: str = "") -> bool:
        """Return whether a table has the same rows, under the same row numbers, on both sides."""
        other = other or table
        records = self.records(table, other)
        if records is not None:
            unlike = records[0].unlike(records[1])
            if unlike is not None and not len(unlike):
                return True
        names = [side.tables[name].names for side, name in self._named(table, other)]
        if names[0] != names[1] or not names[0]:
            return False
        counts = [side.count(name) for side, name in self._named(table, other)]
        try:
            with self._reading():
                equal: int = self._joined(table, other, names[0], "count(*)", equal=True)[0][0]
            return counts[0] == counts[1] == equal
        except Unreadable:  # a table without row numbers, or a damaged one
            return self._same_rows(table, other)

    def records(self, table: str, other: str) -> tuple[Records, Records] | None:
        """Return the records of a table on both sides where those of the same bytes hold the same values."""
        (a, name_a), (b, name_b) = self._named(table, other)
        mine, theirs = a.records.get(name_a), b.records.get(name_b)
        if mine is None or theirs is None or self.connection is None:
            return None
        tables = a.tables[name_a], b.tables[name_b]
        declared = tables[0].columns == tables[1].columns and tables[0].row_number == tables[1].row_number
        return (mine, theirs) if declared and not any(t.computed or t.unnumbered for t in tables) else None

    def row_numbers(self, table: str, other: str) -> list[int] | None:
        """Return the row numbers of a table, ascending; None where those of the other side are not the same."""
        records = self.records(table, other)
        if records is not None:
            unlike = records[0].unlike(records[1])
            return None if unlike is None else list(records[0].rows.tolist())
        numbers = [[row for (row,) in side.query(name, "rowid")] for side, name in self._named(table, other)]
        return numbers[0] if numbers[0] == numbers[1] else None

    def _same_rows(self, table: str, other: str) -> bool:
        """Return whether the rows are the same, in order; 1 and 1.0 are not."""
        sides = [side.rows(name) for side, name in self._named(table, other)]
        types = [{name: [*map(type, values)] for name, values in side.items()} for side in sides]
        return sides[0] == sides[1] and types[0] == types[1]

    def unlike(
        self, table: str, other: str, columns: Sequence[str], most: int
    ) -> dict[str, list[int]] | None:
        """Return for each column the row numbers, ascending, of the rows that both have and that differ in it.

        None when more than ``most`` rows differ, or where SQLite cannot tell.
        """
        if self.connection is None:
            return None
        records = self.records(table, other)
        chosen = None if records is None else records[0].unlike(records[1])
        if chosen is not None:
            return self._unlike_among(table, other, columns, most, chosen.tolist())
        flags = ", ".join(f"NOT ({_alike(column)})" for column in columns)
        with self._reading():
            rows = self._joined(
                table, other, columns, f"l.rowid, {flags}", equal=False, rest=f"LIMIT {most + 1}"
            )
        return _by_column(rows, columns) if len(rows) <= most else None

    def _unlike_among(
        self, table: str, other: str, columns: Sequence[str], most: int, chosen: list[int]
    ) -> dict[str, list[int]] | None:
        """Return the same where all others are known to be equal."""
        if len(chosen) > most:
            return None
        flags = ", ".join(f"NOT ({_alike(column)})" for column in columns)
        rows: list[tuple[Any, ...]] = []
        with self._reading():
            for first in range(0, len(chosen), _ROWS):
                among = f"AND l.rowid IN ({', '.join(map(str, chosen[first : first + _ROWS]))})"
                rows += self._joined(table, other, columns, f"l.rowid, {flags}", equal=False, rest=among)
        return _by_column(rows, columns)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self.a.path, "SQLite", sqlite3.Error, MemoryError)

    def _named(self, table: str, other: str) -> tuple[tuple[Database, str], tuple[Database, str]]:
        return (self.a, table), (self.b, other)

    def _joined(
        self, table: str, other: str, columns: Sequence[str], wanted: str, *, equal: bool, rest: str = ""
    ) -> list[tuple[Any, ...]]:
        """Return what is wanted of the pairs of rows that are equal, or not, in some columns."""
        terms = " AND ".join(map(_alike, columns))
        where = terms if equal else f"NOT ({terms})"
        source = f"main.{quoted(table)} AS l NOT INDEXED JOIN b.{quoted(other)} AS r NOT INDEXED"
        if self.connection is None:
            raise sqlite3.OperationalError("the databases are not in one connection")
        return self.connection.execute(
            f"SELECT {wanted} FROM {source} ON l.rowid = r.rowid WHERE {where} {rest}"  # noqa: S608
        ).fetchall()


def _by_column(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> dict[str, list[int]]:
    return {column: sorted(row[0] for row in rows if row[at]) for at, column in enumerate(columns, start=1)}


def _alike(column: str) -> str:
    """Return the condition that a column holds the same on both sides.

    A sign before a column takes its affinity away, so that values are compared as they are stored; the type
    keeps 1 and 1.0 apart.
    """
    name = quoted(column)
    return f"+l.{name} IS +r.{name} COLLATE BINARY AND typeof(l.{name}) = typeof(r.{name})"


@contextmanager
def beside(a: Database, b: Database) -> Iterator[Beside]:
    """Attach both databases to a connection of their own, for the length of the block; nothing can be written."""
    with reading(a.path, "SQLite", sqlite3.Error):
        connection = sqlite3.connect(uri(a.path), uri=True, isolation_level=None)
    with closing(connection):
        with reading(b.path, "SQLite", sqlite3.Error):
            attached = _attached(connection, b.path)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
        yield Beside(a, b, connection if attached else None)


def _attached(connection: sqlite3.Connection, path: Path) -> bool:
    """Attach a database; return False where its texts are encoded otherwise than those of the first."""
    try:
        connection.execute("ATTACH ? AS b", (uri(path),))
    except sqlite3.OperationalError as exc:
        if "same text encoding" in str(exc):
            return False
        raise
    return True


def uri(path: Path) -> str:
    """Return the name under which SQLite opens a file for reading, and looks for no journal beside it."""
    return f"file:{url_quote(str(path.resolve()))}?mode=ro&immutable=1"


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
