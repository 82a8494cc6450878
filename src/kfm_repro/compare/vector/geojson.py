"""GeoJSON (RFC 7946): features as rows, geometries by meaning, everything else as a document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import MISSING, canonical, classify_spelt, plain, typed_columns
from kfm_repro.compare.vector.crs import compare_crs, ground_of_name
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.extent import box_fits, each_extent, whole_extent
from kfm_repro.compare.vector.geojson_read import Features, read_geojson
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.compare.vector.measure import Ground

__all__ = ["compare", "compare_features"]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two GeoJSON files: top-level members, key order, and features as rows of a table.

    Coordinates are degrees (RFC 7946, section 4) unless a ``crs`` member names a projection; then distances
    are in its units. Raises Unreadable for what is no GeoJSON and LimitExceeded beyond the limits.
    """
    left, right = (read_geojson(path, context.limits) for path in (a, b))
    return compare_features(left, right, (a.stem, b.stem), context)


def compare_features(
    a: Features, b: Features, stems: tuple[str, str], context: Context
) -> tuple[Finding, ...]:
    """Compare two sets of features that were read as GeoJSON; ``stems`` are what the files are called."""
    return (*_top_level(a, b, stems, context), *_key_orders(a, b), *_features(a, b, context))


def _features(a: Features, b: Features, context: Context) -> tuple[Finding, ...]:
    from functools import partial

    ground = _ground(a, b)
    table_a, table_b, classifiers, geometry = _tables(a, b)
    shown = ShownGeometries()
    classifiers[geometry] = shown.watch(geometry, partial(classify_geometries, ground=ground))
    return shown.render(compare_tables(table_a, table_b, context, unit="feature", classifiers=classifiers))


def _tables(a: Features, b: Features) -> tuple[pa.Table, pa.Table, dict[str, PairClassifier], str]:
    """Return both sides as tables, the classifiers of their columns, and the name of the geometry column."""
    import pyarrow as pa

    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    classifiers: dict[str, PairClassifier] = {}
    for own, names in (
        ("properties", _union(a.properties, b.properties)),
        ("members", _union(a.members, b.members)),
    ):
        for name in names:
            label = _free(name, sides)
            columns = [getattr(side, own).get(name) for side in (a, b)]
            values = typed_columns(*(column or [MISSING] for column in columns))
            for side, column, array in zip(sides, columns, values[:2], strict=True):
                if column is not None:
                    side[label] = array
            if values[2] is not None:
                classifiers[label] = values[2]
            if own == "members" and name == "bbox" and all(_boxes_fit(side) for side in (a, b)):
                classifiers[label] = _follows
    if any(extra is not None for side in (a, b) for extra in side.extras):
        label = _free("geometry members", sides)
        classifiers[label] = classify_spelt
        for side, features in zip(sides, (a, b), strict=True):
            texts = [None if extra is None else canonical(extra) for extra in features.extras]
            side[label] = pa.array(texts, pa.string())
    geometry = _free("geometry", sides)
    for side, features in zip(sides, (a, b), strict=True):
        side[geometry] = pa.array(features.wkb, pa.large_binary())
    return pa.table(sides[0]), pa.table(sides[1]), classifiers, geometry


def _boxes_fit(features: Features) -> bool:
    """Return whether every feature that states its bounding box states that of its geometry."""
    boxes = features.members.get("bbox", [])
    if not boxes:
        return True
    extents = each_extent(features.wkb)
    return all(box is MISSING or box_fits(box, extent) for box, extent in zip(boxes, extents, strict=True))


def _box_fits(features: Features) -> bool:
    """Return whether the bounding box of the file, if it states one, is that of its features."""
    box = features.top.get("bbox", MISSING)
    return box is MISSING or box_fits(box, whole_extent(features.wkb))


