"""What a night chooses, in which order, and how it is cut into parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.errors import UsageError
from kfm_repro.execute.perturb.axes import AXES
from kfm_repro.nightly.choose import Candidate, Chosen, Known, Reason, choose, information, parse_select
from kfm_repro.nightly.duration import parse_duration
from kfm_repro.nightly.shards import Shard, parse_shard
from kfm_repro.nightly.week import axes_of
from kfm_repro.runs.layout import RunDir

NIGHT = date(2026, 2, 3)


def candidate(pipeline: str, name: str, *, latest: bool = False, took: float | None = 1.0) -> Candidate:
    return Candidate(
        run=RunDir(Path("runs") / pipeline / name), started=name, commit="c", latest=latest, foreign=False,
        recorded_s=took, environment="e",
    )  # fmt: skip


def known(trials: int, differed: int, *, ago: int = 1, environment: str = "e") -> Known:
    return Known(trials, differed, NIGHT - timedelta(days=ago), environment, 2.0)


def chosen(
    candidates: list[Candidate],
    ledger: dict[tuple[str, str], Known] | None = None,
    *,
    select: str = "all",
    budget: float = 1e6,
    night: date = NIGHT,
) -> Chosen:
    return choose(
        candidates, [], ledger or {}, night=night, select=parse_select(select), budget_s=budget, jobs=1
    )


def names(done: Chosen) -> list[str]:
    return [f"{one.run.pipeline}/{one.run.name}" for one in done.runs]


def test_the_newest_of_each_pipeline_first_then_what_tells_most() -> None:
    runs = [candidate("p", str(n), latest=n == 9) for n in range(10)] + [candidate("q", "1", latest=True)]
    ledger = {("p", str(n)): known(20, 0) for n in range(10)} | {
        ("p", "3"): known(20, 5), ("p", "4"): known(20, 0, environment="other"), ("q", "1"): known(20, 0),
    }  # fmt: skip
    del ledger["p", "5"]
    done = chosen(runs, ledger)
    assert names(done)[:2] == ["p/9", "q/1"]
    assert names(done)[2:5] == ["p/5", "p/3", "p/4"]
    reasons = {one.run.name: one.reasons for one in done.runs if one.run.pipeline == "p"}
    assert (reasons["5"], reasons["3"], reasons["4"]) == ((Reason.NEVER,), (Reason.FLAKY,), (Reason.CHANGED,))


def test_what_is_known_tells_less_and_fades_and_changes() -> None:
    night = NIGHT
    bits = [
        information(Known(), night, "e"), information(known(14, 7), night, "e"),
        information(known(14, 0, environment="o"), night, "e"), information(known(14, 0, ago=60), night, "e"),
        information(known(14, 0), night, "e"), information(known(300, 0), night, "e"),
    ]  # fmt: skip
    assert bits[0] == bits[1] == 1.0
    assert bits[1:] == sorted(bits[1:], reverse=True)
    assert len(set(bits[1:])) == 5


def test_every_run_is_chosen_or_left_out_with_its_reason() -> None:
    runs = [candidate("p", str(n), latest=n == 9, took=None if n == 9 else n) for n in range(10)]
    done = chosen(runs, {("p", "0"): known(9, 0)}, select="never,old", budget=70)
    left = {item.run_id: item.reason for item in done.left_out}
    assert {one.run.name for one in done.runs} | set(left) == {str(n) for n in range(10)}
    assert set(left.values()) <= {"budget", "not-tonight"}
    assert sum(one.estimate_s for one in done.runs) <= 70
    assert names(done)[0] == "p/9"
    only = chosen(runs, {}, select="flaky")
    assert {item.reason for item in only.left_out} == {"not-selected"}


def test_old_runs_come_every_eighth_night_each_on_one_of_its_own_and_with_other_axes() -> None:
    runs = [candidate("p", f"{n:03}") for n in range(80)]
    ledger = {("p", f"{n:03}"): known(20, 0) for n in range(80)}
    nights = [NIGHT + timedelta(days=n) for n in range(56)]
    seen = Counter(name for night in nights for name in names(chosen(runs, ledger, night=night)))
    assert set(seen.values()) == {7}
    assert all(names(chosen(runs, ledger, night=night)) for night in nights[:8])
    days = [night for night in nights if "p/000" in names(chosen(runs, ledger, night=night))]
    assert {axis for night in days for axis in axes_of(night, "week")} == set(AXES)


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1)))
def test_any_seven_nights_vary_every_axis_once(first: date) -> None:
    week = [axis for n in range(7) for axis in axes_of(first + timedelta(days=n), "week")]
    assert sorted(week) == sorted(AXES)


def test_a_strangers_command_is_never_given_the_network() -> None:
    assert "network" in axes_of(NIGHT, "all")
    assert "network" not in axes_of(NIGHT, "all", foreign=True)
    assert axes_of(NIGHT, "none") == ()


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 99), st.floats(0.1, 100)),
        unique_by=lambda x: x[:2],
    ),
    st.integers(1, 6),
)
def test_parts_are_disjoint_whole_and_keep_pipelines_together(
    given_runs: list[tuple[str, int, float]], count: int
) -> None:
    runs = [replace(candidate(name, f"{n:02}"), estimate_s=cost) for name, n, cost in given_runs]
    parts = [Shard(index, count).of(runs) for index in range(1, count + 1)]
    assert sorted(one.name for part in parts for one in part) == sorted(one.name for one in runs)
    homes = Counter(pipeline for part in parts for pipeline in {one.run.pipeline for one in part})
    assert set(homes.values()) <= {1}
    turned = [Shard(index, count).of(runs[::-1]) for index in range(1, count + 1)]
    assert [sorted(one.name for one in part) for part in turned] == [
        sorted(one.name for one in part) for part in parts
    ]


def test_the_same_runs_in_another_order_are_the_same_choice() -> None:
    runs = [candidate(pipeline, str(n), latest=n == 2) for pipeline in "pq" for n in range(3)]
    first, second = chosen(runs, budget=8), chosen(runs[::-1], budget=8)
    assert (first.plan, names(first), first.left_out) == (second.plan, names(second), second.left_out)
    assert first.plan != chosen(runs, budget=9_999).plan


def test_parts_that_would_share_out_the_runs_otherwise_are_of_another_choice() -> None:
    runs = [candidate(pipeline, "1", latest=True) for pipeline in "abc"]
    ledgers = [
        {
            (pipeline, "1"): replace(known(5, 0), seconds=seconds)
            for pipeline, seconds in zip("abc", took, strict=True)
        }
        for took in ((10.0, 6.0, 5.0), (10.0, 20.0, 11.0))
    ]
    first, second = (chosen(runs, ledger) for ledger in ledgers)
    parts = [*Shard(1, 2).of(first.runs), *Shard(2, 2).of(second.runs)]
    assert sorted(one.run.pipeline for one in parts) == ["a", "a", "c"], "b is lost"
    assert first.plan != second.plan


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), (" 1H ", 3600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0h", "2", "2 h", "h", "1d", "-1h", "30m1h", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)
