import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.vector.geojson import compare
from kfm_repro.errors import LimitExceeded, Unreadable

TWO_METRES = 2 / 110_990


def feature(geometry: Any = None, **properties: Any) -> Any:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def point(*xy: Any) -> Any:
    return {"type": "Point", "coordinates": list(xy)}


def collection(*features: Any, **members: Any) -> Any:
    return {"type": "FeatureCollection", **members, "features": list(features)}


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    def write(a: Any, b: Any, context: Any = Context()) -> Any:  # noqa: B008 - frozen
        paths = []
        for side, document in (("a", a), ("b", b)):
            path = tmp_path / side / "x.geojson"
            path.parent.mkdir(exist_ok=True)
            if isinstance(document, bytes):
                path.write_bytes(document)
            elif isinstance(document, str):
                path.write_text(document, encoding="utf-8")
            elif isinstance(document, dict):
                path.write_text(json.dumps(document), encoding="utf-8")
            else:
                document.to_file(path, engine="pyogrio")
            paths.append(path)
        return compare(*paths, context)

    return write


def kinds(findings: Any) -> Any:
    return sorted(
        (str(f.kind), str(f.rung), f.where.get("column", f.where.get("pointer", ""))) for f in findings
    )


def test_shuffled_features_are_feature_order_and_nothing_else(pair: Any, counties: Any) -> None:
    (found,) = pair(counties, counties.sample(frac=1, random_state=3))
    assert (found.kind, found.rung, found.of) == ("feature-order", "order", 105)
    assert found.detail["key"] == ["geoid"]


def test_one_feature_two_metres_north_of_105_is_measured(pair: Any, counties: Any) -> None:
    moved = counties.copy()
    moved.loc[40, "geometry"] = translate(counties.geometry[40], 0, TWO_METRES)
    (found,) = pair(counties, moved)
    assert (found.kind, found.rung, found.count, found.of) == ("geometry", "value", 1, 105)
    assert found.metres["max"] == pytest.approx(2.0, rel=0.01)
    assert found.examples[0].key == {"geoid": 20_041}


def test_a_shuffle_does_not_hide_a_changed_name(pair: Any, counties: Any) -> None:
    other = counties.copy()
    other.loc[7, "name"] = "changed"
    found = pair(counties, other.sample(frac=1, random_state=3))
    assert kinds(found) == [("feature-order", "order", ""), ("value", "value", "name")]


def test_a_removed_feature_is_one_row(pair: Any, counties: Any) -> None:
    (found,) = pair(counties, counties.drop(index=7))
    assert (found.kind, found.count, found.of) == ("rows-removed", 1, 105)


def test_rounding_by_the_writer_is_precision(pair: Any, tmp_path: Path, counties: Any) -> None:
    rough = tmp_path / "rough.geojson"
    counties.to_file(rough, COORDINATE_PRECISION=5)
    found = pair(counties, rough.read_text(encoding="utf-8"))
    assert [(f.kind, f.detail["decimals"]) for f in found if f.where.get("column") == "geometry"] == [
        ("precision", 5)
    ]


def test_coordinates_spelt_otherwise_are_equal_and_the_engine_says_encoding(tmp_path: Path) -> None:
    texts = (
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},'
        '"geometry":{"type":"Point","coordinates":[%s]}}]}'
    )
    a, b = tmp_path / "a.geojson", tmp_path / "b.geojson"
    a.write_text(texts % "1,2.50")
    b.write_text(texts % "1.0,2.5")
    assert compare(a, b, Context()) == ()
    result = compare_files(a, b, name="x.geojson", context=Context())
    assert [(f.kind, f.rung) for f in result.findings] == [("encoding", "container")]


