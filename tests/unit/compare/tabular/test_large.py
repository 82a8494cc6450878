"""Tables compared in pieces: each mutant on its rung, every path through memory and files, and the memory it takes."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfm_repro.compare.columnar import compare
from kfm_repro.compare.context import Context, Limits, Options
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.tabular import csv as csv_files
from kfm_repro.compare.tabular import large, numbering, spill
from kfm_repro.compare.tabular.numbering import Numbers, pair_rows_by_number
from kfm_repro.compare.tabular.source import ParquetSource
from kfm_repro.compare.tabular.spill import pair_spilled
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

ROWS = 5_000
IN_PIECES = Context(limits=Limits(whole_bytes=0, whole_text_bytes=0))
WHOLE = Context(limits=Limits(whole_bytes=1 << 40, whole_text_bytes=1 << 40))


def table(rows: int = ROWS) -> pa.Table:
    random = np.random.default_rng(3)
    share = random.random(rows)
    share[7] = 0.0
    share[8] = np.nan
    return pa.table(
        {
            "id": np.arange(rows) * 3,
            "name": pa.array([None if i % 11 == 0 else f"county {i % 105}" for i in range(rows)]),
            "place": pa.array([f"{i} Main Street" for i in range(rows)]),
            "share": share,
            "count": random.integers(0, 9, rows).astype(np.int32),
            "at": pa.array(random.integers(0, 10**15, rows), pa.timestamp("us")),
        }
    )


def with_cell(data: pa.Table, name: str, row: int, value: Any) -> pa.Table:
    values = data[name].to_pylist()
    values[row] = value
    return with_column(data, name, pa.array(values, data[name].type))


def with_column(data: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return data.set_column(data.column_names.index(name), name, column)


def with_bits(data: pa.Table, row: int, bits: int) -> pa.Table:
    column = data["share"].to_numpy().copy()
    column.view(np.uint64)[row] = bits
    return with_column(data, "share", pa.array(column))


def bits_of(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def swapped(data: pa.Table) -> pa.Table:
    order = np.arange(data.num_rows)
    order[[10, 4_000]] = order[[4_000, 10]]
    return data.take(pa.array(order))


def stepped(data: pa.Table, step: int) -> pa.Table:
    return with_bits(data, 99, bits_of(data["share"][99].as_py()) + step)


MUTANTS: dict[str, tuple[Callable[[pa.Table], pa.Table], dict[tuple[Kind, Rung], int]]] = {
    "rows swapped": (swapped, {(Kind.ROW_ORDER, Rung.ORDER): 2}),
    "one ulp up": (lambda t: stepped(t, 1), {(Kind.FLOAT_NOISE, Rung.NOISE): 1}),
    "one ulp down": (lambda t: stepped(t, -1), {(Kind.FLOAT_NOISE, Rung.NOISE): 1}),
    "five ulp": (lambda t: stepped(t, 5), {(Kind.VALUE, Rung.VALUE): 1}),
    "minus zero": (lambda t: with_bits(t, 7, 1 << 63), {(Kind.FLOAT_NOISE, Rung.NOISE): 1}),
    "NaN payload": (lambda t: with_bits(t, 8, 0x7FF8000000000001), {(Kind.FLOAT_NOISE, Rung.NOISE): 1}),
    "NaN against null": (lambda t: with_cell(t, "share", 8, None), {(Kind.NULL_FORM, Rung.VALUE): 1}),
    "null against empty": (lambda t: with_cell(t, "name", 11, ""), {(Kind.NULL_FORM, Rung.VALUE): 1}),
    "other type": (
        lambda t: with_column(t, "count", t["count"].cast(pa.int64())),
        {(Kind.TYPE, Rung.VALUE): 1},
    ),
    "zoned": (
        lambda t: with_column(t, "at", t["at"].cast(pa.timestamp("us", "UTC"))),
        {(Kind.TYPE, Rung.VALUE): 1},
    ),
    "row doubled": (lambda t: pa.concat_tables([t, t.slice(50, 1)]), {(Kind.DUPLICATE_ROWS, Rung.VALUE): 1}),
    "row dropped": (
        lambda t: pa.concat_tables([t.slice(0, 50), t.slice(51)]),
        {(Kind.ROWS_REMOVED, Rung.VALUE): 1},
    ),
    "column dropped": (lambda t: t.drop_columns(["count"]), {(Kind.SCHEMA, Rung.VALUE): 1}),
    "columns swapped": (
        lambda t: t.select(["id", "place", "name", "share", "count", "at"]),
        {(Kind.COLUMN_ORDER, Rung.ORDER): 2},
    ),
    "one text": (lambda t: with_cell(t, "place", 4_999, "elsewhere"), {(Kind.VALUE, Rung.VALUE): 1}),
    "one time": (
        lambda t: with_column(t, "at", pa.array(t["at"].to_numpy() + (np.arange(ROWS) == 9))),
        {(Kind.VALUE, Rung.VALUE): 1},
    ),
}


def written(
    folder: Path, a: pa.Table, b: pa.Table, groups: tuple[int, int] = (700, 700)
) -> tuple[Path, Path]:
    paths = folder / "a.parquet", folder / "b.parquet"
    for path, data, size in zip(paths, (a, b), groups, strict=True):
        pq.write_table(data, path, row_group_size=size)
    return paths


def counted(findings: tuple[Finding, ...]) -> dict[tuple[Kind, Rung], int]:
    found: dict[tuple[Kind, Rung], int] = {}
    for finding in findings:
        if finding.kind is not Kind.LAYOUT:
            found[finding.kind, finding.rung] = found.get((finding.kind, finding.rung), 0) + finding.count
    return found


@pytest.mark.parametrize("groups", [(700, 700), (700, 900), (10_000, 33)])
@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_lands_on_its_rung(name: str, groups: tuple[int, int], tmp_path: Path) -> None:
    mutate, expected = MUTANTS[name]
    files = written(tmp_path, table(), mutate(table()), groups)
    assert counted(compare(*files, IN_PIECES)) == expected
    assert counted(compare(*files, WHOLE)) == expected


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_lands_on_its_rung_among_shuffled_rows(name: str, tmp_path: Path) -> None:
    mutate, expected = MUTANTS[name]
    b = mutate(table())
    b = b.take(pa.array(np.random.default_rng(1).permutation(b.num_rows)))
    files = written(tmp_path, table(), b)
    found = counted(compare(*files, IN_PIECES))
    assert found.pop((Kind.ROW_ORDER, Rung.ORDER)) > ROWS * 0.99
    expected = {key: count for key, count in expected.items() if key[0] is not Kind.ROW_ORDER}
    assert found == expected


def test_equal_values_in_other_row_groups_are_layout(tmp_path: Path) -> None:
    files = written(tmp_path, table(), table(), (700, 900))
    outcome = compare_files(*files, name="t.parquet", context=IN_PIECES)
    assert {(f.kind, f.rung) for f in outcome.findings} == {(Kind.LAYOUT, Rung.CONTAINER)}


def test_a_file_without_row_groups_is_a_table_without_rows(tmp_path: Path) -> None:
    a, b = written(tmp_path, table(), table().slice(0, 0))
    pq.ParquetWriter(tmp_path / "none.parquet", table().schema).close()
    assert not pq.ParquetFile(tmp_path / "none.parquet").num_row_groups
    assert set(counted(compare(tmp_path / "none.parquet", a, IN_PIECES))) == {(Kind.ROWS_ADDED, Rung.VALUE)}
    assert counted(compare(tmp_path / "none.parquet", b, IN_PIECES)) == {}


def test_equal_chunks_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(tmp_path, table(), MUTANTS["one text"][0](table()))
    read: list[tuple[int, int]] = []
    decode = ParquetSource.piece

    def noted(source: ParquetSource, column: int, group: int) -> pa.Array:
        read.append((column, group))
        return decode(source, column, group)

    monkeypatch.setattr(ParquetSource, "piece", noted)
    compare(*files, IN_PIECES)
    assert {group for column, group in read if column == 2} == {ROWS // 700}
    assert {column for column, _ in read} == {0, 2}


def test_a_text_made_to_pass_for_another_among_shuffled_rows_is_a_value(tmp_path: Path) -> None:
    texts = ["53d39d1332d300380000000000000000", "170318af34a5da1091740521d662f86b"]  # see test_numbering
    sides = [pa.table({"id": range(ROWS), "b": [bytes.fromhex(text)] * ROWS}) for text in texts]
    a, b = sides[0], pa.concat_tables([sides[0].slice(1), sides[1].slice(0, 1)])
    kinds = {(f.kind, f.count) for f in compare(*written(tmp_path, a, b), IN_PIECES)}
    assert kinds == {(Kind.ROW_ORDER, ROWS), (Kind.VALUE, 1)}


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_two_columns_name_no_row_where_they_repeat_among_the_rows_that_are_equal(
    kind: pa.DataType, tmp_path: Path
) -> None:
    a = pa.table({
        "x": pa.array([1, 1, 2, 2] * 4).cast(kind), "y": pa.array([3, 4, 3, 4] * 4).cast(kind),
        "value": range(16),
    })  # fmt: skip
    b = with_cell(with_cell(a, "value", 2, 99), "value", 5, 98)
    (found,) = (f for f in compare(*written(tmp_path, a, b), IN_PIECES) if f.kind is Kind.VALUE)
    assert [example.key for example in found.examples] == [{"row": 2}, {"row": 5}]
    assert found.evidence == compare(*written(tmp_path, a, b), WHOLE)[0].evidence


def test_very_many_changed_rows_are_matched_by_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_MOST_AT_HAND", 10)
    a = table()
    b = with_column(a, "count", pa.array(a["count"].to_numpy() + 1))
    b = with_cell(b, "id", 5, 10**9).take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    found = {
        f.where.get("column", str(f.kind)): f.count for f in compare(*written(tmp_path, a, b), IN_PIECES)
    }
    assert found.pop("row-order") > ROWS * 0.99
    assert found == {"count": ROWS - 1, "rows-removed": 1, "rows-added": 1}


def test_very_many_rows_without_key_are_counted_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "_MOST_AT_HAND", 10)
    a = pa.table({"x": [1, 2] * 100, "y": ["a", "b"] * 100})
    b = pa.table({"x": [3, 4] * 100, "y": ["c", "d"] * 100})
    found = [f for f in compare(*written(tmp_path, a, b), IN_PIECES) if f.rung is Rung.VALUE]
    assert {str(f.kind): f.count for f in found} == {"rows-removed": 200, "rows-added": 200}
    assert all("too many to match" in f.evidence for f in found)


@pytest.mark.parametrize("budget", [1, 10_000, 10**9])
def test_rows_paired_through_files_are_paired_as_in_memory(budget: int) -> None:
    random = np.random.default_rng(4)
    sides = []
    for _ in "ab":
        numbers = Numbers.of(3_000)
        numbers.mix(pa.array(random.integers(0, 2_000, 3_000)))
        sides.append(numbers)
    cuts = [(0, 999), (999, 3_000)]
    blocks = [iter([(np.arange(*cut), side.part(*cut)) for cut in cuts]) for side in sides]
    partner, state = pair_spilled((blocks[0], blocks[1]), (3_000, 3_000), budget)
    wanted = pair_rows_by_number(*sides)
    assert np.array_equal(partner, wanted[0])
    assert np.array_equal(state, wanted[1])


def test_nothing_is_left_behind_when_pairing_through_files_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spill, "pair_rows_by_number", lambda *_: 1 / 0)
    numbers = Numbers.of(10)
    blocks = [iter([(np.arange(10), numbers)]) for _ in "ab"]
    with pytest.raises(ZeroDivisionError):
        pair_spilled((blocks[0], blocks[1]), (10, 10), 1)
    assert not list(tmp_path.iterdir())


def test_a_row_group_larger_than_the_bound_is_refused(tmp_path: Path) -> None:
    files = written(tmp_path, table(), swapped(table()), (5_000, 5_000))
    with pytest.raises(LimitExceeded, match="one column of one row group"):
        compare(*files, replace(IN_PIECES, options=Options(memory_bytes=1000)))


def test_a_row_group_of_equal_values_is_as_large_as_its_rows(tmp_path: Path) -> None:
    rows = 200_000
    sides = [pa.table({"id": np.full(rows, 7), "x": np.full(rows, n)}) for n in (1, 2)]
    files = written(tmp_path, sides[0], sides[1], (rows, rows))
    assert files[0].stat().st_size < rows
    with pytest.raises(LimitExceeded, match="one column of one row group"):
        compare(*files, replace(IN_PIECES, options=Options(memory_bytes=rows * 8)))


_MEASURED = """
import sys
from kfm_repro.cli import main
try:
    main(["diff", *sys.argv[1:], "--json"])
