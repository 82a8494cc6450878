import os
import sqlite3
import warnings
from collections.abc import Callable
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


@pytest.mark.parametrize(
    "declaration", ["INTEGER PRIMARY KEY DESC, k, v)", "INTEGER PRIMARY KEY, k, v) WITHOUT\nROWID"]
)
def test_a_key_that_is_no_row_number_is_data(databases: Any, declaration: str) -> None:
    def numbered(fifth: int) -> str:
        rows = ", ".join(f"({fifth if n == 5 else n}, 'k{n}', {n})" for n in range(1, 20))
        return f"CREATE TABLE t (id {declaration}; INSERT INTO t VALUES {rows}"  # noqa: S608 - of our own

    assert ("value", "t", "id") in worst(databases(numbered(5), numbered(105)))


@pytest.mark.parametrize("value", ["5", "6"])
def test_texts_encoded_otherwise_are_compared_as_texts(databases: Any, value: str) -> None:
    table = "CREATE TABLE t (a, b); INSERT INTO t VALUES ('x', 1), ('y', {});"
    found = databases(table.format("5"), "PRAGMA encoding = 'UTF-16le';" + table.format(value))
    assert ("encoding", "container") in kinds(found)
    assert worst(found) == ([] if value == "5" else [("value", "t", "b")])


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


def altered(tmp_path: Path, frame: Any, *statements: str, name: str = "x", side: str = "b") -> Path:
    """Write a GeoPackage of one layer and change it behind its library's back."""
    path = tmp_path / side / f"{name}.gpkg"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    frame.to_file(path, layer="counties" if name == "x" else None)
    with closing(sqlite3.connect(path)) as connection:
        for trigger in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{trigger[0]}"')
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def test_the_schema_of_a_layer_named_after_its_file_is_compared(tmp_path: Path, counties: Any) -> None:
    a = altered(tmp_path, counties, name="a", side="a")
    b = altered(tmp_path, counties.astype({"geoid": "int32"}), name="b")
    assert worst(compare(a, b, Context())) == [("type", "a", "geoid")]
    for side, name in (("a", "a"), ("b", "b")):
        altered(tmp_path, counties, f"create index i on {name}(geoid)", name=name, side=side)
    assert worst(compare(a, b, Context())) == []
    altered(tmp_path, counties, "create index i on b(name)", name="b")
    assert worst(compare(a, b, Context())) == [("schema", "i", None)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("create table t(a, b, c as (a - b))", "create table t(a, b, c as (b - a))"),
        ("create table t(a, b, check (a < b))", "create table t(a, b, check (b < a))"),
        (
            "create table t(a check (a < 1), b check (b < 2))",
            "create table t(a check (a < 2), b check (b < 1))",
        ),
        ("create table t(a text unique, b text)", "create table t(a text, b text unique)"),
        ("create table t(a text collate nocase, b text)", "create table t(a text, b text collate nocase)"),
        (
            "create table t(a references x, b references y)",
            "create table t(a references y, b references x)",
        ),
        ("create table t(a text default 'x  y')", "create table t(a text default 'x y')"),
        (
            "create table t(a); create view v as select 'a  b'",
            "create table t(a); create view v as select 'a b'",
        ),
        (
            "create table t(a); create index i on t(a) where a <> 'p  q'",
            "create table t(a); create index i on t(a) where a <> 'p q'",
        ),
        (
            "create table t(a); create trigger g after insert on t begin update t set a = '  '; end",
            "create table t(a); create trigger g after insert on t begin update t set a = ' '; end",
        ),
    ],
)
def test_statements_of_the_same_words_in_another_order_differ(databases: Any, a: Any, b: Any) -> None:
    assert worst(databases(a, b)) != []


def test_statements_laid_out_otherwise_are_equal(databases: Any) -> None:
    a = "create table t(a int NOT NULL, b text default 'x y', check (a < 3)) ; create index i on t(a desc)"
    b = "create table t (\n a int not null, -- first\n b text DEFAULT 'x y', CHECK(a<3));CREATE INDEX i ON t (a DESC)"
    assert worst(databases(a, b)) == []


