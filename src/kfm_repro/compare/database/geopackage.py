"""The bookkeeping of a GeoPackage (OGC 12-128r19): contents, reference systems, spatial indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import Context
from kfm_repro.compare.database.read import Database, Entry
from kfm_repro.compare.database.systems import definition, system_difference
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.vector.crs import ground_of_definition
from kfm_repro.compare.vector.measure import UNKNOWN_GROUND, Ground
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.database.beside import Beside
    from kfm_repro.compare.database.derived import Derived

__all__ = ["Package", "package_findings", "read_package"]

_EXTENT = ("min_x", "min_y", "max_x", "max_y")
_SHADOWS = ("_node", "_parent", "_rowid")
_COUNTING = ("trigger_insert_feature_count_", "trigger_delete_feature_count_")
_OWN = (
    "gpkg_contents",
    "gpkg_geometry_columns",
    "gpkg_spatial_ref_sys",
    "gpkg_ogr_contents",
    "gpkg_extensions",
)
_INDEX = "gpkg_rtree_index"
_RELATIONS = "gpkgext_relations"
_UNDEFINED = (0, -1)
_FITS = {True: "that of the features on both sides", False: "not that of the features"}
_RUNGS = {True: Rung.CONTAINER, False: Rung.VALUE}

Row = dict[str, Any]


@dataclass(frozen=True)
class Package:
    """The bookkeeping of one side; empty for a plain SQLite file. Rows are by table name or SRS id."""

    stem: str = ""
    contents: dict[str, Row] = field(default_factory=dict)
    geometries: dict[str, Row] = field(default_factory=dict)
    systems: dict[int, Row] = field(default_factory=dict)
    counts: dict[str, Row] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()
    extensions: dict[str, list[str]] = field(default_factory=dict)
    refers_to_rows: bool = False

    def geometry(self, table: str) -> str:
        """Return the name of a table's geometry column, "" when it has none."""
        return str(self.geometries.get(table, {}).get("column_name", ""))

    def ground(self, table: str) -> Ground:
        """Return what a unit of a table's coordinates is."""
        system = self.geometries.get(table, {}).get("srs_id")
        return ground_of_definition(self.definition(system)) if system not in _UNDEFINED else UNKNOWN_GROUND

    def definition(self, system: Any) -> str:  # noqa: ANN401 - whatever stands in the cell
        """Return the WKT of a reference system, "" when it is not defined."""
        return definition(self.systems.get(system))

    def bookkeeping(self, name: str) -> bool:
        """Return whether a table is compared here and not as rows."""
        return bool(self.contents) and (name in _OWN or name in self.indexes)

    def keeps(self, entry: Entry) -> bool:
        """Return whether a trigger or virtual table keeps an index or a count of a layer up to date."""
        name = entry.name.lower()
        made = any(
            name.startswith(self.index_of(layer))
            or name in {f"{start}{layer.lower()}" for start in _COUNTING}
            for layer in self.contents
        )
        return made and entry.kind in ("trigger", "table")

    def index_of(self, layer: str) -> str:
        """Return the name of a layer's spatial index in lower case (GeoPackage 1.4, annex F.3)."""
        return f"rtree_{layer}_{self.geometry(layer)}".lower()

    def renamed(self, other: Package) -> dict[str, str]:
        """Return the one layer that both sides name after their own file, as {name in A: name in B}."""
        same = self.stem == other.stem or self.stem in other.contents or other.stem in self.contents
        if same or self.stem not in self.contents or other.stem not in other.contents:
            return {}
        return {self.stem: other.stem}


def read_package(database: Database, stem: str) -> Package:
    """Read the bookkeeping; a table that is absent or lacks its key counts as empty."""
    if "gpkg_contents" not in database.tables:
        return Package(stem)
    geometries = _by(database, "gpkg_geometry_columns", "table_name")
    shadows = {
        f"rtree_{layer}_{row.get('column_name')}{end}".lower()
        for layer, row in geometries.items()
        for end in _SHADOWS
    }
    return Package(
        stem=stem,
        contents=_by(database, "gpkg_contents", "table_name"),
        geometries=geometries,
        systems=_by(database, "gpkg_spatial_ref_sys", "srs_id"),
        counts=_by(database, "gpkg_ogr_contents", "table_name"),
        indexes=tuple(name for name in database.tables if name.lower() in shadows),
        extensions=_extensions(database),
        refers_to_rows=_RELATIONS in database.tables,
    )


def _extensions(database: Database) -> dict[str, list[str]]:
    """Return the rows of gpkg_extensions as sorted texts, by the name of the extension."""
    if "gpkg_extensions" not in database.tables:
        return {}
    columns = database.rows("gpkg_extensions")
    names = columns.pop("extension_name", [])
    found: dict[str, list[str]] = {}
    for name, row in zip(names, zip(*columns.values(), strict=True), strict=True):
        found.setdefault(str(name), []).append(repr(row))
    return {name: sorted(rows) for name, rows in found.items()}


