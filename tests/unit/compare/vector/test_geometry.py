import struct
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import UNKNOWN_GROUND, Ground

METRES = Ground(geographic=False, unit=1.0)
SQUARE = shapely.from_wkt("POLYGON ((-98 38, -97.25 38, -97.3 38.7, -98.1 38.9, -98 38))")
HOLED = shapely.from_wkt(
    "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 2 1, 2 2, 1 1), (5 5, 7 5, 7 7, 5 7, 5 5))"
)
LINE = shapely.from_wkt("LINESTRING (-98 38, -97.1 38.2, -96.2 38.1)")
PARTS = shapely.from_wkt("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 7 5, 7 7, 5 7, 5 5)))")


def wkb(geometry: Any) -> Any:
    if geometry is None or isinstance(geometry, bytes):
        return geometry
    return shapely.to_wkb(geometry, output_dimension=4, byte_order=1, flavor="iso")


def classify(a: Any, b: Any, **kwargs: Any) -> Any:
    return classify_geometries([wkb(a)], [wkb(b)], kwargs.pop("context", Context()), **kwargs)


def only(a: Any, b: Any, **kwargs: Any) -> Any:
    groups = classify(a, b, **kwargs)
    assert [group.indexes for group in groups] == [(0,)]
    return groups[0]


def rotated(polygon: Any, by: Any = 2) -> Any:
    ring = list(polygon.exterior.coords)[:-1]
    ring = ring[by:] + ring[:by]
    return shapely.Polygon([*ring, ring[0]], [hole.coords for hole in polygon.interiors])


def moved(geometry: Any, function: Any) -> Any:
    return shapely.transform(geometry, function, include_z=geometry.has_z)


CASES = [
    ("rotated ring", SQUARE, rotated(SQUARE), "ring-start", "noise"),
    ("rotated ring with a hole", HOLED, rotated(HOLED), "ring-start", "noise"),
    ("reversed ring", SQUARE, SQUARE.reverse(), "ring-orientation", "noise"),
    (
        "holes swapped",
        HOLED,
        shapely.Polygon(HOLED.exterior, list(HOLED.interiors)[::-1]),
        "part-order",
        "order",
    ),
    ("parts swapped", PARTS, shapely.MultiPolygon(list(PARTS.geoms)[::-1]), "part-order", "order"),
    (
        "parts swapped and rings rotated",
        PARTS,
        shapely.MultiPolygon([rotated(g) for g in list(PARTS.geoms)[::-1]]),
        "ring-start",
        "noise",
    ),
    (
        "points in another order",
        shapely.from_wkt("MULTIPOINT (1 1, 2 2)"),
        shapely.from_wkt("MULTIPOINT (2 2, 1 1)"),
        "part-order",
        "order",
    ),
    ("reversed line", LINE, LINE.reverse(), "line-direction", "value"),
    (
        "one reversed line among several",
        shapely.MultiLineString([LINE, [(0, 0), (1, 1)]]),
        shapely.MultiLineString([LINE.reverse(), [(0, 0), (1, 1)]]),
        "line-direction",
        "value",
    ),
    ("one ulp", SQUARE, moved(SQUARE, lambda c: np.nextafter(c, 1e9)), "float-noise", "noise"),
    ("signed zero", shapely.Point(0.0, 1), shapely.Point(-0.0, 1), "float-noise", "noise"),
    ("rounded", moved(SQUARE, lambda c: c + 1e-9), moved(SQUARE, lambda c: c), "precision", "value"),
    (
        "repeated vertex",
        SQUARE,
        shapely.Polygon(np.insert(np.array(SQUARE.exterior.coords), 2, SQUARE.exterior.coords[2], 0)),
        "repeated-vertex",
        "noise",
    ),
    ("more vertices along the edges", SQUARE, shapely.segmentize(SQUARE, 0.1), "densified", "value"),
    ("single against multi", SQUARE, shapely.MultiPolygon([SQUARE]), "single-multi", "value"),
    ("height 0 added", SQUARE, shapely.force_3d(SQUARE), "dimension", "value"),
    (
        "height 10 against 999",
        shapely.force_3d(SQUARE, 10),
        shapely.force_3d(SQUARE, 999),
        "dimension",
        "value",
    ),
    ("null against empty", None, shapely.Polygon(), "empty-null", "value"),
    ("null against a geometry", None, SQUARE, "empty-null", "value"),
    ("empty of another type", shapely.Polygon(), shapely.MultiPolygon(), "empty-null", "value"),
    ("axes exchanged", SQUARE, moved(SQUARE, lambda c: c[:, ::-1]), "axis-swap", "value"),
    ("a full turn", SQUARE, moved(SQUARE, lambda c: c + np.array([360, 0])), "longitude-wrap", "value"),
    ("another type", SQUARE, LINE, "geometry", "value"),
    ("one vertex elsewhere", LINE, shapely.LineString([*LINE.coords[:2], (-96, 38)]), "geometry", "value"),
    ("a vertex dropped", SQUARE, shapely.Polygon(SQUARE.exterior.coords[1:-1]), "geometry", "value"),
]