except SystemExit:
    pass
with open("/proc/self/status") as status:  # the peak of this program alone, not of the one that forked it
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(peak, file=sys.stderr)
"""
_BOUND = 256 << 20


@pytest.mark.slow
def test_a_table_of_five_times_the_bound_is_compared_within_it(tmp_path: Path) -> None:
    rows, blocks = 100_000, 20
    paths = tmp_path / "a.parquet", tmp_path / "b.parquet"
    order = np.random.default_rng(5).permutation(rows * blocks)
    decoded = 0
    for path in paths:
        writer = None
        for block in range(blocks):
            ids = np.arange(block * rows, (block + 1) * rows)
            ids = ids if path == paths[0] else order[ids]
            cells = {f"c{i}": ids * (i + 1) % 9_973 * 1.5 for i in range(84)}
            cells["c7"] = np.where((ids == 77) & (path == paths[1]), -1.0, cells["c7"])
            data = pa.table({"id": ids, **cells})
            decoded += data.nbytes
            writer = writer or pq.ParquetWriter(path, data.schema, compression="zstd")
            writer.write_table(data)
        assert writer is not None
        writer.close()
    assert decoded / 2 > 5 * _BOUND
    found = _found_within_the_bound(paths, tmp_path)
    assert found.pop("row-order") > rows * blocks * 0.99
    assert {name: count for name, count in found.items() if name != "layout"} == {"c7": 1}


@pytest.mark.slow
def test_a_text_of_five_times_the_bound_is_compared_within_it(tmp_path: Path) -> None:
    rows, paths = 360_000, (tmp_path / "a.csv", tmp_path / "b.csv")
    order = np.random.default_rng(5).permutation(rows)
    for path in paths:
        with path.open("w", encoding="utf-8") as out:
            out.write("id,note,share,more\n")
            for i in range(rows):
                n = int(order[i]) if path == paths[1] else i
                share = -1.0 if n == 77 and path == paths[1] else n / 7
                out.write(f'{n},"{f"note {n}, " * 200}",{share},{f"more {n} " * 200}\n')
        assert path.stat().st_size > 5 * _BOUND
    found = _found_within_the_bound(paths, tmp_path)
    assert found.pop("row-order") > rows * 0.99
    assert found == {"share": 1}


def _found_within_the_bound(paths: tuple[Path, Path], folder: Path) -> dict[str, int]:
    """Compare two files within the bound, leaving nothing behind; return the counts by column or kind."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *map(str, paths), "--memory", "256 MiB"],
        capture_output=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    peak = int(done.stderr.splitlines()[-1])
    findings = json.loads(done.stdout)["outputs"][0]["findings"]
    assert peak <= _BOUND
    assert not [path for path in folder.iterdir() if path not in paths]
    return {finding["where"].get("column", finding["kind"]): finding["count"] for finding in findings}