def test_values_of_computed_columns_are_compared(databases: Any) -> None:
    table = "create table t(a, v as (a + 1), s as (a + 2) stored); insert into t(a) values "
    assert worst(databases(table + "(1)", table + "(2)")) == [
        ("value", "t", "a"), ("value", "t", "s"), ("value", "t", "v")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "b",
    [
        "create table t(a, v); insert into t values (1, 2)",
        "create table t(a, v as (a + 1) stored); insert into t(a) values (1)",
    ],
)
def test_a_column_computed_on_one_side_is_another_schema(databases: Any, b: str) -> None:
    a = "create table t(a, v as (a + 1)); insert into t(a) values (1)"
    assert worst(databases(a, b)) == [("schema", "t", None)]


def test_references_without_a_declared_key_make_a_renumbering_a_value(databases: Any) -> None:
    table = "create table f(fid integer primary key, name); create table obs(f_id, v); insert into obs values ({}, 10);"
    rows = "insert into f values (1, 'A'), (2, 'B')", "insert into f values (1, 'B'), (2, 'A')"
    found = databases(*(table.format(1) + row for row in rows))
    assert worst(found) == [("value", "f", "fid")]
    assert "obs.f_id" in next(f.evidence for f in found if f.rung == "value")
    view = "create table f(fid integer primary key, name); create view v as select * from f;"
    assert worst(databases(*(view + row for row in rows))) == [("value", "f", "fid")]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("update gpkg_contents set min_x = -999", ("extent-metadata", "counties", None)),
        ("update gpkg_ogr_contents set feature_count = 99", ("extent-metadata", "counties", "feature_count")),
        (
            "update gpkg_spatial_ref_sys set organization_coordsys_id = 4269 where srs_id = 4326",
            ("crs", "counties", None),
        ),
    ],
)
def test_bookkeeping_that_the_features_do_not_explain_is_a_value(
    tmp_path: Path, counties: Any, statement: Any, told: Any
) -> None:
    a = altered(tmp_path, counties, side="a")
    assert worst(compare(a, altered(tmp_path, counties, statement), Context())) == [told]


def test_an_emptied_spatial_index_is_a_value(tmp_path: Path, counties: Any) -> None:
    a, b = (
        altered(tmp_path, counties, side="a"),
        altered(tmp_path, counties, "delete from rtree_counties_geom"),
    )
    found = [f for f in compare(a, b, Context()) if f.rung == "value"]
    assert [f.kind for f in found] == ["spatial-index"]


