import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.affinity import translate

from kfm_repro.compare.context import Context, Limits
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.vector.geoparquet import compare_geoparquet
from kfm_repro.errors import Unreadable

TWO_METRES = 2 / 110_990


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    def write(a: Any, b: Any, edit: Any = None, **kwargs: Any) -> Any:
        a.to_parquet(tmp_path / "a.parquet", **kwargs)
        b.to_parquet(tmp_path / "b.parquet", **kwargs)
        if edit is not None:
            table = pq.read_table(tmp_path / "b.parquet")
            geo = json.loads(table.schema.metadata[b"geo"])
            raw = edit(geo)
            raw = json.dumps(geo) if raw is None else raw
            table = table.replace_schema_metadata({**table.schema.metadata, b"geo": raw})
            pq.write_table(table, tmp_path / "b.parquet", compression="snappy")
        return compare_geoparquet(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())

    return write


def told(findings: Any) -> Any:
    """What is said of the data, leaving out how Parquet itself was laid out."""
    return sorted((str(f.kind), str(f.rung), f.where.get("column", "")) for f in findings if f.where)


def test_shuffled_features_are_equivalent(pair: Any, counties: Any, tmp_path: Path) -> None:
    found = pair(counties, counties.sample(frac=1, random_state=3).reset_index(drop=True))
    assert "feature-order" in {f.kind for f in found}
    assert {f.rung for f in found} <= {"order", "container"}
    result = compare_files(
        tmp_path / "a.parquet", tmp_path / "b.parquet", name="x.parquet", context=Context()
    )
    assert result.verdict == "equivalent"


def test_one_feature_two_metres_north_of_105_is_measured(pair: Any, counties: Any) -> None:
    moved = counties.copy()
    moved.loc[40, "geometry"] = translate(counties.geometry[40], 0, TWO_METRES)
    (found,) = [f for f in pair(counties, moved) if f.kind == "geometry"]
    assert (found.rung, found.count, found.of, found.where) == ("value", 1, 105, {"column": "geometry"})
    assert found.metres["max"] == pytest.approx(2.0, rel=0.01)


def test_a_projected_feature_is_measured_in_its_own_unit(pair: Any, counties: Any) -> None:
    feet = counties.to_crs("EPSG:2263")
    moved = feet.copy()
    moved.loc[0, "geometry"] = translate(feet.geometry[0], 0, 10)
    (found,) = [f for f in pair(feet, moved) if f.kind == "geometry"]
    assert found.metres["max"] == pytest.approx(3.048, rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        ("EPSG:4258", "different datum"), ("OGC:CRS84", "axis order only"), (None, "missing on one side"),
        ("EPSG:3857", "against EPSG:3857"),
    ],
)  # fmt: skip
def test_another_crs_over_equal_coordinates_is_one_finding(
    pair: Any, counties: Any, crs: Any, words: Any
) -> None:
    found = pair(counties, counties.set_crs(crs, allow_override=True))
    (only,) = [f for f in found if f.rung == "value"]
    assert (only.kind, only.where) == ("crs", {"column": "geometry"})
    assert words in only.evidence


def test_the_writer_is_a_library_version(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, lambda geo: geo["creator"].update(version="0.0.1"))
    assert ("library-version", "container", "") in told(found)
    assert not [f for f in found if f.rung == "value"]


def test_the_bounding_box_of_the_file_is_packaging(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, lambda geo: geo["columns"]["geometry"].pop("bbox") and None)
    assert ("extent-metadata", "container", "geometry") in told(found)
    assert not [f for f in found if f.rung == "value"]


def test_a_bounding_box_that_is_not_that_of_the_features_is_a_value(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, lambda geo: geo["columns"]["geometry"].update(bbox=[0, 0, 0, 0]))
    assert ("extent-metadata", "value", "geometry") in told(found)


def test_a_data_column_named_as_covering_is_data(pair: Any, counties: Any) -> None:
    other = counties.assign(density=counties.density + 1)
    paths = {name: ["density", name] for name in ("xmin", "ymin", "xmax", "ymax")}

    def name_it(geo: Any) -> None:
        geo["columns"]["geometry"]["covering"] = {"bbox": paths}

    assert ("value", "value", "density") in told(pair(counties, other, name_it))


