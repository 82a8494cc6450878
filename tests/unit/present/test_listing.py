"""Runs as a table: one line each, the number of them last."""

from __future__ import annotations

from kfm_repro.model.listing import ListedRun, ListReport
from kfm_repro.model.run import RunState
from kfm_repro.present.listing import render_listing, seconds_text

RUNS = (
    ListedRun(run_id="01K9A", pipeline="census", state=RunState.SUCCESS, started_at="2026-02-03T21:14:08.000Z",
              duration_s=276.0),
    ListedRun(run_id="01K9BLONGER", pipeline="a\x1b[31m", state=RunState.ABORTED, reason="its process\x07\nis gone",
              partial=True, replay_of="01K9A"),
)  # fmt: skip
REPORT = ListReport(total=5, counts={"success": 1, "aborted": 1, "failed": 0}, runs=RUNS)


def test_every_run_is_one_line_in_columns_and_the_last_line_counts_them() -> None:
    remark = "replay of 01K9A; partial: no run.yaml; its process\\x07"
    assert render_listing(REPORT, "data/work/runs").splitlines() == [
        "started (UTC)        pipeline   run          state    took",
        "2026-02-03 21:14:08  census     01K9A        success  4 min 36 s",
        f"unknown              a\\x1b[31m  01K9BLONGER  aborted              {remark}",
        "2 of 5 runs: 1 success, 1 aborted",
    ]


def test_quiet_leaves_the_last_line() -> None:
    assert render_listing(REPORT, "runs", quiet=True) == "2 of 5 runs: 1 success, 1 aborted\n"


def test_nothing_found_says_whether_there_is_nothing_or_nothing_that_fits() -> None:
    assert render_listing(ListReport(total=0, counts={}), "my/runs") == "no runs under my/runs\n"
    assert render_listing(ListReport(total=3, counts={}), "my/runs") == "none of 3 runs fits\n"


def test_colours_change_no_text() -> None:
    import re

    coloured = render_listing(REPORT, "runs", color=True)
    assert "\x1b[32msuccess" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == render_listing(REPORT, "runs")


def test_durations_are_read_as_people_say_them() -> None:
    assert [seconds_text(s) for s in (None, 0.04, 59.94, 60, 3599, 3600, 90_061)] == [
        "", "0.0 s", "59.9 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "25 h 01 min",
    ]  # fmt: skip
