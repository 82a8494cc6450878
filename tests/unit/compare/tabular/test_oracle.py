"""Counts of the comparison against brute-force oracles, over random tables with random edits."""

from __future__ import annotations

import csv
import random
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kfm_repro.compare.context import Context, Limits, Options
from kfm_repro.compare.engine import finished
from kfm_repro.compare.tabular import csv as csv_files
from kfm_repro.compare.tabular import foreign, inferred, large, multisets, parquet, residual
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.tabular.sieve import Sieve
from kfm_repro.model.finding import Finding, Kind

Row = tuple[Any, ...]
COLUMNS = ("id", "name", "count", "share")
SCHEMA = pa.schema(
    [("id", pa.int64()), ("name", pa.string()), ("count", pa.int32()), ("share", pa.float64())]
)
KEYED = Context(options=Options(key=("id",)))
ROW_KINDS = (Kind.ROWS_ADDED, Kind.ROWS_REMOVED, Kind.DUPLICATE_ROWS, Kind.ROW_ORDER)

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
thorough = settings(quick, max_examples=2000)
several = settings(quick, max_examples=40)
"""Every example holds up to three pairs of tables, each compared in four ways."""

names = st.sampled_from(["Allen", "Barber", "Élk", "", "a,b", 'q"x', "l\nm"]) | st.none()
counts = st.integers(-2, 2) | st.none()
shares = st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf"), 0.1, 1e300]) | st.none()


def bits(value: Any) -> Any:
    return struct.pack(">d", value) if isinstance(value, float) else value


def exact(row: Row) -> Row:
    return tuple(bits(value) for value in row)


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(SCHEMA)], schema=SCHEMA
    )


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Draw a keyed table and the same with changed cells, other rows, duplicates and another order."""
    size = draw(st.integers(0, 12))
    rows = [(i, draw(names), draw(counts), draw(shares)) for i in range(size)]
    other = [
        (row[0], draw(names), draw(counts), draw(shares)) if draw(st.integers(0, 3)) == 0 else row
        for row in rows
    ]
    kept = [row for row in other if draw(st.integers(0, 5)) > 0]
    new = [(100 + i, draw(names), draw(counts), draw(shares)) for i in range(draw(st.integers(0, 2)))]
    common = [row for row in kept if exact(row) in set(map(exact, rows))]
    twice = draw(st.lists(st.sampled_from(common), max_size=2)) if common else []
    result = kept + new + twice
    if draw(st.booleans()):
        random.Random(draw(st.integers(0, 99))).shuffle(result)  # noqa: S311  # a shuffle, no secret
    return rows, result


def keyed_oracle(a: list[Row], b: list[Row]) -> dict[str, int]:
    """Count by brute force: lone keys, surplus copies, changed cells per column under the key."""
    left = {row[0]: row for row in a}
    right = {row[0]: row for row in b}
    expected: Counter[str] = Counter()
    expected["rows-removed"] = len(set(left) - set(right))
    expected["rows-added"] = len(set(right) - set(left))
    expected["duplicate-rows"] = len(b) - len(right)
    for key in set(left) & set(right):
        for i, name in enumerate(COLUMNS):
            expected[name] += bits(left[key][i]) != bits(right[key][i])
    return {name: count for name, count in expected.items() if count}


def reported(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Count what was reported: rows by kind, cells by column."""
    found: Counter[str] = Counter()
    for finding in findings:
        if finding.kind in (Kind.ENCODING, Kind.LAYOUT):
            continue
        if finding.kind in ROW_KINDS:
            found[str(finding.kind)] += finding.count
        else:
            found[str(finding.where["column"])] += finding.count
    found.pop("row-order", None)
    return dict(found)


def common_in_order(a: list[Row], b: list[Row]) -> bool:
    """Return by exhaustive search whether dropping lone and surplus rows makes both sides the same."""
    labels_a, labels_b = [row[0] for row in a], [row[0] for row in b]
    wanted = sum((Counter(labels_a) & Counter(labels_b)).values())
    lengths = [[0] * (len(labels_b) + 1) for _ in range(len(labels_a) + 1)]
    for i, x in enumerate(labels_a):
        for j, y in enumerate(labels_b):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if x == y else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1] == wanted


