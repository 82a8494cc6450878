"""What so many differences in so many replays say of their probability."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.model.flips import count_flips


@pytest.mark.parametrize("of", [1, 2, 5, 20, 100, 1000])
def test_when_none_differed_the_bound_is_that_of_one_line(of: int) -> None:
    flips = count_flips(0, of)
    assert flips.low == 0
    assert flips.high == pytest.approx(1 - 0.05 ** (1 / of), abs=1e-4)
    assert flips.high >= 1 - 0.05 ** (1 / of)
    every = count_flips(of, of)
    assert (every.high, every.low) == (1, pytest.approx(0.05 ** (1 / of), abs=1e-4))


def test_figures_of_the_tables() -> None:
    assert (count_flips(0, 20).high, count_flips(0, 59).high) == (0.1392, 0.0496)
    assert (count_flips(1, 10).low, count_flips(1, 10).high) == (0.0051, 0.3942)
    assert (count_flips(3, 20).low, count_flips(3, 20).high) == (0.0421, 0.3437)
    assert (count_flips(0, 0).low, count_flips(0, 0).high) == (0, 1)


def tail(counts: range, of: int, p: Fraction) -> Fraction:
    """The exact probability of any of these counts."""
    return sum((comb(of, k) * p**k * (1 - p) ** (of - k) for k in counts), Fraction(0))


@given(st.integers(1, 120).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_each_bound_is_exact_to_its_last_digit(counted: tuple[int, int]) -> None:
    differed, of = counted
    flips, step, five = count_flips(differed, of), Fraction(1, 10**4), Fraction(5, 100)
    low, high = (Fraction(round(bound * 10**4), 10**4) for bound in (flips.low, flips.high))
    at_least, at_most = range(differed, of + 1), range(differed + 1)
    if differed:
        assert tail(at_least, of, low) <= five < tail(at_least, of, low + step) + Fraction(1, 10**9)
    if differed < of:
        assert tail(at_most, of, high) <= five < tail(at_most, of, high - step) + Fraction(1, 10**9)


@pytest.mark.parametrize(("differed", "of"), [(-1, 2), (3, 2)])
def test_counts_that_cannot_be_are_refused(differed: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"{differed} of {of}"):
        count_flips(differed, of)