@pytest.mark.parametrize(("a", "b", "kind", "rung"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_class_is_named(a: Any, b: Any, kind: Any, rung: Any) -> None:
    for left, right in ((a, b), (b, a)):
        group = only(left, right)
        assert (group.kind, group.rung) == (kind, rung)


def test_a_feature_moved_two_metres_north_is_two_metres() -> None:
    for lat in (0, 38, 60, -75):
        point = shapely.Point(-98, lat)
        north = 2.0 / (111132.954 - 559.822 * np.cos(2 * np.radians(lat)))
        group = only(
            shapely.box(-98, lat, -97.9, lat + 0.1),
            translate(shapely.box(-98, lat, -97.9, lat + 0.1), 0, north),
        )
        assert group.metres["max"] == pytest.approx(2.0, rel=0.01)
        assert group.metres["rmse"] == pytest.approx(2.0, rel=0.01)
        assert group.detail["shift"]["azimuth"] in (0.0, 360.0)
        assert only(point, translate(point, 0, north)).metres["max"] == pytest.approx(2.0, rel=0.01)


def test_a_projected_shift_is_its_length_and_azimuth() -> None:
    group = only(HOLED, translate(HOLED, 3, 4), ground=METRES)
    assert group.metres["max"] == pytest.approx(5.0)
    assert group.detail["shift"] == {"east": 3.0, "north": 4.0, "azimuth": 36.9, "unit": "m"}


def test_without_a_crs_no_metres_are_claimed() -> None:
    group = only(HOLED, translate(HOLED, 3, 4), ground=UNKNOWN_GROUND)
    assert group.metres is None
    assert group.detail["max_displacement"] == pytest.approx(5.0)


def test_a_full_turn_is_no_wrap_for_projected_coordinates() -> None:
    assert only(HOLED, translate(HOLED, 360, 0), ground=METRES).kind == "geometry"


def test_the_smallest_number_of_decimals_is_found() -> None:
    rough = moved(SQUARE, lambda c: c + np.sin(c * 1e7) * 1e-3)
    group = only(rough, moved(rough, lambda c: np.round(c, 7)))
    assert (group.kind, group.detail["decimals"], group.detail["rounded"]) == ("precision", 7, "B")
    assert group.metres["max"] < 0.01
    assert only(moved(rough, lambda c: np.round(c, 7)), rough).detail["rounded"] == "A"


def test_a_rotated_and_rounded_ring_takes_the_worse_rung() -> None:
    rough = moved(SQUARE, lambda c: c + np.sin(c * 1e7) * 1e-3)
    group = only(rough, rotated(moved(rough, lambda c: np.round(c, 7))))
    assert (group.kind, group.rung) == ("precision", "value")
    assert "rings started elsewhere" in group.evidence


def test_swapped_parts_with_an_ulp_between_are_noise() -> None:
    other = moved(
        shapely.MultiPolygon(list(PARTS.geoms)[::-1]), lambda c: np.where(c > 1, np.nextafter(c, 99), c)
    )
    assert (only(PARTS, other).kind, only(PARTS, other).rung) == ("float-noise", "noise")


def test_a_closed_line_that_starts_elsewhere_is_data() -> None:
    ring = list(SQUARE.exterior.coords)[:-1]
    a = shapely.LineString([*ring, ring[0]])
    b = shapely.LineString([*ring[1:], ring[0], ring[1]])
    assert only(a, b).rung == "value"


def test_a_hole_that_became_a_shell_is_not_part_order() -> None:
    a = shapely.from_wkt(
        "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 0), (4 1, 5 1, 5 2, 4 1)), ((20 0, 21 0, 21 1, 20 0)))"
    )
    b = shapely.from_wkt(
        "MULTIPOLYGON (((0 0, 9 0, 9 9, 0 0)), ((20 0, 21 0, 21 1, 20 0), (4 1, 5 1, 5 2, 4 1)))"
    )
    assert only(a, b).rung == "value"


def test_a_repeated_vertex_of_another_height_is_no_noise() -> None:
    a = shapely.from_wkt("LINESTRING Z (0 0 1, 0 0 5, 1 1 1)")
    b = shapely.from_wkt("LINESTRING Z (0 0 1, 0 0 1, 1 1 1)")
    assert only(a, b).rung == "value"


def test_a_ring_whose_end_has_another_height_is_not_turned() -> None:
    a = shapely.from_wkt("POLYGON Z ((0 0 1, 1 0 2, 1 1 3, 0 0 1))")
    b = shapely.from_wkt("POLYGON Z ((1 0 2, 1 1 3, 0 0 1, 1 0 9))")
    assert only(a, b).rung == "value"


def test_a_duplicated_point_of_a_multipoint_is_data() -> None:
    a, b = shapely.from_wkt(["MULTIPOINT (1 1, 1 1)", "MULTIPOINT (1 1)"])
    assert only(a, b).rung == "value"


def test_measures_are_seen() -> None:
    a, b = shapely.from_wkt(["POINT ZM (1 1 5 7)", "POINT ZM (1 1 5 8)"])
    assert (only(a, b).kind, only(a, b).detail["max_m"]) == ("dimension", 1.0)


def test_members_of_a_collection_are_compared() -> None:
    a = shapely.GeometryCollection([SQUARE, LINE])
    assert only(a, shapely.GeometryCollection([LINE, SQUARE])).kind == "part-order"
    assert only(a, shapely.GeometryCollection([rotated(SQUARE), LINE])).kind == "ring-start"
    assert only(a, shapely.GeometryCollection([rotated(SQUARE), LINE.reverse()])).kind == "line-direction"
    assert only(a, shapely.GeometryCollection([SQUARE])).rung == "value"


def test_another_byte_order_is_an_encoding() -> None:
    big = shapely.to_wkb(SQUARE, byte_order=0)
    assert (only(SQUARE, big).kind, only(SQUARE, big).rung) == ("encoding", "container")


def test_another_srid_is_a_crs() -> None:
    a, b = (shapely.to_wkb(shapely.set_srid(SQUARE, srid), include_srid=True) for srid in (4326, 4258))
    assert (only(a, b).kind, only(a, b).rung) == ("crs", "value")


def nested(depth: Any, kind: Any = 7) -> Any:
    return b"".join(struct.pack("<BII", 1, kind, 1) for _ in range(depth)) + struct.pack(
        "<BI2d", 1, 1, 1.0, 2.0
    )


HOSTILE = [
    b"",
    b"x",
    b"\x01\x07",
    wkb(SQUARE)[:-3],
    nested(200_000),
    nested(200_000, 4),
    struct.pack("<BII", 1, 3, 2**32 - 1),
    struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0),
    struct.pack("<BIIIdddddd", 1, 3, 1, 3, 0, 0, 1, 1, 2, 2),
    struct.pack("<BII4d", 1, 2, 2, float("nan"), 1, 2, float("inf")),
]


@pytest.mark.parametrize("blob", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_a_difference_and_no_crash(blob: Any) -> None:
    assert only(SQUARE, blob).rung == "value"
    assert only(blob, LINE).rung == "value"


def test_every_pair_is_in_exactly_one_group() -> None:
    a, b = [wkb(c[1]) for c in CASES], [wkb(c[2]) for c in CASES]
    groups = classify_geometries(a, b, Context())
    assert sorted(i for g in groups for i in g.indexes) == list(range(len(CASES)))
    kinds = {i: g.kind for g in groups for i in g.indexes}
    assert [kinds[i] for i in range(len(CASES))] == [c[3] for c in CASES]


def test_a_declared_tolerance_covers_only_what_it_covers() -> None:
    context = Context(options=Options(tolerance={"geometry": 1.0}))
    a, b = [wkb(HOLED)] * 2, [wkb(translate(HOLED, 0.5, 0)), wkb(translate(HOLED, 5, 0))]
    groups = classify_geometries(a, b, context, METRES)
    assert [(g.rung, g.indexes) for g in groups] == [("tolerance", (0,)), ("value", (1,))]


coordinate = st.integers(-50, 50).map(float)
points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=7)


@settings(deadline=None, max_examples=150)
@given(points, st.integers(0, 6), st.booleans(), st.booleans())
def test_rings_are_noise_exactly_when_they_are_rotations(
    ring: Any, by: Any, backwards: Any, change: Any
) -> None:
    other = ring[by % len(ring) :] + ring[: by % len(ring)]
    other = other[::-1] if backwards else other
    if change:
        other = [(other[0][0] + 1.0, other[0][1]), *other[1:]]
    a, b = (shapely.Polygon([*r, r[0]]) for r in (ring, other))
    if wkb(a) == wkb(b):
        return
    turns = [o[k:] + o[:k] for o in (ring, ring[::-1]) for k in range(len(ring))]
    assert (only(a, b).rung == "noise") >= (other in turns and len(set(ring)) == len(ring))
    if only(a, b).rung == "noise" and only(a, b).kind != "repeated-vertex":
        assert other in turns


def repeating(wkt: str, vertex: str) -> Any:
    """Return the geometry with the first of such vertices written twice."""
    return shapely.from_wkt(wkt.replace(vertex, f"{vertex}, {vertex}", 1))


@pytest.mark.parametrize(
    ("a", "b", "vertex"),
    [
        ("MULTILINESTRING ((0 0, 1 0), (5 5, 6 6))", "MULTILINESTRING ((5 5, 6 6), (0 0, 1 0))", "6 6"),
        (HOLED.wkt, shapely.Polygon(HOLED.exterior, list(HOLED.interiors)[::-1]).wkt, "2 1"),
        (PARTS.wkt, shapely.MultiPolygon(list(PARTS.geoms)[::-1]).wkt, "7 5"),
        (PARTS.wkt, shapely.MultiPolygon([rotated(part, 1) for part in PARTS.geoms][::-1]).wkt, "7 5"),
        ("MULTIPOLYGON Z (((0 0 1, 1 0 1, 1 1 1, 0 0 1)), ((5 5 2, 7 5 2, 7 7 2, 5 5 2)))",
         "MULTIPOLYGON Z (((5 5 2, 7 5 2, 7 7 2, 5 5 2)), ((0 0 1, 1 0 1, 1 1 1, 0 0 1)))", "7 5 2"),
    ],
)  # fmt: skip
def test_parts_in_another_order_that_repeat_a_vertex_are_noise(a: str, b: str, vertex: str) -> None:
    for left, right in (
        (repeating(a, vertex), shapely.from_wkt(b)),
        (shapely.from_wkt(a), repeating(b, vertex)),
    ):
        group = only(left, right)
        assert group.rung == "noise"
        assert "repeats vertices" in group.evidence


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("LINESTRING (0 0, 0 0, 1 1, 2 1)", "LINESTRING (2 1, 1 1, 0 0)", "line-direction"),
        ("LINESTRING (0.123 0, 0.123 0, 1 1)", "LINESTRING (0.12 0, 1 1)", "precision"),
        ("LINESTRING (0 0, 0 0, 1 1)", "LINESTRING (5e-324 0, 1 1)", "float-noise"),
        ("MULTIPOINT (0 0, 0 0, 1 1)", "MULTIPOINT (1 1, 0 0)", "densified"),
        ("LINESTRING Z (0 0 1, 0 0 2, 1 1 1)", "LINESTRING Z (0 0 1, 1 1 1)", "densified"),
        ("LINESTRING (0 0, 0 0)", "LINESTRING (0 0, 1 1, 1 1)", "geometry"),
        ("POLYGON ((0 0, 0 0, 0 0, 0 0))", "POLYGON ((1 0, 0 0, 0 0, 1 0))", "geometry"),
        ("POLYGON Z ((0 0 1, 0 0 2, 0 0 3, 0 0 1))", "POLYGON Z ((1 0 1, 0 0 2, 0 0 2, 1 0 1))", "geometry"),
    ],
)
def test_repeated_vertices_hide_no_other_class(a: str, b: str, kind: str) -> None:
    assert only(shapely.from_wkt(a), shapely.from_wkt(b)).kind == kind