def test_a_missing_property_is_not_null(pair: Any) -> None:
    found = pair(collection(feature(point(1, 2), a=1, b=None)), collection(feature(point(1, 2), a=1)))
    assert [f.rung for f in found] == ["value"]
    both = collection(feature(point(1, 2), b=1), feature(point(3, 4)))
    null = collection(feature(point(1, 2), b=1), feature(point(3, 4), b=None))
    assert kinds(pair(both, null)) == [("null-form", "value", "b")]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0), (1, "1"), (True, 1), (2**60, 2**60 + 1), (10**30, 10**30 + 1), ([1], [1.0]),
        ({"x": None}, {}), ("", None), ("\ud800", "\ud801"), ([], {}), (None, "null"), ("[1]", [1]),
    ],
)  # fmt: skip
def test_properties_that_look_alike_differ(pair: Any, a: Any, b: Any) -> None:
    found = pair(collection(feature(point(1, 2), p=a)), collection(feature(point(1, 2), p=b)))
    assert [f.rung for f in found] == ["value"]
    mixed = [collection(feature(None, p=v), feature(None, p="text"), feature(None, p=0)) for v in (a, b)]
    assert {f.rung for f in pair(*mixed)} == {"value"}


def test_key_order_is_order_wherever_it_is(pair: Any) -> None:
    a = collection(feature(point(1, 2), a=1, b=2), name="x")
    turned = {"geometry": point(1, 2), "type": "Feature", "properties": {"b": 2, "a": 1}}
    b = {"features": [turned], "name": "x", "type": "FeatureCollection"}
    assert kinds(pair(a, b)) == [
        ("key-order", "order", ""),
        ("key-order", "order", "/features/*"),
        ("key-order", "order", "/features/*/properties"),
    ]


def test_top_level_members_are_told_apart(pair: Any) -> None:
    a = collection(
        feature(point(0, 0)),
        feature(point(1, 2)),
        bbox=[0, 0, 1, 2],
        crs={"type": "name", "properties": {"name": "EPSG:4326"}},
    )
    b = collection(feature(point(0, 0)), feature(point(1, 2)))
    assert kinds(pair(a, b)) == [("crs", "value", "/crs"), ("extent-metadata", "container", "/bbox")]


def test_a_clock_at_the_top_level_is_a_timestamp_in_data(pair: Any) -> None:
    context = Context(
        a=Side(window=(1_767_225_600, 1_767_225_660)), b=Side(window=(1_767_312_000, 1_767_312_060))
    )
    a = collection(feature(point(1, 2)), timeStamp="2026-01-01T00:00:30Z")
    b = collection(feature(point(1, 2)), timeStamp="2026-01-02T00:00:30Z")
    assert kinds(pair(a, b, context)) == [("timestamp", "value", "/timeStamp")]


def test_a_feature_bbox_follows_its_geometry(pair: Any) -> None:
    a, b = ({**feature(point(*xy)), "bbox": [*xy, *xy]} for xy in ([1, 2], [1, 2 + 1e-9]))
    found = kinds(pair(collection(a, bbox=[1, 2, 1, 2]), collection(b, bbox=[1, 2 + 1e-9, 1, 2 + 1e-9])))
    assert ("extent-metadata", "container", "bbox") in found
    assert ("extent-metadata", "container", "/bbox") in found


@pytest.mark.parametrize("box", [[0, 0, 1, 2], [50, 50, 51, 51], "hello", None, [1, 2, 1], [1, 2, 1, True]])
def test_a_bounding_box_that_is_not_that_of_the_features_is_a_value(pair: Any, box: Any) -> None:
    whole = collection(feature(point(1, 2)), bbox=[1, 2, 1, 2])
    found = kinds(pair(whole, {**whole, "bbox": box}))
    assert found == [("extent-metadata", "value", "/bbox")]
    one = {**feature(point(1, 2)), "bbox": [1, 2, 1, 2]}
    assert "value" in {rung for _, rung, _ in kinds(pair(collection(one), collection({**one, "bbox": box})))}


def test_a_bounding_box_of_nothing_is_a_value(pair: Any) -> None:
    boxes = ([0, 0, 1, 1], [5, 5, 9, 9])
    assert kinds(pair(*(collection(bbox=box) for box in boxes))) == [("extent-metadata", "value", "/bbox")]
    nulls = (collection({**feature(None), "bbox": box}) for box in boxes)
    assert "value" in {rung for _, rung, _ in kinds(pair(*nulls))}


