"""Folders of part files whose names are drawn at random, as real writers draw them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tabular_writers import WRITERS

import kfm_repro
from kfm_repro.model.finding import Kind, OutputVerdict, Rung
from kfm_repro.model.report import Comparison

N = 60
TABLE = pa.table({
    "id": range(N),
    "county": [f"c{i % 3}" for i in range(N)],
    "area": [i / 4 for i in range(N)],
})  # fmt: skip


def by_arrow(table: pa.Table, folder: Path, file_format: str = "parquet") -> None:
    """Write like `pyarrow.parquet.write_to_dataset`, whose files are called by a UUID."""
    ds.write_dataset(
        table, folder, format=file_format, basename_template=f"{uuid.uuid4().hex}-{{i}}.{file_format}",
        partitioning=["county"], partitioning_flavor="hive",
    )  # fmt: skip


def like_spark(table: pa.Table, folder: Path, parts: int = 4, suffix: str = "parquet") -> None:
    """Lay out what Spark leaves: numbered parts of one write's UUID, a checksum beside each, a mark of success."""
    folder.mkdir(parents=True)
    job = uuid.uuid4()
    size = -(-table.num_rows // parts)
    for i in range(parts):
        name = f"part-{i:05}-{job}-c000.snappy.{suffix}"
        WRITERS[suffix](table.slice(i * size, size), folder / name)
        (folder / f".{name}.crc").write_bytes(b"crc\0" + uuid.uuid4().bytes)
    (folder / "_SUCCESS").write_bytes(b"")


def compared(folder: Path) -> Comparison:
    return kfm_repro.diff(folder / "a", folder / "b")


def kinds(comparison: Comparison) -> set[tuple[Kind, Rung]]:
    return {(f.kind, f.rung) for output in comparison.outputs for f in output.findings}


NAMES = (Kind.IDENTIFIER, Rung.CONTAINER)


def test_a_dataset_that_arrow_writes_twice_is_one_table(tmp_path: Path) -> None:
    for side in "ab":
        pq.write_to_dataset(TABLE, tmp_path / side / "out", partition_cols=["county"])
    comparison = compared(tmp_path)
    (output,) = comparison.outputs
    assert (output.path, output.verdict) == ("out/**/*.parquet", OutputVerdict.EQUIVALENT)
    assert kinds(comparison) == {NAMES}


@pytest.mark.parametrize("suffix", ["parquet", "orc", "arrow"])
def test_a_dataset_as_spark_writes_it_is_one_table(tmp_path: Path, suffix: str) -> None:
    for side in "ab":
        like_spark(TABLE, tmp_path / side / "out", suffix=suffix)
    comparison = compared(tmp_path)
    assert {output.path: output.verdict for output in comparison.outputs} == {
        f"out/**/*.{suffix}": OutputVerdict.EQUIVALENT,
        "out/_SUCCESS": OutputVerdict.IDENTICAL,
    }
    assert kinds(comparison) == {NAMES}


def test_another_number_of_parts_is_layout(tmp_path: Path) -> None:
    like_spark(TABLE, tmp_path / "a/out", parts=4)
    like_spark(TABLE, tmp_path / "b/out", parts=3)
    assert kinds(compared(tmp_path)) == {NAMES, (Kind.LAYOUT, Rung.CONTAINER)}


def test_a_changed_cell_is_found_whatever_the_files_are_called(tmp_path: Path) -> None:
    by_arrow(TABLE, tmp_path / "a/out")
    areas = TABLE["area"].to_pylist()
    areas[7] = 99.0
    by_arrow(TABLE.set_column(2, "area", pa.array(areas)), tmp_path / "b/out")
    comparison = compared(tmp_path)
    (value,) = [f for f in comparison.outputs[0].findings if f.rung is Rung.VALUE]
    assert (value.kind, value.where, value.count) == (Kind.VALUE, {"column": "area"}, 1)


def test_rows_in_another_partition_are_another_value(tmp_path: Path) -> None:
    by_arrow(TABLE, tmp_path / "a/out")
    moved = ["c9" if county == "c2" else county for county in TABLE["county"].to_pylist()]
    by_arrow(TABLE.set_column(1, "county", pa.array(moved)), tmp_path / "b/out")
    comparison = compared(tmp_path)
    (value,) = [f for f in comparison.outputs[0].findings if f.rung is Rung.VALUE]
    assert (value.where, value.count) == ({"column": "county"}, N // 3)


def test_the_same_files_in_exchanged_partitions_are_another_table(tmp_path: Path) -> None:
    by_arrow(TABLE, tmp_path / "a/out")
    swap = {"c0": "c1", "c1": "c0", "c2": "c2"}
    moved = [swap[county] for county in TABLE["county"].to_pylist()]
    by_arrow(TABLE.set_column(1, "county", pa.array(moved)), tmp_path / "b/out")
    assert (Kind.VALUE, Rung.VALUE) in kinds(compared(tmp_path))


@pytest.mark.parametrize("folders", [("county=c1", "county=c2"), ("year=1/year=3", "year=2/year=3")])
def test_a_folder_is_data_where_the_file_or_another_folder_says_the_column_too(
    folders: tuple[str, str], tmp_path: Path
) -> None:
    for side, folder in zip("ab", folders, strict=True):
        like_spark(TABLE, tmp_path / side / "out" / folder, parts=1)
    assert (Kind.VALUE, Rung.VALUE) in kinds(compared(tmp_path))


def test_names_that_are_not_random_are_paired_by_name(tmp_path: Path) -> None:
    for side, name in (("a", "part-0"), ("b", "part-1")):
        (tmp_path / side).mkdir()
        pq.write_table(TABLE, tmp_path / side / f"{name}.parquet")
    assert {output.verdict for output in compared(tmp_path).outputs} == {
        OutputVerdict.MISSING,
        OutputVerdict.EXTRA,
    }


def test_a_part_that_cannot_be_read_leaves_the_files_missing_and_extra(tmp_path: Path) -> None:
    for side in "ab":
        like_spark(TABLE, tmp_path / side / "out")
    part = next((tmp_path / "b/out").glob("part-00002*"))
    part.write_bytes(part.read_bytes()[:-9])
    verdicts = {output.verdict for output in compared(tmp_path).outputs}
    assert OutputVerdict.MISSING in verdicts
    assert OutputVerdict.EXTRA in verdicts


def test_metadata_of_the_parts_counts(tmp_path: Path) -> None:
    for side in "ab":
        like_spark(TABLE.replace_schema_metadata({"source": side}), tmp_path / side / "out")
    comparison = compared(tmp_path)
    assert (Kind.VALUE, Rung.VALUE) in kinds(comparison)
    assert {f.where.get("pointer") for f in comparison.outputs[0].findings} == {None, "/metadata/source"}
