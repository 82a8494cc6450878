"""The headers of pages: the compiled loop says of them what the readable one says, or nothing."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfm_repro.compare.tabular import pages
from kfm_repro.compare.tabular.pages import FileBytes, Pages, chunk_start, scan

ROWS = 3000
TABLE = pa.table(
    {
        "number": pa.array(range(ROWS)),
        "text": pa.array([None if i % 7 == 0 else f"text {i % 500}" for i in range(ROWS)]),
        "long": pa.array([f"{i}" * 300 for i in range(ROWS)]),
        "list": pa.array([[i, i + 1] for i in range(ROWS)]),
    }
)
WAYS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "without dictionary": {"use_dictionary": False},
    "pages of version 2": {"data_page_version": "2.0", "compression": "zstd"},
    "by prefix": {
        "use_dictionary": False,
        "column_encoding": {"text": "DELTA_BYTE_ARRAY", "long": "DELTA_BYTE_ARRAY"},
    },
    "with sums": {"write_page_checksum": True},
    "in groups": {"row_group_size": 1000},
}


def written(folder: Path, how: str) -> Path:
    path = folder / f"{how}.parquet"
    pq.write_table(TABLE, path, data_page_size=4096, **WAYS[how])
    return path


def readably(data: FileBytes, at: int, end: int, most: int) -> Pages | None:
    """Scan without compiled loop; None where that raises."""
    try:
        return pages._scan(data, at, end, most)
    except (ValueError, IndexError):
        return None


@pytest.mark.parametrize("how", WAYS)
def test_the_compiled_loop_answers_for_every_chunk_of_a_written_file(tmp_path: Path, how: str) -> None:
    path = written(tmp_path, how)
    metadata = pq.read_metadata(path)
    with FileBytes(path) as data:
        for group, leaf in product(range(metadata.num_row_groups), range(metadata.num_columns)):
            chunk = metadata.row_group(group).column(leaf)
            at = chunk_start(chunk)
            place = (at, at + chunk.total_compressed_size, chunk.num_values)
            found = pages._scanned(data, *place)
            assert found is not None
            assert found == readably(data, *place) == scan(data, chunk)
            assert found.values == chunk.num_values


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return the bytes of column chunks of all kinds."""
    found = []
    for how in WAYS:
        path = written(tmp_path_factory.mktemp("chunks"), how)
        for leaf in range(len(TABLE.schema)):
            chunk = pq.read_metadata(path).row_group(0).column(leaf)
            at = chunk_start(chunk)
            found.append(path.read_bytes()[at : at + chunk.total_compressed_size])
    return found


@settings(max_examples=400, deadline=None)
@given(which=st.integers(0), seed=st.integers(0, 1 << 30), most=st.sampled_from([0, 1, ROWS, 1 << 40]))
def test_of_damaged_headers_it_says_the_same_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], which: int, seed: int, most: int
) -> None:
    draw = random.Random(seed)  # noqa: S311  # damage, no secret
    octets = bytearray(chunks[which % len(chunks)])
    for _ in range(draw.randint(1, 4)):  # most of them in the first header
        octets[draw.randrange(draw.choice([8, 40, len(octets)]))] = draw.choice(
            [0, 1, 0x15, 0x7F, 0x80, 0xFF]
        )
    octets = octets[: draw.choice([len(octets), draw.randrange(len(octets) + 1)])]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(octets)
    with FileBytes(path) as data:
        found = pages._scanned(data, 0, len(octets), most)
        assert found is None or found == readably(data, 0, len(octets), most)


def test_long_statistics_are_read_past_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    pq.write_table(pa.table({"x": ["a" * 20_000, "b" * 20_000]}), path, use_dictionary=False)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    with FileBytes(path) as data:
        assert scan(data, chunk) == readably(data, chunk_start(chunk), data.size, chunk.num_values)
