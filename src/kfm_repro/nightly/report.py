"""The report of a night, from its runs and what was known before: the same whoever replayed them, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.model.finding import OutputVerdict
from kfm_repro.model.nightly import Alarm, Aspect, LedgerTrial, LeftOut, NightReport, NightRun
from kfm_repro.model.report import ErrorInfo, count_verdicts
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code, worst_exit_code, worst_verdict
from kfm_repro.model.waiver import Waiver, WaiverState, WaiverUse, merge_uses, use_of
from kfm_repro.nightly.agreed import options_of
from kfm_repro.nightly.choose import Candidate, Chosen, is_named
from kfm_repro.nightly.history import History
from kfm_repro.nightly.regression import Seen, State, Status
from kfm_repro.nightly.week import axes_of
from kfm_repro.runs.project import Project

if TYPE_CHECKING:
    from kfm_repro.nightly.night import Night

__all__ = ["NOTHING_COMPARED", "night_exit_code", "night_report", "sealed", "waiver_alarms"]

_SHORT, _NAMED = 7, 5
NOTHING_COMPARED = "nothing-compared"
_NOTHING_KNOWN = (
    "the ledger knows no night before this one: a regression cannot be told from what never was the same"
)


def night_report(
    project: Project,
    night: Night,
    candidates: Sequence[Candidate],
    chosen: Chosen,
    runs: Sequence[NightRun],
    late: Sequence[LeftOut],
    history: Sequence[LedgerTrial],
    notes: tuple[str, ...] = (),
) -> NightReport:
    """Return the report; ``late`` are runs whose turn did not come, ``history`` the trials of the nights before."""
    known = History.of(history)
    told, alarms = _judged(night.day, runs, known)
    elsewhere = {one.run.pipeline for one in chosen.runs}
    elsewhere -= {one.run.pipeline for one in night.shard.of(chosen.runs)}
    newest = _newest(candidates, chosen.left_out)
    mine = {pipeline: run for pipeline, run in newest.items() if pipeline not in elsewhere}
    alarms = tuple(
        sorted((*alarms, *_standing(known, mine, alarms)), key=lambda one: (one.pipeline, one.output))
    )
    uses = _uses(project.settings.waivers, told, night.day)
    left = sorted((*chosen.left_out, *late), key=lambda item: (item.pipeline, item.run_id))
    return sealed(
        NightReport(
            verdict=Verdict.UNKNOWN,
            counts={},
            verdicts={},
            night=night.day.isoformat(),
            vary=axes_of(night.day, night.vary),
            budget_s=night.budget_s,
            options=options_of(night, project.settings, history),
            shard=str(night.shard),
            plan=chosen.plan,
            runs=told,
            left_out=tuple(left),
            alarms=alarms,
            waivers=uses,
            notes=(*notes, *_notes(history, newest, night)),
        )
    )


def _notes(history: Sequence[LedgerTrial], newest: Mapping[str, object], night: Night) -> Iterator[str]:
    """Yield what the ledger says of this night as a whole: that it says nothing, and which pipelines have gone."""
    if not history:
        yield _NOTHING_KNOWN
    known = {item.pipeline for item in history if is_named(item.pipeline, night.pipelines)}
    if gone := sorted(known - newest.keys()):
        named = ", ".join(gone[:_NAMED]) + f" and {len(gone) - _NAMED} more" * (len(gone) > _NAMED)
        yield f"replayed on nights before, and no run of it is there any more: {named}"


def sealed(report: NightReport, error: ErrorInfo | msgspec.UnsetType = msgspec.UNSET) -> NightReport:
    """Return the report with what follows from its runs, alarms and waivers: verdict, counts, alarms of waivers.

    ``error`` is what went wrong with the night as a whole: it is no better than unknown then.
    """
    regressions = tuple(alarm for alarm in report.alarms if alarm.kind == Status.REGRESSION)
    outputs = [output for run in report.runs for output in run.report.outputs]
    verdicts = [run.report.verdict for run in report.runs]
    worst = [*verdicts, *([Verdict.NOT_REPRODUCIBLE] if regressions else [])]
    worst += [Verdict.UNKNOWN] * isinstance(error, ErrorInfo)
    compared = any(output.verdict is not OutputVerdict.UNKNOWN for output in outputs)
    return msgspec.structs.replace(
        report,
        verdict=worst_verdict(worst) if compared else Verdict.UNKNOWN,
        counts=count_verdicts(outputs),
        verdicts={str(verdict): verdicts.count(verdict) for verdict in Verdict},
        alarms=(*regressions, *waiver_alarms(report.waivers)),
        error=error if compared else _nothing(report),
    )


def night_exit_code(report: NightReport) -> ExitCode:
    """Return 2 when nothing was compared, 1 when a run differs or there is an alarm, else 2 when one has no verdict.

    A night that could not be remembered has no verdict either, if it found nothing.
    """
    failed = isinstance(report.error, ErrorInfo)
    if isinstance(report.error, ErrorInfo) and report.error.code == NOTHING_COMPARED:
        return ExitCode.NO_VERDICT
    codes = [exit_code(run.report.verdict, run.report.outputs) for run in report.runs]
    codes += [ExitCode.DIFFERS] * bool(report.alarms) + [ExitCode.NO_VERDICT] * failed
    return worst_exit_code(codes)


def waiver_alarms(uses: Iterable[WaiverUse]) -> Iterator[Alarm]:
    """Yield what is wrong with waivers."""
    for use in uses:
        place = ", ".join(f"{name} {value}" for name, value in sorted(use.where.items()))
        what = f"{use.kind} in {use.output}" + (f" ({place})" if place else "")
        if use.state is WaiverState.EXPIRED:
            text = f"the waiver of {what} expired on {use.expires}"
        elif use.state is WaiverState.OUTGROWN:
            text = f"the waiver of {what} was given for {use.count}, rung {use.rung}: now there is more ({use.found})"
        elif use.state is WaiverState.UNMATCHED and not use.sometimes:
            text = f"the waiver of {what} covers nothing any more: take it away"
        else:
            continue
        yield Alarm(kind=f"waiver-{use.state}", message=text, output=use.output)


def _judged(
    day: date, runs: Sequence[NightRun], history: History
) -> tuple[tuple[NightRun, ...], tuple[Alarm, ...]]:
    """Return the runs with what each output means now, and an alarm for each that has regressed tonight or before."""
    told, alarms = [], dict[tuple[str, str], Alarm]()
    for run in runs:
        ref = run.run
        seen = Seen(
            day.isoformat(), ref.run_id, run.started_at, ref.git_commit or "", run.trials[0].environment
        )
        said = history.take(ref.pipeline, seen, run.trials)
        mentioned = {output.path for output in run.report.outputs}
        status = {path: str(what) for path, (_, what) in said.items() if path in mentioned}
        told.append(msgspec.structs.replace(run, status=status))
        for path, (before, what) in said.items():
            if what in (Status.REGRESSION, Status.REGRESSED) and (ref.pipeline, path) not in alarms:
                alarms[ref.pipeline, path] = _regression(run, path, before, seen)
    return tuple(told), tuple(alarms[key] for key in sorted(alarms))


def _newest(candidates: Iterable[Candidate], left_out: Iterable[LeftOut]) -> dict[str, tuple[str, str]]:
    """Return by pipeline which of its runs is the newest baseline; nothing as old where none can be one."""
    newest = {item.pipeline: ("", "") for item in left_out}
    for one in candidates:
        newest[one.run.pipeline] = max(newest.get(one.run.pipeline, ("", "")), (one.started, one.run.name))
    return newest


def _standing(
    known: History, newest: Mapping[str, tuple[str, str]], raised: Sequence[Alarm]
) -> Iterator[Alarm]:
    """Yield an alarm for each output that has regressed, and that no run of tonight spoke of.

    That the run is gone, or can be read no more, since which it is not reproducible says nothing of it: only a run at
    least as new could. Of a pipeline without any run nobody can speak.
    """
    spoken = {(alarm.pipeline, alarm.output) for alarm in raised}
    for pipeline, path, state, since in known.regressed():
        if (pipeline, path) in spoken or pipeline not in newest:
            continue
        there = newest[pipeline] >= since.recorded
        told = (
            "no run as new as that told otherwise this night"
            if there
            else "no run as new as that is there: record one"
        )
        yield Alarm(
            kind=str(Status.REGRESSION),
            message=f"{path}: not reproducible since {_what_changed(state, since)}, and {told}",
            pipeline=pipeline,
            output=path,
            run_id=since.run_id,
            commit=since.commit,
            clean_nights=state.nights,
        )


def _regression(run: NightRun, path: str, before: State, seen: Seen) -> Alarm:
    since = before.regressed or seen
    nights = f"{before.nights} night{'s' * (before.nights != 1)} ({before.clean} replays)"
    return Alarm(
        kind=str(Status.REGRESSION),
        message=f"{path}: reproducible for {nights}, not since {_what_changed(before, since)}",
        pipeline=run.run.pipeline,
        output=path,
        run_id=since.run_id,
        commit=since.commit,
        clean_nights=before.nights,
        aspects=_aspects(run, path),
    )


def _what_changed(before: State, since: Seen) -> str:
    """Say with what it stopped: another commit, another environment, or nothing that is recorded."""
    last = before.last_clean
    if last is None or last.commit != since.commit:
        return f"commit {since.commit[:_SHORT] or 'unknown'} (run {since.run_id})"
    if last.environment != since.environment:
        return f"the environment changed (night {since.night}, commit {since.commit[:_SHORT] or 'unknown'})"
    return f"night {since.night}, with the same commit {since.commit[:_SHORT]} and the same environment"


def _aspects(run: NightRun, path: str) -> tuple[Aspect, ...]:
    found = {
        (aspect.where, aspect.kind, aspect.rung): aspect
        for trial in run.trials
        for outcome in trial.outcomes
        if outcome.path == path and outcome.differed
        for aspect in outcome.aspects
    }
    return tuple(found[key] for key in sorted(found))


def _uses(waivers: Sequence[Waiver], runs: Sequence[NightRun], day: date) -> tuple[WaiverUse, ...]:
    """Return what became of every waiver of the settings tonight."""
    idle = [
        use_of(item, WaiverState.EXPIRED if day > item.expires else WaiverState.NOT_CHECKED)
        for item in waivers
    ]
    return merge_uses([idle, *(run.report.waivers for run in runs)])


def _nothing(report: NightReport) -> ErrorInfo:
    left = f"; left out: {_runs(len(report.left_out))}" if report.left_out else ""
    return ErrorInfo(
        code=NOTHING_COMPARED,
        message=f"nothing was compared this night; replayed: {_runs(len(report.runs))}{left}",
        hint="see the reason of each run; record runs, raise --budget, or select more with --select all",
    )


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"
