"""What a replay will do, found and checked before anything is written or run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from kfm_repro.errors import InconsistentRun, InvalidRecord, NotReplayable
from kfm_repro.execute.checkout import Code, check_code
from kfm_repro.execute.config import config_files
from kfm_repro.execute.environment import Interpreter, choose_interpreter
from kfm_repro.execute.isolate.levels import AUTO, Chosen, Isolation, choose
from kfm_repro.execute.place import PathProfile
from kfm_repro.execute.rebuild import Rebuilt, rebuild
from kfm_repro.model.manifest import UNRECORDED, Manifest
from kfm_repro.model.run import Run, RunState
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of, safe_relative
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state
from kfm_repro.runs.secrets import was_redacted
from kfm_repro.runs.trust import is_foreign

__all__ = ["Plan", "Request", "plan_replay"]

_MIN_TIMEOUT_S = 60.0
_TIMEOUT_FACTOR = 10.0


@dataclass(frozen=True)
class Request:
    """How to replay. ``timeout_s`` None takes ten times the recorded duration, at least a minute.

    ``isolation`` is a level, or ``auto``. ``trust`` is for a run that came from elsewhere: its command is a
    stranger's (rule 18). ``pin`` and ``vary`` are axes; ``clock_shift_s`` seconds is the pipeline's wall clock moved,
    None for a distinctive other day. ``paths`` is the shape of the path that it runs in. ``rebuild`` makes the
    recorded environment again, or takes it from the cache unless it is to be ``fresh_environment``. ``turn`` is
    entered while the pipeline runs: whoever has several replays at once says how many pipelines run at a time.
    """

    current_inputs: bool = False
    trust: bool = False
    timeout_s: float | None = None
    isolation: str = AUTO
    pin: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    clock_shift_s: float | None = None
    memory_bytes: int | None = None
    paths: PathProfile = PathProfile.PLAIN
    rebuild: bool = False
    fresh_environment: bool = False
    turn: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext, compare=False)


@dataclass(frozen=True)
class Plan:
    """Everything that a replay needs, found and checked before anything is written."""

    original: RunDir
    run: Run
    state: RunState
    code: Code
    interpreter: Interpreter
    inputs: Manifest
    outputs: Manifest
    timeout_s: float
    isolation: Chosen
    rebuilt: Rebuilt | None = None


def plan_replay(project: Project, original: RunDir, request: Request) -> Plan:
    """Read and check the record of ``original``; nothing is run, and nothing written but a rebuilt environment.

    Raises the errors of reading, CodeNotAvailable, EnvironmentNotAvailable, NotReplayable, and InconsistentRun for
    a run that is no baseline: aborted, still running, or one whose status and sentinel disagree.
    """
    run = read_run(original)
    isolation = choose(request.isolation)
    if is_foreign(original) and not request.trust and isolation.level is not Isolation.NAMESPACE:
        raise NotReplayable(
            f"run {original.name} was unpacked from elsewhere: replaying it runs a stranger's command",
            hint="read its run.yaml; if you trust it: --trust; else take --isolation namespace",
            code="not-trusted",
        )
    if was_redacted([run.pipeline.entrypoint or "", *run.pipeline.args]):
        raise NotReplayable(
            f"not replayable: the recorded command line of {original.name} held a secret, which was not kept",
            hint="record again with the secret in the environment or in a file that git ignores",
        )
    state, why = read_state(original)
    if state not in (RunState.SUCCESS, RunState.FAILED):
        raise InconsistentRun(
            f"run {original.name} is {state} and no baseline" + (f": {why}" if why else ""),
            hint=f"replay a run that ended: kfm-repro replay latest:{original.pipeline}",
        )
    inputs = read_manifest(original, run.inputs_manifest, "inputs")
    outputs = read_manifest(original, run.outputs_manifest, "outputs")
    _refuse_folders(project, inputs, "inputs")
    _refuse_folders(project, outputs, "outputs")
    config_files(original, run)
    for pattern in run.pipeline.outputs:
        safe_relative(pattern, what=f"pipeline.outputs of {original.name}")
    if run.environment and run.environment.fingerprint:
        inside(original.path, run.environment.fingerprint, what=f"environment.fingerprint of {original.name}")
    plan = Plan(
        original=original,
        run=run,
        state=state,
        code=check_code(project.root, original, run.pipeline.version),
        interpreter=choose_interpreter(project, run),
        inputs=inputs,
        outputs=outputs,
        timeout_s=request.timeout_s or _default_timeout(run),
        isolation=isolation,
    )
    if not request.rebuild:
        return plan
    made = rebuild(original, run, plan.interpreter, fresh=request.fresh_environment)
    return replace(plan, interpreter=made.interpreter, rebuilt=made)


def _refuse_folders(project: Project, manifest: Manifest, which: str) -> None:
    """Refuse entries that name no file: without a digest nothing says that there ever was one. Raises InvalidRecord."""
    for entry in manifest.entries:
        # What is said to lie behind a link out of the project is never opened.
        if entry.sha256 is None and not (which == "outputs" and UNRECORDED in entry.extra):
            kind = kind_of(inside(project.root, entry.path, what=f"{which} of the record"))
            if kind not in ("", "file"):
                raise InvalidRecord(
                    f"the {which} manifest names a {kind}, not a file: {entry.path}",
                    hint="name files, one entry each, with their sha256",
                )


def _default_timeout(run: Run) -> float:
    started, finished = run.runtime.started_at, run.runtime.finished_at
    if started is None or finished is None or (started.tzinfo is None) != (finished.tzinfo is None):
        return 60 * _MIN_TIMEOUT_S
    return max(_MIN_TIMEOUT_S, _TIMEOUT_FACTOR * (finished - started).total_seconds())
