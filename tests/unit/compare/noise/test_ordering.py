from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.noise.ordering import align, count_moved

letters = st.lists(st.sampled_from("abcd"), max_size=12)


@given(letters, letters)
def test_as_many_equal_members_as_possible_are_paired(a: list[str], b: list[str]) -> None:
    found = align(a, b)
    assert all(a[i] == b[j] for i, j in found.same)
    assert len(found.same) == sum((Counter(a) & Counter(b)).values())


@given(letters, letters)
def test_every_member_is_accounted_for_once(a: list[str], b: list[str]) -> None:
    found = align(a, b)
    both = (*found.same, *found.changed)
    assert sorted([*(i for i, _ in both), *found.removed]) == list(range(len(a)))
    assert sorted([*(j for _, j in both), *found.added]) == list(range(len(b)))


@given(letters)
def test_a_permutation_is_only_moved(a: list[str]) -> None:
    found = align(a, sorted(a))
    assert not found.changed
    assert not found.removed
    assert bool(found.moved) == (a != sorted(a))


def test_an_insertion_moves_nothing() -> None:
    found = align("xyx", "yx")
    assert (found.moved, found.removed, found.added) == (0, (0,), ())


def test_moved_counts_the_fewest() -> None:
    assert count_moved([(0, 1), (1, 2), (2, 3), (3, 0)]) == 1