def boxed(path: Path, *box: float) -> Path:
    """Change the box of one entry in the spatial index of a GeoPackage."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update rtree_counties_geom set minx = ?, maxx = ? where id = 7", box)
        connection.commit()
    return path


@pytest.mark.parametrize("shape", ["areas", "points", "lines with heights"])
def test_an_index_that_leads_astray_is_a_value(tmp_path: Path, counties: Any, shape: str) -> None:
    counties = counties[:20]
    if shape != "areas":
        middles = shapely.centroid(counties.geometry.to_numpy())
        lines = shapely.force_3d(shapely.boundary(counties.geometry.to_numpy()), 7.0)
        counties = counties.set_geometry(gpd.GeoSeries(middles if shape == "points" else lines, crs=4326))
    a = altered(tmp_path, counties, side="a")
    wide = boxed(altered(tmp_path, counties), -180, 180)
    assert ("spatial-index", "container") in {(f.kind, f.rung) for f in compare(a, wide, Context())}
    astray = boxed(altered(tmp_path, counties), 9, 10)
    for sides in ((a, astray), (astray, a)):
        assert [f.kind for f in compare(*sides, Context()) if f.rung == "value"] == ["spatial-index"]


def header(path: Path, change: Callable[[bytearray], None]) -> Path:
    """Change the header of one geometry."""
    with closing(sqlite3.connect(path)) as connection:
        (blob,) = connection.execute("select geom from counties where fid = 7").fetchone()
        changed = bytearray(blob)
        change(changed)
        connection.execute("update counties set geom = ? where fid = 7", (bytes(changed),))
        connection.commit()
    return path


@pytest.mark.parametrize(
    ("at", "value", "shuffled"),
    [(3, 0x13, False), (3, 0x23, False), (2, 5, False), (15, 0x41, False), (15, 0x41, True)],
    ids=["empty", "extended", "version", "envelope", "envelope of shuffled ones"],
)
def test_a_header_that_is_wrong_about_its_geometry_is_a_value(
    tmp_path: Path, counties: Any, at: int, value: int, *, shuffled: bool
) -> None:
    counties = counties[:20]
    a = altered(tmp_path, counties[::-1] if shuffled else counties, side="a")
    b = header(altered(tmp_path, counties), lambda blob: blob.__setitem__(at, value))
    for sides in ((a, b), (b, a)):
        told = [f for f in compare(*sides, Context()) if f.rung == "value"]
        (found,) = (f for f in told if f.kind != "spatial-index")  # what a wrong header leads to as well
        assert (found.kind, found.where, found.count) == (
            "extent-metadata",
            {"layer": "counties", "column": "geom"},
            1,
        )


def test_a_header_without_an_envelope_is_packaging(tmp_path: Path, counties: Any) -> None:
    def without(blob: bytearray) -> None:
        del blob[8:40]
        blob[3] &= 0xF1

    a = altered(tmp_path, counties, side="a")
    assert not [
        f for f in compare(a, header(altered(tmp_path, counties), without), Context()) if f.rung == "value"
    ]


def test_a_table_of_the_user_named_like_an_index_is_data(tmp_path: Path, counties: Any) -> None:
    table, row = "create table rtree_my_node(x)", "insert into rtree_my_node values "
    a = altered(tmp_path, counties, table, row + "(1)", side="a")
    b = altered(tmp_path, counties, table, row + "(2)")
    assert worst(compare(a, b, Context())) == [("value", "rtree_my_node", "x")]


def test_exchanged_systems_of_geometries_are_a_crs(tmp_path: Path, counties: Any) -> None:
    paths = []
    for side, fid in (("a", 1), ("b", 2)):
        path = altered(tmp_path, counties, side=side)
        with closing(sqlite3.connect(path)) as connection:
            connection.create_function("relabel", 1, lambda v: v[:4] + (3857).to_bytes(4, "little") + v[8:])
            connection.execute("update counties set geom = relabel(geom) where fid = ?", (fid,))
            connection.commit()
        paths.append(path)
    found = [f for f in compare(*paths, Context()) if f.rung == "value"]
    assert [(f.kind, f.count) for f in found] == [("crs", 2)]


def test_an_index_that_does_not_fit_its_rows_is_damage(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript("create table t(v); create index i on t(v)")
            connection.executemany("insert into t values (?)", [(f"mark {n}",) for n in range(20)])
            connection.commit()
    assert compare(tmp_path / "a", tmp_path / "b", Context()) == ()
    raw = (tmp_path / "b").read_bytes()
    at = raw.rindex(b"mark 7")
    (tmp_path / "b").write_bytes(raw[:at] + b"mark 8" + raw[at + 6 :])
    (found,) = compare(tmp_path / "a", tmp_path / "b", Context())
    assert (found.kind, found.rung) == ("truncated", "value")
    (found,) = compare(tmp_path / "b", tmp_path / "b", Context())
    assert found.rung == "unknown"


@pytest.mark.parametrize("system", [4326, 3857, 26914, 2263])
def test_the_extent_that_the_writer_states_follows_the_features(
    tmp_path: Path, counties: Any, system: Any
) -> None:
    frame = counties.to_crs(system)
    paths = altered(tmp_path, frame, side="a"), altered(tmp_path, frame.iloc[20:90])
    found = compare(*paths, Context())
    assert worst(found) == [("rows-removed", "counties", None)]
    assert [f.rung for f in found if f.kind == "extent-metadata"] == ["container"] * 2
