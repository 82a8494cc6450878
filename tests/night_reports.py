"""Reports of nights made by hand: of any runs, one that has everything, and a hostile one."""

from __future__ import annotations

import msgspec
from reports import HOSTILE, hostile_report

from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.nightly import Alarm, LeftOut, NightReport, NightRun, Trial
from kfm_repro.model.report import ErrorInfo, Report, RunRef, count_verdicts
from kfm_repro.model.verdict import Verdict
from kfm_repro.model.waiver import WaiverState, WaiverUse
from kfm_repro.nightly.report import sealed

ALARM = Alarm(
    kind="regression", message="p.csv: reproducible for 14 nights, not since commit abc", pipeline="p", output="p.csv"
)  # fmt: skip
LEFT = LeftOut(run_id="x", pipeline="q", reason="budget", detail="it takes long")
USED = WaiverUse(
    output="w.csv", kind="value", rung="value", count=1, reason="issue 12", expires="2999-12-31", state=WaiverState.USED
)  # fmt: skip


def run(verdict: Verdict, name: str = "p", *, error: str = "") -> NightRun:
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE)
    outputs = (
        (OutputComparison(path=f"{name}.csv", verdict=OutputVerdict.DIFFERENT, findings=(finding,)),)
        if verdict is Verdict.NOT_REPRODUCIBLE
        else (OutputComparison(path=f"{name}.csv", verdict=OutputVerdict.IDENTICAL),)
    )
    reason = {"error": ErrorInfo(code="pipeline-failed", message=error)} if error else {}
    report = Report(
        command="replay", verdict=verdict, counts=count_verdicts(outputs), outputs=() if error else outputs, **reason
    )  # fmt: skip
    return NightRun(
        run=RunRef(run_id="r", pipeline=name), reasons=("latest",), status={f"{name}.csv": "flaky"},
        trials=(Trial(replay_id="t", ordinal=0, verdict=verdict),), report=report,
    )  # fmt: skip


def night(*runs: NightRun, alarms: tuple[Alarm, ...] = (), left: tuple[LeftOut, ...] = ()) -> NightReport:
    return sealed(
        NightReport(
            verdict=Verdict.UNKNOWN, counts={}, verdicts={}, night="2026-02-03", runs=runs, alarms=alarms, left_out=left
        )
    )  # fmt: skip


def hostile_night() -> NightReport:
    """Return a night in which every name and text is hostile."""
    report = hostile_report()
    ref = report.run
    assert not isinstance(ref, msgspec.UnsetType)
    runs = tuple(
        NightRun(
            run=ref, started_at=text, reasons=(text,), status={text: text, report.outputs[0].path: text}, report=report,
            trials=(Trial(replay_id=text, ordinal=0, axes=(text,), verdict=Verdict.UNKNOWN),),
        )
        for text in HOSTILE
    )  # fmt: skip
    alarms = tuple(
        Alarm(kind="regression", message=t, pipeline=t, output=t, run_id=t, commit=t) for t in HOSTILE
    )
    left = tuple(LeftOut(run_id=t, pipeline=t, reason=t, detail=t) for t in HOSTILE)
    return NightReport(
        verdict=Verdict.NOT_REPRODUCIBLE, counts={}, verdicts={"unknown": 3}, night=HOSTILE[1], vary=HOSTILE, runs=runs,
        alarms=alarms, left_out=left, waivers=report.waivers, notes=HOSTILE,
        error=ErrorInfo(code=HOSTILE[1], message="\n".join(HOSTILE), hint=HOSTILE[1]),
    )  # fmt: skip


def mixed_night() -> NightReport:
    return night(
        run(Verdict.NOT_REPRODUCIBLE), run(Verdict.REPRODUCIBLE, "s"), waived(), alarms=(ALARM,), left=(LEFT,),
    )  # fmt: skip


def waived() -> NightRun:
    one = run(Verdict.NOT_REPRODUCIBLE, "w")
    report = msgspec.structs.replace(one.report, verdict=Verdict.WAIVED, waivers=(USED,))
    return msgspec.structs.replace(one, status={"w.csv": "clean"}, report=report)
