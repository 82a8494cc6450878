"""Two SQLite files: headers, schemas, then every ordinary table row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from kfm_repro.compare.context import Classified, Context, reading
from kfm_repro.compare.database.beside import Beside, beside
from kfm_repro.compare.database.derived import Derived
from kfm_repro.compare.database.elsewhere import moved_rows
from kfm_repro.compare.database.geopackage import Package, package_findings, read_package
from kfm_repro.compare.database.header import header_findings, read_header
from kfm_repro.compare.database.headers import belied, split
from kfm_repro.compare.database.integrity import integrity_findings
from kfm_repro.compare.database.numbering import counting_column, reference, renumbered
from kfm_repro.compare.database.read import Database, Table, opened
from kfm_repro.compare.database.records import read_records
from kfm_repro.compare.database.schema import bookkeeping, schema_findings
from kfm_repro.compare.database.settled import Settled, settled
from kfm_repro.compare.mixed import typed_tables
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import classify_texts
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import UNKNOWN_GROUND
from kfm_repro.model.finding import Finding, Kind, Rung

__all__ = ["compare"]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_MARK = 8
"""Bytes before the envelope of a geometry: mark, version, flags and SRS id (GeoPackage 1.4, clause 2.1.3)."""
_CLOCKED = {"gpkg_metadata_reference": "timestamp"}


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two SQLite databases or GeoPackages.

    Views, triggers and virtual tables are compared by their text and never run. Raises Unreadable for a
    damaged file and LimitExceeded for one with too many tables.
    """
    headers = read_header(a), read_header(b)
    with opened(a) as left, opened(b) as right, beside(left, right) as together:
        packages = _package(left), _package(right)
        read_records((left, right), headers, (packages[0].geometry, packages[1].geometry))
        renamed = _renamed(packages, left, right)
        derived = Derived(left, packages[0]), Derived(right, packages[1])
        found = (
            *header_findings(*headers),
            *schema_findings(
                left,
                right,
                own=lambda name: _own(name, packages),
                upkeep=lambda entry: any(package.keeps(entry) for package in packages),
                renamed=renamed,
            ),
            *package_findings(*derived, renamed, together, context),
            *_tables(together, packages, renamed, context),
        )
        if any(finding.rung in (Rung.VALUE, Rung.UNKNOWN) for finding in found):
            return found
        return (*found, *integrity_findings(left, right))


def _package(database: Database) -> Package:
    with reading(database.path, "GeoPackage"):
        return read_package(database, database.path.stem)


def _renamed(packages: tuple[Package, Package], a: Database, b: Database) -> dict[str, str]:
    """Return the layer named after its file as {name in A: name in B}, where both names are free elsewhere."""
    found = packages[0].renamed(packages[1])
    fits = all(
        k in a.tables and v in b.tables and k not in b.tables and v not in a.tables for k, v in found.items()
    )
    return found if fits else {}


def _own(name: str, packages: tuple[Package, Package]) -> bool:
    """Return whether a table holds data rather than a container's bookkeeping."""
    return not bookkeeping(name) and not any(package.bookkeeping(name) for package in packages)


def _tables(
    together: Beside, packages: tuple[Package, Package], renamed: dict[str, str], context: Context
) -> Iterator[Finding]:
    a, b = together.a, together.b
    for name in a.tables:
        other = renamed.get(name, name)
        if other not in b.tables:
            continue
        if _own(name, packages):
            yield from _rows(_Pair(together, packages, a.tables[name], b.tables[other]), context)
        elif bookkeeping(name) and a.rows(name) != b.rows(other):
            evidence = f"{name} differs: counters and statistics that SQLite keeps for itself"
            yield Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where={"layer": name}, evidence=evidence)


