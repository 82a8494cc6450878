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
