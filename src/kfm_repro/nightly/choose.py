"""What to replay tonight: the runs whose replay tells most, as far as the budget goes, and why the others are left out.

How much a replay tells is the entropy of what is known of its outcome, in bits: of a run that nobody replayed
everything is open (1 bit), one that reproduced on many nights hardly surprises, one that is flaky always does. What
is known fades with the nights since, and counts a tenth where the environment has changed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from fnmatch import fnmatch

from kfm_repro.errors import KfmReproError, UsageError
from kfm_repro.execute.environment import choose_interpreter
from kfm_repro.model.nightly import LeftOut
from kfm_repro.nightly.machine import environment_key
from kfm_repro.runs.discover import survey_runs
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_run
from kfm_repro.runs.summary import is_original, summarise
from kfm_repro.runs.trust import is_foreign

__all__ = [
    "Candidate",
    "Chosen",
    "Known",
    "Reason",
    "choose",
    "find_candidates",
    "information",
    "is_named",
    "parse_select",
    "plan_digest",
]

_FADES = 0.97
"""What one night leaves of what was known: half of it after 23 nights."""
_CHANGED = 0.1
_UNKNOWN_S = 60.0
_OVERHEAD_S = 1.0
_OLD_EVERY = 8
"""An old run that is known comes every eighth night: not always on the same day of the week, with the same axes."""


class Reason(StrEnum):
    """Why a run is worth a replay."""

    LATEST = "latest"
    CHANGED = "changed"
    FLAKY = "flaky"
    NEVER = "never"
    OLD = "old"


@dataclass(frozen=True)
class Known:
    """What the ledger knows of one run: trials with a verdict, how many differed, the last of them."""

    trials: int = 0
    differed: int = 0
    night: date | None = None
    environment: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """A run that can be a baseline. ``latest`` is the newest success of its pipeline."""

    run: RunDir
    started: str
    commit: str
    latest: bool
    foreign: bool
    recorded_s: float | None
    environment: str
    reasons: tuple[Reason, ...] = ()
    bits: float = 0.0
    estimate_s: float = 0.0

    @property
    def name(self) -> tuple[str, str, str]:
        """By what runs are sorted in a report."""
        return self.run.pipeline, self.started, self.run.name


@dataclass(frozen=True)
class Chosen:
    """The runs of a night, those that tell most first, and those that are left out, sorted by name."""

    runs: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    plan: str = field(default="")


def parse_select(text: str) -> frozenset[Reason]:
    """Return the reasons in a list such as ``latest,flaky``; ``all`` is every one. Raises UsageError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return frozenset(Reason)
    known = {str(reason) for reason in Reason}
    if not words or (unknown := [word for word in words if word not in known]):
        raise UsageError(
            f"--select knows no {unknown[0]!r}" if words else "--select names nothing",
            hint=f"all, or some of {', '.join(Reason)}",
        )
    return frozenset(map(Reason, words))


def information(known: Known, night: date, environment: str) -> float:
    """Return how many bits the outcome of a replay is expected to tell."""
    if known.night is None:
        return 1.0
    weight = _FADES ** max(0, (night - known.night).days)
    if known.environment != environment:
        weight *= _CHANGED
    good, bad = 0.5 + weight * (known.trials - known.differed), 0.5 + weight * known.differed
    p = bad / (good + bad)
    return round(-(p * math.log2(p) + (1 - p) * math.log2(1 - p)), 6)


def plan_digest(night: str, runs: Iterable[tuple[str, str, float]]) -> str:
    """Return by what parts know each other: pipeline, id and estimate of every run, by which they are shared out."""
    names = sorted(f"{pipeline}/{run_id} {float(estimate_s)}" for pipeline, run_id, estimate_s in runs)
    return hashlib.sha256("\n".join((night, *names)).encode("utf-8", "surrogateescape")).hexdigest()


def is_named(pipeline: str, patterns: Sequence[str]) -> bool:
    """Return whether a pipeline is one of those that ``patterns`` name; without any, all are."""
    return not patterns or any(fnmatch(pipeline, pattern) for pattern in patterns)


