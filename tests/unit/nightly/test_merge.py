"""Reports of nights that are read back: what is none, or cannot be true, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kfm_repro.errors import Unreadable, UsageError
from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.nightly import Alarm, LeftOut, NightOptions, NightReport, NightRun
from kfm_repro.model.report import ErrorInfo, Report, RunRef, count_verdicts
from kfm_repro.model.verdict import ExitCode, Verdict
from kfm_repro.model.waiver import WaiverState, WaiverUse
from kfm_repro.nightly.choose import plan_digest
from kfm_repro.nightly.merge import merge_nights, read_night
from kfm_repro.nightly.report import night_exit_code, sealed
from kfm_repro.present.night.terminal import render_night

USED = WaiverUse(
    output="a.csv", kind="value", rung="value", count=1, reason="issue 12", expires="2999-12-31", state=WaiverState.USED
)  # fmt: skip
DIFFERS = (Finding(kind=Kind.VALUE, rung=Rung.VALUE),)


def night(verdict: Verdict, output: OutputVerdict, error: Any = msgspec.UNSET) -> NightReport:
    ref = RunRef(run_id="r", pipeline="p")
    findings = DIFFERS if output is OutputVerdict.DIFFERENT else ()
    outputs = (OutputComparison(path="a.csv", verdict=output, findings=findings),)
    waivers = (USED,) if verdict is Verdict.WAIVED else ()
    report = Report(
        command="replay",
        verdict=verdict,
        counts=count_verdicts(outputs),
        run=ref,
        outputs=outputs,
        waivers=waivers,
        error=error,
    )
    return sealed(
        NightReport(
            verdict=verdict, counts={}, verdicts={}, night="2026-02-03", runs=(NightRun(run=ref, report=report),)
        )
    )  # fmt: skip


def written(folder: Path, report: NightReport) -> Path:
    path = folder / "part.json"
    path.write_bytes(msgspec.json.encode(report))
    return path


@pytest.mark.parametrize(
    ("verdict", "output"),
    [
        (Verdict.REPRODUCIBLE, OutputVerdict.IDENTICAL), (Verdict.WAIVED, OutputVerdict.DIFFERENT),
        (Verdict.NOT_REPRODUCIBLE, OutputVerdict.DIFFERENT), (Verdict.UNKNOWN, OutputVerdict.IDENTICAL),
    ],
)  # fmt: skip
def test_what_was_written_comes_back(tmp_path: Path, verdict: Verdict, output: OutputVerdict) -> None:
    report = night(verdict, output)
    assert read_night(written(tmp_path, report)) == report


def test_a_failed_run_comes_back_whatever_it_left(tmp_path: Path) -> None:
    failed = night(Verdict.UNKNOWN, OutputVerdict.DIFFERENT)
    (run,) = failed.runs
    why = ErrorInfo(code="pipeline-failed", message="exit code 1")
    run = msgspec.structs.replace(run, report=msgspec.structs.replace(run.report, error=why))
    report = msgspec.structs.replace(failed, runs=(run,))
    assert read_night(written(tmp_path, report)) == report


def test_a_verdict_that_is_better_than_its_outputs_is_refused(tmp_path: Path) -> None:
    for verdict, output in (
        (Verdict.REPRODUCIBLE, OutputVerdict.DIFFERENT), (Verdict.REPRODUCIBLE, OutputVerdict.UNKNOWN),
        (Verdict.EQUIVALENT, OutputVerdict.DIFFERENT), (Verdict.REPRODUCIBLE, OutputVerdict.EQUIVALENT),
        (Verdict.UNKNOWN, OutputVerdict.DIFFERENT),
    ):  # fmt: skip
        with pytest.raises(Unreadable, match="contradicts itself: p/r"):
            read_night(written(tmp_path, night(verdict, output)))


def test_another_schema_is_refused(tmp_path: Path) -> None:
    report = night(Verdict.REPRODUCIBLE, OutputVerdict.IDENTICAL)
    later = msgspec.structs.replace(report, schema="kfm-repro.report/2")
    with pytest.raises(Unreadable, match="report/2"):
        read_night(written(tmp_path, later))


def test_an_error_without_a_message_is_shown_as_one() -> None:
    report = night(Verdict.UNKNOWN, OutputVerdict.UNKNOWN, ErrorInfo(code="x", message="", hint=""))
    assert "nothing was compared this night; replayed: 1 run." in render_night(report)


def test_waived_without_a_waiver_and_regressed_without_an_alarm_are_refused(tmp_path: Path) -> None:
    waived = night(Verdict.WAIVED, OutputVerdict.DIFFERENT)
    (run,) = waived.runs
    bare = msgspec.structs.replace(run, report=msgspec.structs.replace(run.report, waivers=()))
    with pytest.raises(Unreadable, match="contradicts itself: p/r"):
        read_night(written(tmp_path, msgspec.structs.replace(waived, runs=(bare,))))
    for status in ("regression", "regressed"):
        report = night(Verdict.NOT_REPRODUCIBLE, OutputVerdict.DIFFERENT)
        silent = msgspec.structs.replace(report.runs[0], status={"a.csv": status})
        with pytest.raises(Unreadable, match="of p has regressed"):
            read_night(written(tmp_path, msgspec.structs.replace(report, runs=(silent,))))


OPTIONS = NightOptions(accept="identical", isolation="auto", settings="1", ledger="1", version="1")


def parts(count: int = 3) -> list[NightReport]:
    """Return a night of two runs and one whose turn did not come, in parts of one each."""
    shares: list[dict[str, Any]] = [{"runs": (named("a", 1.0),)}, {"runs": (named("b", 2.0),)}]
    late = LeftOut(run_id="r", pipeline="c", reason="budget", detail="too late", estimate_s=3.0)
    shares.append({"left_out": (late,)})
    plan = plan_digest("2026-02-03", [("a", "r", 1.0), ("b", "r", 2.0), ("c", "r", 3.0)])
    base = {"night": "2026-02-03", "plan": plan, "options": OPTIONS, "budget_s": 60.0, "vary": ("clock",)}
    return [
        sealed(
            NightReport(
                verdict=Verdict.UNKNOWN, counts={}, verdicts={}, shard=f"{index}/{count}", **base, **share
            )
        )
        for index, share in enumerate(shares, 1)
    ]  # fmt: skip


def named(pipeline: str, estimate_s: float) -> NightRun:
    (run,) = night(Verdict.REPRODUCIBLE, OutputVerdict.IDENTICAL).runs
    ref = RunRef(run_id="r", pipeline=pipeline)
    report = msgspec.structs.replace(run.report, run=ref)
    return msgspec.structs.replace(run, run=ref, estimate_s=estimate_s, report=report)


def test_parts_of_one_night_become_one_in_whatever_order() -> None:
    whole = merge_nights(parts())
    assert [run.run.pipeline for run in whole.runs] == ["a", "b"]
    assert [item.pipeline for item in whole.left_out] == ["c"]
    assert (whole.verdict, whole.shard) == (Verdict.REPRODUCIBLE, "")
    assert merge_nights(parts()[::-1]) == whole


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("accept", "equivalent", "--accept is not the same (identical; equivalent)"),
        ("isolation", "none", "--isolation is not the same (auto; none)"),
        ("trust", True, "--trust is not the same (False; True)"),
        ("timeout_s", 9.0, "--timeout is not the same (not given; 9.0)"),
        ("vary", "none", "--vary is not"), ("select", ("latest",), "--select is not"),
        ("pipelines", ("a*",), "--pipeline is not"), ("jobs", 2, "--jobs is not"),
        ("settings", "2", "the settings (with the waivers) is not"), ("ledger", "2", "the ledger of the nights"),
        ("version", "2", "the version of kfm-repro"),
    ],
)  # fmt: skip
def test_parts_that_were_done_in_another_way_are_refused(field: str, value: Any, said: str) -> None:
    first, *others, last = parts()
    other = msgspec.structs.replace(last, options=msgspec.structs.replace(OPTIONS, **{field: value}))
    with pytest.raises(UsageError) as refused:
        merge_nights([first, *others, other])
    assert said in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("night", "2026-02-04", "--night"), ("budget_s", 61.0, "--budget"), ("vary", (), "axes"),
        ("plan", "other", "runs that were chosen"), ("options", msgspec.UNSET, "version"),
    ],
)  # fmt: skip
def test_parts_of_another_night_or_choice_are_refused(field: str, value: Any, said: str) -> None:
    first, *others = parts()
    with pytest.raises(UsageError, match=said):
        merge_nights([msgspec.structs.replace(first, **{field: value}), *others])


def test_a_regression_of_which_every_part_speaks_is_one_and_is_the_verdict() -> None:
    alarm = Alarm(kind="regression", message="d.csv: not reproducible since", pipeline="d", output="d.csv")
    told = [sealed(msgspec.structs.replace(part, alarms=(alarm,))) for part in parts()]
    whole = merge_nights(told)
    assert (whole.alarms, whole.verdict) == ((alarm,), Verdict.NOT_REPRODUCIBLE)
    assert night_exit_code(whole) is ExitCode.DIFFERS
    assert night_exit_code(told[2]) is ExitCode.NO_VERDICT, "a part in which nothing was compared"


def test_parts_that_do_not_make_up_one_whole_are_refused() -> None:
    one, two, three = parts()
    without = msgspec.structs.replace(one, runs=())
    again = msgspec.structs.replace(two, runs=(*two.runs, *one.runs))
    another = msgspec.structs.replace(one, runs=(named("d", 1.0),))
    forgotten = msgspec.structs.replace(three, left_out=())
    of_two = msgspec.structs.replace(two, shard="2/2")
    for given, said in (
        ([one, two], "missing 3/3"), ([one, two, three, three], "part 3/3 is there twice"),
        ([one, of_two, three], "not the 3 parts"), ([without, two, three], "do not make up one night"),
        ([one, again, three], "replayed the same run: a/r"), ([another, two, three], "do not make up one night"),
        ([one, two, forgotten], "do not make up one night"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            merge_nights(given)


def test_what_a_part_could_not_remember_is_said_and_fails_that_part() -> None:
    error = ErrorInfo(
        code="not-writable", message="this night is not remembered: disk full", hint="make room"
    )
    first, *others = parts()
    full = sealed(first, error)
    assert (full.verdict, night_exit_code(full)) == (Verdict.UNKNOWN, ExitCode.NO_VERDICT)
    assert "UNKNOWN: 1 reproducible; this night" in render_night(full, color=False, quiet=True)
    assert merge_nights([full, *others]).notes == ("part 1/3: this night is not remembered: disk full",)
    differs = night(Verdict.NOT_REPRODUCIBLE, OutputVerdict.DIFFERENT)
    assert night_exit_code(sealed(differs, error)) is ExitCode.DIFFERS