@pytest.mark.parametrize(
    ("a", "b"),
    [("1e400", "2e400"), ("1e-400", "0.0"), ("12345678901234567.89", "12345678901234567.90"),
     ("-1e-400", "-0.0"), ("9" * 5000, "9" * 4999 + "8"), ("1e400", '"1E400"')],
)  # fmt: skip
def test_numbers_beyond_a_double_are_compared_exactly(pair: Any, a: str, b: str) -> None:
    text = '{"type": "FeatureCollection", "x": %s, "features": []}'
    assert {f.rung for f in pair(text % a, text % b)} == {"value"}
    text = '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"x": %s}, "geometry": null}]}'
    assert {f.rung for f in pair(text % a, text % b)} == {"value"}
    text = text.replace("%s", "1").replace("null", '{"type": "Point", "coordinates": [%s, 1]}')
    assert "value" in {f.rung for f in pair(text % a, text % b)}


@pytest.mark.parametrize(
    ("a", "b"), [("1e400", "10e399"), ("12345678901234567.890", "1234567890123456789e-2"),
                 ("0.1", "0.1000000000000000055511151231257827021181583404541015625")],
)  # fmt: skip
def test_one_number_beyond_a_double_spelt_twice_is_equal(pair: Any, a: str, b: str) -> None:
    text = '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"x": %s}, "geometry": null}]}'
    assert pair(text % a, text % b) == ()


def test_a_member_named_like_an_inner_column_is_not_lost(pair: Any) -> None:
    def document(value: str) -> Any:
        extra = feature({"type": "Point", "coordinates": [0, 0], "q": 1})
        return collection({**feature(None), "geometry members": value}, extra)

    assert kinds(pair(document("A"), document("B"))) == [("value", "value", "geometry members")]


def test_names_that_print_alike_keep_their_values(pair: Any) -> None:
    a, b = (collection(feature(None, **{"\ud800": value, "\\ud800": 2})) for value in (1, 9))
    assert {f.rung for f in pair(a, b)} == {"value"}


def test_a_geometry_is_shown_by_the_vertex_that_differs(pair: Any, counties: Any) -> None:
    moved = counties.copy()
    vertices = list(counties.geometry[40].exterior.coords)
    vertices[3] = (vertices[3][0], vertices[3][1] + TWO_METRES)
    moved.loc[40, "geometry"] = shapely.Polygon(vertices)
    (found,) = pair(counties, moved)
    assert found.examples[0].a != found.examples[0].b
    assert f"vertex 4 of {len(vertices)}: " in found.examples[0].a
    point_a, point_b = (collection(feature(point(x, 2))) for x in (1, 1.5))
    (found,) = pair(point_a, point_b)
    assert (found.examples[0].a, found.examples[0].b) == ("POINT (1 2)", "POINT (1.5 2)")


def test_members_of_a_geometry_are_not_lost(pair: Any) -> None:
    a, b = ({**point(1, 2), "note": note} for note in ("x", "y"))
    assert [f.rung for f in pair(collection(feature(a)), collection(feature(b)))] == ["value"]


def test_a_missing_geometry_is_not_a_null_one(pair: Any) -> None:
    whole = feature(None, a=1)
    without = {k: v for k, v in whole.items() if k != "geometry"}
    assert [f.rung for f in pair(collection(whole), collection(without))] == ["value"]


def test_properties_called_like_members_do_not_clash(pair: Any) -> None:
    clash = {**feature(point(1, 2)), "properties": {"geometry": "g", "id": 1}}
    a = {**clash, "id": "x"}
    b = {**clash, "id": "y"}
    assert kinds(pair(collection(a), collection(b))) == [("value", "value", "feature.id")]


