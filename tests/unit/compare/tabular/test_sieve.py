"""What a sieve of row numbers may say: never that a row is lacking which was taken in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfm_repro.compare.tabular import sieve
from kfm_repro.compare.tabular.numbering import Numbers
from kfm_repro.compare.tabular.sieve import Sieve

words = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, (1 << 64) - 1, 1 << 63, (1 << 32) - 1])
rows = st.lists(st.tuples(words, words), max_size=40)


def numbers(pairs: list[tuple[int, int]]) -> Numbers:
    return Numbers(*(np.array([pair[lane] for pair in pairs], np.uint64) for lane in (0, 1)))


def drawn(seed: int, count: int) -> Numbers:
    random = np.random.default_rng(seed)
    return Numbers(*(random.integers(0, 1 << 64, count, np.uint64) for _ in range(2)))


def full(*taken: Numbers, room: int) -> Sieve:
    made = Sieve.of(room)
    assert made is not None
    for some in taken:
        made.add(some)
    return made


@settings(deadline=None)
@given(rows, rows, rows, st.sampled_from([0, 1, 40, 5_000]))
def test_no_row_that_was_taken_in_is_lacking(
    some: list[tuple[int, int]], more: list[tuple[int, int]], others: list[tuple[int, int]], room: int
) -> None:
    """However small it is for what it holds."""
    taken = full(numbers(some), numbers(more), room=room)
    asked = [*some, *others, *more]
    lacking = taken.lacks(numbers(asked))
    assert not {asked[place] for place in lacking.tolist()} & {*some, *more}
    assert lacking.tolist() == sorted(set(lacking.tolist()))


def test_hardly_any_other_row_is_let_through() -> None:
    taken, others = drawn(1, 100_000), drawn(2, 100_000)
    made = full(taken, room=100_000)
    assert len(made.lacks(taken)) == 0
    assert len(made.lacks(others)) >= 99_990  # one in some hundred thousand is expected


def test_an_empty_one_lacks_every_row() -> None:
    assert full(room=0).lacks(drawn(1, 5)).tolist() == [0, 1, 2, 3, 4]


def test_one_that_is_far_too_small_lets_rows_through() -> None:
    assert len(full(drawn(1, 5_000), room=0).lacks(drawn(2, 5_000))) == 0


def test_there_is_none_without_the_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "library", lambda: None)
    assert Sieve.of(10) is None
