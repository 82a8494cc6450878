"""The short way through tables of which most rows are equal in place says what the long way says."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.database import compare

CELLS = st.one_of(
    st.none(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5, 1.5000000000000002]),
    st.sampled_from(["", "1", "a", "Reno"]), st.sampled_from([b"", b"a"]),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["x", "y", "shape"]), CELLS), max_size=5)
KEYS = st.sampled_from([(), ("geoid",), ("geoid", "x"), ("missing",)])


def blob(at: int, *, high: bool = False) -> bytes:
    """Return a GeoPackage geometry without an envelope."""
    point = shapely.Point(-98 + at / 10, 38, 1) if high else shapely.Point(-98 + at / 10, 38)
    return b"GP\x00\x01" + (4326).to_bytes(4, "little") + bytes(shapely.to_wkb(point, flavor="iso"))


def package(path: Path, rows: list[dict[str, Any]], declaration: str) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER);"
            "INSERT INTO gpkg_contents VALUES ('t', 'features', 4326);"
            "INSERT INTO gpkg_geometry_columns VALUES ('t', 'shape', 4326);"
        )
        base.execute(f"CREATE TABLE t ({declaration}, geoid INTEGER, x, y, shape BLOB)")
        base.executemany("INSERT INTO t VALUES (:id, :geoid, :x, :y, :shape)", rows)
        base.commit()


def told(folder: Path, context: Context) -> Any:
    return sorted(
        (str(f.kind), str(f.rung), str(f.where), f.count, f.of, str(f.metres))
        for f in compare(folder / "a", folder / "b", context)
    )


@settings(deadline=None, max_examples=60)
@given(
    edits=EDITS,
    start=st.sampled_from([1, 5]),
    name=st.sampled_from(["fid INTEGER PRIMARY KEY", "number INTEGER PRIMARY KEY", "id INTEGER"]),
    unique=st.booleans(),
    key=KEYS,
)
def test_the_short_way_says_what_the_long_way_says(
    tmp_path_factory: pytest.TempPathFactory, edits: Any, start: int, name: str, *, unique: bool, key: Any
) -> None:
    folder = tmp_path_factory.mktemp("settled")
    rows = [
        {
            "id": start + n,
            "geoid": 20_000 + (n if unique else n // 2),
            "x": n % 3,
            "y": f"c {n}",
            "shape": blob(n),
        }
        for n in range(12)
    ]
    changed = [dict(row) for row in rows]
    for at, column, cell in edits:
        changed[at][column] = cell if column != "shape" else blob(at + 1, high=cell is None)
    package(folder / "a", rows, name)
    package(folder / "b", changed, name)
    context = Context(options=Options(key=key))
    short = told(folder, context)
    with pytest.MonkeyPatch.context() as patch:
        # The function of the same name hides the module.
        patch.setitem(compare.__globals__, "settled", lambda *_: None)
        assert short == told(folder, context)


@pytest.mark.parametrize("width", [150, 1_900])
def test_a_wide_table_is_compared_as_well(width: int, tmp_path: Path) -> None:
    names = ", ".join(f"c{n}" for n in range(width))
    for side, last in (("a", 1), ("b", 2)):
        with closing(sqlite3.connect(tmp_path / side)) as base:
            base.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {names})")
            for row in range(4):
                values = [row, *range(width - 1), last if row == 3 else 0]
                marks = ", ".join("?" * len(values))
                base.execute(f"INSERT INTO t VALUES ({marks})", values)  # noqa: S608 - question marks
            base.commit()
    (found,) = compare(tmp_path / "a", tmp_path / "b", Context())
    assert (found.kind, found.rung, found.count, found.of) == ("value", "value", 1, 4)
    assert found.where == {"layer": "t", "column": f"c{width - 1}"}