def test_a_reshaped_polygon_is_told_by_area_overlap_and_distance() -> None:
    square = shapely.box(0, 0, 10, 10)
    notched = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 10), (5, 5), (0, 5)])
    found = only(square, notched, ground=METRES)
    assert (found.kind, found.rung) == ("geometry", "value")
    assert found.detail == {"area_a": 100.0, "area_b": 75.0, "area_change": -25.0, "iou": 0.75}
    assert found.metres["max"] == pytest.approx(5.0, rel=1e-6)


def ring_of(*points: tuple[float, float]) -> bytes:
    return struct.pack("<BIII", 1, 3, 1, len(points)) + b"".join(
        struct.pack("<dd", *point) for point in points
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_coordinate_that_no_geometry_has_does_not_hide_what_happened_to_the_others(bad: float) -> None:
    good = [translate(SQUARE, n) for n in range(40)]
    north = [translate(square, 0, 2 / 110_990) for square in good]
    odd = ring_of((4, 4), (0, -1), (4, 1), (4, 4)), ring_of((0, 2), (0, 4), (4, bad), (0, 2))
    groups = classify_geometries([*map(wkb, good), odd[0]], [*map(wkb, north), odd[1]], Context())
    assert {(group.kind, group.rung) for group in groups} == {("geometry", "value")}
    assert sorted(i for group in groups for i in group.indexes) == list(range(41))
    assert next(g.metres["max"] for g in groups if 0 in g.indexes) == pytest.approx(2, rel=0.01)
