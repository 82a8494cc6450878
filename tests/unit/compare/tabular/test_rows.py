from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.tabular import rows, similar

if TYPE_CHECKING:
    import pytest

small = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), max_size=12)


def arrays(pairs: list[tuple[int, int]]) -> list[np.ndarray]:
    return [np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1)]


@given(small, small)
def test_row_numbers_are_shared_by_equal_rows_only(
    a: list[tuple[int, int]], b: list[tuple[int, int]]
) -> None:
    ids = np.concatenate(rows.row_ids(arrays(a), arrays(b))).tolist()
    joined = a + b
    assert all(
        (ids[i] == ids[j]) == (joined[i] == joined[j]) for i in range(len(ids)) for j in range(len(ids))
    )


def test_a_hash_collision_is_found_and_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_mixed", lambda parts: np.zeros(len(parts[0]), np.uint64))
    ids_a, ids_b = rows.row_ids(arrays([(1, 2), (3, 4)]), arrays([(3, 4), (1, 2), (5, 6)]))
    assert ids_a[0] == ids_b[1] != ids_a[1] == ids_b[0]
    assert ids_b[2] not in ids_a


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_equal_rows_are_paired_as_often_as_both_sides_have_them(a: list[int], b: list[int]) -> None:
    at_a, at_b = rows.pair_equal(np.array(a, np.int64), np.array(b, np.int64))
    assert len(at_a) == sum((Counter(a) & Counter(b)).values())
    assert all(a[i] == b[j] for i, j in zip(at_a, at_b, strict=True))
    assert len(set(at_a.tolist())) == len(set(at_b.tolist())) == len(at_a)
    assert (np.diff(at_a) > 0).all()


def test_too_many_rows_for_matching_by_likeness_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "MOST_COMPARISONS", 3)
    codes = (np.arange(4), np.arange(4) + 10)
    none = np.zeros(0, np.int64)
    rest = rows.Residue(np.arange(4), np.arange(4), codes, (np.arange(4) + 50, np.arange(4) + 60), none, none)
    at_a, _, note = similar.pair_similar(rest, [0, 1], [0, 0], [0, 1])
    assert len(at_a) == 0
    assert "4 and 4 rows were too many" in note