def check_keyed(rows: tuple[list[Row], list[Row]]) -> None:
    a, b = rows
    findings = compare_tables(table(a), table(b), KEYED)
    assert reported(findings) == keyed_oracle(a, b)
    moved = any(finding.kind is Kind.ROW_ORDER for finding in findings)
    assert moved != common_in_order(a, b)


def check_multiset(a: list[Row], b: list[Row]) -> None:
    """Without a key: nothing is said of equal tables, order alone of equal multisets, and never less."""
    check_balance(a, b, compare_tables(table(a), table(b), Context()))


def check_balance(a: list[Row], b: list[Row], findings: tuple[Finding, ...]) -> None:
    kinds = {finding.kind for finding in findings}
    left, right = list(map(exact, a)), list(map(exact, b))
    assert (not findings) == (left == right)
    assert (kinds == {Kind.ROW_ORDER}) == (left != right and Counter(left) == Counter(right))
    count = Counter({finding.kind: finding.count for finding in findings if "column" not in finding.where})
    detail = next((f.detail for f in findings if f.kind is Kind.DUPLICATE_ROWS), {})
    more, fewer = detail.get("more_in_b", 0), detail.get("fewer_in_b", 0)
    assert len(b) - len(a) == count[Kind.ROWS_ADDED] + more - count[Kind.ROWS_REMOVED] - fewer


