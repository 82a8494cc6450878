"""Trials of a ledger, taken together as what they were."""

from __future__ import annotations

import msgspec
import pytest

from kfm_repro.model.nightly import Aspect, LedgerTrial, Outcome, Trial
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.history import History
from kfm_repro.nightly.regression import State


def trial(
    night: int, replay: str, *, ordinal: int = 0, run: str = "1", **outcomes: bool | None
) -> LedgerTrial:
    told = tuple(
        Outcome(path=path, verdict="different" if differed else "identical", differed=differed)
        for path, differed in outcomes.items()
    )
    verdict = Verdict.NOT_REPRODUCIBLE if any(outcomes.values()) else Verdict.REPRODUCIBLE
    return LedgerTrial(
        night=f"2026-02-{night:02}", pipeline="p", run_id=run, started_at=run, git_commit=run,
        trial=Trial(replay_id=replay, ordinal=ordinal, verdict=verdict if told else Verdict.UNKNOWN, outcomes=told),
    )  # fmt: skip


def counts(state: State) -> tuple[int, int]:
    return state.clean, state.differed


def test_confirmations_are_no_trials_of_their_own() -> None:
    trials = [trial(1, "a", x=True), *(trial(1, f"b{n}", ordinal=n, x=n < 3) for n in (1, 2, 3))]
    assert counts(History.of(trials).state("p", "x")) == (0, 1)


def test_a_night_that_was_done_twice_is_two_trials() -> None:
    confirming = [trial(1, f"b{n}", ordinal=n, x=True) for n in (1, 2, 3)]
    trials = [trial(1, "a", x=True), *confirming, trial(1, "c", x=False)]
    assert counts(History.of(trials).state("p", "x")) == (1, 1)


CLEAN = [trial(night, f"{night:02}", x=False) for night in range(1, 11)]


@pytest.mark.parametrize(
    "ids",
    [("d", "a", "b", "c"), ("b", "a", "c", "d"), ("c", "d", "a", "b")],
    ids=["first last", "first second", "first third"],
)
def test_a_clock_that_was_set_back_takes_no_confirmation_from_a_regression(ids: tuple[str, ...]) -> None:
    """The ledger gives the replays of a night by their ids, which are times."""
    night = [trial(11, name, ordinal=number, x=True) for number, name in enumerate(ids)]
    state = History.of([*CLEAN, *sorted(night, key=lambda item: item.trial.replay_id)]).state("p", "x")
    assert state.regressed is not None


def test_a_night_that_two_did_at_once_is_a_regression_still() -> None:
    both = [trial(11, f"{n}{who}", ordinal=n, x=True) for n in range(7) for who in "ab"]
    assert History.of([*CLEAN[:3], *both]).state("p", "x").regressed is not None


def test_confirmations_go_to_the_replay_that_differed() -> None:
    confirming = [trial(11, f"c{n}", ordinal=n, x=True) for n in (1, 2, 3)]
    done = [*CLEAN, trial(11, "a", x=False), trial(11, "b", x=True), *confirming]
    assert History.of(done).state("p", "x").regressed is not None


def test_confirmations_of_nothing_count_for_nothing() -> None:
    alone = [trial(11, f"c{n}", ordinal=n, x=True) for n in (1, 2, 3)]
    assert counts(History.of([*CLEAN, *alone]).state("p", "x")) == (10, 0)


def test_what_is_not_mentioned_did_not_differ_before_and_after() -> None:
    trials = [trial(1, "a", x=False), trial(2, "b", x=False, y=True), trial(3, "c", x=False)]
    history = History.of(trials)
    assert counts(history.state("p", "y")) == (2, 1)
    assert counts(history.state("p", "new")) == (3, 0)
    assert counts(history.state("other", "x")) == (0, 0)


def test_what_could_not_tell_counts_for_nothing() -> None:
    history = History.of([trial(1, "a"), trial(2, "b", x=None), trial(3, "c", x=False)])
    assert counts(history.state("p", "x")) == (1, 0)


def test_every_output_gets_as_many_confirmations_as_it_needs() -> None:
    history = History.of([trial(night, f"{night:02}", x=False, y=night == 3) for night in range(1, 15)])
    assert history.wanted("p", trial(15, "z", x=True, y=False).trial) == 3
    assert history.wanted("p", trial(15, "z", x=False, y=False).trial) == 0
    # 13 clean trials and one that differed: 7 of 38 760 ways to choose 6 of 20 are below 0.002 / 4, 6 of 11 628 not.
    assert history.wanted("p", trial(15, "z", x=False, y=True).trial) == 5
    assert history.wanted("p", trial(15, "z", x=True, y=True).trial) == 5


def told(night: int, *places: str, waived: bool) -> list[LedgerTrial]:
    """Return a trial that found these places, and eight that confirm it where nothing covers them."""
    aspects = tuple(Aspect(where=f"column {name}", kind="timestamp", rung="value") for name in places)
    verdict = "different" if places else "identical"
    outcome = Outcome(path="x", verdict=verdict, differed=bool(places) and not waived, aspects=aspects)
    first = trial(night, f"{night:02}")
    made = msgspec.structs.replace(
        first.trial,
        verdict=Verdict.NOT_REPRODUCIBLE if outcome.differed else Verdict.WAIVED,
        outcomes=(outcome,),
    )
    return [
        msgspec.structs.replace(
            first, trial=msgspec.structs.replace(made, replay_id=f"{night:02}-{n}", ordinal=n)
        )
        for n in range(9 if outcome.differed else 1)
    ]


@pytest.mark.parametrize(
    ("before", "now", "regressed"),
    [
        ([["t"]] * 3, ["t"], False),
        ([["t", "u"]] * 3, ["t"], False),
        ([["t"]] * 3, ["t", "new"], True),
        ([["t"], [], [], []], ["t"], True),
        ([[]] * 3, ["t"], True),
    ],
)
def test_a_difference_whose_waiver_is_gone_is_no_regression(
    before: list[list[str]], now: list[str], *, regressed: bool
) -> None:
    trials = [item for night, places in enumerate(before, 1) for item in told(night, *places, waived=True)]
    for night in (20, 21):
        trials += told(night, *now, waived=False)
        state = History.of(trials).state("p", "x")
        assert (state.regressed is not None) is regressed
    assert regressed or counts(state) == (0, 2)
