"""One replay of a night, as any worker does it: in a process of this machine, or on another one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError
from kfm_repro.execute.perturb.canary import Effect
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.judge.baseline import with_waivers
from kfm_repro.judge.replay import prove_plan, replay_and_judge
from kfm_repro.model.finding import Finding, OutputComparison, OutputVerdict
from kfm_repro.model.nightly import Aspect, Outcome, Trial
from kfm_repro.model.report import ErrorInfo, Report, RunRef, count_verdicts
from kfm_repro.model.verdict import Accept, Verdict, run_verdict
from kfm_repro.runs.project import Project, find_project

__all__ = ["Done", "Task", "failed", "fill_turns", "lost", "replay_task"]


@dataclass(frozen=True)
class Task:
    """What to replay, and how; all of it can be sent to another process."""

    root: str
    runs: str
    pipeline: str
    run_id: str
    commit: str
    environment: str
    ordinal: int = 0
    vary: tuple[str, ...] = ()
    isolation: str = "auto"
    trust: bool = False
    timeout_s: float | None = None
    accept: str = ""
    page: Callable[[Report], str] | None = None
    """What makes the page beside the report; a function of a module, so that another process finds it."""

    @property
    def key(self) -> tuple[str, str, int]:
        """By what a result is known, whenever it comes."""
        return self.pipeline, self.run_id, self.ordinal

    def confirming(self, ordinal: int) -> Task:
        """Return the plain replay that confirms this one."""
        return replace(self, ordinal=ordinal, vary=())


@dataclass(frozen=True)
class Done:
    """A replay that came to an end of whatever kind."""

    task: Task
    trial: Trial
    report: Report


_turns: Callable[[], AbstractContextManager[Any]] = nullcontext
_proofs: dict[tuple[str, str, tuple[str, ...]], dict[str, Effect]] = {}


def fill_turns(turns: Callable[[], AbstractContextManager[Any]]) -> None:
    """Let pipelines of this process run only in their turn, while others are prepared and compared."""
    global _turns  # noqa: PLW0603 - once per worker, before its first task
    _turns = turns


def replay_task(task: Task) -> Done:
    """Replay, judge, and say what the ledger keeps. An error of ours is a report without a verdict."""
    began = time.monotonic()
    project = find_project(Path(task.root), Path(task.runs))
    accept = Accept(task.accept) if task.accept else None
    request = Request(
        trust=task.trust, timeout_s=task.timeout_s, isolation=task.isolation, vary=task.vary, turn=_turns
    )
    try:
        spec = f"{task.pipeline}/{task.run_id}"
        report = replay_and_judge(project, spec, request, accept, page=task.page, prove=_prove_once).report
    except KfmReproError as exc:
        return failed(task, ErrorInfo(code=exc.code, message=exc.message, hint=exc.hint))
    except OSError as exc:
        return failed(task, ErrorInfo(code="system", message=f"{exc.strerror or exc}: {exc.filename or ''}"))
    trial = Trial(
        replay_id=report.replays[0].run_id,
        ordinal=task.ordinal,
        axes=task.vary,
        environment=task.environment,
        verdict=report.verdict,
        seconds=round(time.monotonic() - began, 3),
        outcomes=_outcomes(project, report, accept),
    )
    return Done(task, trial, report)


def failed(task: Task, error: ErrorInfo) -> Done:
    """Return a task that gave no report with why, as one without a verdict."""
    report = Report(
        command="replay",
        verdict=Verdict.UNKNOWN,
        counts=count_verdicts(()),
        run=RunRef(run_id=task.run_id, pipeline=task.pipeline, git_commit=task.commit or None),
        error=error,
    )
    trial = Trial(
        replay_id="",
        ordinal=task.ordinal,
        axes=task.vary,
        environment=task.environment,
        verdict=Verdict.UNKNOWN,
    )
    return Done(task, trial, report)


def lost(task: Task, why: str) -> Done:
    """Return a task whose worker went away every time."""
    message = f"the worker that replayed it was lost, more than once: {why}"
    hint = "look for its memory and its logs; replay the run by itself"
    return failed(task, ErrorInfo(code="worker-lost", message=message, hint=hint))


def _prove_once(plan: Plan, request: Request) -> dict[str, Effect]:
    """Prove the axes of a night once for each interpreter and level: what can be moved here does not change by run."""
    key = (plan.interpreter.path, str(plan.isolation.level), request.vary)
    if key not in _proofs:
        _proofs[key] = prove_plan(plan, request)
    return _proofs[key]


def _outcomes(project: Project, report: Report, accept: Accept | None) -> tuple[Outcome, ...]:
    """Return what a replay says of each output; without a verdict it says nothing."""
    if isinstance(report.error, ErrorInfo):
        return ()
    return tuple(
        Outcome(
            path=output.path,
            verdict=str(output.verdict),
            differed=_differed(project, output, accept),
            aspects=tuple(_aspect(item) for item in output.findings if not item.latent),
        )
        for output in report.outputs
    )


def _differed(project: Project, output: OutputComparison, accept: Accept | None) -> bool | None:
    if output.verdict is OutputVerdict.UNKNOWN:
        return None
    if output.verdict is OutputVerdict.IDENTICAL or output.accepted:
        return False
    verdict, _ = with_waivers(project, run_verdict((output,)), (output,), accept)
    return verdict is not Verdict.WAIVED


def _aspect(finding: Finding) -> Aspect:
    where = ", ".join(f"{name} {value}" for name, value in sorted(finding.where.items()))
    return Aspect(where=where, kind=str(finding.kind), rung=str(finding.rung), count=finding.count)