def written(rows: list[Row], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([["" if value is None else str(value) for value in row] for row in rows])
    return path


def as_texts(rows: list[Row]) -> list[Row]:
    return [(row[0], *("" if value is None else str(value) for value in row[1:])) for row in rows]


def check_csv(rows: tuple[list[Row], list[Row]], folder: Path, context: Context = KEYED) -> None:
    a, b = rows
    findings = csv_files.compare(written(a, folder / "a.csv"), written(b, folder / "b.csv"), context)
    texts = as_texts(a), as_texts(b)
    spelled = {f.where["column"] for f in findings if f.kind is Kind.ENCODING and "column" in f.where}
    assert not spelled  # str() spells a number in one way
    assert reported(findings) == keyed_oracle(*texts)


def check_parquet(rows: tuple[list[Row], list[Row]], folder: Path) -> None:
    a, b = rows
    pq.write_table(table(a), folder / "a.parquet", row_group_size=3)
    pq.write_table(table(b), folder / "b.parquet", compression="zstd")
    findings = parquet.compare(folder / "a.parquet", folder / "b.parquet", KEYED)
    assert reported(findings) == keyed_oracle(a, b)


def in_pieces(context: Context) -> Context:
    return replace(context, limits=Limits(whole_bytes=0, whole_text_bytes=0))


def parquet_files(folder: Path, a: list[Row], b: list[Row], groups: tuple[int, int]) -> tuple[Path, Path]:
    paths = folder / "a.parquet", folder / "b.parquet"
    for path, rows, size in zip(paths, (a, b), groups, strict=True):
        pq.write_table(table(rows), path, row_group_size=size)
    return paths


def without_layout(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return findings as a report has them, but for what belongs to the file and what is drawn of values.

    That needs all of them at hand.
    """
    return tuple(
        structs.replace(found, figures=msgspec.UNSET)
        for found in finished(findings)
        if found.kind is not Kind.LAYOUT
    )


def check_in_pieces(a: list[Row], b: list[Row], folder: Path, groups: tuple[int, int]) -> None:
    """Compare files in pieces: the counts and the order are those found by brute force."""
    files = parquet_files(folder, a, b, groups)
    findings = parquet.compare(*files, in_pieces(KEYED))
    assert reported(findings) == keyed_oracle(a, b)
    moved = any(finding.kind is Kind.ROW_ORDER for finding in findings)
    assert moved != common_in_order(a, b)


def check_multiset_in_pieces(a: list[Row], b: list[Row], folder: Path, groups: tuple[int, int]) -> None:
    files = parquet_files(folder, a, b, groups)
    found = without_layout(parquet.compare(*files, in_pieces(Context())))
    check_balance(a, b, found)


def check_both_ways(a: list[Row], b: list[Row], folder: Path, groups: tuple[int, int]) -> None:
    """Whole or in pieces, in memory or through files: the same findings, examples and reasons among them."""
    files = parquet_files(folder, a, b, groups)
    whole = without_layout(parquet.compare(*files, Context()))
    assert without_layout(parquet.compare(*files, in_pieces(Context()))) == whole
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(large, "MOST_IN_PLACE", 0.0)
        assert without_layout(parquet.compare(*files, in_pieces(Context()))) == whole
        patched.setattr(multisets, "BYTES_PER_ROW", 1 << 60)
        assert without_layout(parquet.compare(*files, in_pieces(Context()))) == whole


def check_shortcuts(a: list[Row], b: list[Row], folder: Path, groups: tuple[int, int]) -> None:
    """Whatever of the rows is kept while they are numbered, or taken for proven: the same findings."""
    files = parquet_files(folder, a, b, groups)
    whole = without_layout(parquet.compare(*files, Context()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(large, "MOST_IN_PLACE", 0.0)
        patched.setattr(residual, "_LEAST_SAMPLE", 1)
        patched.setattr(residual, "_LEAST_GROUPS", 1)
        patched.setattr(foreign, "in_parallel", map)
        assert without_layout(parquet.compare(*files, in_pieces(Context()))) == whole
        patched.setattr(inferred, "_ALIKE", 0.0)
        patched.setattr(inferred, "_edited", lambda *_: False)
        lacks = Sieve.lacks
        patched.setattr(Sieve, "lacks", lambda sieve, numbers: lacks(sieve, numbers)[::2])
        assert without_layout(parquet.compare(*files, in_pieces(Context()))) == whole


def check_moved(a: list[Row], b: list[Row], folder: Path, groups: tuple[int, int]) -> None:
    """Rows that both sides have equally often: the places are counted that hold another row."""
    files = parquet_files(folder, a, b, groups)
    places = sum(exact(left) != exact(right) for left, right in zip(a, b, strict=True))
    for context in (Context(), in_pieces(Context())):
        found = without_layout(parquet.compare(*files, context))
        assert [(f.kind, f.count, f.of) for f in found] == [(Kind.ROW_ORDER, places, len(a))] * (places > 0)


small_rows = st.lists(st.tuples(st.integers(0, 1), names, counts, shares), max_size=6)
few = st.lists(st.tuples(st.just(1), st.sampled_from(["x", "y"]), st.just(0), st.sampled_from([0.0, -0.0])))


@quick
@given(edited())
def test_counts_under_a_declared_key_equal_the_brute_force_counts(rows: tuple[list[Row], list[Row]]) -> None:
    check_keyed(rows)


@quick
@given(small_rows, small_rows)
def test_unrelated_tables_without_key_balance(a: list[Row], b: list[Row]) -> None:
    check_multiset(a, b)


@quick
@given(few, st.data())
def test_tables_of_few_distinct_rows_balance(a: list[Row], data: st.DataObject) -> None:
    check_multiset(a, data.draw(st.permutations(a)) if data.draw(st.booleans()) else data.draw(few))


@quick
@given(edited())
def test_csv_files_give_the_brute_force_counts(tmp_path: Path, rows: tuple[list[Row], list[Row]]) -> None:
    check_csv(rows, tmp_path)


@quick
@given(edited())
def test_parquet_files_give_the_brute_force_counts(tmp_path: Path, rows: tuple[list[Row], list[Row]]) -> None:
    check_parquet(rows, tmp_path)


def check_multiset_of_texts(a: list[Row], b: list[Row], folder: Path) -> None:
    """Without a key, as texts: the counts balance, by records as by whole tables."""
    files = written(a, folder / "a.csv"), written(b, folder / "b.csv")
    found = csv_files.compare(*files, in_pieces(Context()))
    check_balance(as_texts(a), as_texts(b), tuple(f for f in found if f.kind is not Kind.ENCODING))


group_sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@quick
@given(edited(), group_sizes)
def test_files_compared_in_pieces_give_the_brute_force_counts(
    tmp_path: Path, rows: tuple[list[Row], list[Row]], groups: tuple[int, int]
) -> None:
    check_in_pieces(*rows, tmp_path, groups)


@quick
@given(few, st.data(), group_sizes)
def test_files_of_few_distinct_rows_compared_in_pieces_balance(
    tmp_path: Path, a: list[Row], data: st.DataObject, groups: tuple[int, int]
) -> None:
    b = data.draw(st.permutations(a)) if data.draw(st.booleans()) else data.draw(few)
    check_multiset_in_pieces(a, b, tmp_path, groups)


@several
@given(few, st.data(), group_sizes)
def test_rows_of_few_kinds_are_counted_alike_whole_and_in_pieces(
    tmp_path: Path, a: list[Row], data: st.DataObject, groups: tuple[int, int]
) -> None:
    b = data.draw(st.permutations(a))
    check_moved(a, b, tmp_path, groups)
    check_both_ways(a, b, tmp_path, groups)
    check_both_ways(a, data.draw(few), tmp_path, groups)


@several
@given(edited(), small_rows, small_rows, group_sizes)
def test_what_is_found_is_the_same_whole_and_in_pieces(
    tmp_path: Path, rows: tuple[list[Row], list[Row]], a: list[Row], b: list[Row], groups: tuple[int, int]
) -> None:
    check_both_ways(*rows, tmp_path, groups)
    check_both_ways(a, b, tmp_path, groups)


@several
@given(edited(), small_rows, small_rows, group_sizes)
def test_what_is_found_is_the_same_whatever_is_kept_or_proven(
    tmp_path: Path, rows: tuple[list[Row], list[Row]], a: list[Row], b: list[Row], groups: tuple[int, int]
) -> None:
    check_shortcuts(*rows, tmp_path, groups)
    check_shortcuts(a, b, tmp_path, groups)


@quick
@given(edited())
def test_texts_compared_by_record_give_the_brute_force_counts(
    tmp_path: Path, rows: tuple[list[Row], list[Row]]
) -> None:
    check_csv(rows, tmp_path, in_pieces(KEYED))


@quick
@given(few, st.data())
def test_texts_of_few_distinct_records_balance(tmp_path: Path, a: list[Row], data: st.DataObject) -> None:
    b = data.draw(st.permutations(a)) if data.draw(st.booleans()) else data.draw(few)
    check_multiset_of_texts(a, b, tmp_path)


@pytest.mark.full
@thorough
@given(edited(), small_rows, small_rows, few, few, group_sizes)
def test_every_oracle_in_pieces_at_length(
    tmp_path: Path,
    rows: tuple[list[Row], list[Row]],
    a: list[Row],
    b: list[Row],
    c: list[Row],
    d: list[Row],
    groups: tuple[int, int],
) -> None:
    check_in_pieces(*rows, tmp_path, groups)
    check_csv(rows, tmp_path, in_pieces(KEYED))
    check_multiset_of_texts(c, d, tmp_path)
    check_multiset_in_pieces(*rows, tmp_path, groups)
    check_multiset_in_pieces(a, b, tmp_path, groups)
    check_multiset_in_pieces(c, d, tmp_path, groups)
    for left, right in (rows, (a, b), (c, d)):
        check_both_ways(left, right, tmp_path, groups)
        check_shortcuts(left, right, tmp_path, groups)


@pytest.mark.full
@thorough
@given(edited(), small_rows, small_rows, few, few)
def test_every_oracle_at_length(
    tmp_path: Path,
    rows: tuple[list[Row], list[Row]],
    a: list[Row],
    b: list[Row],
    c: list[Row],
    d: list[Row],
) -> None:
    check_keyed(rows)
    check_multiset(*rows)
    check_multiset(a, b)
    check_multiset(c, d)
    check_csv(rows, tmp_path)
    check_parquet(rows, tmp_path)
