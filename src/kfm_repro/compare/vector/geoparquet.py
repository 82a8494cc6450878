"""GeoParquet: the ``geo`` metadata by meaning, and rows as features (GeoParquet 1.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import Classified, Context, reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.tabular.parquet import (
    compare_in_pieces,
    is_large,
    metadata_findings,
    open_parquet,
    read_table,
)
from kfm_repro.compare.vector.columns import canonical
from kfm_repro.compare.vector.crs import compare_crs, ground_of_definition
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import GEOGRAPHIC, Ground
from kfm_repro.compare.vector.stated import Stated
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = ["compare_geoparquet"]

_GEO = b"geo"
_DEFAULT_CRS, _DEFAULT_EDGES = "OGC:CRS84", "planar"
"""What a column has that says nothing of it; ``null`` for ``crs`` means that nobody knows (GeoParquet 1.1)."""
_EXTENSION = "ARROW:extension:metadata"
_WRITER = ("version", "creator")
_FIELDS = {
    "encoding": (Kind.SCHEMA, Rung.VALUE, "the encoding of the geometries"),
    "geometry_types": (Kind.SCHEMA, Rung.VALUE, "the declared types of the geometries"),
    "bbox": (Kind.EXTENT_METADATA, Rung.CONTAINER, "the bounding box is that of the geometries"),
}
_ABSENT = object()


def compare_geoparquet(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Parquet files of which at least one has ``geo`` metadata.

    Raises Unreadable when a file or its ``geo`` metadata cannot be read.
    """
    with open_parquet(a) as file_a, open_parquet(b) as file_b:
        with reading(a, "GeoParquet"):
            geo_a = _geo(file_a)
        with reading(b, "GeoParquet"):
            geo_b = _geo(file_b)
        stated = (
            Stated(geo_a, file_a.schema_arrow, partial(read_table, file_a, a, context)),
            Stated(geo_b, file_b.schema_arrow, partial(read_table, file_b, b, context)),
        )
        shown = ShownGeometries()
        classifiers = _classifiers(*stated, shown)
        if is_large(file_a, file_b, context):
            rows = compare_in_pieces(
                (file_a, a), (file_b, b), context, unit="feature", classifiers=classifiers
            )
        else:
            left, right = (side.table.replace_schema_metadata(None) for side in stated)
            rows = compare_tables(left, right, context, unit="feature", classifiers=classifiers)
        findings = (*_geo_findings(*stated), *shown.render(rows))
        others = metadata_findings(file_a, file_b, context, skip=(_GEO,), equal=not findings)
        repeated = tuple(f"/fields/{_step(name)}/metadata/{_EXTENSION}" for name in _columns(geo_a, geo_b))
        kept = (f for f in others if not str(f.where.get("pointer", "")).startswith(repeated))
        return (*findings, *kept, *_extensions((file_a, file_b), (geo_a, geo_b)))


def _columns(*sides: dict[str, Any]) -> list[str]:
    """Return the names of the geometry columns of any side, each once."""
    return list(dict.fromkeys(name for geo in sides for name in geo.get("columns", {})))


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _extensions(files: tuple[Any, Any], geos: tuple[dict[str, Any], dict[str, Any]]) -> Iterator[Finding]:
    """Report the Arrow extension of geometry columns, which repeats the CRS, where it says something else."""
    for name in _columns(*geos):
        sides = [_extension(file, name) for file in files]
        for key in sorted(set(sides[0]) | set(sides[1])):
            left, right = (side.get(key, _ABSENT) for side in sides)
            told = [geo.get("columns", {}).get(name, {}).get(key, _ABSENT) for geo in geos]
            if _text(left) == _text(right) or _text(told[0]) != _text(told[1]):
                continue
            where: dict[str, str | int] = {"column": name}
            if key == "crs":
                yield _crs(where, *(None if crs is _ABSENT else crs for crs in (left, right)))
            else:
                evidence = f"{key} of the Arrow extension of the column"
                yield _finding(Kind.SCHEMA, Rung.VALUE, where, left, right, evidence)


def _extension(file: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - a ParquetFile
    """Return the extension metadata of a column; text that is no JSON object is its one member ``text``."""
    schema = file.schema_arrow
    if schema.names.count(name) != 1:
        return {}
    raw = (schema.field(name).metadata or {}).get(_EXTENSION.encode())
    if not raw:
        return {}
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"text": raw.hex()}


def _geo(file: Any) -> dict[str, Any]:  # noqa: ANN401 - a ParquetFile
    """Return the ``geo`` metadata, empty when there is none; ValueError when it is not what it should be."""
    raw = (file.metadata.metadata or {}).get(_GEO)
    if raw is None:
        return {}
    try:
        geo = json.loads(raw)
    except RecursionError as exc:
        raise ValueError("the geo metadata nests too deep") from exc
    columns = geo.get("columns") if isinstance(geo, dict) else None
    if not isinstance(columns, dict) or not all(isinstance(column, dict) for column in columns.values()):
        raise ValueError("the geo metadata describes no columns")
    found: dict[str, Any] = geo
    return found