def test_a_bare_geometry_and_a_feature_are_one_feature(pair: Any) -> None:
    assert pair(point(1, 2), '{"coordinates": [1.0, 2], "type": "Point"}')[0].kind == "key-order"
    assert kinds(pair(point(1, 2), point(1, 2.5))) == [("geometry", "value", "geometry")]
    assert kinds(pair(feature(point(1, 2), a=1), feature(point(1, 2), a=2))) == [("value", "value", "a")]
    assert any(f.rung == "value" for f in pair(point(1, 2), feature(point(1, 2))))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2], ["1", 2]), ([1, 2], [True, 2]), ([1, 2], [1, 2, 0]), ([1], [2]), ([[1, 2]], [1, 2]),
        ([], [None, None]), ([1, 2, 3, 4, 5], [1, 2, 3, 4, 6]), ([2**53, 1], [2**53 + 1, 1]),
        ([float("nan"), 1], [float("inf"), 1]), ([], [float("nan"), float("nan")]),
    ],
)  # fmt: skip
def test_odd_coordinates_are_compared_exactly(pair: Any, a: Any, b: Any) -> None:
    documents = [collection(feature({"type": "Point", "coordinates": c})) for c in (a, b)]
    assert [f.rung for f in pair(*documents)] == ["value"]
    assert pair(documents[0], documents[0]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"type":"FeatureCollection","features":[{"type":"Fea',
        '{"type":"FeatureCollection","features":[]} x', '{"type":"FeatureCollection","features":[1]}',
        '{"type":"FeatureCollection","features":[],"type":"x"}', '{"type":"Topology"}',
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":1,"a":2}}]}',
        '{"type":"FeatureCollection","features":[],"x":' + "[" * 200_000,
        b"\xff\xfe\x00",
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_geojson_is_unreadable(pair: Any, text: Any) -> None:
    with pytest.raises(Unreadable):
        pair(text, text)


def test_a_truncated_file_is_a_difference(tmp_path: Path, counties: Any) -> None:
    a, b = tmp_path / "a.geojson", tmp_path / "b.geojson"
    counties.to_file(a)
    b.write_bytes(a.read_bytes()[:-500])
    result = compare_files(a, b, name="x.geojson", context=Context())
    assert [(f.kind, f.rung) for f in result.findings] == [("truncated", "value")]


def test_the_limit_is_kept(pair: Any) -> None:
    context = Context(limits=Limits(document_bytes=4))
    with pytest.raises(LimitExceeded):
        pair(collection(feature(point(1, 2))), collection(), context)


def test_an_antimeridian_wrap_is_named(pair: Any) -> None:
    box = shapely.box(179, 0, 181, 1)
    west = shapely.box(-181, 0, -179, 1)
    documents = [collection(feature(shapely.geometry.mapping(g))) for g in (box, west)]
    assert kinds(pair(*documents)) == [("longitude-wrap", "value", "geometry")]


def test_mixed_geometry_types_are_compared_one_by_one(pair: Any) -> None:
    shapes = [shapely.Point(1, 2), shapely.LineString([(0, 0), (1, 1)]), shapely.box(0, 0, 1, 1), None]
    other = [shapely.Point(1, 2), shapely.LineString([(1, 1), (0, 0)]), shapely.box(0, 0, 1, 1), None]
    documents = [
        collection(
            *(feature(None if g is None else shapely.geometry.mapping(g), n=n) for n, g in enumerate(side))
        )
        for side in (shapes, other)
    ]
    assert kinds(pair(*documents)) == [("line-direction", "value", "geometry")]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 2.5]),
    st.sampled_from(["", "1", "a"]),
)
rows = st.lists(st.tuples(st.dictionaries(st.sampled_from("ab"), values), st.integers(0, 2)), max_size=4)


@settings(deadline=None, max_examples=100)
@given(a=rows, b=rows)
def test_nothing_is_reported_exactly_when_the_documents_mean_the_same(
    tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any
) -> None:
    folder = tmp_path_factory.mktemp("oracle")
    documents = [collection(*(feature(point(x, 0), **p) for p, x in side)) for side in (a, b)]
    for name, document in zip("ab", documents, strict=True):
        (folder / f"{name}.geojson").write_text(json.dumps(document))
    findings = compare(folder / "a.geojson", folder / "b.geojson", Context())
    texts = [[json.dumps(f, sort_keys=True) for f in document["features"]] for document in documents]
    if texts[0] == texts[1]:
        assert all(f.kind == "key-order" for f in findings)
    elif sorted(texts[0]) == sorted(texts[1]):
        assert {f.rung for f in findings} == {"order"}
    else:
        assert {"value", "noise"} & {str(f.rung) for f in findings}