def find_candidates(project: Project, pipelines: Sequence[str] = ()) -> tuple[list[Candidate], list[LeftOut]]:
    """Return every run that can be a baseline, and those that cannot; replays are not spoken of.

    ``pipelines`` are patterns. A run that cannot be read is left out with the reason. Raises UsageError where a
    pattern is of no pipeline: it may be misspelt, and the others would look like all that was asked for.
    """
    found, left = [], []
    there = survey_runs(project.runs).runs
    for pattern in pipelines:
        if not any(is_named(item.run.pipeline, (pattern,)) for item in there):
            raise UsageError(
                f"--pipeline {pattern[:60]!r} is of no pipeline that has a run",
                hint="kfm-repro list shows the pipelines",
            )
    for item in there:
        if not is_named(item.run.pipeline, pipelines):
            continue
        brief = summarise(item.run, item.files)
        if brief.replay_of is not None:
            continue
        if not is_original(brief):
            left.append(
                _left(item.run, "no-baseline", f"{brief.state}{': ' * bool(brief.reason)}{brief.reason}")
            )
            continue
        try:
            record = read_run(item.run)
            if record.replay is not None:
                continue
            python = choose_interpreter(project, record).path
        except KfmReproError as exc:
            left.append(_left(item.run, "no-baseline", str(exc)))
            continue
        found.append(
            Candidate(
                run=item.run,
                started=brief.started_at or "",
                commit=record.pipeline.version.git_commit or "",
                latest=False,
                foreign=is_foreign(item.run),
                recorded_s=brief.duration_s,
                environment=environment_key(python or ""),
            )
        )
    return _with_latest(found), left


def choose(
    candidates: Iterable[Candidate],
    left_out: Iterable[LeftOut],
    known: Mapping[tuple[str, str], Known],
    *,
    night: date,
    select: frozenset[Reason],
    budget_s: float,
    jobs: int,
) -> Chosen:
    """Return what is replayed tonight within ``budget_s`` seconds of ``jobs`` at once, and what is left out.

    The newest run of each pipeline comes before all others, then what tells most, then what takes least.
    """
    left = list(left_out)
    wanted = []
    for candidate in candidates:
        one = _weighed(candidate, known.get((candidate.run.pipeline, candidate.run.name), Known()), night)
        if not select.intersection(one.reasons):
            left.append(_left(one.run, "not-selected", f"it is {', '.join(one.reasons)}"))
        elif one.reasons == (Reason.OLD,) and not _turn(one, night):
            left.append(
                _left(one.run, "not-tonight", f"known and not the latest: every {_OLD_EVERY}th night")
            )
        else:
            wanted.append(one)
    wanted.sort(key=lambda one: (not one.latest, -one.bits, one.estimate_s, *one.name))
    room, runs = budget_s * jobs, []
    for one in wanted:
        if one.estimate_s <= room:
            room -= one.estimate_s
            runs.append(one)
        else:
            text = f"it takes about {one.estimate_s:.0f} s, and {room:.0f} s of the budget are left"
            left.append(_left(one.run, "budget", text))
    left.sort(key=lambda item: (item.pipeline, item.run_id))
    names = ((one.run.pipeline, one.run.name, one.estimate_s) for one in runs)
    return Chosen(tuple(runs), tuple(left), plan_digest(night.isoformat(), names))


def _with_latest(found: list[Candidate]) -> list[Candidate]:
    """Mark the newest run of each pipeline; our own come first: a stranger's may say any time."""
    newest: dict[str, Candidate] = {}
    for one in sorted(found, key=lambda one: (not one.foreign, one.started, one.run.name)):
        newest[one.run.pipeline] = one
    latest = {one.run.path for one in newest.values()}
    return [replace(one, latest=one.run.path in latest) for one in found]


def _weighed(candidate: Candidate, known: Known, night: date) -> Candidate:
    reasons = [Reason.LATEST] if candidate.latest else []
    if known.night is None:
        reasons.append(Reason.NEVER)
    elif known.environment != candidate.environment:
        reasons.append(Reason.CHANGED)
    if 0 < known.differed < known.trials:
        reasons.append(Reason.FLAKY)
    took = candidate.recorded_s
    estimate = known.seconds or (_UNKNOWN_S if took is None else took + _OVERHEAD_S)
    return replace(
        candidate,
        reasons=tuple(reasons or [Reason.OLD]),
        bits=information(known, night, candidate.environment),
        estimate_s=round(estimate, 3),
    )


def _turn(one: Candidate, night: date) -> bool:
    return (night.toordinal() + _number(f"{one.run.pipeline}/{one.run.name}")) % _OLD_EVERY == 0


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8])


def _left(run: RunDir, reason: str, detail: str) -> LeftOut:
    return LeftOut(run_id=run.name, pipeline=run.pipeline, reason=reason, detail=detail)