def _classifiers(a: Stated, b: Stated, shown: ShownGeometries) -> dict[str, PairClassifier]:
    found: dict[str, PairClassifier] = {}
    for side in (b, a):
        for name, column in side.columns.items():
            if all(each.columns.get(name, column).get("encoding", "WKB") == "WKB" for each in (a, b)):
                found[name] = shown.watch(name, partial(classify_geometries, ground=_ground(column)))
    for name in _columns(a.geo, b.geo):
        roots = [side.covering(name) for side in (a, b)]
        if roots[0] and roots[0] == roots[1] and roots[0] not in found:
            found[roots[0]] = _follows
    return found


def _ground(column: dict[str, Any]) -> Ground:
    return ground_of_definition(column["crs"]) if "crs" in column else GEOGRAPHIC


def _follows(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:  # noqa: ARG001
    evidence = "the bounding boxes are those of the geometries on both sides"
    return (Classified(Kind.EXTENT_METADATA, Rung.CONTAINER, tuple(range(len(a))), evidence),)


def _geo_findings(*sides: Stated) -> Iterator[Finding]:
    a, b = (side.geo for side in sides)
    if canonical(a) == canonical(b):
        if json.dumps(a) != json.dumps(b):
            evidence = "the members of the geo metadata stand in another order"
            yield Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where=_at("geo"), evidence=evidence)
        return
    if not a or not b:
        side = "A" if a else "B"
        evidence = f"only {side} says which columns are geometries, and in which CRS"
        yield Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, where=_at("geo"), evidence=evidence)
        return
    for name in [*a, *(name for name in b if name not in a)]:
        left, right = a.get(name, _ABSENT), b.get(name, _ABSENT)
        if name == "columns" or _text(left) == _text(right):
            continue
        written = name in _WRITER
        yield _finding(
            Kind.LIBRARY_VERSION if written else Kind.SCHEMA,
            Rung.CONTAINER if written else Rung.VALUE,
            _at(f"geo/{name}"), left, right,
            "who wrote the geo metadata" if written else f"{name} of the geo metadata",
        )  # fmt: skip
    for name in [*a["columns"], *(name for name in b["columns"] if name not in a["columns"])]:
        fits = all(side.box_fits(name) for side in sides)
        yield from _column(name, a["columns"].get(name), b["columns"].get(name), fits=fits)


def _column(
    name: str, a: dict[str, Any] | None, b: dict[str, Any] | None, *, fits: bool
) -> Iterator[Finding]:
    where: dict[str, str | int] = {"column": name}
    if a is None or b is None:
        side = "A" if b is None else "B"
        evidence = f"only {side} declares this column a geometry"
        yield Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, where=where, evidence=evidence)
        return
    for key in [*a, *(key for key in b if key not in a)]:
        left, right = a.get(key, _ABSENT), b.get(key, _ABSENT)
        if _text(left) == _text(right):
            continue
        if key == "crs":
            yield _crs(where, left, right)
            continue
        kind, rung, what = _FIELDS.get(key, (Kind.SCHEMA, Rung.VALUE, f"{key} of the geometry column"))
        if key == "geometry_types" and _same_members(left, right):
            kind, rung, what = Kind.LAYOUT, Rung.CONTAINER, "the same geometry types in another order"
        if key == "edges" and all(edges in (_ABSENT, _DEFAULT_EDGES) for edges in (left, right)):
            kind, rung, what = Kind.LAYOUT, Rung.CONTAINER, "the edges are said to be what they are unsaid"
        if key == "bbox" and not fits:
            rung, what = Rung.VALUE, "the bounding box is not that of the geometries"
        yield _finding(kind, rung, where, left, right, what)


def _crs(where: dict[str, str | int], a: object, b: object) -> Finding:
    left, right = (_DEFAULT_CRS if crs is _ABSENT else crs for crs in (a, b))
    same, evidence = compare_crs(left, right)
    if same:
        return _finding(Kind.LAYOUT, Rung.CONTAINER, where, None, None, evidence)
    names = [_crs_name(crs) for crs in (left, right)]
    return _finding(Kind.CRS, Rung.VALUE, where, names[0], names[1], evidence)


def _crs_name(crs: object) -> object:
    return crs.get("name") if isinstance(crs, dict) else crs


def _same_members(a: object, b: object) -> bool:
    return isinstance(a, list) and isinstance(b, list) and sorted(map(str, a)) == sorted(map(str, b))


def _finding(
    kind: Kind, rung: Rung, where: dict[str, str | int], a: object, b: object, evidence: str
) -> Finding:
    shown = [None if value is _ABSENT else value for value in (a, b)]
    examples = () if shown == [None, None] else (Example(a=scalar(shown[0]), b=scalar(shown[1])),)
    return Finding(kind=kind, rung=rung, where=where, examples=examples, evidence=evidence)


def _text(value: object) -> str | None:
    return None if value is _ABSENT else canonical(value)


def _at(pointer: str) -> dict[str, str | int]:
    return {"pointer": f"/metadata/{pointer}"}
