"""The engine: bytes first, content over extension, and never "equal" by accident."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import compare_files, same_bytes
from kfm_repro.compare.registry import FORMATS
from kfm_repro.model.finding import Kind, OutputComparison, OutputVerdict, Rung


def judge(a: Path, b: Path, name: str) -> OutputComparison:
    return compare_files(a, b, name=name, context=Context())


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1])
def test_same_bytes_sees_a_change_in_the_last_byte(tmp_path: Path, size: int) -> None:
    a, b = write(tmp_path / "a", b"x" * size), write(tmp_path / "b", b"x" * size)
    assert same_bytes(a, b)
    if size:
        b.write_bytes(b"x" * (size - 1) + b"y")
        assert not same_bytes(a, b)


def test_content_decides_over_a_lying_extension(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    pq.write_table(pa.table({"id": [1, 2]}), a)
    pq.write_table(pa.table({"id": [1, 3]}), b)
    result = judge(a, b, "table.csv")
    assert (result.format, result.verdict) == ("parquet", OutputVerdict.DIFFERENT)


def test_one_broken_side_is_a_difference(tmp_path: Path) -> None:
    a = tmp_path / "a"
    pq.write_table(pa.table({"id": [1, 2]}), a)
    b = write(tmp_path / "b", a.read_bytes()[:-20])
    result = judge(a, b, "t.parquet")
    assert (result.verdict, result.findings[0].kind) == (OutputVerdict.DIFFERENT, Kind.TRUNCATED)


def test_an_emptied_side_is_a_difference(tmp_path: Path) -> None:
    a, b = tmp_path / "a", write(tmp_path / "b", b"")
    pq.write_table(pa.table({"id": [1, 2]}), a)
    assert judge(a, b, "t.parquet").verdict is OutputVerdict.DIFFERENT
    for name, content in (
        ("t.csv", b"id\n1\n"),
        ("d.json", b"{}"),
        ("n.txt", b"x\n"),
        ("x.bin", b"\x00\x01"),
    ):
        assert judge(write(a, content), b, name).verdict is OutputVerdict.DIFFERENT, name


def test_two_broken_sides_are_unknown(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    pq.write_table(pa.table({"id": [1, 2]}), a)
    pq.write_table(pa.table({"id": [1, 3]}), b)
    for path in (a, b):
        path.write_bytes(path.read_bytes()[:-20])
    assert judge(a, b, "t.parquet").verdict is OutputVerdict.UNKNOWN


def test_unknown_binary_formats_that_differ_are_different(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"\x00\x01\x02"), write(tmp_path / "b", b"\x00\x01\x03")
    result = judge(a, b, "model.bin")
    assert (result.verdict, result.findings[0].kind) == (OutputVerdict.DIFFERENT, Kind.BYTES)


def test_a_text_that_is_no_json_is_still_compared(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"not json 1"), write(tmp_path / "b", b"not json 2")
    assert judge(a, b, "x.json").verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_garbage_under_any_extension_is_never_equal_and_never_a_crash(tmp_path: Path, row: object) -> None:
    for n, (left, right) in enumerate(
        [(b"\xff\xfe\x00garbage\x80", b"\xff\xfe\x00garbagf\x80"), (row.magic + b"\x01", row.magic + b"\x02")]
    ):
        a, b = write(tmp_path / f"a{n}", left), write(tmp_path / f"b{n}", right)
        for suffix in row.suffixes:
            result = judge(a, b, f"file{suffix}")
            assert result.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN), (suffix, result)
            assert all(finding.rung in (Rung.VALUE, Rung.UNKNOWN) for finding in result.findings)


LINE = '{"type":"LineString","coordinates":[[0,0],[1,1],[2,0]]}'
TURNED = '{"type":"LineString","coordinates":[[2,0],[1,1],[0,0]]}'
FEATURE = '{"properties":{},"geometry":%s,"type":"Feature"}'
PLACE = '{"features":[{"type":"Feature","properties":{},"geometry":%s}],%s"type":"FeatureCollection"}'


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (LINE, TURNED),
        ('{"type":"Point","coordinates":[-98.5,38.2]}', '{"type":"Point","coordinates":[38.2,-98.5]}'),
        (FEATURE % LINE, FEATURE % TURNED),
        (PLACE % (LINE, " " * 5000), PLACE % (TURNED, " " * 5000)),
    ],
    ids=["geometry", "point", "feature", "type last"],
)
def test_geojson_under_the_name_json_is_compared_as_geojson(tmp_path: Path, a: str, b: str) -> None:
    result = judge(write(tmp_path / "a", a.encode()), write(tmp_path / "b", b.encode()), "x.json")
    assert (result.format, result.verdict) == ("geojson", OutputVerdict.DIFFERENT)


@pytest.mark.parametrize(
    "a", ['{"type":"FeatureCollection","x":[1,2],"y":3}', '{"in":{"type":"FeatureCollection"},"y":3}']
)
def test_json_that_only_looks_like_geojson_is_compared_as_json(tmp_path: Path, a: str) -> None:
    b = a.replace(',"y":3', "").replace("{", '{"y":3,', 1)
    result = judge(write(tmp_path / "a", a.encode()), write(tmp_path / "b", b.encode()), "x.json")
    assert [f.kind for f in result.findings] == [Kind.KEY_ORDER]


def test_a_csv_that_begins_like_parquet_is_a_csv(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"PAR1,PAR2\n1,2\n"), write(tmp_path / "b", b"PAR1,PAR2\n1,3\n")
    result = judge(a, b, "x.csv")
    assert (result.format, result.findings[0].where) == ("csv", {"column": "PAR2"})
    write(a, b"PAR1 is a parameter\n1\n")
    write(b, b"PAR1 is a parameter\n2\n")
    assert (judge(a, b, "x.txt").format, judge(a, b, "x.txt").verdict) == ("text", OutputVerdict.DIFFERENT)
    write(a, b"PAR1,x\n1,PAR1")
    write(b, b"PAR1,x\n2,PAR1")
    assert judge(a, b, "x.csv").verdict is OutputVerdict.DIFFERENT


def test_an_empty_file_against_a_broken_one_is_a_difference(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b""), write(tmp_path / "b", b"PAR1")
    (found,) = judge(a, b, "x.parquet").findings
    assert (found.kind, found.rung) == (Kind.TRUNCATED, Rung.VALUE)
    assert "A is empty" in found.evidence


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_utf_16_text_is_a_text(tmp_path: Path, encoding: str) -> None:
    text = "\ufeff" * (encoding == "utf-16-be") + "héé\n" * 3000
    a, b = write(tmp_path / "a", text.encode(encoding)), write(tmp_path / "b", ("héé\n" * 3000).encode())
    result = judge(a, b, "x.txt")
    assert (result.format, result.verdict) == ("text", OutputVerdict.EQUIVALENT)
    write(b, ("héé\n" * 2999 + "hé\n").encode())
    assert judge(a, b, "x.txt").verdict is OutputVerdict.DIFFERENT


def test_bytes_that_begin_like_utf_16_are_no_text(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"\xff\xfe\x00\x00ab"), write(tmp_path / "b", b"\xff\xfe\x00\x00ac")
    assert judge(a, b, "x.bin").format == "binary"
