"""Rows as numbers: the same function compiled and in numpy, and the same digest however a file is cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfm_repro.compare.tabular import numbering
from kfm_repro.compare.tabular.digest import Digest, partition_digest
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.numbering import ALL_TAKEN, NOWHERE, Numbers, draw_seed, pair_rows_by_number

TEXTS = ["", "a", "abcdefgh", "abcdefghi", "x" * 23, None]
COLUMNS = {
    "int8": pa.array([1, -1, None, 0], pa.int8()),
    "int64": pa.array([1, -1, None, 2**62], pa.int64()),
    "float": pa.array([0.0, -0.0, None, float("nan")]),
    "half": pa.array(np.array([0.0, -0.0, 1.5, 2.5], np.float16)),
    "bool": pa.array([True, None, False, True]),
    "text": pa.array(["", None, "abcdefghi", "x" * 23]),
    "fixed": pa.array([b"abc", None, b"abd", b"\0\0\0"], pa.binary(3)),
    "time": pa.array([0, 1, None, 3], pa.timestamp("us")),
    "coded": pa.array(["a", "a", None, "b"]).dictionary_encode(),
}

ALIKE = (
    bytes.fromhex("53d39d1332d300380000000000000000"),
    bytes.fromhex("170318af34a5da1091740521d662f86b"),
)
"""Made to have one number where no seed comes before them, which takes seconds."""

FIRST_ONE = [13322366129471911704, 5891750809159008311]
FIRST_TWO = [5548227912386064911, 5895977111751387163]


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "library", lambda: None)


def numbered(*columns: pa.Array, seed: int = 0) -> Numbers:
    numbers = Numbers.of(len(columns[0]), seed)
    for column in columns:
        numbers.mix(column)
    return numbers


def test_the_wheel_has_the_compiled_loops() -> None:
    assert library() is not None


@pytest.mark.parametrize("name", COLUMNS)
def test_compiled_and_numpy_give_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    column = COLUMNS[name]
    pieces = [column, column.slice(1), column.slice(2, 1)]
    compiled = [numbered(piece, piece, seed=5) for piece in pieces]
    plainly(monkeypatch)
    for one, piece in zip(compiled, pieces, strict=True):
        other = numbered(piece, piece, seed=5)
        assert np.array_equal(one.one, other.one)
        assert np.array_equal(one.two, other.two)


many_texts = st.lists(st.none() | st.binary(max_size=9) | st.binary(max_size=80), max_size=200)


@settings(max_examples=100, deadline=None)
@given(many_texts, st.integers(0, 3), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_strings_of_any_length_have_the_same_number_compiled_and_in_numpy(
    texts: list[bytes | None], start: int, kind: pa.DataType
) -> None:
    column = pa.array(texts, kind).slice(start)
    both = pa.array(texts, pa.binary()).dictionary_encode().slice(start)
    compiled, coded = numbered(column, seed=7), numbered(both, seed=7)
    with pytest.MonkeyPatch.context() as patch:
        plainly(patch)
        other = numbered(column, seed=7)
    for found in (compiled, coded):
        assert np.array_equal(found.one, other.one)
        assert np.array_equal(found.two, other.two)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=200), st.integers(0, 70))
def test_numbers_with_nulls_have_the_same_number_compiled_and_in_numpy(
    values: list[int | None], start: int
) -> None:
    for kind in (pa.int32(), pa.int64()):
        column = pa.array(values, kind).slice(start)
        compiled = numbered(column, column, seed=7)
        with pytest.MonkeyPatch.context() as patch:
            plainly(patch)
            other = numbered(column, column, seed=7)
        assert np.array_equal(compiled.one, other.one)
        assert np.array_equal(compiled.two, other.two)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_cell_has_its_own_number(name: str) -> None:
    numbers = numbered(COLUMNS[name])
    distinct = 3 if name == "coded" else len(COLUMNS[name]) - (name == "bool")
    assert len(set(numbers.one.tolist())) == len(set(numbers.two.tolist())) == distinct


def test_a_text_has_the_same_number_by_dictionary_and_by_itself() -> None:
    texts = pa.array(TEXTS * 3)
    assert np.array_equal(numbered(texts).one, numbered(texts.dictionary_encode()).one)
    assert np.array_equal(numbered(texts).one, numbered(texts.cast(pa.large_string())).one)


def test_byte_strings_that_share_a_number_without_seed_do_not_share_it_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strings = pa.array(ALIKE, pa.binary())
    texts = strings.dictionary_encode()
    assert len(set(numbered(strings).one.tolist())) == len(set(numbered(strings).two.tolist())) == 1
    for _ in "compiled", "in numpy":
        for column in (strings, texts):
            numbers = numbered(column, seed=draw_seed())
            assert len(set(numbers.one.tolist())) == len(set(numbers.two.tolist())) == 2
        plainly(monkeypatch)


def test_the_numbers_are_what_they_were_in_the_first_version() -> None:
    """Digests are kept and sent between machines: another function is another format."""
    numbers = numbered(pa.array([1, None]), pa.array(["kfm", ""]))
    assert numbers.one.tolist() == FIRST_ONE
    assert numbers.two.tolist() == FIRST_TWO


def brute(a: list[int], b: list[int]) -> tuple[list[int], list[int]]:
    """Pair the n-th with the n-th by walking through both."""
    at = {value: [j for j, other in enumerate(b) if other == value] for value in set(b)}
    partner, state = [], [2 if value in a else 1 for value in b]
    for value in a:
        free = at.get(value)
        partner.append(NOWHERE if free is None else free.pop(0) if free else ALL_TAKEN)
        if partner[-1] >= 0:
            state[partner[-1]] = 0
    return partner, state


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)), st.booleans())
def test_rows_are_paired_as_by_hand(a: list[int], b: list[int], compiled: bool) -> None:  # noqa: FBT001
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            plainly(patch)
        sides = [numbered(pa.array(side, pa.int64())) for side in (a, b)]
        partner, state = pair_rows_by_number(*sides)
    assert (partner.tolist(), state.tolist()) == brute(a, b)


rows = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(TEXTS), st.sampled_from([0.0, -0.0, None])))


@settings(max_examples=100, deadline=None)
@given(rows, st.integers(1, 4), st.data())
def test_any_split_merges_to_the_same_digest(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[Any, ...]], size: int, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("split") / "t.parquet", table, size)
    groups = list(range(pq.ParquetFile(path).num_row_groups))
    whole = partition_digest(path, groups)
    order = data.draw(st.permutations(groups))
    cut = data.draw(st.integers(0, len(groups)))
    assert partition_digest(path, order[:cut]) + partition_digest(path, order[cut:]) == whole
    assert sum((partition_digest(path, [group]) for group in order), Digest.empty()) == whole


@settings(max_examples=100, deadline=None)
@given(rows, rows, st.integers(1, 4))
def test_equal_digests_are_equal_multisets(
    tmp_path_factory: pytest.TempPathFactory, a: list[Any], b: list[Any], size: int
) -> None:
    folder = tmp_path_factory.mktemp("digests")
    digests = []
    for name, table in (("a", a), ("b", b)):
        path = written(folder / name, table, size)
        digests.append(partition_digest(path, range(pq.ParquetFile(path).num_row_groups)))
    assert (digests[0] == digests[1]) == (Counter(map(repr, a)) == Counter(map(repr, b)))


def written(path: Path, table: list[tuple[Any, ...]], size: int) -> Path:
    columns = [
        pa.array([row[i] for row in table], kind)
        for i, kind in enumerate((pa.int32(), pa.string(), pa.float64()))
    ]
    pq.write_table(pa.table(columns, names=["n", "t", "f"]), path, row_group_size=size)
    return path