def _by(database: Database, table: str, key: str) -> dict[Any, Row]:
    if table not in database.tables:
        return {}
    columns = database.rows(table)
    if key not in columns:
        raise ValueError(f"{table} has no {key}")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    found = {row[key]: row for row in rows}
    if len(found) != len(rows):
        raise ValueError(f"{table} names {key} twice")
    return found


def package_findings(
    left: Derived, right: Derived, renamed: dict[str, str], together: Beside, context: Context
) -> Iterator[Finding]:
    """Report the bookkeeping in which two GeoPackages differ, layer by layer."""
    a, b = left.package, right.package
    for name, other in renamed.items():
        yield _finding(
            Kind.LAYER_NAME, Rung.CONTAINER, name, "", (name, other), "named after the file on both sides"
        )
    for name, row in a.contents.items():
        partner = renamed.get(name, name)
        if partner in b.contents:
            fits = partial(_both, left.extent_fits, name, right.extent_fits, partner)
            yield from _contents(name, row, b.contents[partner], context, fits)
    for name, row in a.geometries.items():
        partner = renamed.get(name, name)
        if partner in b.geometries:
            yield from _geometry_column(name, row, b.geometries[partner])
    for side, mine, theirs in (("A", a, b), ("B", b, a)):
        yield from _alone(side, mine, theirs, {**renamed, **{v: k for k, v in renamed.items()}})
    yield from _systems(a, b, renamed)
    yield from _counts(left, right, renamed)
    yield from _indexes(left, right, renamed, together)


def _alone(side: str, mine: Package, other: Package, names: dict[str, str]) -> Iterator[Finding]:
    """Report what only one side registers, where its table is on both or on none."""
    for what in ("contents", "geometries"):
        for name in getattr(mine, what):
            if names.get(name, name) not in getattr(other, what):
                registered = "a layer" if what == "contents" else "a layer with geometries"
                yield _finding(
                    Kind.SCHEMA, Rung.VALUE, name, "", (), f"only {side} registers this as {registered}"
                )


def _both(mine: Callable[[str], bool], name: str, theirs: Callable[[str], bool], other: str) -> bool:
    return mine(name) and theirs(other)


def _contents(
    layer: str, a: Row, b: Row, context: Context, extent_fits: Callable[[], bool]
) -> Iterator[Finding]:
    if any(a.get(name) != b.get(name) for name in _EXTENT):
        fits = extent_fits()
        shown = (scalar([a.get(n) for n in _EXTENT]), scalar([b.get(n) for n in _EXTENT]))
        evidence = f"the extent in gpkg_contents is {_FITS[fits]}"
        yield _finding(Kind.EXTENT_METADATA, _RUNGS[fits], layer, "", shown, evidence)
    for column in [*a, *(column for column in b if column not in a)]:
        values = a.get(column), b.get(column)
        if values[0] == values[1] or column in (*_EXTENT, "table_name"):
            continue
        if column == "last_change":
            yield _last_change(layer, values, context)
        elif column == "identifier" and (a["table_name"], b["table_name"]) == values:
            yield _finding(
                Kind.LAYER_NAME, Rung.CONTAINER, layer, column, values, "the name of the layer again"
            )
        elif column != "srs_id":
            evidence = f"{column} in gpkg_contents"
            for group in classify_pairs([values], context):
                yield _finding(Kind(group.kind), Rung(group.rung), layer, column, values, evidence)


def _last_change(layer: str, values: tuple[Any, Any], context: Context) -> Finding:
    """Report the known clock of a GeoPackage; it is packaging whether or not the windows explain it."""
    (group,) = classify_pairs([values], context, packaging=True)
    if group.kind == Kind.TIMESTAMP:
        evidence = f"last_change of gpkg_contents: {group.evidence}"
    elif context.a.window is None or context.b.window is None:
        evidence = "last_change of gpkg_contents: when the layer was written"
    else:
        evidence = "last_change of gpkg_contents: the times lie outside the run windows"
    return _finding(Kind.TIMESTAMP, Rung.CONTAINER, layer, "last_change", values, evidence)


def _geometry_column(layer: str, a: Row, b: Row) -> Iterator[Finding]:
    for column in [*a, *(column for column in b if column not in a)]:
        values = a.get(column), b.get(column)
        if values[0] == values[1] or column in ("table_name", "srs_id"):
            continue
        kind = Kind.DIMENSION if column in ("z", "m") else Kind.SCHEMA
        yield _finding(kind, Rung.VALUE, layer, column, values, f"{column} in gpkg_geometry_columns")


