"""Two SQLite files: headers, schemas, then every ordinary table row by row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.context import Classified, Context, reading
from kfm_repro.compare.database.geopackage import Package, package_findings, read_package
from kfm_repro.compare.database.header import header_findings, read_header
from kfm_repro.compare.database.read import Database, Table, opened
from kfm_repro.compare.database.schema import bookkeeping, schema_findings
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import typed_columns
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import UNKNOWN_GROUND
from kfm_repro.compare.vector.wkb import strip_header
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = ["compare"]

_DRIVER_KEYS = ("fid", "ogc_fid")
"""Names that GDAL gives the row number; a key of another name is the user's own and data."""
_CLOCKED = {"gpkg_metadata_reference": "timestamp"}


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two SQLite databases or GeoPackages.

    Views, triggers and virtual tables are compared by their text and never run. Raises Unreadable for a
    damaged file and LimitExceeded for one with too many tables.
    """
    headers = read_header(a), read_header(b)
    with opened(a) as left, opened(b) as right:
        packages = _package(left), _package(right)
        renamed = packages[0].renamed(packages[1])
        return (
            *header_findings(*headers),
            *schema_findings(
                left,
                right,
                own=lambda name: _own(name, packages) and name not in {*renamed, *renamed.values()},
                upkeep=lambda entry: any(package.keeps(entry) for package in packages),
            ),
            *package_findings(*packages, renamed, context),
            *_tables(left, right, packages, renamed, context),
        )


def _package(database: Database) -> Package:
    with reading(database.path, "GeoPackage"):
        return read_package(database, database.path.stem)


def _own(name: str, packages: tuple[Package, Package]) -> bool:
    """Return whether a table holds data rather than a container's bookkeeping."""
    return not bookkeeping(name) and not any(package.bookkeeping(name) for package in packages)


def _tables(
    a: Database, b: Database, packages: tuple[Package, Package], renamed: dict[str, str], context: Context
) -> Iterator[Finding]:
    for name in a.tables:
        other = renamed.get(name, name)
        if other not in b.tables:
            continue
        if _own(name, packages):
            yield from _rows(_Pair(a, b, packages, a.tables[name], b.tables[other]), context)
        elif bookkeeping(name) and a.rows(name) != b.rows(other):
            evidence = f"{name} differs: counters and statistics that SQLite keeps for itself"
            yield Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where={"layer": name}, evidence=evidence)


class _Pair(msgspec.Struct, frozen=True):
    """One table on both sides."""

    a: Database
    b: Database
    packages: tuple[Package, Package]
    table_a: Table
    table_b: Table

    @property
    def same_system(self) -> bool:
        """Return whether the bookkeeping gives the geometries of both sides the same SRS id."""
        rows = (
            package.geometries.get(table.name, {})
            for package, table in zip(self.packages, (self.table_a, self.table_b), strict=True)
        )
        return len({row.get("srs_id") for row in rows}) == 1

    @property
    def spatial(self) -> bool:
        """Return whether rows are features."""
        return (
            self.packages[0].geometry(self.table_a.name) != ""
            or self.packages[1].geometry(self.table_b.name) != ""
        )


def _geometry_last(a: dict[str, Any], b: dict[str, Any], name: str) -> None:
    """Move the geometries behind the attributes, which name a feature better, where both hold them alike."""
    if name in a and name in b and [*a].index(name) == [*b].index(name):
        for side in (a, b):
            side[name] = side.pop(name)


def _rows(pair: _Pair, context: Context) -> Iterator[Finding]:
    columns_a, columns_b = pair.a.rows(pair.table_a.name), pair.b.rows(pair.table_b.name)
    where = {"layer": pair.table_a.name}
    yield from _headers(pair, columns_a, columns_b)
    _geometry_last(columns_a, columns_b, pair.packages[0].geometry(pair.table_a.name))
    numbers = _numbering(pair, columns_a, columns_b)
    judge = partial(_judge, pair, context, where)
    if numbers:
        bare = [{k: v for k, v in side.items() if k != numbers} for side in (columns_a, columns_b)]
        if bare[0]:
            yield from (_renumbered(finding, numbers) for finding in judge(*bare))
            return
    yield from judge(columns_a, columns_b)


