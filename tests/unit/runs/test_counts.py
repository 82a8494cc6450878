"""Counts of rows and features, against files that real libraries wrote."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import geopandas
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather
from tabular_writers import WRITERS, pack

from kfm_repro.runs import counts
from kfm_repro.runs.counts import count_records, countable, has_no_records, is_vector_name
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
        ("a.csv", "a\r1\r2\r", 2),
        ("a.csv", "a\n1\n2", 2),
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}', 2),
        ("a.jsonl", '\ufeff{"a": 1}\r\n \t\r\n[2]\r\n', 2),
        ("a.jsonl", "", 0),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pretty.jsonl", '{\n "a": 1\n}\n'),
        ("cut.jsonl", '{"a": 1}\n{"a": '),
        ("log.ndjson", "hello\nworld\n"),
        ("a.json", '{"type": "GeometryCollection", "geometries": []}'),
    ],
)
def test_a_text_that_is_not_what_its_name_says_has_no_count(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert count(tmp_path / name) == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_characters_have_no_count_rather_than_a_wrong_one_and_compressed_tables_the_right_one(
    tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "a.csv").write_bytes("id\n1\n".encode(encoding))
    with gzip.open(tmp_path / "a.csv.gz", "wt", encoding="utf-8") as file:
        file.write("id\n1\n")
    assert count(tmp_path / "a.csv") == {}
    assert count(tmp_path / "a.csv.gz") == {"row_count": 1}


def test_the_rows_are_counted_and_not_what_a_geopackage_claims_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    SEVEN.to_file(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = 99")
        database.commit()
    assert count(path) == {"feature_count": 7}


def test_a_geopackage_of_tiles_has_no_features_and_no_count(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    SEVEN.iloc[:0].to_file(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE gpkg_contents SET data_type = 'tiles'")
        database.commit()
    assert count(path) == {}


def test_attributes_beside_features_are_not_features(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"a": [1, 2, 3]}), path, layer="notes")
    assert count(path) == {"row_count": 3}
    SEVEN.to_file(path, layer="counties")
    assert count(path) == {"feature_count": 7}


def test_a_flatgeobuf_that_does_not_know_its_count_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.fgb"
    SEVEN.to_file(path, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<Q", 7), 12)
    data[place : place + 8] = bytes(8)
    path.write_bytes(data)
    assert pyogrio.read_info(path)["features"] == -1
    assert count(path) == {}


def test_deleted_records_of_a_shapefile_are_not_counted_as_gdal_does_not_read_them(tmp_path: Path) -> None:
    path = tmp_path / "a.shp"
    SEVEN.to_file(path)
    table = tmp_path / "a.dbf"
    data = bytearray(table.read_bytes())
    header, record = struct.unpack("<HH", data[8:12])
    for row in (0, 6):
        data[header + row * record] = ord("*")
    table.write_bytes(data)
    read = len(pyogrio.read_dataframe(path))
    assert (read, count(path), count(table)) == (5, {"feature_count": 5}, {"row_count": 5})


@pytest.mark.parametrize("options", [{}, {"SPATIALITE": "YES"}])
def test_catalogues_and_indexes_of_a_spatial_database_are_no_rows(
    tmp_path: Path, options: dict[str, str]
) -> None:
    path = tmp_path / "a.sqlite"
    try:
        pyogrio.write_dataframe(SEVEN, path, driver="SQLite", **options)
    except pyogrio.errors.DataSourceError as exc:
        pytest.skip(f"GDAL was built without it: {exc}")
    assert count(path) == {"row_count": pyogrio.read_info(path)["features"]}


def test_tables_that_a_virtual_table_keeps_for_itself_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIRTUAL TABLE notes USING fts5(text)")
        database.executemany("INSERT INTO notes VALUES (?)", [("one",), ("two",)])
        database.execute("CREATE VIRTUAL TABLE places USING rtree(id, a, b)")
        database.execute("INSERT INTO places VALUES (1, 0, 1)")
        database.execute("CREATE TABLE networks (x)")
        database.executemany("INSERT INTO networks VALUES (?)", [(1,), (2,), (3,)])
        database.commit()
    assert count(path) == {"row_count": 5}


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.csv.gz", 'id,x\n1,"a\nb"\n2,c\n', {"row_count": 2}),
        ("a.JSONL.GZ", '{"a": 1}\n{"a": 2}\n', {"row_count": 2}),
        ("a.geojson.gz", '{"type": "FeatureCollection", "features": []}', {"feature_count": 0}),
        ("a.txt.gz", "1\n", {}),
    ],
)
def test_texts_that_gzip_packed_are_counted(
    tmp_path: Path, name: str, text: str, count: dict[str, int]
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    assert count_records(path, name) == count
    assert countable(name) is bool(count)


def test_a_gzip_that_unpacks_to_too_much_or_is_damaged_has_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id\n1\n")[:-3])
    assert count_records(path, path.name) == {}
    path.write_bytes(gzip.compress(b"id\n1\n"))
    monkeypatch.setattr(counts, "_MAX_UNPACKED_BYTES", 4)
    assert count_records(path, path.name) == {}


@pytest.mark.parametrize("name", ["a.kml", "b.GPX", "c.zip", "d.geojson.bz2"])
def test_formats_that_may_have_features_are_known_by_name(name: str) -> None:
    assert is_vector_name(name)
    assert not has_no_records(name)


def test_texts_and_images_have_no_records() -> None:
    assert all(map(has_no_records, ["a.md", "b.PNG", "c.tif"]))
    assert not any(map(has_no_records, ["a", "a.csv.bz2", "a.kml", "a.csv", "a.json"]))


@pytest.mark.parametrize(
    "suffix", ["arrow", "arrows", "feather", "orc", "duckdb", "parquet", "sqlite", "jsonl"]
)
def test_rows_are_counted_in_every_format_of_tables(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](pa.table({"a": range(321)}), tmp_path / f"a.{suffix}")
    assert count(tmp_path / f"a.{suffix}") == {"row_count": 321}


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_rows_of_compressed_texts_are_counted(tmp_path: Path, packing: str) -> None:
    WRITERS["csv"](pa.table({"a": range(321)}), tmp_path / "a.csv")
    assert count(pack(tmp_path / "a.csv", packing)) == {"row_count": 321}
    assert countable(f"a.csv.{packing}")


def test_a_database_whose_log_holds_rows_has_no_count(tmp_path: Path) -> None:
    WRITERS["duckdb"](pa.table({"a": [1]}), tmp_path / "a.duckdb")
    (tmp_path / "a.duckdb.wal").write_bytes(b"rows")
    assert count(tmp_path / "a.duckdb") == {}