class _Pair(msgspec.Struct, frozen=True):
    """One table on both sides."""

    together: Beside
    packages: tuple[Package, Package]
    table_a: Table
    table_b: Table

    @property
    def a(self) -> Database:
        """Return the database of A."""
        return self.together.a

    @property
    def b(self) -> Database:
        """Return the database of B."""
        return self.together.b

    @property
    def same_system(self) -> bool:
        """Return whether the bookkeeping gives the geometries of both sides the same SRS id."""
        rows = (
            package.geometries.get(table.name, {})
            for package, table in zip(self.packages, (self.table_a, self.table_b), strict=True)
        )
        return len({row.get("srs_id") for row in rows}) == 1

    @property
    def srs_label(self) -> str:
        """Return what the SRS ids of the geometries are called as a column."""
        return f"{self.packages[0].geometry(self.table_a.name)} srs_id"

    @property
    def geometries(self) -> list[str]:
        """Return the name of the geometry column of each side, "" where there is none."""
        sides = zip(self.packages, (self.table_a, self.table_b), strict=True)
        return [package.geometry(table.name) for package, table in sides]

    @property
    def spatial(self) -> bool:
        """Return whether rows are features."""
        return any(self.geometries)

    @property
    def unit(self) -> str:
        """Return what a row is called."""
        return "feature" if self.spatial else "row"


def _geometry_last(a: dict[str, Any], b: dict[str, Any], name: str) -> None:
    """Move the geometries behind the attributes, which name a feature better, where both hold them alike."""
    if name in a and name in b and [*a].index(name) == [*b].index(name):
        for side in (a, b):
            side[name] = side.pop(name)


def _rows(pair: _Pair, context: Context) -> Iterator[Finding]:
    name = pair.table_a.name
    in_place = settled(pair.together, pair.table_a, pair.table_b, pair.geometries, context)
    if in_place is not None:
        yield from _in_place(pair, in_place, context)
        return
    moved = _moved(pair, pair.geometries, context)
    if moved is not None:
        yield from renumbered(moved, pair.table_a.row_number, name, _reference(pair))
        return
    columns_a, columns_b = pair.a.rows(pair.table_a.name), pair.b.rows(pair.table_b.name)
    heads = split(pair.geometries, columns_a, columns_b)
    yield from belied(name, pair.geometries, heads, columns_a, columns_b)
    yield from _headers(pair, columns_a, columns_b, heads)
    _geometry_last(columns_a, columns_b, pair.packages[0].geometry(name))
    numbers = counting_column((pair.table_a, pair.table_b), (columns_a, columns_b))
    bare = [{k: v for k, v in side.items() if k != numbers} for side in (columns_a, columns_b)]
    if numbers and all(bare):
        found = _judge(pair, context, {"layer": name}, *bare)
        yield from renumbered(found, numbers, name, _reference(pair))
    else:
        yield from _judge(pair, context, {"layer": name}, columns_a, columns_b)


def _in_place(pair: _Pair, found: Settled, context: Context) -> Iterator[Finding]:
    """Report the rows that differ in place, as some of all rows."""
    if not found.a:
        return
    name = pair.table_a.name
    heads = split(pair.geometries, found.a, found.b)
    yield from belied(name, pair.geometries, heads, found.a, found.b)
    yield from _headers(pair, found.a, found.b, found.heads)
    _geometry_last(found.a, found.b, pair.packages[0].geometry(name))
    of = pair.a.count(name)
    for finding in _judge(pair, context, {"layer": name}, found.a, found.b, some=True):
        yield msgspec.structs.replace(finding, of=of) if "column" in finding.where else finding


def _moved(pair: _Pair, geometries: list[str], context: Context) -> tuple[Finding, ...] | None:
    """Return what differs in tables of the same rows in another order, None for any other."""
    if geometries[0] != geometries[1]:
        return None
    tables = pair.table_a, pair.table_b
    return moved_rows(pair.together, tables, geometries[0], context, unit=pair.unit)


