"""One night, from the choice to the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date

from kfm_repro.errors import KfmReproError
from kfm_repro.judge.times import merge_replays
from kfm_repro.model.nightly import LedgerTrial, LeftOut, NightReport, NightRun, Trial
from kfm_repro.model.report import ErrorInfo, Report, RunRef
from kfm_repro.nightly.choose import Candidate, Reason, choose, find_candidates
from kfm_repro.nightly.executors import Workers, run_tasks
from kfm_repro.nightly.history import History
from kfm_repro.nightly.ledger import Ledger
from kfm_repro.nightly.regression import Seen
from kfm_repro.nightly.report import night_report, sealed
from kfm_repro.nightly.shards import Shard
from kfm_repro.nightly.task import Done, Task
from kfm_repro.nightly.week import axes_of
from kfm_repro.runs.discover import survey_runs
from kfm_repro.runs.listing import unread_notes
from kfm_repro.runs.project import Project

__all__ = ["Night", "kept_trials", "remembered", "run_night"]

_NO_ROUNDS = 64
"""More rounds than a pipeline has runs that can need one each are a fault of ours."""


@dataclass(frozen=True)
class Night:
    """How a night is to be: its day (UTC), what is chosen, how long it may take, and how each run is replayed.

    ``page`` makes the page that lies beside the report of each replay.
    """

    day: date
    select: frozenset[Reason] = frozenset(Reason)
    pipelines: tuple[str, ...] = ()
    budget_s: float = 7200.0
    jobs: int = 1
    shard: Shard = field(default_factory=Shard)
    vary: str = "week"
    isolation: str = "auto"
    trust: bool = False
    timeout_s: float | None = None
    accept: str = ""
    page: Callable[[Report], str] | None = None


def run_night(
    project: Project,
    night: Night,
    workers: Callable[[], AbstractContextManager[Workers]],
    say: Callable[[str], None] = lambda _: None,
) -> NightReport:
    """Choose, replay, remember, and report. ``say`` hears of each replay as it ends.

    No replay begins that would not end within the budget by its estimate. Raises what finding runs, the ledger and
    the executor raise; what goes wrong with a replay, or with remembering the night, stands in the report.
    """
    ledger = Ledger.of(project)
    today = night.day.isoformat()
    candidates, left_out = find_candidates(project, night.pipelines)
    chosen = choose(
        candidates, left_out, ledger.known(before=today), night=night.day, select=night.select,
        budget_s=night.budget_s, jobs=night.jobs,
    )  # fmt: skip
    mine = night.shard.of(chosen.runs)
    history = [*ledger.trials(before=today)]
    work = _Work(project, night, mine, history, time.monotonic() + night.budget_s, say)
    if mine:
        with workers() as pool:
            work.replay(pool)
    runs = work.runs()
    report = night_report(
        project, night, candidates, chosen, runs, work.left_out(), history,
        notes=(*unread_notes(project, survey_runs(project.runs)), *_later(ledger, today)),
    )  # fmt: skip
    return remembered(ledger, report)


class _Work:
    """The replays of a night: all that were chosen, then round by round those that confirm."""

    def __init__(
        self, project: Project, night: Night, mine: Sequence[Candidate], history: Sequence[LedgerTrial],
        deadline: float, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._project, self._night, self._deadline, self._say = project, night, deadline, say
        self._history = history
        self._candidates = {(one.run.pipeline, one.run.name): one for one in mine}
        self._tasks = {key: self._task(one) for key, one in self._candidates.items()}
        self._done: dict[tuple[str, str], list[Done]] = {}

    def replay(self, pool: Workers) -> None:
        """Do all replays."""
        self._take(run_tasks(pool, [*self._tasks.values()], may_begin=self._may_begin, done=self._heard))
        for _ in range(_NO_ROUNDS):
            wanted = [*self._wanted()]
            if not wanted:
                return
            self._take(run_tasks(pool, wanted, done=self._heard))

    def runs(self) -> tuple[NightRun, ...]:
        """Return what came of each run, sorted by pipeline, start and id."""
        names = sorted(self._done, key=lambda key: self._candidates[key].name)
        return tuple(_run(self._candidates[name], self._done[name]) for name in names)

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return the runs whose turn did not come."""
        return tuple(
            LeftOut(
                run_id=run_id,
                pipeline=pipeline,
                reason="budget",
                detail="the night was over before its turn",
                estimate_s=self._candidates[pipeline, run_id].estimate_s,
            )
            for pipeline, run_id in sorted(set(self._candidates) - set(self._done))
        )

    def _task(self, one: Candidate) -> Task:
        night, project = self._night, self._project
        return Task(
            root=str(project.root), runs=str(project.runs), pipeline=one.run.pipeline, run_id=one.run.name,
            commit=one.commit, environment=one.environment, isolation=night.isolation, trust=night.trust,
            vary=axes_of(night.day, night.vary, foreign=one.foreign), timeout_s=night.timeout_s, accept=night.accept,
            page=night.page,
        )  # fmt: skip

    def _may_begin(self, task: Task) -> bool:
        estimate = self._candidates[task.pipeline, task.run_id].estimate_s
        return time.monotonic() + estimate <= self._deadline

    def _heard(self, done: Done) -> None:
        task = done.task
        which = f", confirmation {task.ordinal}" if task.ordinal else ""
        self._say(f"{task.pipeline}/{task.run_id}{which}: {done.report.verdict}")

    def _take(self, results: dict[tuple[str, str, int], Done]) -> None:
        for (pipeline, run_id, _), done in sorted(results.items()):
            self._done.setdefault((pipeline, run_id), []).append(done)

    def _wanted(self) -> Iterable[Task]:
        """Yield the confirming replays that the next run of each pipeline needs, before later ones are looked at."""
        history = History.of(self._history)
        held: set[str] = set()
        for name in sorted(self._done, key=lambda key: self._candidates[key].name):
            pipeline, one, done = name[0], self._candidates[name], self._done[name]
            if pipeline in held:
                continue
            trials = [item.trial for item in done]
            missing = history.wanted(pipeline, trials[0]) if len(trials) == 1 else 0
            if missing:
                held.add(pipeline)
                yield from (self._tasks[name].confirming(number) for number in range(1, missing + 1))
            else:
                history.take(pipeline, _seen(self._night.day, one), trials)