def lines(folder: Path, a: list[str], b: list[str]) -> tuple[Path, Path]:
    paths = folder / "a.csv", folder / "b.csv"
    for path, rows in zip(paths, (a, b), strict=True):
        path.write_bytes("".join(rows).encode())
    return paths


PLAIN = ["id,name,share\n", *(f'{i},"Main {i}, ""East""",{i / 7}\n' for i in range(3_000))]


def in_records(a: Path, b: Path) -> tuple[Finding, ...] | None:
    return csv_files._in_pieces(a, b, IN_PIECES)


def test_plainly_written_texts_are_compared_by_their_records(tmp_path: Path) -> None:
    changed = PLAIN.copy()
    changed[9] = changed[9].replace("Main", "Other")
    found = in_records(*lines(tmp_path, PLAIN, changed))
    assert found is not None
    (finding,) = found
    assert (finding.where, finding.count, finding.examples[0].key) == ({"column": "name"}, 1, {"id": "8"})


@pytest.mark.parametrize("bound", [900_000, 2_000_000, None])
def test_many_short_records_are_told_within_any_bound(bound: int | None, tmp_path: Path) -> None:
    rows = ["a,b\n", *["1,2\n"] * 10_000]
    files = lines(tmp_path, rows, [*rows, "3,4\n"])
    bounded = replace(IN_PIECES, options=Options(memory_bytes=bound))
    assert [found.kind for found in csv_files.compare(*files, bounded)] == [Kind.ROWS_ADDED]


