"""What records prove of large databases is what their rows say: the short ways and the long one agree in all."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.database import compare, records
from kfm_repro.compare.database.header import read_header
from kfm_repro.compare.database.read import opened
from kfm_repro.compare.tabular.native import library
from kfm_repro.errors import Unreadable
from kfm_repro.model.finding import Finding

pytestmark = pytest.mark.skipif(library() is None, reason="the wheel was built without a C compiler")
ROWS = 60


@pytest.fixture(autouse=True)
def small_files_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_LARGE", 0)


def geometry(at: int, vertices: int, system: int = 4326, *, empty: bool = False) -> bytes:
    """Return a GeoPackage geometry without an envelope."""
    line = [(-98 + at / 100 + n / 7_000, 38 + n / 9_000) for n in range(vertices)]
    flags = b"\x11" if empty else b"\x01"
    shape = shapely.LineString() if empty else shapely.LineString(line)
    return b"GP\x00" + flags + system.to_bytes(4, "little") + bytes(shapely.to_wkb(shape, flavor="iso"))


def rows_of(count: int, vertices: int, *, unique: bool) -> list[dict[str, Any]]:
    return [
        {
            "geoid": 20_000 + (n if unique else n // 3),
            "x": n % 3 / 2,
            "y": None if n % 7 == 3 else f"c {n % 20 if unique else n // 3}",
            "shape": geometry(n if unique else n // 3, vertices),
        }
        for n in range(count)
    ]


def package(
    path: Path, rows: list[dict[str, Any]], *, declared: str, page: int = 512, index: bool = True
) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA page_size = {page}")
        base.execute(f"CREATE TABLE t ({declared}, shape BLOB, geoid INTEGER, x REAL, y TEXT)")
        base.executescript(
            "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER);"
            "INSERT INTO gpkg_contents VALUES ('t', 'features', 4326);"
            "INSERT INTO gpkg_geometry_columns VALUES ('t', 'shape', 4326);"
            "CREATE TABLE rtree_t_shape_rowid (rowid INTEGER PRIMARY KEY, nodeno);"
        )
        for n, row in enumerate(rows, start=1):
            columns = ", ".join(row)
            base.execute(f"INSERT INTO t ({columns}) VALUES ({', '.join(':' + c for c in row)})", row)  # noqa: S608
            base.execute("INSERT INTO rtree_t_shape_rowid VALUES (?, ?)", (n, n // 5))
        if index:
            base.execute("CREATE INDEX geoids ON t (geoid)")
        base.commit()


def told(folder: Path, context: Context) -> list[str]:
    return sorted(map(repr, (_comparable(f) for f in compare(folder / "a", folder / "b", context))))


def _comparable(f: Finding) -> tuple[Any, ...]:
    return f.kind, f.rung, f.where, f.count, f.of, f.examples, f.evidence, f.detail, f.metres


def both_ways(folder: Path, context: Context) -> tuple[list[str], list[str]]:
    short = told(folder, context)
    with pytest.MonkeyPatch.context() as patch:
        # The function of the same name hides the module.
        for name, instead in (("settled", None), ("_moved", None), ("read_records", None)):
            patch.setitem(compare.__globals__, name, lambda *_, instead=instead: instead)
        return short, told(folder, context)


CELLS = st.one_of(
    st.none(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, 1.5000000000000002]),
    st.sampled_from(["", "1", "a", "ä"]), st.sampled_from([b"", b"a"]),
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, ROWS - 1), st.sampled_from(["geoid", "x", "y", "shape"]), CELLS), max_size=4
)
ORDERS = st.one_of(
    st.none(),
    st.integers(0, 5),
    st.sampled_from(["reversed", "swapped", "by x", "by y"]),
)


def in_order(rows: list[dict[str, Any]], order: Any) -> list[dict[str, Any]]:
    if order is None:
        return rows
    if order == "reversed":
        return rows[::-1]
    if order == "swapped":
        return [rows[1], rows[0], *rows[2:]]
    if isinstance(order, str):
        return sorted(rows, key=lambda row: (row[order[-1]] is None, str(row[order[-1]])))
    return random.Random(order).sample(rows, len(rows))  # noqa: S311 - an order


@settings(deadline=None, max_examples=120)
@given(
    edits=EDITS,
    order=ORDERS,
    declared=st.sampled_from(
        ["fid INTEGER PRIMARY KEY AUTOINCREMENT", "number INTEGER PRIMARY KEY", "id INTEGER"]
    ),
    unique=st.booleans(),
    vertices=st.sampled_from([2, 25, 90]),
    pages=st.sampled_from([(512, 512), (512, 4096)]),
    sorted_first=st.sampled_from([None, "by y"]),
    key=st.sampled_from([(), ("geoid",), ("fid",)]),
)
def test_the_short_ways_say_what_the_long_way_says(
    tmp_path_factory: pytest.TempPathFactory, edits: Any, order: Any, declared: str, *, unique: bool,
    vertices: int, pages: tuple[int, int], sorted_first: str | None, key: Any,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("records")
    rows = in_order(rows_of(ROWS, vertices, unique=unique), sorted_first)
    changed = [dict(row) for row in in_order(rows, order)]
    for at, column, cell in edits:
        if column == "shape" and not isinstance(cell, bytes):
            cell = None if cell is None else geometry(at + 1, vertices)  # noqa: PLW2901 - as a geometry
        changed[at][column] = cell
    for name, side, page in (("a", rows, pages[0]), ("b", changed, pages[1])):
        package(folder / name, side, declared=declared, page=page)
    short, long = both_ways(folder, Context(options=Options(key=key)))
    assert short == long


SPECIAL = {
    "another system here and there": lambda rows: [
        {**row, "shape": geometry(n, 9, 3857 if n % 2 else 4326)} for n, row in enumerate(rows)
    ],
    "empty geometries": lambda rows: [
        {**row, "shape": geometry(n, 9, empty=n % 4 == 0)} for n, row in enumerate(rows)
    ],
    "blobs that are no geometries": lambda rows: [
        {**row, "shape": b"a" * n} if n % 5 == 0 else row for n, row in enumerate(rows)
    ],
    "texts among the geometries": lambda rows: [
        {**row, "shape": "POINT (1 1)"} if n == 30 else row for n, row in enumerate(rows)
    ],
    "no geometries": lambda rows: [{**row, "shape": None} for row in rows],
    "texts that are no UTF-8": lambda rows: [
        {**row, "y": sqlite3.Binary(b"\xff") if n == 5 else row["y"]} for n, row in enumerate(rows)
    ],
    "values of several types": lambda rows: [
        {**row, "y": n if n % 2 else row["y"]} for n, row in enumerate(rows)
    ],
}  # fmt: skip


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("change", ["shuffled", "one value", "shuffled and one value", "none"])
def test_odd_rows_are_told_alike(special: str, change: str, tmp_path: Path) -> None:
    rows = SPECIAL[special](rows_of(ROWS, 9, unique=True))
    changed = in_order([dict(row) for row in rows], 1 if "shuffled" in change else None)
    if "value" in change:
        changed[17]["x"] = 7.25
    for name, side in (("a", rows), ("b", changed)):
        package(tmp_path / name, side, declared="fid INTEGER PRIMARY KEY", page=1024)
    short, long = both_ways(tmp_path, Context())
    assert short == long


def test_shuffled_rows_are_not_read_as_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(ROWS, 9, unique=True)
    for name, side in (("a", rows), ("b", in_order(rows, 1))):
        package(tmp_path / name, side, declared="fid INTEGER PRIMARY KEY")
    monkeypatch.setitem(compare.__globals__, "typed_tables", None)
    assert {str(finding.kind) for finding in compare(tmp_path / "a", tmp_path / "b", Context())} == {
        "feature-order"
    }


def read(path: Path) -> dict[str, records.Records]:
    with opened(path) as base:
        header = read_header(path)
        columns = (lambda name: "shape" if name == "t" else "",) * 2
        records.read_records((base, base), (header, header), columns)
        return base.records


@pytest.mark.parametrize("page", [512, 1024, 65_536])
@pytest.mark.parametrize("vertices", [2, 30, 3_000])
def test_records_are_those_that_sqlite_reads(page: int, vertices: int, tmp_path: Path) -> None:
    rows = [
        row | {"shape": row["shape"] if n % 9 else None}
        for n, row in enumerate(rows_of(200, vertices, unique=True))
    ]
    package(tmp_path / "a", rows, declared="number INTEGER PRIMARY KEY", page=page)
    with closing(sqlite3.connect(tmp_path / "a")) as base:
        base.execute("DELETE FROM t WHERE number % 10 = 4")
        base.execute("UPDATE t SET number = number + 1000000 WHERE number > 150")
        base.execute("UPDATE t SET y = y || ? WHERE number % 3 = 0", ("long " * 400,))
        base.commit()
        stored = base.execute("SELECT number, shape FROM t NOT INDEXED").fetchall()
    found = read(tmp_path / "a")["t"]
    assert found.rows.tolist() == [number for number, _ in stored]
    assert found.lengths.tolist() == [-1 if shape is None else len(shape) for _, shape in stored]
    assert [int(head).to_bytes(8, "little") for head in found.heads] == [
        (shape or bytes(8))[:8] for _, shape in stored
    ]
    assert len(set(found.numbers.one.tolist())) == len(stored)


@settings(deadline=None, max_examples=150)
@given(places=st.lists(st.tuples(st.integers(100, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6))
@example(places=[(2909, 32)])
def test_a_damaged_file_is_never_equal_by_its_records(
    tmp_path_factory: pytest.TempPathFactory, places: Any
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    package(folder / "a", rows_of(40, 60, unique=True), declared="fid INTEGER PRIMARY KEY")
    data = bytearray((folder / "a").read_bytes())
    for at, octet in places:
        data[100 + at % (len(data) - 100)] = octet
    (folder / "b").write_bytes(data)
    try:
        sound = rows_in(folder / "a") == rows_in(folder / "b")
        headers = read_header(folder / "a"), read_header(folder / "b")
        with opened(folder / "a") as a, opened(folder / "b") as b:
            records.read_records((a, b), headers, (lambda _: "", lambda _: ""))
    except (sqlite3.Error, UnicodeDecodeError, Unreadable):
        return
    if declared_in(folder / "a") != declared_in(folder / "b"):
        assert compare(
            folder / "a", folder / "b", Context()
        )  # the same bytes then need not be the same values
    elif "t" in a.records and "t" in b.records:
        unlike = a.records["t"].unlike(b.records["t"])
        assert sound or unlike is None or len(unlike)


def declared_in(path: Path) -> Any:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as base:
        base.text_factory = bytes
        return base.execute("SELECT sql FROM sqlite_master WHERE name = 't'").fetchall()


def rows_in(path: Path) -> Any:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as base:
        base.text_factory = bytes
        return base.execute("SELECT * FROM t NOT INDEXED").fetchall()


WHOLE = [0, 1, -1, 127, -128, 128, 1 << 15, -(1 << 23), (1 << 31) - 1, -(1 << 47), (1 << 63) - 1, -(1 << 63)]


@pytest.mark.parametrize("odd", [None, 1.5, "x", b"1"])
def test_whole_numbers_are_noted_where_a_column_holds_nothing_else(tmp_path: Path, odd: object) -> None:
    for name, added in (("whole", 7), ("odd", odd)):
        path = tmp_path / f"{name}.db"
        with closing(sqlite3.connect(path)) as base:
            base.execute("CREATE TABLE t (fid INTEGER PRIMARY KEY, shape POINT, x TEXT, n MEDIUMINT)")
            rows = [
                (bytes(900 * (at % 7)), "x" * at if at % 3 else None, n)
                for at, n in enumerate([*WHOLE, added])
            ]
            base.executemany("INSERT INTO t (shape, x, n) VALUES (?, ?, ?)", rows)
            base.commit()
        with opened(path) as base_read:
            header = read_header(path)
            records.read_records(
                (base_read, base_read), (header, header), (lambda _: "shape", lambda _: "shape")
            )
            noted = {column: values.tolist() for column, values in base_read.records["t"].named.items()}
        assert noted == ({"n": [*WHOLE, 7]} if name == "whole" else {})
