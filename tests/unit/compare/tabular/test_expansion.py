"""Files of a few hundred bytes that would decode to gigabytes: refused before they are, and honest tables are not."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from tabular_writers import WRITERS

from kfm_repro.compare.context import Context, Limits, Options
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.tabular.decoded import collect
from kfm_repro.compare.tabular.exact import exact
from kfm_repro.compare.tabular.expanded import expanded
from kfm_repro.compare.tabular.pages import FileBytes, chunk_bytes, scan
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Kind, OutputComparison, OutputVerdict

MEMORY = 256 << 20
TIGHT = Options(memory_bytes=MEMORY)
WHOLE = Context(options=TIGHT)
IN_PIECES = Context(options=TIGHT, limits=Limits(whole_bytes=0))
LONG = "a" * (1 << 20)
TIMES = 500
LISTED = pa.list_(pa.string())


def texts(last: str) -> pa.Array:
    return pa.array([LONG] * TIMES + [last])


def coded(last: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * TIMES + [1], pa.int32()), pa.array([LONG, last]))


def runs(last: str) -> pa.RunEndEncodedArray:
    return pa.RunEndEncodedArray.from_arrays(pa.array([TIMES, TIMES + 1], pa.int32()), pa.array([LONG, last]))


def listed(members: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(members)], pa.int32()), members)


def inside(members: pa.Array) -> pa.StructArray:
    return pa.StructArray.from_arrays([members], ["s"])


def overlapping(last: str) -> pa.ListViewArray:
    members = pa.array(["x" * 1000] * TIMES + [last])
    starts, lengths = pa.array([0] * 1000, pa.int32()), pa.array([TIMES + 1] * 1000, pa.int32())
    return pa.ListViewArray.from_arrays(starts, lengths, members)


def union(last: str) -> pa.UnionArray:
    kinds, places = pa.array([0] * (TIMES + 1), pa.int8()), pa.array([0] * TIMES + [1], pa.int32())
    return pa.UnionArray.from_dense(kinds, places, [pa.array([LONG, last])])


SMALL = {"compression": "zstd", "compression_level": 19, "write_statistics": False}
BY_DICTIONARY = {**SMALL, "dictionary_pagesize_limit": 1 << 30}
BY_PREFIX = {**SMALL, "use_dictionary": False, "data_page_size": 1 << 30}
PARQUET: dict[str, tuple[Callable[[str], pa.Array], dict[str, Any]]] = {
    "texts by dictionary": (texts, BY_DICTIONARY),
    "bytes by dictionary": (lambda last: texts(last).cast(pa.binary()), BY_DICTIONARY),
    "texts of fixed width by dictionary": (
        lambda last: pa.array([LONG.encode()] * TIMES + [last.encode() * len(LONG)], pa.binary(len(LONG))),
        BY_DICTIONARY,
    ),
    "texts by prefix": (texts, {**BY_PREFIX, "column_encoding": "DELTA_BYTE_ARRAY"}),
    "lists of texts": (lambda last: listed(texts(last)), BY_DICTIONARY),
    "lists by prefix": (lambda last: listed(texts(last)), {**BY_PREFIX, "column_encoding": "DELTA_BYTE_ARRAY"}),
    "members of structs": (lambda last: inside(texts(last)), BY_DICTIONARY),
    "a list of millions": (
        lambda last: listed(pa.array(np.repeat([7, ord(last)], [6_000_000, 1]))), BY_DICTIONARY
    ),
}  # fmt: skip
ARROW: dict[str, Callable[[str], pa.Array]] = {
    "dictionary": coded,
    "dictionary in a struct": lambda last: inside(coded(last)),
    "dictionary in a list": lambda last: listed(coded(last)),
    "runs": runs,
    "runs in a struct": lambda last: inside(runs(last)),
    "runs of integers": lambda last: pa.RunEndEncodedArray.from_arrays(
        pa.array([10_000_000, 10_000_001], pa.int32()), pa.array([1, ord(last)])
    ),
    "views": lambda last: texts(last).cast(pa.string_view()),
    "views in a list": lambda last: listed(texts(last).cast(pa.string_view())),
    "lists that overlap": overlapping,
    "a union that repeats": union,
    "nulls in a list": lambda last: listed(pa.nulls(10_000_000 + ord(last))),
}


def outcome(a: Path, b: Path, context: Context) -> OutputComparison:
    return compare_files(a, b, name=a.name, context=context)


def assert_refused(output: OutputComparison, taken: int) -> None:
    """The answer is that nobody knows, in words, and finding out took a part of what the file asks for."""
    assert output.verdict is OutputVerdict.UNKNOWN
    (finding,) = output.findings
    assert finding.kind is Kind.BYTES
    assert "would take" in finding.evidence
    assert "more than" in finding.evidence
    assert pa.total_allocated_bytes() - taken < MEMORY


def written(folder: Path, suffix: str, sides: tuple[pa.Array, pa.Array], **how: Any) -> tuple[Path, Path]:
    paths = folder / f"a.{suffix}", folder / f"b.{suffix}"
    for path, column in zip(paths, sides, strict=True):
        WRITERS[suffix](pa.table({"x": column}), path, **how)
    return paths


@pytest.mark.parametrize("context", [WHOLE, IN_PIECES], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", PARQUET)
def test_a_parquet_file_that_expands_is_refused(tmp_path: Path, name: str, context: Context) -> None:
    made, how = PARQUET[name]
    files = written(tmp_path, "parquet", (made("x"), made("y")), **how)
    assert all(path.stat().st_size < 2_000 for path in files)
    before = pa.total_allocated_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_refused(outcome(*files, context), before[0])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[1] < 2 * MEMORY >> 10


@pytest.mark.parametrize("name", ARROW)
def test_an_arrow_file_that_expands_is_refused(tmp_path: Path, name: str) -> None:
    files = written(tmp_path, "arrow", (ARROW[name]("x"), ARROW[name]("y")), compression="zstd")
    assert_refused(outcome(*files, WHOLE), pa.total_allocated_bytes())


@pytest.mark.parametrize("name", ["texts by dictionary", "lists of texts", "a list of millions"])
def test_an_orc_file_that_expands_is_refused(tmp_path: Path, name: str) -> None:
    made, _ = PARQUET[name]
    how = {"compression": "zstd", "dictionary_key_size_threshold": 1.0}
    files = written(tmp_path, "orc", (made("x"), made("y")), **how)
    assert_refused(outcome(*files, WHOLE), pa.total_allocated_bytes())


def test_lines_of_very_many_empty_values_are_refused(tmp_path: Path) -> None:
    for name, end in (("a", "1"), ("b", "2")):
        (tmp_path / f"{name}.jsonl").write_text("[" + "[]," * 2_000_000 + end + "]\n")
    assert_refused(outcome(tmp_path / "a.jsonl", tmp_path / "b.jsonl", WHOLE), pa.total_allocated_bytes())


HONEST: dict[str, Callable[[int], pa.Array]] = {
    "few texts": lambda rows: pa.array([f"county {i % 105}" for i in range(rows)]),
    "many texts": lambda rows: pa.array([f"{i} Main Street, Topeka" for i in range(rows)]),
    "one long text": lambda rows: pa.array([LONG] + [f"{i % 9}" for i in range(rows - 1)]),
    "lists": lambda rows: pa.array([[f"{i % 9}", f"{i % 7}"] for i in range(rows)]),
}


@pytest.mark.parametrize("context", [WHOLE, IN_PIECES], ids=["whole", "in pieces"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "orc"])
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_table_is_compared(tmp_path: Path, suffix: str, name: str, context: Context) -> None:
    """Every row times the longest text would be far more than there is; what they take is not."""
    rows = 100_000
    sides = []
    for changed in (0, 1):
        table = pa.table({"x": HONEST[name](rows), "n": np.arange(rows) + changed})
        sides.append(tmp_path / f"{changed}.{suffix}")
        how = {"compression": "zstd", "dictionary_key_size_threshold": 1.0} if suffix == "orc" else {}
        WRITERS[suffix](table, sides[-1], **how)
    assert outcome(sides[0], sides[1], context).verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"use_dictionary": False},
        {"data_page_version": "2.0", "compression": "none"},
        {"compression": "gzip", "write_page_index": True},
        {"compression": "lz4", "column_encoding": "DELTA_BYTE_ARRAY", "use_dictionary": False},
        {"compression": "brotli", "column_encoding": "DELTA_LENGTH_BYTE_ARRAY", "use_dictionary": False},
    ],
    ids=str,
)
def test_the_headers_of_the_pages_are_read(tmp_path: Path, how: dict[str, Any]) -> None:
    rows = 20_000
    path = tmp_path / "t.parquet"
    table = pa.table({"x": [f"n{i % 3000}" for i in range(rows)]})
    pq.write_table(table, path, row_group_size=9_000, data_page_size=1000, **how)
    with FileBytes(path) as data, pq.ParquetFile(path) as file:
        chunks = [file.metadata.row_group(i).column(0) for i in range(file.num_row_groups)]
        pages = [scan(data, chunk) for chunk in chunks]
        assert [found.values for found in pages] == [9_000, 9_000, 2_000]
        assert all(found.prefixed == (how.get("column_encoding") == "DELTA_BYTE_ARRAY") for found in pages)
        for found, chunk in zip(pages, chunks, strict=True):
            assert 0 <= chunk.total_uncompressed_size - found.decompressed < 200 * 40
            assert (found.dictionary is not None) == chunk.has_dictionary_page
        taken = expanded(file.read_row_group(0).column(0).chunk(0), MEMORY)
        for most in (6 * taken, MEMORY):  # counted, or by the headers alone
            assert taken <= chunk_bytes(file, path, data, (0, 0), most)
        with pytest.raises(LimitExceeded):
            chunk_bytes(file, path, data, (0, 0), taken // 2)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_a_dictionary_is_read_whatever_it_is_compressed_with(tmp_path: Path, codec: str) -> None:
    tables = ([LONG, *(f"{n:04}" for n in range(TIMES)), last] for last in ("x", "y"))
    files = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for path, cells in zip(files, tables, strict=True):
        pq.write_table(pa.table({"x": cells}), path, compression=codec, dictionary_pagesize_limit=2 << 20)
    assert compare_files(*files, name="t", context=IN_PIECES).verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_short_texts_are_read_however_they_are_encoded(
    tmp_path: Path, encoding: str, kind: pa.DataType
) -> None:
    files = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for path, last in zip(files, ("x", "y"), strict=True):
        table = pa.table({"x": pa.array([*["a", "b"] * 200, last]).cast(kind)})
        pq.write_table(table, path, use_dictionary=False, column_encoding=encoding)
    assert compare_files(*files, name="t", context=IN_PIECES).verdict is OutputVerdict.DIFFERENT


def test_a_page_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    """The footer's sizes are small and right; the page's own header says that it unpacks to 2 GB."""
    path, lie = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({"x": np.arange(3000)}), path, compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data, start = path.read_bytes(), chunk.data_page_offset
    with FileBytes(path) as opened:
        size = zigzag(scan(opened, chunk).largest)
    at = data.index(b"\x15" + size, start) + 1
    grown = zigzag(0x7FFFFFF0)
    spare = data[at + len(size) :].replace(
        b"\x00" * 8, b"", 1
    )  # of the statistics: the file keeps its length
    lie.write_bytes(data[:at] + grown + spare[: len(data) - at - len(grown)])
    with FileBytes(lie) as opened, pytest.raises(LimitExceeded):
        chunk_bytes(pq.ParquetFile(path), lie, opened, (0, 0), MEMORY)


def zigzag(number: int) -> bytes:
    found = bytearray()
    number <<= 1
    while number >= 128:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


NESTED = pa.struct([("a", pa.dictionary(pa.int8(), pa.string())), ("b", pa.list_(pa.int32()))])


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, None, 3]),
        pa.array(["x", None, "yyy"]),
        pa.array(["x", None, "y" * 99], pa.string_view()),
        pa.array(["x", None, "x"]).dictionary_encode(),
        pa.array([{"a": "x", "b": [1, 2]}, None, {"a": None, "b": None}], NESTED),
        pa.array([[1], [], [2, None]], pa.list_view(pa.int64())),
        pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.RunEndEncodedArray.from_arrays([2, 5], pa.array(["a", None])),
        pa.array([[None, None], []], pa.list_(pa.null())),
        union("x").slice(498),
    ],
    ids=lambda array: str(array.type),
)
def test_an_array_takes_at_least_what_its_exact_form_does_whole_or_in_slices(array: pa.Array) -> None:
    whole = expanded(array, MEMORY)
    assert whole >= len(array) * 8
    parts = sum(expanded(array.slice(at, 1), MEMORY) for at in range(len(array)))
    assert whole <= parts <= whole + len(array) * 8  # the bits that say what is null are cut to bytes
    collect(pa.schema([("x", array.type)]), [pa.record_batch([array], ["x"])], WHOLE)
    assert len(exact(pa.chunked_array([array]))) == len(array)
