import os
import sqlite3
import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.database import compare
from kfm_repro.compare.engine import compare_files
from kfm_repro.errors import Unreadable

COUNT = 105
NO_CONTEXT = Context()
NIGHT = 1_767_225_600
"""2026-01-01T00:00:00Z"""


@pytest.fixture
def counties() -> Any:
    centres = np.random.default_rng(20).uniform([-102, 37], [-95, 40], (COUNT, 2))
    return gpd.GeoDataFrame(
        {"geoid": np.arange(20_001, 20_001 + COUNT), "name": [f"county {n}" for n in range(COUNT)]},
        geometry=shapely.buffer(shapely.points(centres), 0.1, quad_segs=4),
        crs="EPSG:4326",
    )


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write layers of two GeoPackages, each under its own clock."""

    def write(
        a: Any,
        b: Any,
        clocks: Any = ("2026-01-01T00:00:30.000Z",) * 2,
        context: Any = NO_CONTEXT,
        **options: Any,
    ) -> Any:
        paths = []
        for side, layers, clock in (("a", a, clocks[0]), ("b", b, clocks[1])):
            monkeypatch.setenv("OGR_CURRENT_DATE", clock)
            path = tmp_path / side / "x.gpkg"
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            for name, frame in (layers if isinstance(layers, dict) else {"counties": layers}).items():
                frame.to_file(path, layer=name, **options)
            paths.append(path)
        return compare(*paths, context)

    return write


@pytest.fixture
def databases(tmp_path: Path) -> Any:
    def write(a: Any, b: Any) -> Any:
        paths = []
        for side, script in (("a", a), ("b", b)):
            path = tmp_path / f"{side}.db"
            path.unlink(missing_ok=True)
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(script)
            paths.append(path)
        return compare(*paths, Context())

    return write


def kinds(findings: Any) -> Any:
    return sorted({(str(f.kind), str(f.rung)) for f in findings})


def worst(findings: Any) -> Any:
    return sorted(
        (str(f.kind), f.where.get("layer"), f.where.get("column")) for f in findings if f.rung == "value"
    )


def test_two_writings_of_the_same_data_differ_in_last_change_alone(packages: Any, counties: Any) -> None:
    found = packages(counties, counties, ("2026-01-01T00:00:30.000Z", "2026-01-02T00:00:30.000Z"))
    (only,) = found
    assert (only.kind, only.rung) == ("timestamp", "container")
    assert only.where == {"layer": "counties", "column": "last_change"}


def test_last_change_says_whether_the_runs_explain_it(packages: Any, counties: Any) -> None:
    clocks = ("2026-01-01T00:00:30.000Z", "2026-01-02T00:00:30.000Z")
    day = 86_400
    inside = Context(a=Side(window=(NIGHT, NIGHT + 60)), b=Side(window=(NIGHT + day, NIGHT + day + 60)))
    outside = Context(a=Side(window=(0, 60)), b=Side(window=(0, 60)))
    assert "window" in packages(counties, counties, clocks, inside)[0].evidence
    (found,) = packages(counties, counties, clocks, outside)
    assert (found.kind, found.rung) == ("timestamp", "container")
    assert "outside the run windows" in found.evidence


def test_shuffled_features_are_feature_order_although_fid_is_renumbered(packages: Any, counties: Any) -> None:
    found = packages(counties, counties.sample(frac=1, random_state=3))
    assert worst(found) == []
    (order,) = [f for f in found if f.kind == "feature-order"]
    assert "fid" in order.evidence
    assert order.where == {"layer": "counties"}


def test_one_feature_two_metres_north_of_105_is_measured(packages: Any, counties: Any) -> None:
    moved = counties.copy()
    moved.loc[40, "geometry"] = translate(counties.geometry[40], 0, 2 / 110_990)
    (found,) = [f for f in packages(counties, moved) if f.rung == "value"]
    assert (found.kind, found.count, found.of) == ("geometry", 1, COUNT)
    assert found.metres["max"] == pytest.approx(2.0, rel=0.01)


def test_a_removed_feature_is_one_row_although_all_later_fids_change(packages: Any, counties: Any) -> None:
    found = packages(counties, counties.drop(index=7))
    assert worst(found) == [("rows-removed", "counties", None)]


def test_geometry_classes_survive_the_container(packages: Any, counties: Any) -> None:
    height = counties.set_geometry(shapely.force_3d(counties.geometry, 10.0))
    other = counties.set_geometry(shapely.force_3d(counties.geometry, 999.0))
    assert worst(packages(height, other)) == [("dimension", "counties", "geom")]
    many = counties.set_geometry([shapely.MultiPolygon([g]) for g in counties.geometry])
    found = packages(counties, many)
    assert ("single-multi", "counties", "geom") in worst(found)
    lines = counties.set_geometry(
        counties.geometry.exterior.apply(lambda r: shapely.LineString(r.coords[:-2]))
    )
    assert worst(packages(lines, lines.set_geometry(lines.geometry.reverse()))) == [
        ("line-direction", "counties", "geom")
    ]


def test_ring_orientation_is_equivalent(packages: Any, counties: Any) -> None:
    found = packages(counties, counties.set_geometry(counties.geometry.reverse()))
    assert worst(found) == []
    assert ("ring-orientation", "noise") in kinds(found)


def test_a_narrower_integer_is_a_type(packages: Any, counties: Any) -> None:
    found = packages(counties, counties.astype({"geoid": "int32"}))
    assert worst(found) == [("type", "counties", "geoid")]


def test_null_against_an_empty_text_is_a_null_form(packages: Any, counties: Any) -> None:
    a, b = counties.copy(), counties.copy()
    a.loc[5, "name"], b.loc[5, "name"] = None, ""
    assert worst(packages(a, b)) == [("null-form", "counties", "name")]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize(
    ("crs", "words"),
    [("EPSG:4258", "different datum"), ("OGC:CRS84", "axis order only"), (None, "missing on one side")],
)
def test_another_crs_over_equal_coordinates_is_one_finding(
    packages: Any, counties: Any, crs: Any, words: Any
) -> None:
    (found,) = [
        f for f in packages(counties, counties.set_crs(crs, allow_override=True)) if f.rung == "value"
    ]
    assert (found.kind, found.where) == ("crs", {"layer": "counties"})
    assert words in found.evidence


def test_without_an_index_only_the_index_differs(packages: Any, counties: Any, tmp_path: Path) -> None:
    packages(counties, counties)
    counties.to_file(tmp_path / "b" / "y.gpkg", layer="counties", SPATIAL_INDEX="NO")
    found = compare(tmp_path / "a" / "x.gpkg", tmp_path / "b" / "y.gpkg", Context())
    assert worst(found) == []
    assert ("spatial-index", "container") in kinds(found)


def test_layers_are_added_removed_and_reordered(packages: Any, counties: Any) -> None:
    half = counties.iloc[:5]
    two, turned = {"x": half, "y": counties}, {"y": counties, "x": half}
    found = packages(two, turned)
    assert worst(found) == []
    assert ("layer-order", "order") in kinds(found)
    assert ("schema", "y", None) in worst(packages(two, {"x": half}))


def test_a_layer_named_after_its_file_is_no_difference(
    tmp_path: Path, counties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGR_CURRENT_DATE", "2026-01-01T00:00:30.000Z")
    for name in ("one", "two"):
        counties.to_file(tmp_path / f"{name}.gpkg")
    found = compare(tmp_path / "one.gpkg", tmp_path / "two.gpkg", Context())
    assert worst(found) == []
    assert ("layer-name", "container") in kinds(found)
    counties.assign(name="x").to_file(tmp_path / "two.gpkg")
    assert worst(compare(tmp_path / "one.gpkg", tmp_path / "two.gpkg", Context())) == [
        ("value", "one", "name")
    ]


def test_a_changed_cell_of_a_table_without_primary_key_is_found(databases: Any) -> None:
    found = databases(
        "create table t(a, b); insert into t values (1, 1)",
        "create table t(a, b); insert into t values (1, 2)",
    )
    assert [(f.kind, f.where, f.count) for f in found] == [("value", {"layer": "t", "column": "b"}, 1)]


def test_exchanged_names_of_a_user_key_are_data(databases: Any) -> None:
    table = "create table city(id integer primary key, name text); insert into city values "
    found = databases(table + "(1, 'a'), (2, 'b')", table + "(1, 'b'), (2, 'a')")
    assert "value" in {f.rung for f in found}


def test_renumbered_fids_that_others_refer_to_are_data(databases: Any) -> None:
    table = (
        "create table place(fid integer primary key, name text); "
        "create table visit(place integer references place(fid)); insert into visit values (1); "
        "insert into place values "
    )
    found = databases(table + "(1, 'a'), (2, 'b')", table + "(1, 'b'), (2, 'a')")
    assert "value" in {f.rung for f in found}


@pytest.mark.parametrize(
    ("a", "b"),
    [("1", "1.0"), ("1", "'1'"), ("'a'", "x'61'"), ("NULL", "''"), ("x''", "''"), ("0", "NULL"),
     ("9007199254740993", "9007199254740992"), ("cast(x'ff' as text)", "x'ff'"),
     ("cast(x'ff' as text)", "cast(x'fe' as text)")],
)  # fmt: skip
def test_cells_that_look_alike_differ(databases: Any, a: Any, b: Any) -> None:
    for rest in ("", ", (2), ('text'), (NULL)"):
        table = "create table t(v); insert into t values "
        found = databases(f"{table} ({a}){rest}", f"{table} ({b}){rest}")
        assert "value" in {f.rung for f in found}, (a, b, rest)


def test_schema_objects_are_compared_and_never_run(databases: Any) -> None:
    base = "create table t(a int); insert into t values (1);"
    assert worst(databases(base, base + "create view v as select 1 / 0 from t")) == [("schema", "v", None)]  # noqa: S608 - a test
    assert worst(databases(base, base + "create index i on t(a)")) == [("schema", "i", None)]
    trigger = "create trigger g after insert on t begin delete from t; end"
    assert worst(databases(base, base + trigger)) == [("schema", "g", None)]
    assert worst(databases(base, "create table t(a text); insert into t values (1)"))[0] == ("type", "t", "a")


def test_more_transactions_and_free_pages_are_packaging(tmp_path: Path) -> None:
    for name, texts in (("a", ["x"]), ("b", ["y" * 50_000, "x"])):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("create table t(a)")
            for text in texts:
                connection.execute("delete from t")
                connection.execute("insert into t values (?)", (text,))
                connection.commit()
    found = compare(tmp_path / "a", tmp_path / "b", Context())
    assert kinds(found) == [("garbage", "container"), ("layout", "container")]


def test_other_pages_of_equal_rows_are_layout(tmp_path: Path) -> None:
    rows = [(n, "x" * 100) for n in range(1000)]
    for name, order in (("a", rows), ("b", rows[::-1])):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("create table t(id integer primary key, v)")
            connection.executemany("insert into t values (?, ?)", order)
            connection.commit()
    result = compare_files(tmp_path / "a", tmp_path / "b", name="x.db", context=Context())
    assert result.verdict == "equivalent"
    assert {str(f.kind) for f in result.findings} == {"layout"}


def test_user_version_is_a_value(databases: Any) -> None:
    (found,) = [
        f
        for f in databases("create table t(a)", "create table t(a); pragma user_version = 7")
        if f.rung == "value"
    ]
    assert (found.where, found.examples[0].b) == ({"pointer": "/user_version"}, 7)


def test_nothing_is_written_beside_or_into_the_files(packages: Any, counties: Any, tmp_path: Path) -> None:
    packages(counties, counties)
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    compare(tmp_path / "a" / "x.gpkg", tmp_path / "b" / "x.gpkg", Context())
    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == before


def test_damaged_files_are_a_difference_and_no_crash(packages: Any, counties: Any, tmp_path: Path) -> None:
    packages(counties, counties)
    a, b = tmp_path / "a" / "x.gpkg", tmp_path / "b" / "x.gpkg"
    whole = b.read_bytes()
    for damaged in (whole[:-5000], whole[:150], whole[:100] + os.urandom(4000) + whole[4100:]):
        b.write_bytes(damaged)
        result = compare_files(a, b, name="x.gpkg", context=Context())
        assert [(f.kind, f.rung) for f in result.findings] == [("truncated", "value")]
    with pytest.raises(Unreadable):
        compare(b, b, Context())


def test_contradictory_bookkeeping_is_unreadable(databases: Any) -> None:
    script = "create table gpkg_contents(table_name text); insert into gpkg_contents values ('x'), ('x')"
    with pytest.raises(Unreadable):
        databases(script, script + ", ('y')")
    with pytest.raises(Unreadable):
        databases(
            "create table gpkg_contents(a)",
            "create table gpkg_contents(a); insert into gpkg_contents values (1)",
        )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 60))
def test_no_flipped_bytes_raise_anything_but_unreadable(
    tmp_path_factory: pytest.TempPathFactory, seed: Any, flips: Any
) -> None:
    folder = tmp_path_factory.mktemp("flips")
    path = folder / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table t(id integer primary key, v text); create view w as select * from t"
        )
        connection.executemany("insert into t(v) values (?)", [("x" * n,) for n in range(200)])
        connection.commit()
    raw = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(16, len(raw), flips):
        raw[at] ^= int(rng.integers(1, 256))
    (folder / "b.db").write_bytes(raw)
    with suppress(Unreadable):
        compare(path, folder / "b.db", Context())


cells = st.one_of(
    st.none(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, 1.5]),
    st.sampled_from(["", "1", "a"]),
    st.sampled_from([b"", b"a"]),
)
tables = st.lists(st.tuples(cells, cells), max_size=5)


@settings(deadline=None, max_examples=80)
@given(a=tables, b=tables)
def test_rows_are_equal_exactly_when_nothing_is_reported(
    tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any
) -> None:
    folder = tmp_path_factory.mktemp("oracle")
    for name, rows in (("a", a), ("b", b)):
        with closing(sqlite3.connect(folder / name)) as connection:
            connection.execute("create table t(x, y)")
            connection.executemany("insert into t values (?, ?)", rows)
            connection.commit()
    found = compare(folder / "a", folder / "b", Context())
    texts = [[repr(row) for row in rows] for rows in (a, b)]
    if texts[0] == texts[1]:
        assert found == ()
    elif sorted(texts[0]) == sorted(texts[1]):
        assert {f.rung for f in found} == {"order"}
    else:
        assert "value" in {f.rung for f in found}


@pytest.mark.parametrize(("crs_a", "crs_b"), [(4326, 3857), (4326, 4269), (4326, None), (32614, 32615)])
def test_another_crs_is_seen_when_the_layer_is_named_after_its_file(
    tmp_path: Path, crs_a: int, crs_b: int | None
) -> None:
    paths = []
    for name, crs in (("before", crs_a), ("after", crs_b)):
        frame = gpd.GeoDataFrame({"id": [1, 2]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 4)], crs=crs)
        paths.append(tmp_path / f"{name}.gpkg")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pyogrio warns of writing without a CRS
            frame.to_file(paths[-1], driver="GPKG")
    findings = compare(*paths, Context())
    assert [finding.rung for finding in findings if finding.kind == "crs"] == ["value"]
