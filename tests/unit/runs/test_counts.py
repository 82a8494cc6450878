"""Counts of rows and features, against files that real libraries wrote."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather

from kfm_repro.runs.counts import count_records
from kfm_repro.runs.csvcount import count_records_of

SEVEN = geopandas.GeoDataFrame(
    {"name": [f"county {n}" for n in range(7)]},
    geometry=[shapely.Point(-98 - n, 38) for n in range(7)],
    crs="EPSG:4326",
)


def count(path: Path) -> dict[str, int]:
    return count_records(path, path.name)


@given(
    st.lists(st.text(alphabet='aé,;\t"\r\n ', max_size=12), max_size=8),
    st.sampled_from([",", ";", "\t"]),
)
def test_records_are_counted_as_csv_reader_counts_them_wherever_the_blocks_are_cut(
    parts: list[str], delimiter: str
) -> None:
    text = io.StringIO("".join(parts), newline="")
    expected = sum(1 for row in csv.reader(text, delimiter=delimiter) if row)
    blocks = iter([part.encode() for part in parts if part])
    assert count_records_of(blocks, delimiter.encode()) == expected


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", 'id,text\r\n1,"two\r\nlines, and a quote """\r\n2,x\r\n', 2),
        ("a.csv", '\ufeff"id",b\n1,2\n\n3,4', 2),
        ("a.csv", 'id;text\n1;"x\ny"\n', 1),
        ("a.csv", "id,height\n1,5'11\"\n2,6'0\"\n", 2),
        ("a.csv", "", 0),
        ("a.tsv", 'id\ttext, more, and more\n1\t"x\ny"\n', 1),
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}', 2),
    ],
)
def test_rows_of_a_text_are_records_not_lines(tmp_path: Path, name: str, text: str, rows: int) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert count(path) == {"row_count": rows}


def test_a_csv_larger_than_one_block_counts_quoted_line_ends_across_it(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([n, f'line one\nline "two" of {n}'] for n in range(200_000))
    assert path.stat().st_size > 1 << 22
    assert count(path) == {"row_count": 200_000}


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("a.geojson", "GeoJSON"), ("a.geojsonl", "GeoJSONSeq"), ("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf"),
        ("a.shp", "ESRI Shapefile"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("features", [7, 0])
def test_features_of_what_gdal_wrote(tmp_path: Path, name: str, driver: str, features: int) -> None:
    path = tmp_path / name
    SEVEN.iloc[:features].to_file(path, driver=driver, geometry_type="Point")
    assert count(path) == {"feature_count": features}


def test_a_sequence_with_record_separators_may_spread_a_feature_over_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.geojsons"
    path.write_text("".join(f"\x1e{json.dumps({'type': 'Feature', 'n': n}, indent=1)}\n" for n in range(3)))
    assert count(path) == {"feature_count": 3}


def test_layers_of_a_geopackage_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    SEVEN.to_file(path, layer="counties")
    SEVEN.iloc[:2].to_file(path, layer='towns; "old"')
    assert count(path) == {"feature_count": 9}


def test_tables_and_their_footers(tmp_path: Path) -> None:
    SEVEN.to_parquet(tmp_path / "geo.parquet")
    pd.DataFrame({"a": range(5)}).to_parquet(tmp_path / "plain.parquet")
    feather.write_feather(pa.table({"a": [1, 2, 3]}), tmp_path / "a.feather", compression="zstd")
    SEVEN.to_file(tmp_path / "a.shp")
    assert count(tmp_path / "geo.parquet") == {"feature_count": 7}
    assert count(tmp_path / "plain.parquet") == {"row_count": 5}
    assert count(tmp_path / "a.feather") == {"row_count": 3}
    assert count(tmp_path / "a.dbf") == {"row_count": 7}


def test_rows_of_a_database_that_still_wait_in_its_journal_are_no_count(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute('CREATE TABLE "a ""b""" (x)')
        database.execute("CREATE TABLE empty (x)")
        database.executemany('INSERT INTO "a ""b""" VALUES (?)', [(1,), (2,)])
        database.commit()
        assert count(path) == {}
    assert count(path) == {"row_count": 2}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.sqlite"]


@pytest.mark.parametrize(
    "name", ["a.csv.gz", "a.json", "a.geojson", "a.parquet", "a.gpkg", "a.fgb", "a.shp", "a.dbf", "a.txt"]
)
def test_a_damaged_or_foreign_file_has_no_count_and_no_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"type": "Topology", "features": 3, \xff')
    assert count(path) == {}


def test_a_truncated_index_or_table_is_no_count(tmp_path: Path) -> None:
    SEVEN.to_file(tmp_path / "a.shp")
    for name in ("a.shx", "a.dbf"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-3])
    assert count(tmp_path / "a.shp") == {}
    assert count(tmp_path / "a.dbf") == {}