def _reference(pair: _Pair) -> str:
    """Return what may refer to the rows of a table on either side, "" when nothing can."""
    if any(side.refers_to_rows for side in pair.packages):
        return "a related table"
    own = partial(_own, packages=pair.packages)
    count = pair.a.count(pair.table_a.name)
    sides = ((pair.a, pair.table_a), (pair.b, pair.table_b))
    return next(filter(None, (reference(side, table, count, own) for side, table in sides)), "")


def _judge(
    pair: _Pair,
    context: Context,
    where: dict[str, str],
    a: dict[str, list[Any]],
    b: dict[str, list[Any]],
    *,
    some: bool = False,
) -> tuple[Finding, ...]:
    table_a, table_b, classifiers = typed_tables(a, b, some=some)
    shown = ShownGeometries()
    for package, table in zip(pair.packages, (pair.table_a, pair.table_b), strict=True):
        geometry = package.geometry(table.name)
        if geometry and geometry not in classifiers:
            ground = package.ground(table.name) if pair.same_system else UNKNOWN_GROUND
            classifiers[geometry] = shown.watch(geometry, partial(classify_geometries, ground=ground))
        clocked = _CLOCKED.get(table.name, "")
        if clocked and classifiers.get(clocked, classify_texts) is classify_texts:
            classifiers[clocked] = _packaging
    if pair.spatial and pair.srs_label not in {column.name for column in pair.table_a.columns}:
        classifiers[pair.srs_label] = _other_system
    return shown.render(
        compare_tables(table_a, table_b, context, unit=pair.unit, classifiers=classifiers, where=where)
    )


def _packaging(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
    """Classify times that a library writes: they are packaging whether or not the windows explain them."""
    evidence = "when the metadata were written; the windows of the runs do not explain it"
    return tuple(
        found
        if found.kind == Kind.TIMESTAMP
        or not all(_is_time(side[i]) for side in (a, b) for i in found.indexes)
        else replace(found, kind=Kind.TIMESTAMP, rung=Rung.CONTAINER, evidence=evidence)
        for found in classify_pairs(list(zip(a, b, strict=True)), context, packaging=True)
    )


def _is_time(value: object) -> bool:
    """Return whether a value is a time as GeoPackage has it: 2026-01-31T12:00:00.000Z (1.4, requirement 5)."""
    return isinstance(value, str) and bool(_TIME.fullmatch(value))


def _headers(
    pair: _Pair, a: dict[str, list[Any]], b: dict[str, list[Any]], heads: Sequence[Sequence[bytes | None]]
) -> Iterator[Finding]:
    """Report whether the headers of geometries differ; several SRS ids become a column of the rows."""
    where: dict[str, str | int] = {"layer": pair.table_a.name}
    # Of many geometries few headers differ before the envelope.
    marks = [{None if head is None else head[:_MARK] for head in side} for side in heads]
    flags = [{mark[2:4] for mark in side if mark is not None} for side in marks]
    if flags[0] != flags[1]:
        evidence = "the headers of the geometries differ in flags or in the kind of envelope"
        yield Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where=where, evidence=evidence)
    shown = [sorted({system for mark in side if (system := _system(mark)) is not None}) for side in marks]
    if max(map(len, shown)) > 1:
        label = pair.srs_label
        while label in a or label in b:
            label += " "
        a[label], b[label] = ([_system(head) for head in side] for side in heads)
    elif shown[0] != shown[1] and all(shown) and pair.same_system:
        evidence = f"the geometries name SRS {shown[0][0]} against {shown[1][0]}"
        yield Finding(kind=Kind.CRS, rung=Rung.VALUE, where=where, evidence=evidence)


def _system(head: bytes | None) -> int | None:
    """Return the SRS id of the header of a geometry (GeoPackage 1.4, clause 2.1.3)."""
    if not head:
        return None
    return int.from_bytes(head[4:8], "little" if head[3] & 1 else "big", signed=True)


def _other_system(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:  # noqa: ARG001
    evidence = "the headers of the geometries name another SRS"
    return (Classified(Kind.CRS, Rung.VALUE, tuple(range(len(a))), evidence),)
