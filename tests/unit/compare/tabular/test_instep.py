"""Chunks compared page beside page differ where Arrow says that they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfm_repro.compare.tabular.instep import Unlike
from kfm_repro.compare.tabular.source import ParquetSource

Values = list[bytes | None]


def unlike(folder: Path, a: Values, b: Values, *, nullable: bool = True, **how: Any) -> Unlike | None:
    """Write both columns and compare them page beside page."""
    paths = [folder / name for name in ("a.parquet", "b.parquet")]
    for path, values in zip(paths, (a, b), strict=True):
        schema = pa.schema([pa.field("g", pa.binary(), nullable=nullable)])
        pq.write_table(pa.table([pa.array(values, pa.binary())], schema=schema), path, **how)
    files = [pq.ParquetFile(path) for path in paths]
    with ParquetSource(files[0], paths[0]) as left, ParquetSource(files[1], paths[1]) as right:
        return left.unlike_values(right, 0, 0)


def expected(a: Values, b: Values) -> Unlike:
    found = Unlike()
    for place, (mine, other) in enumerate(zip(a, b, strict=True)):
        if mine != other:
            assert None not in (mine, other)
            found.add(place, mine, other)
    return found


def blobs(count: int, *, even: bool) -> list[bytes]:
    draw = np.random.default_rng(4)
    return [draw.bytes(120 if even else int(draw.integers(0, 240))) for _ in range(count)]


def changed(values: list[bytes], every: int, *, longer: bool = False) -> list[bytes]:
    return [
        value if n % every else value[:-1] + b"!" + b"?" * longer if value else b"!"
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_values_of_the_same_lengths(
    tmp_path: Path, *, even: bool, nullable: bool, compression: str, use_dictionary: bool
) -> None:
    a = blobs(3_000, even=even)
    b = [value[:-1] + b"!" if value and n % 200 == 7 else value for n, value in enumerate(a)]
    how = {"compression": compression, "use_dictionary": use_dictionary}
    found = unlike(
        tmp_path, a, b, nullable=nullable, data_page_size=1 << 13, dictionary_pagesize_limit=1 << 15, **how
    )
    assert found == expected(a, b)
    assert found is not None
    assert found.places


def test_a_dictionary_of_other_values(tmp_path: Path) -> None:
    a = blobs(40, even=False) * 60
    b = changed(a[:40], 9, longer=True) * 60
    assert unlike(tmp_path, a, b) == expected(a, b)


@settings(deadline=None, max_examples=60)
@given(
    a=st.lists(st.binary(max_size=6), min_size=1, max_size=300),
    edits=st.dictionaries(st.integers(0, 299), st.one_of(st.none(), st.binary(max_size=6)), max_size=20),
    version=st.sampled_from(["1.0", "2.0"]),
    by_dictionary=st.booleans(),
)
def test_arrow_says_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    a: Values,
    edits: dict[int, bytes | None],
    version: str,
    *,
    by_dictionary: bool,
) -> None:
    b = [edits.get(n, value) for n, value in enumerate(a)]
    folder = tmp_path_factory.mktemp("pages")
    how = {
        "use_dictionary": by_dictionary,
        "data_page_version": version,
        "data_page_size": 64,
        "write_batch_size": 16,
    }
    found = unlike(folder, a, b, **how)
    if found is not None:
        assert None not in b
        assert found == expected(a, b)


@pytest.mark.parametrize(
    "case", ["much differs", "nulls", "another codec", "another length", "a damaged page"]
)
def test_what_is_left_to_arrow(tmp_path: Path, case: str) -> None:
    a = blobs(5_000, even=True)
    b: Values = list(changed(a, 500))
    if case == "much differs":
        b = list(changed(a, 2))
    elif case == "nulls":
        b = [None, *b[1:]]
    elif case == "another length":
        b = b[:-1]
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for path, values in zip(paths, (a, b), strict=True):
        codec = "zstd" if case == "another codec" and path is paths[1] else "snappy"
        pq.write_table(pa.table({"g": pa.array(values, pa.binary())}), path, compression=codec)
    if case == "a damaged page":
        raw = bytearray(paths[1].read_bytes())
        raw[2_000:2_400] = b"\xff" * 400
        paths[1].write_bytes(raw)
    files = [pq.ParquetFile(path) for path in paths]
    with ParquetSource(files[0], paths[0]) as left, ParquetSource(files[1], paths[1]) as right:
        assert left.unlike_values(right, 0, 0) is None
