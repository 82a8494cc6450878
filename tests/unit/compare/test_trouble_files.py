"""Files in trouble, in every tabular format and on either side: one clear answer each, never "equal"."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tabular_writers import PACKED, WRITERS, pack

import kfm_repro
from kfm_repro.model.finding import Kind, OutputComparison, OutputVerdict

GOOD = pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"], "x": [0.5, 1.5, 2.5]})
SUFFIXES = (*WRITERS, *(f"csv.{packing}" for packing in PACKED), "parquet.gz")
LIES = dict.fromkeys(("csv", "parquet", "sqlite", "bin"), ()) | dict.fromkeys(
    ("jsonl", "arrow", "orc", "duckdb", "xlsx", "csv.gz", "txt"), (pytest.mark.full,)
)
"""Names that files of every format bear in turn, some of them in the long campaign only."""
NARROW = ("sqlite", "duckdb", "xlsx")
"""Formats that hold no ten thousand columns, or whose writers take their time over them."""
UNEQUAL = (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)


def write(table: pa.Table, path: Path) -> Path:
    """Write a table under a name whose last suffixes say how: ``t.parquet``, ``t.csv.gz``."""
    parts = path.name.split(".")
    if parts[-1] in WRITERS:
        WRITERS[parts[-1]](table, path)
        return path
    bare = path.with_name(".".join(parts[:-1]))
    write(table, bare)
    return pack(bare, parts[-1])


def cut(share: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def flipped(path: Path) -> None:
    """Spoil a byte near the end, where footers, checksums and last rows are."""
    data = bytearray(path.read_bytes())
    data[-min(6, len(data))] ^= 0xFF
    path.write_bytes(data)


def first_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4])


def other_format(path: Path) -> None:
    """Put an image's first bytes and noise under the name."""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


def not_utf8(path: Path) -> None:
    path.write_bytes(b"id,name\n1,\xff\xfe\xfd\n" + b"2,\xc3\xa9\n")


SPOILERS: dict[str, Callable[[Path], None]] = {
    "cut in half": cut(0.5),
    "cut at the end": cut(0.95),
    "emptied": emptied,
    "zeros": zeros,
    "a byte flipped": flipped,
    "first bytes only": first_bytes,
    "an image": other_format,
    "not UTF-8": not_utf8,
}


def outcome(a: Path, b: Path) -> OutputComparison:
    (output,) = kfm_repro.diff(str(a), str(b)).outputs
    return output


def assert_clear(output: OutputComparison) -> None:
    """Bytes that differ yield a finding that says something, in plain words of bounded length."""
    counted = [finding for finding in output.findings if not finding.latent]
    assert counted
    assert output.verdict in UNEQUAL
    for finding in counted:
        assert finding.evidence or finding.examples
        assert "Traceback" not in finding.evidence
        assert "comparator failed" not in finding.evidence
        assert len(finding.evidence) <= 500
        assert "\n" not in finding.evidence


@pytest.mark.parametrize("trouble", SPOILERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_in_trouble_is_never_equal(tmp_path: Path, suffix: str, trouble: str) -> None:
    for name in ("good", "bad", "worse"):
        (tmp_path / name).mkdir()
    good = write(GOOD, tmp_path / "good" / f"t.{suffix}")
    bad = write(GOOD, tmp_path / "bad" / f"t.{suffix}")
    other = GOOD.set_column(0, "id", pa.array([1, 2, 9]))
    worse = write(other, tmp_path / "worse" / f"t.{suffix}")
    SPOILERS[trouble](bad)
    SPOILERS[trouble](worse)
    assert_clear(outcome(good, bad))
    assert_clear(outcome(bad, good))
    if bad.read_bytes() != worse.read_bytes():
        assert_clear(outcome(bad, worse))
    assert outcome(bad, Path(shutil.copy(bad, tmp_path))).verdict is OutputVerdict.IDENTICAL


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in LIES.items()])
def test_a_lying_extension_misleads_nobody(tmp_path: Path, suffix: str, name: str) -> None:
    """The same change is found whatever the files are called, and two formats are never equal."""
    for side in ("a", "b", "c"):
        (tmp_path / side).mkdir()
    left = write(GOOD, tmp_path / "a" / f"t.{suffix}")
    right = write(GOOD.set_column(0, "id", pa.array([1, 2, 9])), tmp_path / "b" / f"t.{suffix}")
    told = [path.rename(path.with_name(f"lie.{name}")) for path in (left, right)]
    output = outcome(told[0], told[1])
    assert_clear(output)
    if suffix != name and name not in ("txt", "bin"):
        named = write(GOOD, tmp_path / "c" / f"lie.{name}")
        assert outcome(named, told[1]).verdict in UNEQUAL