def test_a_changed_copy_is_told_where_it_stands(tmp_path: Path) -> None:
    rows = ["a,b\n", *["1,2\n", "3,4\n"] * 100]
    changed = [*rows[:7], "1,5\n", *rows[8:]]
    files = lines(tmp_path, rows, changed)
    (found,) = in_records(*files) or ()
    assert (found.kind, found.count, found.examples[0].key) == (Kind.VALUE, 1, {"row": 6})
    (longer,) = in_records(*lines(tmp_path, rows, [*rows, "1,2\n"])) or ()
    assert longer.kind == Kind.DUPLICATE_ROWS


def test_records_of_two_columns_of_one_name_are_compared(tmp_path: Path) -> None:
    rows = ["id,name,name\n", *(f"{i},{i % 7},a\n" for i in range(300))]
    changed = [*rows[:9], rows[9].replace("a", "b"), *rows[10:]]
    found = in_records(*lines(tmp_path, rows, changed))
    assert found is not None
    assert [(f.kind, f.where, f.count) for f in found] == [(Kind.VALUE, {"column": "name (2)"}, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n1,a\n\n2,b\n",
        "id,name\r1,a\r2,b\r",
        'id,name\n1,a"b"\n2,b\n',
        'id,name\n1,"a\n2,b\n',
        'id,name\n1,"a"b\n2,b\n',
        "\ufeffid,name\n1,a\n",
        "id,name\n1,\0\n",
        "id\n1\n2\n",
        "id,name\r\n1,a\rb\r\n",
    ],
)
def test_texts_written_otherwise_are_left_to_the_strict_reader(text: str, tmp_path: Path) -> None:
    assert in_records(*lines(tmp_path, [text], [text.replace("1", "7")])) is None