def _judge(
    pair: _Pair, context: Context, where: dict[str, str], a: dict[str, list[Any]], b: dict[str, list[Any]]
) -> tuple[Finding, ...]:
    table_a, table_b, classifiers = _arrow(a, b)
    for package, table in zip(pair.packages, (pair.table_a, pair.table_b), strict=True):
        geometry = package.geometry(table.name)
        if geometry and geometry not in classifiers:
            ground = package.ground(table.name) if pair.same_system else UNKNOWN_GROUND
            classifiers[geometry] = partial(classify_geometries, ground=ground)
        if table.name in _CLOCKED:
            classifiers.setdefault(_CLOCKED[table.name], _packaging)
    unit = "feature" if pair.spatial else "row"
    return compare_tables(table_a, table_b, context, unit=unit, classifiers=classifiers, where=where)


def _packaging(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
    return classify_pairs(list(zip(a, b, strict=True)), context, packaging=True)


def _arrow(
    a: dict[str, list[Any]], b: dict[str, list[Any]]
) -> tuple[pa.Table, pa.Table, dict[str, PairClassifier]]:
    import pyarrow as pa

    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    classifiers: dict[str, PairClassifier] = {}
    for name in [*a, *(name for name in b if name not in a)]:
        *arrays, classifier = typed_columns(a.get(name, []), b.get(name, []))
        for side, source, array in zip(sides, (a, b), arrays, strict=True):
            if name in source:
                side[name] = array
        if classifier is not None:
            classifiers[name] = classifier
    ordered_b = {name: sides[1][name] for name in b}
    return pa.table(sides[0]), pa.table(ordered_b), classifiers


def _headers(pair: _Pair, a: dict[str, list[Any]], b: dict[str, list[Any]]) -> Iterator[Finding]:
    """Cut the GeoPackage headers off the geometries, in place, and report whether the headers differ."""
    heads: list[list[bytes]] = []
    for package, table, columns in zip(pair.packages, (pair.table_a, pair.table_b), (a, b), strict=True):
        name = package.geometry(table.name)
        split = [strip_header(v) if isinstance(v, bytes) else (b"", v) for v in columns.get(name, [])]
        if name in columns:
            columns[name] = [body for _, body in split]
        heads.append([head for head, _ in split])
    if sorted({head[2:4] for head in heads[0]}) != sorted({head[2:4] for head in heads[1]}):
        evidence = "the headers of the geometries differ in flags or in the kind of envelope"
        yield Finding(
            kind=Kind.LAYOUT, rung=Rung.CONTAINER, where={"layer": pair.table_a.name}, evidence=evidence
        )
    ids = [sorted({head[4:8] if head[3] & 1 else head[7:3:-1] for head in side if head}) for side in heads]
    if ids[0] != ids[1] and all(ids) and pair.same_system:
        shown = [", ".join(str(int.from_bytes(i, "little", signed=True)) for i in side) for side in ids]
        yield Finding(
            kind=Kind.CRS, rung=Rung.VALUE, where={"layer": pair.table_a.name},
            evidence=f"the geometries name SRS {shown[0]} against {shown[1]}"[:300],
        )  # fmt: skip


def _numbering(pair: _Pair, a: dict[str, list[Any]], b: dict[str, list[Any]]) -> str:
    """Return the column that merely counts the rows on both sides, "" when there is none.

    Only the keys that GDAL adds count, only from 1 upwards without gaps, and only when no other table
    refers to rows by them.
    """
    name = pair.table_a.row_number
    if not name or name != pair.table_b.row_number or name.lower() not in _DRIVER_KEYS:
        return ""
    if any(side.refers_to_rows for side in pair.packages):
        return ""
    tables = {pair.table_a.name.lower(), pair.table_b.name.lower()}
    if tables & (pair.a.referred | pair.b.referred):
        return ""
    counting = all(side[name] == list(range(1, len(side[name]) + 1)) for side in (a, b))
    return name if counting and a != b else ""


def _renumbered(finding: Finding, column: str) -> Finding:
    if finding.kind not in (Kind.FEATURE_ORDER, Kind.ROW_ORDER, Kind.ROWS_ADDED, Kind.ROWS_REMOVED):
        return finding
    note = f"{column} counts the rows on both sides and is renumbered with them"
    evidence = f"{finding.evidence}; {note}" if finding.evidence else note
    return msgspec.structs.replace(finding, evidence=evidence)
