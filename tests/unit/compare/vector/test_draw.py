"""Drawings of changed features: the farthest first, bounded, named after their rows, without a coordinate."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from shapely.geometry import Point, Polygon

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.vector import draw
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import GEOGRAPHIC, UNKNOWN_GROUND, Ground
from kfm_repro.model.figures import GRID, Drawing
from kfm_repro.model.finding import Kind

OUTLINE = re.compile(r"(M\d+ \d+(L\d+ \d+)+Z?)+")


def square(x: float, y: float, side: float = 0.1) -> Polygon:
    return Polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])


def drawn(a: list[object], b: list[object], ground: Ground = GEOGRAPHIC) -> Drawing:
    (group,) = classify_geometries(shapely.to_wkb(a), shapely.to_wkb(b), Context(), ground)
    assert group.figures is not None
    assert group.figures.drawing is not None
    return group.figures.drawing


def test_the_farthest_comes_first_with_its_way_in_metres() -> None:
    a = [square(-98.0 + n, 38.0) for n in range(3)]
    b = [
        shapely.transform(g, lambda c, k=k: np.add(c, (0.0, k)))
        for g, k in zip(a, (1e-5, 3e-5, 2e-5), strict=True)
    ]
    drawing = drawn(a, b)
    assert [shape.key[draw.PAIR] for shape in drawing.shapes] == [1, 2, 0]
    first = drawing.shapes[0]
    assert first.metres == pytest.approx(3e-5 * 111_000, rel=0.01)
    assert first.north == pytest.approx(first.metres)
    assert first.east == pytest.approx(0.0, abs=1e-9)
    assert (drawing.of, drawing.density) == (3, None)
    assert drawing.unit_m == pytest.approx(2.1 * 111_320 * math.cos(math.radians(38.05)) / GRID, rel=0.01)


@pytest.mark.parametrize("ground", [GEOGRAPHIC, UNKNOWN_GROUND, Ground(geographic=False, unit=0.3048)])
def test_outlines_are_whole_numbers_within_the_drawing(ground: Ground) -> None:
    a = [
        square(-98.3, 38.2, 0.5),
        Point(-98.0, 38.4).buffer(0.2, quad_segs=500),
        shapely.MultiPoint([(-98.1, 38.3), (-98.2, 38.5)]),
    ]
    b = [shapely.transform(g, lambda c: c + 0.01) for g in a]
    groups = classify_geometries(shapely.to_wkb(a), shapely.to_wkb(b), Context(), ground)
    drawings = [group.figures.drawing for group in groups if group.figures and group.figures.drawing]
    assert sum(len(drawing.shapes) for drawing in drawings) == 3
    assert all(max(drawing.width, drawing.height) == GRID for drawing in drawings)
    shapes = [shape for drawing in drawings for shape in drawing.shapes]
    for shape in shapes:
        for outline in filter(None, (shape.a, shape.b)):
            assert OUTLINE.fullmatch(outline)
            numbers = [int(number) for number in re.findall(r"\d+", outline)]
            assert max(numbers) <= GRID
            assert len(numbers) <= 2 * 160
        assert (shape.metres is None) is not ground.in_metres
    assert "98." not in str(drawings)
    assert "38." not in "".join(shape.a + shape.b for shape in shapes)


def test_beyond_the_limit_features_are_counted_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "MAX_SHAPES", 4)
    a = [Point(float(n % 5), float(n // 5)) for n in range(25)]
    b = [shapely.transform(g, lambda c, n=n: c + 1e-6 * (n + 1)) for n, g in enumerate(a)]
    drawing = drawn(a, b, Ground(geographic=False, unit=1.0))
    assert [shape.key[draw.PAIR] for shape in drawing.shapes] == [24, 23, 22, 21]
    assert drawing.density is not None
    assert sum(count for _, _, count in drawing.density.cells) == 21
    assert drawing.of == 25


def test_another_shape_is_drawn_without_a_distance() -> None:
    drawing = drawn([square(0, 0)], [square(0, 0, 0.2).buffer(0.1)])
    (shape,) = drawing.shapes
    assert shape.metres is None
    assert shape.b
    assert shape.a != shape.b


def test_every_part_of_a_collection_is_drawn() -> None:
    a = shapely.GeometryCollection([shapely.MultiPolygon([square(0, 0), square(1, 0)]), Point(2, 2)])
    b = shapely.transform(a, lambda c: np.add(c, (0.001, 0.002)))
    (shape,) = drawn([shapely.GeometryCollection([a])], [shapely.GeometryCollection([b])]).shapes
    assert [outline.count("M") for outline in (shape.a, shape.b)] == [3, 3]
    assert OUTLINE.fullmatch(shape.a)


def test_a_line_that_goes_to_and_fro_is_thinned_before_it_is_simplified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simplify, asked = shapely.simplify, []

    def watched(geometries: Any, *rest: float, **options: bool) -> object:
        asked.extend(shapely.get_num_coordinates(draw._plain_parts(geometries)[0]))
        return simplify(geometries, *rest, **options)

    monkeypatch.setattr(shapely, "simplify", watched)
    steps = np.arange(20_000)
    sides: tuple[list[Any], list[Any]] = ([], [])
    for shift, side in enumerate(sides):
        zigzag = np.column_stack([steps % 2, steps % 3 + shift])
        specks = [square(n % 100, n // 100 + shift, 0.01) for n in range(5_000)]
        specks[0] = specks[0].difference(square(0.002, shift + 0.002, 0.001))
        collection = shapely.GeometryCollection([*specks, Point(3, shift), shapely.LineString(zigzag)])
        side += [shapely.LineString(zigzag), Polygon(zigzag), shapely.MultiPolygon(specks), collection]
    for a, b in zip(*sides, strict=True):
        assert OUTLINE.fullmatch(drawn([a], [b]).shapes[0].a)
    assert all(count <= draw._MOST_SIMPLIFIED for count in asked)


def test_endless_coordinates_are_not_drawn() -> None:
    (group,) = classify_geometries(
        shapely.to_wkb([Point(0, 0)]), shapely.to_wkb([Point(math.inf, 0)]), Context(), GEOGRAPHIC
    )
    assert group.figures is None


def test_features_are_named_after_their_rows(tmp_path: Path) -> None:
    a = [square(-98.0 + n, 38.0) for n in range(4)]
    b = [g if n == 2 else shapely.transform(g, lambda c, n=n: c + 1e-5 * (n + 1)) for n, g in enumerate(a)]
    for name, shapes in (("a.geojson", a), ("b.geojson", b)):
        geopandas.GeoDataFrame({"geoid": list("wxyz")}, geometry=shapes, crs=4326).to_file(tmp_path / name)
    found = compare_files(tmp_path / "a.geojson", tmp_path / "b.geojson", name="a.geojson", context=Context())
    (finding,) = [finding for finding in found.findings if finding.kind is Kind.GEOMETRY]
    assert finding.figures
    assert finding.figures.drawing is not None
    assert [shape.key for shape in finding.figures.drawing.shapes] == [
        {"geoid": "z"},
        {"geoid": "x"},
        {"geoid": "w"},
    ]