SHAPES: dict[str, pa.Table] = {
    "no rows": GOOD.slice(0, 0),
    "no columns": pa.table({}),
    "one null column": pa.table({"n": pa.nulls(3)}),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", WRITERS)
def test_odd_shapes_have_an_answer(tmp_path: Path, suffix: str, shape: str) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in ("good", "odd")]
    try:
        write(GOOD, paths[0])
        write(SHAPES[shape], paths[1])
    except (pa.ArrowException, ValueError, duckdb.Error, sqlite3.Error) as exc:
        pytest.skip(f"its writer refuses: {exc}")
    for a, b in (paths, paths[::-1]):
        assert_clear(outcome(a, b))


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(suffix, marks=[] if suffix in ("csv", "arrow") else [pytest.mark.full])
        for suffix in WRITERS
        if suffix not in NARROW
    ],
)
def test_one_cell_of_ten_thousand_columns_is_one_finding(tmp_path: Path, suffix: str) -> None:
    wide = {f"c{i}": [f"{i}x", f"{i}y"] for i in range(10_000)}
    write(pa.table(wide), tmp_path / f"a.{suffix}")
    write(pa.table(wide | {"c9": ["9x", "9z"]}), tmp_path / f"b.{suffix}")
    (finding,) = outcome(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}").findings
    assert (finding.kind, finding.where["column"], finding.count) == (Kind.VALUE, "c9", 1)


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
def test_deeply_nested_lines_have_an_answer(tmp_path: Path, depth: int) -> None:
    for name, leaf in (("a", "1"), ("b", "2")):
        (tmp_path / f"{name}.jsonl").write_text('{"x": ' + "[" * depth + leaf + "]" * depth + "}\n")
    assert_clear(outcome(tmp_path / "a.jsonl", tmp_path / "b.jsonl"))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_deeply_nested_columns_have_an_answer(tmp_path: Path, suffix: str) -> None:
    for name, leaf in (("a", 1), ("b", 2)):
        array = pa.array([leaf])
        for _ in range(40):
            array = pa.StructArray.from_arrays([array], ["s"])
        WRITERS[suffix](pa.table({"x": array}), tmp_path / f"{name}.{suffix}")
    assert_clear(outcome(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"))


@pytest.mark.parametrize("packing", PACKED)
def test_a_bomb_is_not_unpacked(tmp_path: Path, packing: str) -> None:
    for name, cell in (("a", "1"), ("b", "2")):
        bomb = PACKED[packing](
            b"x\n" + b"0" * (20 << 20) + cell.encode(), level={"bz2": 1, "xz": 0}.get(packing, 6)
        )
        (tmp_path / f"{name}.csv.{packing}").write_bytes(bomb)
    output = outcome(tmp_path / f"a.csv.{packing}", tmp_path / f"b.csv.{packing}")
    assert output.verdict is OutputVerdict.UNKNOWN
    assert "times its size" in output.findings[0].evidence


def test_lines_of_as_many_members_as_there_are_lines_are_refused(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        lines = (json.dumps({f"k{i}": value}) for i in range(8_000))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    output = outcome(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert output.verdict is OutputVerdict.UNKNOWN
    assert "cells" in output.findings[0].evidence