@pytest.mark.parametrize("odd", ["1,2,3,4\n", "1,2\n", '1,"",3\n'])
def test_odd_records_among_the_differing_are_left_to_the_strict_reader(odd: str, tmp_path: Path) -> None:
    assert in_records(*lines(tmp_path, PLAIN, [*PLAIN[:-1], odd])) is None


def test_the_same_cells_otherwise_quoted_are_left_to_the_strict_reader(tmp_path: Path) -> None:
    quoted = PLAIN.copy()
    quoted[5] = quoted[5].replace("4,", '"4",', 1)
    files = lines(tmp_path, PLAIN, quoted)
    assert in_records(*files) is None
    assert {f.rung for f in csv_files.compare(*files, IN_PIECES)} == {Rung.CONTAINER}


def test_without_the_compiled_loops_all_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b = MUTANTS["one text"][0](swapped(table()))
    files = written(tmp_path, table(), b)
    compiled = compare(*files, IN_PIECES)
    monkeypatch.setattr(numbering, "library", lambda: None)
    assert compare(*files, IN_PIECES) == compiled


@pytest.mark.parametrize(
    "values",
    [
        pa.array([5, 3, 5], pa.uint64()),
        pa.array([5, 3, 5], pa.uint8()),
        pa.array([2**63 - 1, -(2**63), 2**63 - 1], pa.int64()),
        pa.array([1, None, 1], pa.int64()),
        pa.array([1, 1], pa.int64()),
    ],
)
@pytest.mark.parametrize("group", [1, 2, 10])
@pytest.mark.parametrize("noted", [False, True])
def test_a_column_that_falls_or_repeats_does_not_rise(
    values: pa.Array,
    group: int,
    noted: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": values}), path, row_group_size=group)
    with pq.ParquetFile(path) as file, ParquetSource(file, path) as source:
        for i in range(source.groups * noted):
            source.note(0, i, source.piece(0, i))
        assert not source.rises(0)


def test_a_column_that_was_noted_to_rise_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [-3, 0, 4, 5, 9]}), path, row_group_size=2)
    with pq.ParquetFile(path) as file, ParquetSource(file, path) as source:
        for i in range(source.groups):
            source.note(0, i, source.piece(0, i))
        monkeypatch.delattr(ParquetSource, "piece")
        assert source.rises(0)