def _systems(a: Package, b: Package, renamed: dict[str, str]) -> Iterator[Finding]:
    """Report reference systems: of layers by meaning, those that no layer uses as packaging."""
    used: list[tuple[Any, Any]] = []
    for mine, other in ((a.geometries, b.geometries), (a.contents, b.contents)):
        for layer, row in mine.items():
            pair = row.get("srs_id"), other.get(renamed.get(layer, layer), row).get("srs_id")
            if pair in used:
                continue
            used.append(pair)
            yield from _system(layer, a, b, pair)
    left, right = ({k: v for k, v in side.systems.items() if (k, k) not in used} for side in (a, b))
    named = {system for pair in used for system in pair}
    if any(left.get(k) != right.get(k) for k in [*left, *right] if k not in named):
        evidence = "gpkg_spatial_ref_sys differs in systems that no layer uses"
        yield _finding(Kind.LAYOUT, Rung.CONTAINER, "gpkg_spatial_ref_sys", "", (), evidence)


def _system(layer: str, a: Package, b: Package, pair: tuple[Any, Any]) -> Iterator[Finding]:
    rows = a.systems.get(pair[0]), b.systems.get(pair[1])
    if rows[0] == rows[1] and pair[0] == pair[1]:
        return
    shown = tuple(f"SRS {system}: {_name(row)}" for system, row in zip(pair, rows, strict=True))
    same, evidence = system_difference(rows, same_id=pair[0] == pair[1])
    if same:
        if pair[0] != pair[1]:
            evidence = f"{evidence}, under another SRS id"
        yield _finding(Kind.LAYOUT, Rung.CONTAINER, layer, "", shown, evidence)
    else:
        yield _finding(Kind.CRS, Rung.VALUE, layer, "", shown, evidence)


def _name(row: Row | None) -> str:
    return "not defined" if row is None else str(row.get("srs_name"))


def _counts(left: Derived, right: Derived, renamed: dict[str, str]) -> Iterator[Finding]:
    for name, row in left.package.counts.items():
        partner = renamed.get(name, name)
        other = right.package.counts.get(partner)
        if other is not None and row.get("feature_count") != other.get("feature_count"):
            fits = left.count_fits(name) and right.count_fits(partner)
            values = row.get("feature_count"), other.get("feature_count")
            evidence = f"the count in gpkg_ogr_contents is {_FITS[fits]}"
            yield _finding(Kind.EXTENT_METADATA, _RUNGS[fits], name, "feature_count", values, evidence)


def _indexes(left: Derived, right: Derived, renamed: dict[str, str], together: Beside) -> Iterator[Finding]:
    a, b = left.package, right.package
    named = [*a.indexes, *(name for name in b.indexes if name not in a.indexes)]
    changed = [
        name for name in named if name not in a.indexes or name not in b.indexes or not together.same(name)
    ]
    if a.extensions.get(_INDEX) != b.extensions.get(_INDEX):
        changed.append("gpkg_extensions")
    for name in [*a.extensions, *(name for name in b.extensions if name not in a.extensions)]:
        mine, theirs = a.extensions.get(name, []), _under_the_names_of_a(b.extensions.get(name, []), renamed)
        if mine != theirs and name != _INDEX:
            shown = scalar(mine), scalar(theirs)
            yield _finding(
                Kind.SCHEMA, Rung.VALUE, "gpkg_extensions", "", shown, f"the extension {name}"[:200]
            )
    if not changed:
        return
    broken = [f"A's index of {name}" for name in a.geometries if not left.index_fits(name)]
    broken += [f"B's index of {name}" for name in b.geometries if not right.index_fits(name)]
    if broken:
        evidence = f"{broken[0]} does not lead to each geometry: it has other entries than there are"
        yield Finding(kind=Kind.SPATIAL_INDEX, rung=Rung.VALUE, count=len(broken), evidence=evidence[:300])
    elif not renamed:
        evidence = "the tables of the spatial index differ: it follows from the geometries and their order"
        if not all(side.is_searched(name) for side in (left, right) for name in side.package.geometries):
            evidence += ", of which only the number was looked at"
        yield Finding(
            kind=Kind.SPATIAL_INDEX, rung=Rung.CONTAINER, count=len(changed), evidence=evidence,
            examples=tuple(Example(key={"table": name}) for name in changed[:3]),
        )  # fmt: skip


def _under_the_names_of_a(rows: list[str], renamed: dict[str, str]) -> list[str]:
    """Return rows of B's gpkg_extensions with the layer called as in A."""
    for name, other in renamed.items():
        rows = [row.replace(repr(other), repr(name)) for row in rows]
    return sorted(rows)


def _finding(
    kind: Kind, rung: Rung, layer: str, column: str, values: tuple[Any, ...], evidence: str
) -> Finding:
    where: dict[str, str | int] = {"layer": layer}
    if column:
        where["column"] = column
    examples = (Example(a=scalar(values[0]), b=scalar(values[1])),) if values else ()
    return Finding(kind=kind, rung=rung, where=where, examples=examples, evidence=evidence)
