"""A night as annotations of GitHub Actions: its alarms, then the runs that fail it; at most ten."""

from __future__ import annotations

from collections.abc import Iterator

from kfm_repro.model.nightly import NightReport, NightRun
from kfm_repro.model.report import ErrorInfo
from kfm_repro.present.github import MAX_ANNOTATIONS, annotation
from kfm_repro.present.night.words import (
    TITLES,
    passes,
    run_name,
    sentence,
    told_alarm,
    told_outputs,
    worst_first,
)
from kfm_repro.present.visible import visible

__all__ = ["render_night_github"]

_OUTPUTS = 5


def render_night_github(report: NightReport) -> str:
    """Return one workflow command for each alarm and each run that fails the night; empty when all is well."""
    lines = [*_whole(report), *_alarms(report)]
    lines += [_run(run) for run in worst_first(report) if not passes(run)]
    if len(lines) > MAX_ANNOTATIONS:
        shown = MAX_ANNOTATIONS - 1
        more = f"{len(lines) - shown} more alarms and runs that do not pass: the report has them all"
        lines = [*lines[:shown], annotation("warning", "kfm-repro nightly", more)]
    return "".join(f"{line}\n" for line in lines)


def _whole(report: NightReport) -> Iterator[str]:
    if isinstance(report.error, ErrorInfo):
        hint = visible(report.error.hint, 500)
        told = " ".join(filter(None, (sentence(report), hint)))
        yield annotation("error", "kfm-repro nightly: unknown", told)


def _alarms(report: NightReport) -> Iterator[str]:
    for alarm in report.alarms:
        title = f"{TITLES.get(alarm.kind, visible(alarm.kind))}: {visible(alarm.output, 200)}"
        yield annotation("error", title, told_alarm(alarm))


def _run(run: NightRun) -> str:
    told = [
        ": ".join(filter(None, (visible(path, 200), status, kinds)))
        for path, status, kinds in told_outputs(run)
    ]
    if isinstance(run.report.error, ErrorInfo):
        told.insert(0, visible(run.report.error.message.partition("\n")[0], 500))
    if len(told) > _OUTPUTS:
        told[_OUTPUTS:] = [f"{len(told) - _OUTPUTS} more outputs"]
    level = "error" if run.report.verdict == "not-reproducible" else "warning"
    return annotation(level, f"{run.report.verdict}: {run_name(run)}", "\n".join(told))