@pytest.mark.parametrize(
    ("key", "unique"), [(4_001 * 3, True), (10**6, True), (100 * 3, False), (4_002 * 3, False)]
)
def test_a_key_is_unique_where_edited_rows_take_that_of_no_other(
    key: int,
    unique: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Its own, a new one, that of a row that stays as it is, and that of another edited one."""
    a = b = table().select(["id", "name", "count"])
    for name, row, value in (
        ("count", 4_001, 77),
        ("count", 4_002, 77),
        ("count", 50, 77),
        ("id", 4_001, key),
    ):
        b = with_cell(b, name, row, value)
    found = compare(*written(tmp_path, a, swapped(b)), IN_PIECES)
    assert any("id, which is unique on both sides" in finding.evidence for finding in found) == unique


@pytest.mark.parametrize(
    ("cells", "rises", "counts"),
    [
        (["1", "2", "10"], True, True),
        (["0", "9", "10"], True, True),
        (["1", "01", "001"], True, False),
        (["1", "-2", "1.5"], True, False),
        (["1", "2", "2"], False, False),
        (["2", "1", "3"], False, False),
        (["1", '"2"', "3"], False, False),
        (["1", "", "3"], False, False),
    ],
)
@pytest.mark.parametrize("before", ["", "a,", '"a,""b""",', '"",', ",,"])
def test_whether_a_column_of_texts_rises(
    cells: list[str],
    rises: bool,  # noqa: FBT001
    counts: bool,  # noqa: FBT001
    before: str,
    tmp_path: Path,
) -> None:
    text = ["a,b,c,d\n", *(f"{before}{cell},end\n" for cell in cells)]
    left, _ = csv_files.open_texts(*lines(tmp_path, text, text))
    column = {"": 0, ",,": 2}.get(before, 1)
    assert (left.rises(column), left.counts_up(column)) == (rises, counts)


def source_of(folder: Path, **columns: pa.Array) -> tuple[pq.ParquetFile, ParquetSource]:
    path = folder / "source.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=2)
    file = pq.ParquetFile(path)
    return file, ParquetSource(file, path)


def test_only_integers_and_times_that_were_seen_to_rise_are_known_to_ascend(tmp_path: Path) -> None:
    """The bits of these floats rise, while their values fall."""
    rising = pa.array([1, 2, 3, 4, 5])
    floats = pa.array([-1.0, -2.0, -3.0, -4.0, -5.0])
    columns = {"n": rising, "t": rising.cast(pa.timestamp("us")), "f": floats, "s": rising.cast(pa.string())}
    file, source = source_of(tmp_path, **columns, m=pa.array([1, 2, 2, 3, 4]), z=pa.array([1, None, 3, 4, 5]))
    with file, source:
        assert not any(source.ascends(i) for i in range(6))
        assert [source.rises(i) for i in range(6)] == [True, True, True, False, False, False]
        assert [source.ascends(i) for i in range(6)] == [True, True, False, False, False, False]


def test_the_first_cells_are_kept_and_as_many_given_as_are_asked_for(tmp_path: Path) -> None:
    file, source = source_of(tmp_path, n=pa.array(range(7)), s=pa.array([f"{i}" for i in range(7)]))
    with file, source:
        for rows in (1, 2, 1, 2):
            assert source.head(0, rows).to_pylist() == list(range(rows))
            assert source.head(1, rows).to_pylist() == [f"{i}" for i in range(rows)]
