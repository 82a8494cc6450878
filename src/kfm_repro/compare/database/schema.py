"""In what the schemas of two databases differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from kfm_repro.compare.database.read import Column, Database, Entry, Table
from kfm_repro.compare.database.sql import shape, tokens
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

__all__ = ["bookkeeping", "schema_findings"]

_NO_NAMES: Mapping[str, str] = MappingProxyType({})


def schema_findings(
    a: Database,
    b: Database,
    *,
    own: Callable[[str], bool],
    upkeep: Callable[[Entry], bool],
    renamed: Mapping[str, str] = _NO_NAMES,
) -> Iterator[Finding]:
    """Report tables, columns, indexes, triggers and views that differ.

    ``own`` tells the tables that hold data from those of a container's bookkeeping; ``upkeep`` the indexes
    and triggers that a library made to keep that bookkeeping up to date. ``renamed`` are the tables of A that
    have another name in B.
    """
    back = {theirs: mine for mine, theirs in renamed.items()}
    yield from _layers(a, b, own, back)
    yield from _entries(a, b, upkeep, (renamed, back))
    for name, table in a.tables.items():
        other = b.tables.get(renamed.get(name, name))
        if own(name) and other is not None:
            yield from _columns(table, other, (renamed, back))


def bookkeeping(name: str) -> bool:
    """Return whether a table is SQLite's own: sequences, statistics."""
    return name.lower().startswith("sqlite_")


def _layers(
    a: Database, b: Database, own: Callable[[str], bool], back: Mapping[str, str]
) -> Iterator[Finding]:
    names = [[name for name in a.tables if own(name)], [back.get(n, n) for n in b.tables if own(n)]]
    for side, mine, other in (("A", *names), ("B", *reversed(names))):
        for name in mine:
            if name not in other:
                yield _value(name, f"only {side} has this table")
    shared = [[name for name in mine if name in other] for mine, other in (names, names[::-1])]
    if shared[0] != shared[1]:
        example = Example(a=scalar(shared[0]), b=scalar(shared[1]))
        evidence = "the same tables in another order"
        yield Finding(
            kind=Kind.LAYER_ORDER, rung=Rung.ORDER, count=_moved(*shared), of=len(shared[0]),
            examples=(example,), evidence=evidence,
        )  # fmt: skip


def _moved(a: list[str], b: list[str]) -> int:
    return sum(left != right for left, right in zip(a, b, strict=True))


def _entries(
    a: Database, b: Database, upkeep: Callable[[Entry], bool], names: tuple[Mapping[str, str], ...]
) -> Iterator[Finding]:
    """Report indexes, triggers, views and virtual tables by name and text."""
    sides = [{(e.kind, e.name): e for e in side.entries if not _told_elsewhere(e, side)} for side in (a, b)]
    kept: list[str] = []
    for key in [*sides[0], *(key for key in sides[1] if key not in sides[0])]:
        left, right = (side.get(key) for side in sides)
        if left is not None and right is not None and _same(left.sql, right.sql, names):
            continue
        entry = left or right
        if entry is not None and upkeep(entry):
            kept.append(entry.name)
            continue
        shown = [None if side is None else side.sql for side in (left, right)]
        evidence = (
            f"the {key[0]} {key[1]} differs" if None not in shown else f"only one side has the {key[0]}"
        )
        yield _value(key[1], f"{evidence}", Example(a=scalar(shown[0]), b=scalar(shown[1])))
    if kept:
        evidence = f"triggers and indexes that the writing library keeps differ, {kept[0]} first"
        yield Finding(kind=Kind.SPATIAL_INDEX, rung=Rung.CONTAINER, count=len(kept), evidence=evidence)


def _told_elsewhere(entry: Entry, side: Database) -> bool:
    """Return whether an entry follows from a table's statement: the table itself, indexes of constraints."""
    automatic = entry.kind == "index" and entry.name.startswith("sqlite_autoindex_")
    return automatic or (entry.kind == "table" and entry.name in side.tables)


def _columns(a: Table, b: Table, names: tuple[Mapping[str, str], ...]) -> Iterator[Finding]:
    """Report declarations of columns that both have; added and removed ones show in the rows."""
    others = {column.name: column for column in b.columns}
    differs = False
    for column in a.columns:
        other = others.get(column.name)
        if other is None or column == other:
            continue
        differs = True
        kind, evidence = _declared(column, other)
        where: dict[str, str | int] = {"layer": a.name, "column": column.name}
        yield Finding(
            kind=kind, rung=Rung.VALUE, where=where, evidence=evidence,
            examples=(Example(a=_text(column), b=_text(other)),),
        )  # fmt: skip
    same = {*a.names, *a.computed} == {*b.names, *b.computed}
    if same and not differs and shape(a.sql, _alike(names[0])) != shape(b.sql, _alike(names[1])):
        evidence = "the statements that made the table differ in more than the order of their columns"
        yield _value(a.name, evidence, Example(a=scalar(a.sql), b=scalar(b.sql)))


def _declared(a: Column, b: Column) -> tuple[Kind, str]:
    if a.type != b.type:
        return Kind.TYPE, f"declared type {a.type or 'none'} against {b.type or 'none'}"
    return Kind.SCHEMA, "another constraint, default or place in the primary key"


def _text(column: Column) -> Any:  # noqa: ANN401 - a JSON scalar
    parts = [column.type, "NOT NULL" if column.not_null else "", f"key {column.key}" if column.key else ""]
    default = "" if column.default is None else f"DEFAULT {column.default}"
    return scalar(" ".join(part for part in (*parts, default) if part))


def _alike(names: Mapping[str, str]) -> dict[str, str]:
    """Return one name, which no other table can have, for a table of two names."""
    return {name: "\x00" + "\x00".join(sorted((name, other))) for name, other in names.items()}


def _same(a: str, b: str, names: tuple[Mapping[str, str], ...]) -> bool:
    """Return whether two statements are the same but for white space, case of keywords, renamed tables."""
    return tokens(a, _alike(names[0])) == tokens(b, _alike(names[1]))


def _value(layer: str, evidence: str, *examples: Example) -> Finding:
    return Finding(
        kind=Kind.SCHEMA, rung=Rung.VALUE, where={"layer": layer}, examples=examples, evidence=evidence
    )