def test_a_covering_with_wrong_boxes_is_data(pair: Any, counties: Any, tmp_path: Path) -> None:
    pair(counties, counties, write_covering_bbox=True)
    table = pq.read_table(tmp_path / "b.parquet")
    boxes = table.column("bbox").to_pylist()
    boxes[7]["xmin"] -= 1
    at = table.schema.get_field_index("bbox")
    table = table.set_column(at, table.schema.field(at), pa.array(boxes, table.schema.field(at).type))
    pq.write_table(table, tmp_path / "b.parquet")
    found = compare_geoparquet(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    assert ("value", "value", "bbox") in told(found)


def test_another_code_over_one_definition_is_a_crs(pair: Any, counties: Any) -> None:
    def relabel(geo: Any) -> None:
        geo["columns"]["geometry"]["crs"]["id"]["code"] = 32614

    utm = counties.to_crs("EPSG:26914")
    (only,) = [f for f in pair(utm, utm, relabel) if f.rung == "value"]
    assert (only.kind, only.where) == ("crs", {"column": "geometry"})
    assert "label only: EPSG:26914 against EPSG:32614" in only.evidence


def test_a_crs_spelt_otherwise_is_packaging(pair: Any, counties: Any) -> None:
    def shorten(geo: Any) -> None:
        crs = geo["columns"]["geometry"]["crs"]
        for key in ("scope", "area", "bbox"):
            crs.pop(key)

    found = pair(counties, counties, shorten)
    assert ("layout", "container", "geometry") in told(found)
    assert not [f for f in found if f.kind == "crs"]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [("planar", ("layout", "container", "geometry")), ("spherical", ("schema", "value", "geometry"))],
)
def test_edges_are_planar_where_nothing_is_said(
    pair: Any, counties: Any, edges: str, expected: tuple[str, ...]
) -> None:
    found = pair(counties, counties, lambda geo: geo["columns"]["geometry"].update(edges=edges))
    assert {rung for _, rung, _ in told(found)} <= {expected[1], "container"}
    assert expected in told(found)


def test_declared_types_are_a_schema(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, lambda geo: geo["columns"]["geometry"].update(geometry_types=["Point"]))
    assert ("schema", "value", "geometry") in told(found)


def test_null_against_empty_is_data(pair: Any, counties: Any) -> None:
    a, b = counties.copy(), counties.copy()
    a.loc[2, "geometry"] = None
    b.loc[2, "geometry"] = shapely.Polygon()
    assert ("empty-null", "value", "geometry") in told(pair(a, b))


def test_a_second_geometry_column_is_classified_too(pair: Any, counties: Any) -> None:
    a = counties.assign(centre=counties.geometry.representative_point())
    b = a.assign(
        centre=gpd.GeoSeries(translate(a.centre.union_all(), 0, 0).geoms, crs=a.crs).translate(0, 0.01)
    )
    assert "geometry" in {f.kind for f in pair(a, b) if f.where.get("column") == "centre"}


def test_a_covering_column_follows_the_geometry(pair: Any, counties: Any) -> None:
    moved = counties.copy()
    moved.loc[40, "geometry"] = translate(counties.geometry[40], 0, TWO_METRES)
    found = pair(counties, moved, write_covering_bbox=True)
    assert ("extent-metadata", "container", "bbox") in told(found)


def test_native_encoding_against_wkb_is_a_schema(tmp_path: Path, counties: Any) -> None:
    points = counties.set_geometry(counties.geometry.representative_point())
    points.to_parquet(tmp_path / "a.parquet")
    points.to_parquet(tmp_path / "b.parquet", geometry_encoding="geoarrow")
    found = compare_geoparquet(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    assert ("schema", "value", "geometry") in told(found)
    points.translate(0, 1).to_frame("geometry").join(points.drop(columns="geometry")).to_parquet(
        tmp_path / "a.parquet", geometry_encoding="geoarrow"
    )
    found = compare_geoparquet(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    assert "value" in {f.rung for f in found}


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"columns": 1}', b"[" * 100_000], ids=range(4))
def test_broken_geo_metadata_is_unreadable(pair: Any, counties: Any, raw: Any) -> None:
    with pytest.raises(Unreadable):
        pair(counties, counties, lambda _: raw)


def test_a_truncated_file_is_a_difference(pair: Any, counties: Any, tmp_path: Path) -> None:
    pair(counties, counties)
    path = tmp_path / "b.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    result = compare_files(tmp_path / "a.parquet", path, name="x.parquet", context=Context())
    assert [(f.kind, f.rung) for f in result.findings] == [("truncated", "value")]


CHANGES = {
    "none": lambda f: f,
    "moved": lambda f: f.set_geometry(
        [translate(g, 0, TWO_METRES) if n % 9 == 4 else g for n, g in enumerate(f.geometry)]
    ),
    "shuffled": lambda f: f.sample(frac=1, random_state=3).reset_index(drop=True),
    "shuffled and moved": lambda f: CHANGES["moved"](CHANGES["shuffled"](f)),
    "null": lambda f: f.set_geometry([None if n == 5 else g for n, g in enumerate(f.geometry)]),
    "removed": lambda f: f.drop(index=[3, 17]).reset_index(drop=True),
    "reversed rings": lambda f: f.set_geometry(f.geometry.reverse()),
    "another column": lambda f: f.assign(more=1.5),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rows", [None, 11])
def test_in_pieces_says_what_is_said_of_the_whole(
    change: str, rows: int | None, counties: Any, tmp_path: Path
) -> None:
    sides = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for path, frame in zip(sides, (counties, CHANGES[change](counties)), strict=True):
        frame.to_parquet(path, row_group_size=rows)
    whole, pieces = (
        sorted(
            repr((f.kind, f.rung, f.where, f.count, f.of, f.examples, f.evidence, f.metres, f.detail))
            for f in compare_geoparquet(*sides, Context(limits=limits))
        )
        for limits in (Limits(), Limits(whole_bytes=0))
    )
    assert pieces == whole
