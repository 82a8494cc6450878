"""One change to a table, in every format that can say it: exactly its kind and rung, and nothing else."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tabular_writers import PACKED, WRITERS, pack

import kfm_repro
from kfm_repro.model.finding import Kind, OutputComparison, OutputVerdict, Rung

N = 40
TYPED = ("parquet", "arrow", "arrows", "feather", "orc")
TEXTS = ("csv", "tsv", "jsonl")
ALL = (*TEXTS, *TYPED)
STORED = (*ALL, "sqlite")
"""SQLite stores -0.0 as 0 and NaN as NULL, and has one type of integers: there is no such change in its files."""


def table(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "id": pa.array(range(N), pa.int64()),
        "county": [f"county {i % 7}" for i in range(N)],
        "area": [i * 1.25 + 0.1 for i in range(N)],
        "at": pa.array(range(1_000_000, 1_000_000 + N), pa.timestamp("us")),
    }
    return pa.table(columns | changed)


def changed(name: str, row: int, value: Any) -> pa.Table:
    values = table()[name].to_pylist()
    values[row] = value
    return table(**{name: pa.array(values, table()[name].type)})


def bits(row: int, pattern: int) -> pa.Table:
    """Return the table with the given 64 bits in one cell of ``area``."""
    values = table()["area"].to_numpy().copy()
    values.view("<u8")[row] = pattern
    return table(area=values)


def ulp(row: int) -> pa.Table:
    value = table()["area"][row].as_py()
    return bits(row, struct.unpack("<Q", struct.pack("<d", float(np.nextafter(value, 1e9))))[0])


def swapped(data: pa.Table) -> pa.Table:
    return data.take([1, 0, *range(2, N)])


MAP = pa.map_(pa.string(), pa.int64())
ZERO, NAN = 0x0000000000000000, 0x7FF8000000000000
Expected = set[tuple[Kind, Rung]]
MUTATIONS: dict[str, tuple[pa.Table, pa.Table, tuple[str, ...], Expected]] = {
    "row swap": (table(), swapped(table()), STORED, {(Kind.ROW_ORDER, Rung.ORDER)}),
    "one cell": (table(), changed("county", 3, "other"), STORED, {(Kind.VALUE, Rung.VALUE)}),
    "one ulp": (table(), ulp(5), STORED, {(Kind.FLOAT_NOISE, Rung.NOISE)}),
    "signed zero": (
        bits(5, ZERO),
        bits(5, ZERO | 1 << 63),
        ("jsonl", *TYPED),
        {(Kind.FLOAT_NOISE, Rung.NOISE)},
    ),
    "payload of a NaN": (bits(5, NAN), bits(5, NAN | 1), TYPED, {(Kind.FLOAT_NOISE, Rung.NOISE)}),
    "int64 to int32": (
        table(),
        table(id=pa.array(range(N), pa.int32())),
        TYPED,
        {(Kind.TYPE, Rung.VALUE)},
    ),
    "integers to floats": (
        table(),
        table(id=pa.array(range(N), pa.float64())),
        ("jsonl", *TYPED, "sqlite"),
        {(Kind.TYPE, Rung.VALUE)},
    ),
    "a row twice": (
        table(),
        pa.concat_tables([table(), table().slice(N - 1)]),
        STORED,
        {(Kind.DUPLICATE_ROWS, Rung.VALUE)},
    ),
    "a row less": (table(), table().slice(0, N - 1), STORED, {(Kind.ROWS_REMOVED, Rung.VALUE)}),
    "column dropped": (table(), table().drop_columns(["area"]), STORED, {(Kind.SCHEMA, Rung.VALUE)}),
    "column added": (table(), table(more=["x"] * N), STORED, {(Kind.SCHEMA, Rung.VALUE)}),
    "column order": (
        table(),
        table().select(["id", "area", "county", "at"]),
        tuple(name for name in STORED if name != "jsonl"),
        {(Kind.COLUMN_ORDER, Rung.ORDER)},
    ),
    "key order": (
        table(),
        table().select(["id", "area", "county", "at"]),
        ("jsonl",),
        {(Kind.KEY_ORDER, Rung.ORDER)},
    ),
    "null against ''": (
        changed("county", 3, None),
        changed("county", 3, ""),
        STORED,
        {(Kind.NULL_FORM, Rung.VALUE)},
    ),
    "null against NaN": (
        changed("area", 3, None),
        changed("area", 3, float("nan")),
        ALL,
        {(Kind.NULL_FORM, Rung.VALUE)},
    ),
    "naive to UTC": (
        table(),
        table(at=table()["at"].cast(pa.timestamp("us", "UTC"))),
        (*TYPED, "sqlite"),
        {(Kind.TYPE, Rung.VALUE)},
    ),
    "inside of a list": (
        table(more=[[i, None] for i in range(N)]),
        table(more=[[i, None if i != 4 else 9] for i in range(N)]),
        ("jsonl", *TYPED),
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "inside of a struct": (
        table(more=[{"a": i, "b": [{"c": "x"}]} for i in range(N)]),
        table(more=[{"a": i, "b": [{"c": "x" if i != 4 else "y"}]} for i in range(N)]),
        ("jsonl", *TYPED),
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "an empty list against null": (
        table(more=[[1] if i != 4 else [] for i in range(N)]),
        table(more=[[1] if i != 4 else None for i in range(N)]),
        ("jsonl", *TYPED),
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "a map": (
        table(more=pa.array([[("k", i)] for i in range(N)], MAP)),
        table(more=pa.array([[("k", i if i != 4 else 9)] for i in range(N)], MAP)),
        TYPED,
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "a decimal's last digit": (
        table(more=pa.array([Decimal(f"{10**20 + i}.01") for i in range(N)])),
        table(more=pa.array([Decimal(f"{10**20 + i}.0{1 + (i == 4)}") for i in range(N)])),
        TYPED,
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "a decimal's scale": (
        table(more=pa.array([Decimal(i) for i in range(N)], pa.decimal128(20, 2))),
        table(more=pa.array([Decimal(i) for i in range(N)], pa.decimal128(20, 3))),
        TYPED,
        {(Kind.TYPE, Rung.VALUE)},
    ),
    "bytes": (
        table(more=[bytes([0, i]) for i in range(N)]),
        table(more=[bytes([0, i if i != 4 else 255]) for i in range(N)]),
        (*TYPED, "sqlite"),
        {(Kind.VALUE, Rung.VALUE)},
    ),
    "dictionary against texts": (
        table(),
        table(county=table()["county"].dictionary_encode()),
        ("parquet", "arrow", "arrows", "feather"),
        {(Kind.LAYOUT, Rung.CONTAINER)},
    ),
    "another zone": (
        table(at=table()["at"].cast(pa.timestamp("us", "UTC"))),
        table(at=table()["at"].cast(pa.timestamp("us", "America/Chicago"))),
        ("parquet", "arrow", "arrows", "feather"),
        {(Kind.TYPE, Rung.VALUE)},
    ),
    "metadata": (
        table().replace_schema_metadata({"source": "a"}),
        table().replace_schema_metadata({"source": "b"}),
        ("parquet", "arrow", "arrows", "feather"),
        {(Kind.VALUE, Rung.VALUE)},
    ),
}
CASES = [
    pytest.param(a, b, suffix, expected, id=f"{name}-{suffix}")
    for name, (a, b, formats, expected) in MUTATIONS.items()
    for suffix in formats
]
_FOLLOWS: dict[str, Expected] = {name: set() for name in STORED} | {
    "parquet": {(Kind.LAYOUT, Rung.CONTAINER)}
}
"""What a format says besides: Parquet names the physical types that another column or type brings along."""
LAYOUTS: dict[str, tuple[dict[str, Any], ...]] = {
    "parquet": ({"row_group_size": 7}, {"compression": "zstd"}),
    "arrow": ({"chunk": 7}, {"compression": "zstd"}, {"compression": "lz4"}),
    "arrows": ({"chunk": 7}, {"compression": "zstd"}),
    "feather": ({"chunksize": 7}, {"compression": "uncompressed"}),
    "orc": ({"compression": "zstd"}, {"stripe_size": 1}, {"row_index_stride": 2000}),
}


def outcome(a: Path, b: Path) -> OutputComparison:
    (output,) = kfm_repro.diff(str(a), str(b)).outputs
    return output


def found(output: OutputComparison) -> Expected:
    return {(finding.kind, finding.rung) for finding in output.findings}


@pytest.fixture
def sides(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    def named(name: str) -> tuple[Path, Path]:
        for side in ("a", "b"):
            (tmp_path / side).mkdir(exist_ok=True)
        return tmp_path / "a" / name, tmp_path / "b" / name

    return named


@pytest.mark.parametrize(("a", "b", "suffix", "expected"), CASES)
def test_a_change_has_its_kind_and_rung_in_every_format(
    sides: Callable[[str], tuple[Path, Path]], a: pa.Table, b: pa.Table, suffix: str, expected: Expected
) -> None:
    left, right = sides(f"table.{suffix}")
    WRITERS[suffix](a, left)
    WRITERS[suffix](b, right)
    assert found(outcome(left, right)) - _FOLLOWS[suffix] == expected - _FOLLOWS[suffix]


def test_a_signed_zero_in_a_csv_is_noise_where_it_is_spelled_as_a_float(
    sides: Callable[[str], tuple[Path, Path]],
) -> None:
    left, right = sides("table.csv")  # by pandas: Arrow writes 0 and -0, which may be labels
    bits(5, ZERO).to_pandas().to_csv(left, index=False)
    bits(5, ZERO | 1 << 63).to_pandas().to_csv(right, index=False)
    assert found(outcome(left, right)) == {(Kind.FLOAT_NOISE, Rung.NOISE)}


@pytest.mark.parametrize(
    ("suffix", "how"), [(suffix, how) for suffix, hows in LAYOUTS.items() for how in hows], ids=str
)
def test_another_layout_of_the_same_rows_is_layout(
    sides: Callable[[str], tuple[Path, Path]], suffix: str, how: dict[str, Any]
) -> None:
    left, right = sides(f"table.{suffix}")
    rows = pa.concat_tables([table()] * 60)
    WRITERS[suffix](rows, left)
    WRITERS[suffix](rows, right, **how)
    output = outcome(left, right)
    assert found(output) == {(Kind.LAYOUT, Rung.CONTAINER)}
    assert output.verdict is OutputVerdict.EQUIVALENT


@pytest.mark.parametrize("packing", PACKED)
def test_a_table_that_is_compressed_is_compared_as_a_table(
    sides: Callable[[str], tuple[Path, Path]], packing: str
) -> None:
    left, right = sides("table.csv")
    WRITERS["csv"](table(), left)
    WRITERS["csv"](swapped(table()), right)
    (finding,) = outcome(pack(left, packing), pack(right, packing)).findings
    assert (finding.kind, finding.rung, finding.where["member"]) == (Kind.ROW_ORDER, Rung.ORDER, "table.csv")


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_another_compression_level_is_layout(sides: Callable[[str], tuple[Path, Path]], packing: str) -> None:
    left, right = sides("table.csv")
    rows = pa.concat_tables([table()] * 5000)
    for path in (left, right):
        WRITERS["csv"](rows, path)
    output = outcome(pack(left, packing), pack(right, packing, level=1))
    assert found(output) == {(Kind.LAYOUT, Rung.CONTAINER)}