def _seen(day: date, one: Candidate) -> Seen:
    return Seen(day.isoformat(), one.run.name, one.started, one.commit, one.environment)


def _run(one: Candidate, done: Sequence[Done]) -> NightRun:
    return NightRun(
        run=RunRef(run_id=one.run.name, pipeline=one.run.pipeline, git_commit=one.commit or None),
        started_at=one.started,
        reasons=tuple(map(str, one.reasons)),
        bits=one.bits,
        estimate_s=one.estimate_s,
        trials=tuple(item.trial for item in done),
        report=merge_replays([item.report for item in done]),
    )


def _later(ledger: Ledger, today: str) -> Iterable[str]:
    """Yield that nights are known which come after this one: a regression in one of them goes unnoticed."""
    if (last := ledger.last_night()) > today:
        yield f"the ledger knows nights up to {last}: what those after {today} found does not count; check the clock"


def remembered(ledger: Ledger, report: NightReport) -> NightReport:
    """Add a night to the ledger and return its report; what it found stands, also where it cannot be remembered.

    Then the report says so in its error: what regressed tonight must not be lost with the disk that is full.
    """
    try:
        ledger.add(kept_trials(report.night, report.runs))
    except KfmReproError as exc:
        message = f"this night is not remembered: {exc.message}"
        return sealed(report, ErrorInfo(code=exc.code, message=message, hint=exc.hint))
    return report


def kept_trials(night: str, runs: Iterable[NightRun]) -> Iterable[LedgerTrial]:
    """Yield what the ledger keeps: replays that there were."""
    for run in runs:
        yield from (_kept(night, run, trial) for trial in run.trials if trial.replay_id)


def _kept(night: str, run: NightRun, trial: Trial) -> LedgerTrial:
    """Return one trial with what it belongs to."""
    return LedgerTrial(
        night=night, pipeline=run.run.pipeline, run_id=run.run.run_id, started_at=run.started_at,
        git_commit=run.run.git_commit or "", trial=trial,
    )  # fmt: skip
