"""The rule that says regression: how often it is wrong, computed and simulated, and how soon it is right."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from kfm_repro.nightly.regression import (
    FALSE_ALARMS,
    LEAST_CLEAN,
    NIGHTS,
    Seen,
    State,
    Status,
    advance,
    confirmations,
)

_FIRST, _PLAIN = False, True


def seen(night: int, commit: str = "a") -> Seen:
    return Seen(f"{night:04}", f"run-{commit}", started=commit, commit=commit, environment="e")


def live(
    differs: Callable[[int, bool], bool],
    *,
    nights: int = NIGHTS,
    commit: Callable[[int], str] = lambda _: "a",
    varied: bool = True,
) -> list[Status]:
    """Return what each night says; ``differs`` is asked with the night and whether the replay is a plain one."""
    state, said = State(), []
    for night in range(nights):
        first = differs(night, _FIRST)
        more = [differs(night, _PLAIN) for _ in range(confirmations(state))] if first else []
        state, status = advance(
            state, seen(night, commit(night)), differed=first, confirmed=more, varied=varied
        )
        said.append(status)
    return said


def wrong_with(p: float, *, varied: bool) -> float:
    """Return how likely a stream that differs with probability p is ever called a regression, exactly.

    It goes through all that can be known after each night: how many trials were clean, how many differed.
    """
    size = NIGHTS + 1
    more, decides = RULE
    alarm = np.where(decides, p * p**more, 0.0)
    sensitive = np.where((more > 0) & (np.arange(size) == 0) & varied, p * (1 - p) ** more, 0.0)
    now, wrong = np.zeros((size, size)), 0.0
    now[0, 0] = 1.0
    for _ in range(NIGHTS):
        wrong += float((now * alarm).sum())
        then = now * sensitive
        then[1:] += now[:-1] * (1 - p)
        then[:, 1:] += (now * (p - alarm - sensitive))[:, :-1]
        now = then
    return wrong


def rule() -> tuple[np.ndarray, np.ndarray]:
    """Return by clean and differing trials how many replays confirm, and whether they can show a regression."""
    more = np.zeros((NIGHTS + 1, NIGHTS + 1))
    for clean in range(NIGHTS + 1):
        for differed in range(NIGHTS + 1 - clean):
            more[clean, differed] = confirmations(State(clean=clean, differed=differed))
    clean, differed = np.indices(more.shape)
    return more, (more > 0) & ((differed > 0) | (clean >= LEAST_CLEAN))


RULE = rule()


@pytest.mark.parametrize("varied", [True, False])
def test_by_computation_at_most_one_output_in_a_hundred_is_wronged_whatever_its_probability(
    *, varied: bool
) -> None:
    worst = max(wrong_with(p, varied=varied) for p in np.linspace(0.02, 0.98, 49))
    assert 0.003 < worst <= FALSE_ALARMS


def alarms_in(streams: int, p: float) -> int:
    draw = random.Random(f"kfm {p}")  # noqa: S311 - chance, no secret
    return sum(Status.REGRESSION in live(lambda *_: draw.random() < p) for _ in range(streams))


def most(streams: int) -> float:
    """Return the stated rate and three standard deviations more."""
    return streams * FALSE_ALARMS + 3 * (streams * FALSE_ALARMS) ** 0.5


@pytest.mark.parametrize("p", [0.02, 0.2, 0.5, 0.76])
def test_streams_of_300_nights_that_differ_by_chance_keep_the_stated_rate(p: float) -> None:
    assert alarms_in(300, p) <= most(300)


@pytest.mark.full
@pytest.mark.parametrize(
    "p", [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.76, 0.8, 0.9, 0.95]
)
def test_many_such_streams(p: float) -> None:
    streams = 10_000
    alarms = alarms_in(streams, p)
    print(f"p {p}: {alarms} of {streams} streams of {NIGHTS} nights alarmed")  # noqa: T201
    assert alarms <= most(streams)


def test_a_stream_that_is_reproducible_never_alarms() -> None:
    assert set(live(lambda *_: False)) == {Status.CLEAN}


@pytest.mark.parametrize("since", [LEAST_CLEAN, 3, 14, 299])
def test_a_deterministic_regression_alarms_on_its_first_night_and_only_then(since: int) -> None:
    said = live(lambda night, _: night >= since)
    assert said == [Status.CLEAN] * since + [Status.REGRESSION] + [Status.REGRESSED] * (NIGHTS - since - 1)


def test_what_never_was_reproducible_is_no_regression() -> None:
    assert set(live(lambda *_: True)) == {Status.DIFFERS}
    assert live(lambda night, _: night > 0)[1] is Status.DIFFERS


def test_what_differs_only_under_a_varied_axis_is_sensitive_and_can_still_regress() -> None:
    said = live(lambda night, plain: (night % 7 == 3 and not plain) or night >= 40)
    assert said[3] is Status.SENSITIVE
    assert Status.FLAKY not in said
    assert said.index(Status.REGRESSION) == 40


def test_a_flaky_output_is_flaky_and_no_regression_later() -> None:
    said = live(lambda night, plain: night in (20, 30, 31, 32) and not plain, varied=False)
    assert [said[20], said[30], said[32]] == [Status.FLAKY] * 3
    assert Status.REGRESSION not in said


def test_after_a_regression_that_was_mended_the_next_one_alarms_again() -> None:
    commits = {range(10): "a", range(10, 20): "b", range(20, 40): "c", range(40, 60): "d"}
    said = live(
        lambda night, _: 10 <= night < 20 or night >= 40,
        nights=60,
        commit=lambda night: next(name for nights, name in commits.items() if night in nights),
    )
    assert [night for night, status in enumerate(said) if status is Status.REGRESSION] == [10, 40]


def test_an_older_run_that_still_reproduces_does_not_end_a_regression() -> None:
    state = State()
    for night in range(14):
        state, _ = advance(state, seen(night, "a"), differed=False)
    state, status = advance(state, seen(14, "b"), differed=True, confirmed=[True] * 8)
    assert status is Status.REGRESSION
    state, status = advance(state, seen(15, "a"), differed=False)
    assert status is Status.CLEAN
    state, status = advance(state, seen(16, "b"), differed=True)
    assert (status, state.nights) == (Status.REGRESSED, 14)
    state, _ = advance(state, seen(17, "c"), differed=False)
    assert (state.clean, state.regressed) == (1, None)


def test_confirmations_that_could_not_be_done_make_no_regression() -> None:
    state = State()
    for night in range(14):
        state, _ = advance(state, seen(night), differed=False)
    for done in range(confirmations(state)):
        _, status = advance(state, seen(14), differed=True, confirmed=[True] * done, varied=True)
        assert status is Status.DIFFERS


def test_an_output_that_was_flaky_once_can_still_regress_and_one_that_always_is_cannot() -> None:
    said = live(lambda night, plain: (night in (5, 60) and not plain) or night >= 100, varied=False)
    assert (said[5], said[60], said.index(Status.REGRESSION)) == (Status.FLAKY, Status.FLAKY, 100)
    often = live(lambda night, plain: (night % 2 == 0 and not plain) or night >= 100, varied=False)
    assert Status.REGRESSION not in often
