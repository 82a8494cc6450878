"""Runs in brief, found by the layout of their folders, and the filters of ``kfm-repro list``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache

import msgspec

from kfm_repro.errors import RunNotFound, UsageError
from kfm_repro.model.listing import ListedRun, ListReport
from kfm_repro.model.run import RunState
from kfm_repro.runs.discover import Survey, survey_runs
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact
from kfm_repro.runs.summary import spell, summarise

__all__ = ["Filter", "check_pipeline", "list_runs", "parse_when", "unread_notes"]

_AGE = re.compile(r"(\d{1,6})(m|h|d|w)\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")
_SHOWN = 8


@dataclass(frozen=True)
class Filter:
    """Which runs to list. ``replays``: only replays, only originals, or (None) both. Times are inclusive."""

    pipeline: str = ""
    state: RunState | None = None
    since: datetime | None = None
    until: datetime | None = None
    replays: bool | None = None


def parse_when(text: str, *, now: datetime, end: bool = False) -> datetime:
    """Return the moment that a user means by an ISO date or time (UTC unless it says otherwise) or an age: ``7d``.

    A date alone is its first moment, or its last with ``end``. Raises UsageError.
    """
    age = _AGE.match(text.strip())
    try:
        if age:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(text.strip())
        if end and _DAY.match(text.strip()):
            moment += timedelta(days=1) - timedelta(milliseconds=1)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise UsageError(
            f"not a time: {text[:80]!r}",
            hint="write 2026-02-03, 2026-02-03T21:14:08Z, or an age: 30m, 12h, 7d, 2w",
        ) from exc


def list_runs(project: Project, wanted: Filter) -> ListReport:
    """Return the runs that fit, by start and then by id; no run.yaml is opened where status.json says enough.

    Raises RunNotFound for a pipeline that is not there, UsageError for a time span that ends before it begins.
    """
    if wanted.since and wanted.until and wanted.since > wanted.until:
        raise UsageError(
            f"the span ends before it begins: {spell(wanted.since)} to {spell(wanted.until)}",
            hint="exchange --since and --until",
        )
    survey = survey_runs(project.runs, pipeline=wanted.pipeline)
    if wanted.pipeline and not survey.runs:
        check_pipeline(project, wanted.pipeline)
    base = project.relative(project.runs)
    known = (
        summarise(item.run, item.files, path=f"{base}/{item.run.pipeline}/{item.run.name}")
        for item in survey.runs
    )
    fitting = [run for run in known if _fits(run, wanted)]
    undated = sum(run.started_at is None for run in fitting)
    if wanted.since or wanted.until:
        fitting = [run for run in fitting if _in_span(run, wanted)]
    else:
        undated = 0
    fitting.sort(key=lambda run: (run.started_at or "", run.run_id, run.pipeline))
    fitting = [_clean(run) for run in fitting]
    counts = {str(state): 0 for state in RunState}
    for run in fitting:
        counts[run.state] += 1
    return ListReport(
        total=len(survey.runs),
        counts=counts,
        runs=tuple(fitting),
        notes=tuple(_notes(project, survey, undated)),
    )


def _clean(run: ListedRun) -> ListedRun:
    """Return the run without secrets in its reason. Most have none, and the detectors take long to load."""
    return msgspec.structs.replace(run, reason=_clean_text(run.reason)) if run.reason else run


@lru_cache(maxsize=1_024)
def _clean_text(text: str) -> str:
    # Thousands of runs may have ended for the same reason.
    return redact(text)


def _fits(run: ListedRun, wanted: Filter) -> bool:
    if wanted.state is not None and run.state is not wanted.state:
        return False
    return wanted.replays is None or wanted.replays == (run.replay_of is not None)


def _in_span(run: ListedRun, wanted: Filter) -> bool:
    if run.started_at is None:
        return False
    since, until = spell(wanted.since), spell(wanted.until)
    return (since is None or run.started_at >= since) and (until is None or run.started_at <= until)


def check_pipeline(project: Project, pipeline: str) -> None:
    """Refuse a pipeline that has no runs. Raises RunNotFound with the names that are there."""
    names = sorted({item.run.pipeline for item in survey_runs(project.runs).runs})
    if pipeline in names:
        return
    near = get_close_matches(pipeline, names, n=3)
    listed = ", ".join(near or names[:_SHOWN])
    hint = f"{'did you mean' if near else 'pipelines here:'} {listed}{'?' if near else ''}"
    raise RunNotFound(
        f"no runs of a pipeline {pipeline!r} under {project.relative(project.runs)}",
        hint=hint if names else "record a run first",
    )


def unread_notes(project: Project, survey: Survey) -> Iterator[str]:
    """Yield what looks like a run and cannot be read as one, with the reason."""
    for path, reason in survey.unusable[:_SHOWN]:
        yield f"{project.relative(path)!r} is not read: {reason}"
    if len(survey.unusable) > _SHOWN:
        yield f"{len(survey.unusable) - _SHOWN} more folders are not read"


def _notes(project: Project, survey: Survey, undated: int) -> Iterator[str]:
    nearby = project.root / "runs"
    foreign = survey.foreign + (survey_runs(nearby).foreign if nearby != project.runs else ())
    if foreign:
        names = [project.relative(path) for path in foreign]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"not this layout (manifest.yml, no run.yaml), not read: {', '.join(names[:_SHOWN])}{more}"
    yield from unread_notes(project, survey)
    if undated:
        yield f"{undated} run{'s' if undated != 1 else ''} without a known start left out by the time filter"
