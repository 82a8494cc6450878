"""Reading a SQLite file that nobody vouches for: read-only, immutable, ordinary tables only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.database.beside import quoted, uri
from kfm_repro.compare.vector.columns import RawText
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from kfm_repro.compare.database.records import Records

__all__ = ["Column", "Database", "Entry", "Table", "opened"]

_MAX_TABLES = 10_000
_MAX_COMPUTED = 1 << 20
"""Longest computed text or blob in bytes: expressions of a hostile schema may ask for any."""
_MAX_COMPUTED_IN_ALL = 256 << 20
_VIRTUAL_GENERATED = 2
_HIDDEN = 1


@dataclass(frozen=True)
class Column:
    """One stored column as declared; ``key`` is its place in the primary key from 1, 0 outside of it."""

    name: str
    type: str
    not_null: bool
    default: str | None
    key: int


@dataclass(frozen=True)
class Entry:
    """One row of the schema: a table, index, trigger or view and the text that made it."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Table:
    """An ordinary table: its stored columns, the names of those that are computed when they are read.

    ``unnumbered`` says that it has no row numbers (``WITHOUT ROWID``), ``indexed_key`` that an index of its own
    holds the primary key.
    """

    name: str
    columns: tuple[Column, ...]
    sql: str = ""
    computed: tuple[str, ...] = ()
    unnumbered: bool = False
    indexed_key: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the stored columns."""
        return tuple(column.name for column in self.columns)

    @property
    def row_number(self) -> str:
        """Return the column that is another name of the row number, "" when there is none.

        ``INTEGER PRIMARY KEY DESC`` is none (SQLite, "ROWIDs and the INTEGER PRIMARY KEY"): an index holds it.
        """
        keys = [column for column in self.columns if column.key]
        if len(keys) == 1 and keys[0].type.upper() == "INTEGER" and not self.indexed_key:
            return keys[0].name
        return ""

    @property
    def numbered(self) -> bool:
        """Return whether ``rowid`` is the number of a row, and no column of another meaning."""
        hidden = any(name.lower() == "rowid" and name != self.row_number for name in self.names)
        return not self.unnumbered and not hidden


@dataclass(frozen=True)
class Database:
    """An open database: the schema in the order in which it was made, and its ordinary tables."""

    path: Path
    connection: sqlite3.Connection
    entries: tuple[Entry, ...]
    tables: dict[str, Table] = field(default_factory=dict)
    referred: frozenset[str] = frozenset()
    records: dict[str, Records] = field(default_factory=dict)
    """What `read_records` has found, by table."""

    def rows(self, table: str, columns: tuple[str, ...] = ()) -> dict[str, list[Any]]:
        """Return the values of a table by column, in the order of the row numbers.

        Values are None, int, float, str, bytes or RawText. No index is read: only what the table itself
        says. Computed columns follow the stored ones; those that cannot be computed within bounds are left
        out: they say nothing that the stored ones and their expressions do not. Raises Unreadable when a page
        is damaged.
        """
        known = self.tables[table]
        names = columns or known.names
        with _reading(self.path):
            found = _transposed(names, self._fetched(_select(table, names)))
        if known.computed and not columns:
            found |= self._computed(known)
        return found

    def _fetched(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; texts that are no UTF-8 are found on a second, slower way."""
        self.connection.text_factory = str
        try:
            return self.connection.execute(statement).fetchall()
        except sqlite3.OperationalError as exc:
            if "decode" not in str(exc):
                raise
        finally:
            self.connection.text_factory = _text
        return self.connection.execute(statement).fetchall()

    def count(self, table: str) -> int:
        """Return how many rows a table has. Raises Unreadable when a page is damaged."""
        if table in self.records:
            return len(self.records[table])
        return int(self.query(table, "count(*)")[0][0])

    def query(self, table: str, wanted: str, rest: str = "") -> list[tuple[Any, ...]]:
        """Return what an expression of our own says of a table, read without any index."""
        with _reading(self.path):
            return self.connection.execute(
                f"SELECT {wanted} FROM {quoted(table)} NOT INDEXED {rest}"  # noqa: S608
            ).fetchall()

    def _computed(self, table: Table) -> dict[str, list[Any]]:
        """Return the computed columns of a table; nothing when they ask for functions or space beyond bounds."""
        limit = self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_COMPUTED)
        fetched: list[tuple[Any, ...]] = []
        size = 0
        try:
            for row in self.connection.execute(_select(table.name, table.computed)):
                size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
                if size > _MAX_COMPUTED_IN_ALL:
                    return {}
                fetched.append(row)
        except (sqlite3.Error, OverflowError, MemoryError):
            return {}
        finally:
            self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
        return _transposed(table.computed, fetched)


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    """Open a database for the length of the block; raises Unreadable when SQLite cannot.

    ``immutable`` keeps SQLite from looking for journals; schemas are not trusted, nothing is attached.
    """
    with _reading(path):
        connection = sqlite3.connect(uri(path), uri=True, isolation_level=None, check_same_thread=False)
    with closing(connection):
        with _reading(path):
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.text_factory = _text
            database = _describe(path, connection)
        yield database


def _select(table: str, names: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(map(quoted, names))} FROM {quoted(table)} NOT INDEXED"  # noqa: S608


def _transposed(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    if not rows:
        return {name: [] for name in names}
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(path, "SQLite", sqlite3.Error, OverflowError, MemoryError)


def _describe(path: Path, connection: sqlite3.Connection) -> Database:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchmany(
        _MAX_TABLES + 1
    )
    if len(rows) > _MAX_TABLES:
        raise LimitExceeded(f"a database of more than {_MAX_TABLES} tables, indexes, triggers and views")
    entries = tuple(Entry(*(_shown(cell) for cell in row)) for row in rows)
    tables = {
        entry.name: _table(connection, entry)
        for entry in entries
        if entry.kind == "table" and not entry.sql.upper().startswith("CREATE VIRTUAL")
    }
    referred = frozenset(
        _shown(row[2]).lower()
        for name in tables
        for row in connection.execute(f"PRAGMA foreign_key_list({quoted(name)})")
    )
    return Database(path, connection, entries, tables, referred)


def _table(connection: sqlite3.Connection, entry: Entry) -> Table:
    info = connection.execute(f"PRAGMA table_xinfo({quoted(entry.name)})").fetchall()
    columns = tuple(
        Column(_shown(name), _shown(kind), bool(strict), None if default is None else _shown(default), key)
        for _, name, kind, strict, default, key, hidden in info
        if hidden not in (_HIDDEN, _VIRTUAL_GENERATED)
    )
    computed = tuple(_shown(row[1]) for row in info if row[6] == _VIRTUAL_GENERATED)
    # A table without row numbers is the index of its own key, under its own name.
    unnumbered = bool(connection.execute(f"PRAGMA index_info({quoted(entry.name)})").fetchall())
    indexes = connection.execute(f"PRAGMA index_list({quoted(entry.name)})").fetchall()
    indexed_key = any(_shown(index[3]) == "pk" for index in indexes)
    return Table(entry.name, columns, entry.sql, computed, unnumbered, indexed_key)


def _shown(cell: object) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else repr(cell)


def _text(raw: bytes) -> str | RawText:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return RawText(raw)