def _follows(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:  # noqa: ARG001
    evidence = "the bounding box is that of the geometry on both sides"
    return (Classified(Kind.EXTENT_METADATA, Rung.CONTAINER, tuple(range(len(a))), evidence),)


def _union(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of A in its order, then those that only B has: key order is told elsewhere."""
    return [*a, *(name for name in b if name not in a)]


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _free(name: str, sides: tuple[dict[str, Any], ...]) -> str:
    """Return the label of a column: its printable name, told apart from those that have labels already."""
    name = _printable(name)
    while any(name in side for side in sides):
        name = f"feature.{name}"
    return name


def _top_level(a: Features, b: Features, stems: tuple[str, str], context: Context) -> Iterator[Finding]:
    for name in _union(a.top, b.top):
        left, right = (side.top.get(name, MISSING) for side in (a, b))
        texts = [None if value is MISSING else canonical(value) for value in (left, right)]
        if texts[0] == texts[1]:
            continue
        pointer = "/" + _printable(name).replace("~", "~0").replace("/", "~1")
        shown = tuple(scalar(text) for text in texts)
        if name == "crs":
            yield _crs(pointer, (left, right), shown)
        elif name == "bbox":
            follow = _box_fits(a) and _box_fits(b)
            words = "is that of the features on both sides" if follow else "is not that of the features"
            rung = Rung.CONTAINER if follow else Rung.VALUE
            evidence = f"the bounding box of the file {words}"
            yield _finding(Kind.EXTENT_METADATA, rung, pointer, shown, evidence)
        elif name == "name" and (left, right) == stems:
            evidence = "the layer is named after the file on both sides"
            yield _finding(Kind.LAYER_NAME, Rung.CONTAINER, pointer, shown, evidence)
        else:
            yield from _member(pointer, left, right, context)


def _crs(pointer: str, members: tuple[Any, Any], shown: tuple[Any, ...]) -> Finding:
    names = [_crs_name(member) for member in members]
    plain = all(canonical(m) == canonical(_named(n)) for m, n in zip(members, names, strict=True) if n)
    if not all(names):
        evidence = "only one side names a CRS (RFC 7946: without one it is WGS 84)"
        return _finding(Kind.CRS, Rung.VALUE, pointer, shown, evidence)
    same, evidence = compare_crs(*names)
    if same and plain:
        return _finding(Kind.LAYOUT, Rung.CONTAINER, pointer, shown, evidence)
    return _finding(Kind.CRS, Rung.VALUE, pointer, shown, evidence)


def _named(name: str) -> dict[str, Any]:
    """Return the member that names a CRS and says nothing else (GeoJSON 2008, section 3.1)."""
    return {"type": "name", "properties": {"name": name}}


def _member(pointer: str, a: Any, b: Any, context: Context) -> Iterator[Finding]:  # noqa: ANN401
    """Report one top-level member; objects and arrays of the same shape member by member."""
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        for key in a:
            if canonical(a[key]) != canonical(b[key]):
                step = _printable(key).replace("~", "~0").replace("/", "~1")
                yield from _member(f"{pointer}/{step}", a[key], b[key], context)
        return
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for at, (left, right) in enumerate(zip(a, b, strict=True)):
            if canonical(left) != canonical(right):
                yield from _member(f"{pointer}/{at}", left, right, context)
        return
    shown = tuple(None if v is MISSING else plain(canonical(v)) for v in (a, b))
    if MISSING in (a, b):
        side = "A" if b is MISSING else "B"
        yield _finding(Kind.VALUE, Rung.VALUE, pointer, shown, f"only {side} has this member")
        return
    for group in classify_pairs([(shown[0], shown[1])], context):
        yield _finding(Kind(group.kind), Rung(group.rung), pointer, shown, group.evidence, dict(group.detail))


def _finding(
    kind: Kind,
    rung: Rung,
    pointer: str,
    shown: tuple[Any, ...],
    evidence: str,
    detail: dict[str, Any] | None = None,
) -> Finding:
    example = Example(a=scalar(shown[0]), b=scalar(shown[1]))
    where: dict[str, str | int] = {"pointer": pointer}
    return Finding(
        kind=kind, rung=rung, where=where, examples=(example,), evidence=evidence, detail=detail or {}
    )


def _key_orders(a: Features, b: Features) -> Iterator[Finding]:
    """Report objects whose members are the same in another order: top level, features, properties."""
    if a.keys != b.keys and set(a.keys) == set(b.keys):
        shown = (json.dumps(a.keys), json.dumps(b.keys))
        yield _finding(Kind.KEY_ORDER, Rung.ORDER, "", shown, "the members of the file in another order")
    for at, (pointer, what) in enumerate(
        (("/features/*", "features"), ("/features/*/properties", "properties"))
    ):
        orders = [[order[at] for order in side.orders] for side in (a, b)]
        if Counter(orders[0]) == Counter(orders[1]):
            continue
        pairs = [
            (left, right)
            for left, right in zip(*orders, strict=False)
            if left != right and set(left) == set(right)
        ]
        if pairs:
            shown = (json.dumps(pairs[0][0]), json.dumps(pairs[0][1]))
            finding = _finding(
                Kind.KEY_ORDER, Rung.ORDER, pointer, shown, f"the keys of {what} in another order"
            )
            yield _counted(finding, len(pairs), min(a.count, b.count))


def _counted(finding: Finding, count: int, of: int) -> Finding:
    import msgspec

    return msgspec.structs.replace(finding, count=count, of=of)


def _ground(a: Features, b: Features) -> Ground:
    """Return the ground of the ``crs`` member of A, else of B; without any they are degrees."""
    names = [_crs_name(side.top.get("crs")) for side in (a, b)]
    return ground_of_name(names[0] or names[1])


def _crs_name(member: object) -> str:
    if isinstance(member, dict) and isinstance(member.get("properties"), dict):
        name = member["properties"].get("name")
        return name if isinstance(name, str) else ""
    return ""
