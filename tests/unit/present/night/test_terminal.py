"""A night and a ledger as text: what matters is there, and nothing of a record reaches the terminal raw."""

from __future__ import annotations

import msgspec
from night_reports import ALARM, LEFT, night, run

from kfm_repro.model.nightly import Alarm, LedgerEntry, LedgerReport, LeftOut
from kfm_repro.model.verdict import Verdict
from kfm_repro.model.waiver import WaiverState, WaiverUse
from kfm_repro.nightly.export import posterior
from kfm_repro.present.night.terminal import render_ledger, render_night

ESCAPE = "\x1b[31mred\nnext"


def test_what_differs_and_why_runs_were_left_out_is_there_and_the_verdict_is_last() -> None:
    text = render_night(
        night(run(Verdict.NOT_REPRODUCIBLE), run(Verdict.REPRODUCIBLE, "s"), alarms=(ALARM,), left=(LEFT,))
    )
    assert "flaky      p.csv   value" in text
    assert "ALARM  p: p.csv: reproducible for 14 nights, not since commit abc" in text
    assert "left out: 1 run, budget   q/x: it takes long" in text
    assert text.splitlines()[-1] == "NOT REPRODUCIBLE: 1 reproducible, 1 not-reproducible.  1 alarm."
    quiet = render_night(night(run(Verdict.NOT_REPRODUCIBLE), alarms=(ALARM,)), quiet=True)
    assert [line[:9] for line in quiet.splitlines() if line] == ["  ALARM  ", "NOT REPRO"]


def test_nothing_raw_reaches_the_terminal() -> None:
    hostile = night(
        run(Verdict.UNKNOWN, ESCAPE, error=ESCAPE), run(Verdict.NOT_REPRODUCIBLE, ESCAPE),
        alarms=(Alarm(kind="regression", message=ESCAPE, pipeline=ESCAPE),),
        left=(LeftOut(run_id=ESCAPE, pipeline=ESCAPE, reason="no-baseline", detail=ESCAPE),),
    )  # fmt: skip
    mean, bounds = posterior(1, 1)
    entry = LedgerEntry(pipeline=ESCAPE, path=ESCAPE, n=1, k=1, mean=mean, reproducible=bounds, status=ESCAPE)
    for text in (render_night(hostile), render_ledger(LedgerReport(entries=(entry,), trials=()))):
        assert "\x1b" not in text
        assert "\nnext" not in text


def test_a_waiver_that_no_replay_could_check_is_shown_since_its_path_may_be_misspelt() -> None:
    use = WaiverUse(
        output="data/sumary.csv" + ESCAPE, kind="timestamp", rung="value", count=3, reason="issue 12",
        expires="2999-12-31", state=WaiverState.NOT_CHECKED,
    )  # fmt: skip
    report = night(run(Verdict.REPRODUCIBLE))
    text = render_night(msgspec.structs.replace(report, waivers=(use,)))
    assert "waiver not checked: data/sumary.csv" in text
    assert "\x1b[31m" not in text
    used = msgspec.structs.replace(use, state=WaiverState.USED)
    assert "not checked" not in render_night(msgspec.structs.replace(report, waivers=(used,)))
