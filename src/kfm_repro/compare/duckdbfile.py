"""DuckDB files: every table by its rows, everything else of the catalogue by its text.

The file is opened read-only, with neither extensions nor access to anything outside of it, and views and macros
are never run: what a hostile file holds is data.
"""

from __future__ import annotations

import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.extras import need
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.decoded import collect, compare_decoded
from kfm_repro.errors import KfmReproError, LimitExceeded, Unreadable
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.context import Context

__all__ = ["compare"]

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "2GB",
    "threads": "1",
    "lock_configuration": "true",
}
_MAX_TABLES = 10_000
_HEADER = struct.Struct("<8x4sQ32x32s32s")
"""Checksum, magic, storage version, flags, version and commit of the library (DuckDB's MainHeader)."""
_LOSSY = re.compile(
    r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\b(?:TIME WITH TIME ZONE|TIME_NS|BIT|U?HUGEINT|BIGNUM)\b"""
)
"""Types that Arrow holds in part or not at all, wherever they stand in another one, but not in a name or a label."""
_TAGGED = ("UNION", "VARIANT", "GEOMETRY")
"""Types whose values are compared as DuckDB spells them, since no other type holds them."""
_CATALOGUE = {
    "schema": "SELECT schema_name, '', comment, tags::VARCHAR FROM duckdb_schemas() WHERE NOT internal",
    "table": "SELECT schema_name, table_name, comment, tags::VARCHAR FROM duckdb_tables() WHERE NOT internal",
    "view": "SELECT schema_name, view_name, sql, comment, tags::VARCHAR FROM duckdb_views() WHERE NOT internal",
    "index": "SELECT schema_name, index_name, sql, comment, tags::VARCHAR FROM duckdb_indexes()",
    "sequence": "SELECT schema_name, sequence_name, sql, last_value, comment, tags::VARCHAR FROM duckdb_sequences()",
    "macro": (
        "SELECT schema_name, function_name, function_type, parameters::VARCHAR, parameter_types::VARCHAR, "
        "macro_definition, comment, tags::VARCHAR FROM duckdb_functions() WHERE NOT internal"
    ),
    "type": (
        "SELECT schema_name, type_name, logical_type, labels::VARCHAR, comment, tags::VARCHAR "
        "FROM duckdb_types() WHERE NOT internal"
    ),
    "constraint of": (
        "SELECT schema_name, table_name, constraint_type, constraint_text FROM duckdb_constraints() "
        "WHERE constraint_type <> 'NOT NULL' ORDER BY constraint_text"
    ),
}
"""What a file holds besides rows: schema and name of each entry, and everything that is said of it."""
_COLUMNS = (
    "SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, is_generated, "
    "generation_expression, comment, tags::VARCHAR FROM duckdb_columns() WHERE NOT internal "
    "ORDER BY schema_name, table_name, column_index"
)


@dataclass(frozen=True)
class _Column:
    type: str
    said: tuple[object, ...]
    generated: bool


@dataclass(frozen=True)
class _Database:
    """An open file: its tables with their columns, and the other entries of its catalogue."""

    connection: Any
    tables: dict[tuple[str, str], dict[str, _Column]]
    entries: dict[tuple[str, str, str], list[tuple[object, ...]]]
    writer: tuple[int, str]

    def rows(self, table: tuple[str, str], context: Context) -> pa.Table:
        """Return the rows of a table in the order in which they were inserted, without computed columns."""
        columns = {name: column for name, column in self.tables[table].items() if not column.generated}
        wanted = [_selected(name, column.type) for name, column in columns.items()]
        relation = self.connection.sql(f"SELECT {', '.join(wanted)} FROM {'.'.join(map(_quoted, table))}")  # noqa: S608 - quoted
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
        reader = read()
        return collect(reader.schema, reader, context)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two DuckDB files table by table, and the rest of their catalogues by its text.

    Raises Unreadable for a damaged file or one of a newer storage version, LimitExceeded, and NotInstalled
    where there is no duckdb.
    """
    with _opened(a) as left, _opened(b) as right:
        findings = [*_entries(left, right)]
        for table in left.tables:
            if table in right.tables:
                findings += _table(left, right, table, context)
        return (*findings, *_writer(left, right))


def _selected(name: str, kind: str) -> str:
    """Return what is selected for a column: its values, with texts in the place of those that Arrow does not hold.

    A cast to text drops which member of a union and which type of a variant a value has.
    """
    quoted = _quoted(name)
    if not any(word in kind for word in _TAGGED):
        held = _LOSSY.sub(lambda found: found[1] or "VARCHAR", kind)
        return quoted if held == kind else f"{quoted}::{held} AS {quoted}"
    spelled = [f"{quoted}::VARCHAR"]
    spelled += [f"to_json({quoted})::VARCHAR"] if "UNION" in kind or "VARIANT" in kind else []
    spelled += [f"variant_typeof({quoted})"] if kind == "VARIANT" else []
    text = spelled[0] if len(spelled) == 1 else f"concat_ws(' ', {', '.join(spelled)})"
    return f"{text} AS {quoted}"


@contextmanager
def _opened(path: Path) -> Iterator[_Database]:
    duckdb = need("duckdb", "duckdb", "a DuckDB file")
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        file = _alone(path.resolve(), Path(folder))
        try:
            with duckdb.connect(str(file), read_only=True, config=_SETTINGS) as connection:
                yield _describe(path, connection)
        except KfmReproError:
            raise
        except (duckdb.Error, struct.error, OSError, UnicodeDecodeError, ValueError) as exc:
            said = _without_folders(str(exc), file, path).splitlines()
            error = Unreadable(f"cannot be read as DuckDB: {said[0] if said else exc!r}"[:300])
            error.path = path
            raise error from exc


def _alone(file: Path, folder: Path) -> Path:
    """Return the file, or a copy where a log lies beside it: DuckDB would read that into it, unasked."""
    if not file.with_name(f"{file.name}.wal").exists():
        return file
    return Path(shutil.copyfile(file, folder / "data.duckdb"))


def _without_folders(message: str, *files: Path) -> str:
    """Return a message with the names of files alone, so that it is the same wherever they lie."""
    for file in files:
        for spelled in (str(file.resolve()), str(file)):
            message = message.replace(spelled, files[-1].name)
    return message


def _describe(path: Path, connection: Any) -> _Database:  # noqa: ANN401 - duckdb is imported where it is used
    with path.open("rb") as file:
        _, version, text, commit = _HEADER.unpack(file.read(_HEADER.size))
    entries: dict[tuple[str, str, str], list[tuple[object, ...]]] = {}
    for kind, query in _CATALOGUE.items():
        for schema, name, *said in connection.execute(query).fetchall():
            entries.setdefault((kind, schema, name), []).append(tuple(said))
    tables = {(schema, name): dict[str, _Column]() for kind, schema, name in entries if kind == "table"}
    if len(tables) > _MAX_TABLES:
        raise LimitExceeded(f"a database of more than {_MAX_TABLES} tables")
    for schema, table, name, kind, *said in connection.execute(_COLUMNS).fetchall():
        if (schema, table) in tables:
            tables[schema, table][name] = _Column(kind, tuple(said), bool(said[2]))
    writer = " ".join(part.rstrip(b"\0").decode("ascii", "replace") for part in (text, commit))
    return _Database(connection, tables, entries, (version, writer))


def _entries(a: _Database, b: _Database) -> Iterator[Finding]:
    for kind, schema, name in sorted({*a.entries, *b.entries}):
        left, right = (sorted(side.entries.get((kind, schema, name), []), key=repr) for side in (a, b))
        if left == right:
            continue
        shown = [scalar(repr(side)) if side else None for side in (left, right)]
        evidence = f"the {kind} {_label(schema, name)} differs"
        if not left or not right:
            evidence = f"the {kind} {_label(schema, name)} is only in {'A' if left else 'B'}"
        yield Finding(
            kind=Kind.SCHEMA,
            rung=Rung.VALUE,
            where={"layer": _label(schema, name)},
            examples=(Example(a=shown[0], b=shown[1]),),
            evidence=evidence[:300],
        )


def _table(a: _Database, b: _Database, table: tuple[str, str], context: Context) -> Iterator[Finding]:
    where = {"layer": _label(*table)}
    found = compare_decoded(a.rows(table, context), b.rows(table, context), context, where=where)
    yield from found
    told = {finding.where.get("column") for finding in found if finding.kind in (Kind.TYPE, Kind.SCHEMA)}
    left, right = a.tables[table], b.tables[table]
    for name in dict.fromkeys((*left, *right)):
        if name in left and name in right:
            yield from _column(name, left[name], right[name], where, told=name in told)
        elif name not in told:
            evidence = f"computed column only in {'A' if name in left else 'B'}"
            yield Finding(
                kind=Kind.SCHEMA, rung=Rung.VALUE, where={**where, "column": name}, evidence=evidence
            )


def _column(name: str, a: _Column, b: _Column, where: dict[str, str], *, told: bool) -> Iterator[Finding]:
    """Report in what two columns are declared otherwise, beyond what their values have ``told``."""
    place: dict[str, str | int] = {**where, "column": name}
    if a.type != b.type and not told:
        example = Example(a=scalar(a.type), b=scalar(b.type))
        evidence = f"{a.type} against {b.type}"[:300]
        yield Finding(kind=Kind.TYPE, rung=Rung.VALUE, where=place, examples=(example,), evidence=evidence)
    if a.said != b.said:
        example = Example(a=scalar(repr(a.said)), b=scalar(repr(b.said)))
        evidence = "declared with another default, expression, comment or rule on nulls"
        yield Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, where=place, examples=(example,), evidence=evidence)


def _writer(a: _Database, b: _Database) -> Iterator[Finding]:
    if a.writer != b.writer:
        said = [f"{text}, storage version {version}" for version, text in (a.writer, b.writer)]
        evidence = f"written by {said[0]} against {said[1]}"
        yield Finding(kind=Kind.LIBRARY_VERSION, rung=Rung.CONTAINER, evidence=evidence)


def _label(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}".rstrip(".")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
