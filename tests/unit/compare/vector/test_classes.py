"""Every class of change in every format that can hold it: exactly that class, its rung, its number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from formats import FORMATS
from shapely.affinity import translate

from kfm_repro.judge.diff import compare_paths

COUNT = 20
METRE = 1 / 110_990
"""Degrees of latitude in a metre at 38.5 degrees north (WGS 84), to a part in a thousand."""


def frame(geometries: Any, crs: Any = "EPSG:4326", **columns: Any) -> Any:
    own: dict[str, Any] = {
        "geoid": np.arange(20_001, 20_001 + len(geometries)),
        "density": np.arange(len(geometries)) * 1.37 + 0.1,
        "name": [f"county {n}" for n in range(len(geometries))],
    }
    return gpd.GeoDataFrame(own | columns, geometry=list(geometries), crs=crs)


def blobs() -> Any:
    """Polygons of 12 distinct vertices each and a hole, no coordinate short or round, clockwise as GDAL writes."""
    rng = np.random.default_rng(4)
    turn = -np.linspace(0, 2 * np.pi, 13)[:-1]
    made = []
    for x, y in rng.uniform([-101, 38.3], [-96, 38.7], (COUNT, 2)):
        ring = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(0.06, 0.08, (12, 1)) + (x, y)
        made.append(shapely.Polygon(ring, [ring[::-3] * 0.3 + np.array([x, y]) * 0.7]))
    return made


POLYGONS = frame(blobs())
LINES = frame([shapely.LineString(p.exterior.coords[:6]) for p in POLYGONS.geometry])
POINTS = frame([p.centroid for p in POLYGONS.geometry])
PARTS = frame(
    [shapely.MultiPolygon([p, translate(shapely.Polygon(p.exterior), 0.3)]) for p in POLYGONS.geometry]
)


def each(function: Callable[[Any], Any], of: Any = POLYGONS) -> Any:
    changed = of.copy()
    changed["geometry"] = [function(g) for g in of.geometry]
    return changed.set_crs(of.crs, allow_override=True)


def one(function: Callable[[Any], Any], of: Any = POLYGONS, at: int = 7) -> Any:
    changed = of.copy()
    geometries = list(of.geometry)
    geometries[at] = function(geometries[at])
    changed["geometry"] = gpd.GeoSeries(geometries, crs=of.crs)
    return changed


def cell(column: str, value: Any, of: Any = POLYGONS, at: int = 7) -> Any:
    changed = of.copy()
    values = list(of[column])
    values[at] = value
    changed[column] = values
    return changed


def rings(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda p: shapely.Polygon(function(p.exterior.coords), [function(h.coords) for h in p.interiors])


def rotated(ring: Any) -> Any:
    body = list(ring)[:-1]
    body = body[2:] + body[:2]
    return [*body, body[0]]


def repeated(ring: Any) -> Any:
    return [ring[0], ring[1], ring[1], *ring[2:]]


def coordinates(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda g: shapely.transform(g, function, include_z=g.has_z)


def rounded(geometry: Any) -> Any:
    return coordinates(lambda c: np.round(c, 7))(geometry)


def bulge(polygon: Any) -> Any:
    ring = [*polygon.exterior.coords]
    return shapely.Polygon([*ring[:3], (ring[3][0] + 0.05, ring[3][1] + 0.05), *ring[3:]], polygon.interiors)


def shuffled(of: Any = POLYGONS) -> Any:
    return of.sample(frac=1, random_state=3).reset_index(drop=True)


def typed(column: str, kind: Any, of: Any = POLYGONS) -> Any:
    return of.assign(**{column: of[column].astype(kind)})


NAIVE = POLYGONS.assign(seen=pd.date_range("2024-01-01", periods=COUNT, freq="h").as_unit("ms"))
AWARE = NAIVE.assign(seen=NAIVE.seen.dt.tz_localize("UTC"))
HIGH = each(lambda g: shapely.force_3d(g, 10.0))
JSON = frozenset({"GeoJSON", "GeoJSONSeq"})
CSV = frozenset({"CSV with WKT"})
SHAPES = frozenset({"Shapefile"})
"""Every ring has the direction of the format, and a polygon of one part is no other than a multipolygon."""
SHORT = frozenset({"GML", "KML"})
"""GDAL writes numbers of 15 digits, and no type of a number that is any more exact than a decimal."""
WORLD = frozenset({"KML"})
"""Always longitude and latitude of WGS 84, between -180 and 180 degrees; GDAL draws what has a geometry."""
UNLOCATED = CSV | {"GeoJSONSeq"}
"""Formats that say nothing of the reference system."""
EVERY = frozenset(FORMATS)


@dataclass(frozen=True)
class Case:
    """Two frames, what is told of them, and the formats that cannot hold the difference."""

    a: Any
    b: Any
    kind: str
    rung: str
    count: int | None = COUNT
    without: frozenset[str] = frozenset()
    metres: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)


def case(a: Any, b: Any, kind: str, rung: str, count: int | None = COUNT, **more: Any) -> Case:
    return Case(a, b, kind, rung, count, **more)


CASES = {
    "feature order": case(
        POLYGONS, shuffled(), "feature-order", "order", None, instead=dict.fromkeys(CSV, "row-order")
    ),
    "column order": case(
        POLYGONS, POLYGONS[["name", "density", "geoid", "geometry"]], "column-order", "order", None,
        instead=dict.fromkeys(JSON, "key-order"),
    ),
    "ring start": case(POLYGONS, each(rings(rotated)), "ring-start", "noise"),
    "ring orientation": case(POLYGONS, each(shapely.Polygon.reverse), "ring-orientation", "noise", without=SHAPES),
    "part order": case(PARTS, each(lambda m: shapely.MultiPolygon(m.geoms[::-1]), PARTS), "part-order", "order"),
    "line direction": case(LINES, one(shapely.LineString.reverse, LINES), "line-direction", "value", 1),
    "single against multi": case(
        POLYGONS, each(lambda p: shapely.MultiPolygon([p])), "single-multi", "value", without=SHAPES
    ),
    "height 10 against 999": case(
        HIGH, one(lambda g: shapely.force_3d(shapely.force_2d(g), 999), HIGH), "dimension", "value", 1,
        detail={"max_z": 989.0},
    ),
    "height 0 added": case(POLYGONS, each(shapely.force_3d), "dimension", "value"),
    "null against a geometry": case(POLYGONS, one(lambda _: None), "empty-null", "value", 1, without=WORLD),
    "signed zero": case(
        one(lambda _: shapely.Point(0.0, 1.5), POINTS), one(lambda _: shapely.Point(-0.0, 1.5), POINTS),
        "float-noise", "noise", 1, detail={"max_ulp": 0}, without=CSV,
    ),
    "one ulp": case(
        POLYGONS, each(coordinates(lambda c: np.nextafter(c, 1e9))), "float-noise", "noise", without=SHORT,
        detail={"max_ulp": 1},
    ),
    "seven decimals": case(
        POLYGONS, each(rounded), "precision", "value", detail={"decimals": 7, "rounded": "B"}
    ),
    "seven decimals, rotated": case(
        POLYGONS, each(lambda p: rings(rotated)(rounded(p))), "precision", "value",
        detail={"decimals": 7, "rounded": "B"},
    ),
    "repeated vertex": case(POLYGONS, each(rings(repeated)), "repeated-vertex", "noise"),
    "densified": case(
        POLYGONS, each(lambda p: shapely.segmentize(p, 0.02)), "densified", "value"
    ),
    "two metres north": case(
        POLYGONS, one(lambda g: translate(g, 0, 2 * METRE)), "geometry", "value", 1, metres=2.0
    ),
    "all three metres north": case(
        POLYGONS, each(lambda g: translate(g, 0, 3 * METRE)), "geometry", "value", metres=3.0
    ),
    "one vertex a metre away": case(
        POINTS, one(lambda p: shapely.Point(p.x, p.y + METRE), POINTS), "geometry", "value", 1, metres=1.0
    ),
    "reshaped": case(POLYGONS, one(bulge), "geometry", "value", 1),
    "axis swap": case(POLYGONS, each(coordinates(lambda c: c[:, ::-1])), "axis-swap", "value"),
    "longitude wrap": case(
        POLYGONS, each(lambda g: translate(g, 360)), "longitude-wrap", "value", without=CSV | WORLD
    ),
    "another datum": case(
        POLYGONS, POLYGONS.set_crs("EPSG:4258", allow_override=True), "crs", "value", None, without=UNLOCATED | WORLD
    ),
    "no crs": case(
        POLYGONS, POLYGONS.set_crs(None, allow_override=True), "crs", "value", None,
        without=JSON | CSV | WORLD, instead=dict.fromkeys(SHAPES, "missing-output"),
    ),
    "removed": case(POLYGONS, POLYGONS.drop(7).reset_index(drop=True), "rows-removed", "value", 1),
    "added": case(POLYGONS.drop(7).reset_index(drop=True), POLYGONS, "rows-added", "value", 1),
    "duplicate": case(
        POLYGONS, pd.concat([POLYGONS, POLYGONS.iloc[[7]]], ignore_index=True), "duplicate-rows", "value", 1
    ),
    "another name": case(POLYGONS, cell("name", "Reno"), "value", "value", 1),
    "half a part in a hundred thousand": case(
        POLYGONS, cell("density", POLYGONS.density[7] * (1 + 5e-6)), "value", "value", 1
    ),
    "an attribute one ulp away": case(
        POLYGONS, cell("density", np.nextafter(POLYGONS.density[7], 1e9)), "float-noise", "noise", 1, without=SHORT,
        detail={"max_ulp": 1},
    ),
    "null against an empty text": case(
        cell("name", None), cell("name", ""), "null-form", "value", 1, without=CSV | SHAPES
    ),
    "another Unicode form": case(cell("name", "Doña"), cell("name", "Don\u0303a"), "encoding", "container", 1),
    "int64 to int32": case(POLYGONS, typed("geoid", "int32"), "type", "value", None, without=JSON | CSV | SHORT),
    "naive to UTC": case(NAIVE, AWARE, "type", "value", None, instead=dict.fromkeys(CSV, "value")),
}  # fmt: skip


def measured(findings: Any) -> Any:
    """What is told of the features: packaging aside, and what the file declares of their types."""
    declared = ("declared type", "geometry_type_name", "the declared type")
    return {
        (str(f.kind), str(f.rung))
        for f in findings
        if f.rung != "container"
        and not f.evidence.startswith(declared)
        and not str(f.where.get("pointer", "")).startswith("/metadata/pandas")
    }


pytestmark = pytest.mark.filterwarnings("ignore:'crs' was not provided", "ignore:Field seen created")
PAIRS = [(name, form) for name, it in CASES.items() for form in sorted(EVERY - it.without)]


@pytest.mark.parametrize(("name", "form"), PAIRS, ids=[f"{name}-{form}" for name, form in PAIRS])
def test_each_class_is_exactly_itself(name: str, form: str, tmp_path: Path) -> None:
    it = CASES[name]
    paths = [tmp_path / side / f"counties{FORMATS[form].suffix}" for side in "ab"]
    for path, data in zip(paths, (it.a, it.b), strict=True):
        path.parent.mkdir()
        FORMATS[form].write(data, path)
    findings = [f for output in compare_paths(*paths).outputs for f in output.findings]
    kind = it.instead.get(form, it.kind)
    found = max((f for f in findings if (f.kind, f.rung) == (kind, it.rung)), key=lambda f: f.count)
    assert measured(findings) <= {(kind, it.rung)}
    if it.count is not None:
        assert found.count == it.count
    assert {key: found.detail[key] for key in it.detail} == it.detail
    if it.metres is not None and form not in CSV:
        assert found.metres["max"] == pytest.approx(it.metres, rel=0.01)
