"""Replay a recorded run: the same code, inputs, config and variables, in a fresh place, as a fresh run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from kfm_repro.errors import KfmReproError, NotReplayable, PipelineFailed
from kfm_repro.execute.command import build_command, working_folder
from kfm_repro.execute.confinement import confine, shared_places
from kfm_repro.execute.drift import environment_drift
from kfm_repro.execute.environment import replay_environment
from kfm_repro.execute.fingerprint import fingerprint, read_fingerprint
from kfm_repro.execute.gather import Gathered, adopt_run_files, gather, links_before
from kfm_repro.execute.guard import Guard
from kfm_repro.execute.imports import import_roots
from kfm_repro.execute.inputs import InputSource, changed_inputs, describe_inputs, resolve_inputs
from kfm_repro.execute.isolate import Confinement, Isolation, Place, collect_leftovers, new_place
from kfm_repro.execute.perturb.agent import Prepared, prepare
from kfm_repro.execute.perturb.axes import Shape
from kfm_repro.execute.perturb.shaped import FIXED, shaped, shown_at
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.execute.preconditions import (
    changed_precondition,
    code_precondition,
    first_precondition,
    left_precondition,
    original_precondition,
    pointers_precondition,
    project_state,
    stdin_precondition,
    trespass,
    watched_preconditions,
)
from kfm_repro.execute.process import Outcome, Process, run_command
from kfm_repro.execute.program import PROGRAM, program_precondition, program_today
from kfm_repro.execute.replay_document import placeholder_values, replay_document, run_variables
from kfm_repro.execute.results import write_results
from kfm_repro.execute.setting import is_fixed, replay_shape, setting_of
from kfm_repro.execute.today import today_of
from kfm_repro.execute.watched import Scene, Watched, watched
from kfm_repro.execute.workspace import Workspace, build_workspace
from kfm_repro.model.report import Drift, Precondition
from kfm_repro.model.run import Pipeline, Run
from kfm_repro.model.verification import SecretHit
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.trash import empty_trash, put_in_trash
from kfm_repro.runs.trouble import explain_refusal, reason_of, temporary_outside
from kfm_repro.runs.write import RunWriter, aware, stamp, write_json

__all__ = ["Replayed", "run_replay"]

_HELD = ("PYTHONHASHSEED", "TZ", "LC_ALL")
"""Variables that hold an axis of nondeterminism; the scope of the report names them."""
_CLOCK_GRAIN_S = 1.1
"""A second, the grain of most written times, and a little."""


@dataclass(frozen=True)
class Replayed:
    """A finished replay: its record, how it ended, what it wrote (under the recorded paths), what held.

    ``printed`` are the secrets that were redacted in its logs.
    """

    run: RunDir
    outcome: Outcome
    wrote: Gathered
    workspace: Path
    place: Path
    preconditions: tuple[Precondition, ...]
    drift: tuple[Drift, ...]
    fingerprints: tuple[dict[str, Any], dict[str, Any]]
    sources: tuple[InputSource, ...]
    avoided: tuple[Drift, ...]
    held: dict[str, str]
    printed: tuple[SecretHit, ...]
    shape: Shape
    fixed: bool
    setting: dict[str, str]
    watched: Watched
    finish: Callable[[str], None] = field(compare=False)


@dataclass(frozen=True)
class _Stage:
    """Where and how a pipeline runs. ``fixed`` is the folder that it sees at a fixed path, when it does."""

    fresh: RunDir
    workspace: Workspace
    environ: dict[str, str]
    shape: Shape
    place: Place
    fixed: Path | None


def run_replay(project: Project, plan: Plan, request: Request) -> Replayed:
    """Execute ``plan`` into a fresh run. Call ``finish`` of the result when its report is written.

    A pipeline that fails is an outcome, not an error. Raises NotReplayable (InputUnavailable, CodeNotAvailable and
    others) when it cannot start, and then there is no fresh run; NotWritable, and the fresh run reads as failed; it
    reads as aborted after an interruption.
    """
    ObjectStore.of(project).prepare()
    temporary = temporary_outside(project.root)
    writer = RunWriter(
        project.runs, plan.original.pipeline, new_run_id(), datetime.now(UTC), of=plan.original.name
    )
    # Outside of the project, lest a pipeline that looks upwards for its root finds the original.
    collect_leftovers(temporary)
    place = new_place(temporary)
    try:
        return _replay_into(writer, place, project, plan, request)
    except NotReplayable:
        place.remove()
        _withdraw(project, writer.run)
        raise
    except BaseException as exc:
        known = explain_refusal(exc) if isinstance(exc, OSError) else exc
        ours = isinstance(known, KfmReproError)
        reason = str(exc) if isinstance(exc, PipelineFailed) else f"not run: {known}"
        reason = reason if ours else reason_of(exc)
        writer.finish("failed" if ours else "aborted", datetime.now(UTC), reason=reason)
        place.remove()
        raise


def _withdraw(project: Project, fresh: RunDir) -> None:
    """Take back the record of a replay that ran nothing, as prune does, which ends it if we die."""
    put_in_trash(project.runs, fresh)
    empty_trash(project.runs)


def _replay_into(writer: RunWriter, place: Place, project: Project, plan: Plan, request: Request) -> Replayed:
    fresh = writer.run
    shape = replay_shape(plan, request)
    document = replay_document(plan, fresh, request)
    writer.yaml(document)
    sources = resolve_inputs(
        project.root, plan.inputs, ObjectStore.of(project), (plan.code.repository, plan.code.commit),
        current=request.current_inputs, spool=place.path / "spool",
    )  # fmt: skip
    room = request.paths.below(place.path)
    workspace = build_workspace(room, project, plan, fresh, sources, shape)
    environ, environment = _environment(project, plan, fresh, workspace)
    untouched, links = project_state(project, plan), links_before(project, plan, workspace)
    _wait_until_clocks_moved_on(plan.run)
    fixed = room if is_fixed(plan, request) else None
    stage = _Stage(fresh, workspace, environ, shape, place, fixed)
    try:
        outcome, agent = _run_pipeline(project, plan, request, stage)
    except PipelineFailed:
        writer.yaml(document)
        raise
    document["runtime"] |= {"started_at": stamp(outcome.started), "finished_at": stamp(outcome.finished)}
    own = {
        k: v.replace(str(workspace.root), "{root}") for k, v in environ.items() if not k.startswith("KFM_RUN")
    }
    document["environment"] |= {"env": own}
    wrote = gather(project, plan, fresh, workspace, links)
    seen = watched(agent, _scene(project, plan, stage, {*wrote.produced, *wrote.not_compared}))
    setting = setting_of(request, shape.agent if seen.present else None)
    document["replay"] |= {"setting": setting}
    writer.yaml(document)
    adopt_run_files(workspace, fresh)
    printed = write_results(writer, project, plan, outcome, sources, wrote)
    recorded, today = read_fingerprint(plan.original, plan.run), _fingerprint(project, plan, stage)
    preconditions = (
        *_preconditions(plan, request, workspace, sources, outcome, environment),
        *program_precondition(recorded, today),
        *trespass(untouched, project_state(project, plan)),
        *watched_preconditions(plan, seen),
    )
    return Replayed(
        run=fresh, outcome=outcome, wrote=wrote, workspace=workspace.root, place=room,
        preconditions=preconditions, drift=environment_drift(recorded, today), fingerprints=(recorded, today),
        avoided=_avoided(project, plan, workspace, recorded, environ), sources=sources,
        held={name: environ[name] for name in _HELD if name in environ},
        printed=printed, shape=shape, fixed=fixed is not None, setting=setting, watched=seen,
        finish=partial(_finish, writer, place, outcome),
    )  # fmt: skip


def _run_pipeline(
    project: Project, plan: Plan, request: Request, stage: _Stage
) -> tuple[Outcome, Prepared | None]:
    """Run the pipeline in its cell, with the agent where there is one. Raises PipelineFailed when it harms its run."""
    workspace, environ, shape = stage.workspace, stage.environ, stage.shape
    guards = Guard(stage.fresh.path), Guard(workspace.run_dir)
    agent = None
    if plan.isolation.level is not Isolation.NONE:
        agent = prepare(stage.place.path, shape.agent, python_path=environ.get("PYTHONPATH", ""))
    known = {name: value for name, value in shape.environ.items() if value is not None}
    confinement = confine(project, plan, workspace, {**environ, **known}, stage.place, request)
    pipeline = _pipeline(project, plan, workspace)
    outcome = _execute(pipeline, plan, stage, agent, confinement, request)
    broken = guards[0].broken() or guards[1].broken()
    if broken:
        guards[0].make_way()
        raise PipelineFailed(
            f"in the replay the pipeline {broken}: nothing can be compared",
            hint="a pipeline keeps the folder that KFM_RUN_DIR names; what it writes there belongs to its run",
        )
    return outcome, agent


def _preconditions(
    plan: Plan, request: Request, workspace: Workspace, sources: tuple[InputSource, ...], outcome: Outcome,
    environment: Precondition,
) -> tuple[Precondition, ...]:  # fmt: skip
    """Return what a fair comparison needs, as it was before and after the pipeline ran."""
    changed = changed_inputs(sources, workspace.root, workspace.copies)
    return (
        code_precondition(plan),
        *pointers_precondition(workspace.pointers),
        *original_precondition(plan),
        describe_inputs(sources),
        *changed_precondition(changed, plan, recorded_inputs=not request.current_inputs),
        *first_precondition(plan),
        *stdin_precondition(plan),
        *left_precondition(plan, outcome.left.programs, outcome.ended),
        environment,
        plan.interpreter.precondition,
        *(plan.rebuilt.preconditions() if plan.rebuilt else ()),
    )


def _environment(
    project: Project, plan: Plan, fresh: RunDir, workspace: Workspace
) -> tuple[dict[str, str], Precondition]:
    """Return what the pipeline sees, with the project's own packages and tools taken from the workspace."""
    environ, precondition = replay_environment(
        plan.run, plan.interpreter, home=workspace.home, temporary=workspace.temporary,
        given=run_variables(plan, fresh, workspace),
    )  # fmt: skip
    today = today_of(project, plan, workspace)
    recorded = plan.run.environment.env if plan.run.environment else {}
    environ = {
        name: (today.text(value) if name in recorded else value).replace("{root}", str(workspace.root))
        for name, value in environ.items()
    }
    environ["PATH"] = today.search(environ["PATH"])
    if plan.rebuilt is None:
        folders = [workspace.top / path for path in import_roots(plan.interpreter.path, today.top)]
    else:
        roots = [workspace.root / path for path in plan.rebuilt.wanted.import_roots]
        folders = [folder for folder in roots if folder.is_dir()]
    imported = [str(folder) for folder in folders]
    if imported:
        environ["PYTHONPATH"] = os.pathsep.join([*imported, *filter(None, [environ.get("PYTHONPATH")])])
    return environ, precondition


def _scene(project: Project, plan: Plan, stage: _Stage, made: set[str]) -> Scene:
    """Return what is known of the replay, for reading what its agent saw."""
    root, runtime = stage.workspace.root, plan.run.runtime
    window = None
    if runtime.started_at is not None:
        ended = runtime.finished_at or runtime.started_at
        window = (aware(runtime.started_at).timestamp(), aware(ended).timestamp() + _CLOCK_GRAIN_S)
    return Scene(
        workspace=_seen(root, stage.fixed),
        folder=_seen(working_folder(plan.run.pipeline, root), stage.fixed),
        project=project,
        inputs={entry.path for entry in plan.inputs.entries},
        outputs={entry.path for entry in plan.outputs.entries},
        made=made,
        shared=shared_places(project, plan, stage.environ, stage.place),
        window=window,
        launched=(working_folder(plan.run.pipeline, root), stage.environ["PATH"]),
    )


def _seen(path: Path, room: Path | None) -> Path:
    """Return where the pipeline saw a path of its room."""
    return path if room is None else FIXED / path.relative_to(room)


def _pipeline(project: Project, plan: Plan, workspace: Workspace) -> Pipeline:
    """Return the recorded pipeline with what it names in today's repository taken from the workspace."""
    pipeline, today = plan.run.pipeline, today_of(project, plan, workspace)
    return msgspec.structs.replace(
        pipeline, entrypoint=today.text(pipeline.entrypoint or ""), args=tuple(map(today.text, pipeline.args))
    )


def _execute(
    pipeline: Pipeline, plan: Plan, stage: _Stage, agent: Prepared | None, confinement: Confinement,
    request: Request,
) -> Outcome:  # fmt: skip
    root, environ = stage.workspace.root, stage.environ
    values = placeholder_values(plan, stage.workspace)
    search = [Path(folder) for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    process = Process(
        argv=build_command(pipeline, root, plan.interpreter.path, values, search),
        cwd=working_folder(pipeline, root),
        env=environ,
        logs=stage.fresh.logs,
        confinement=confinement,
        turn=request.turn,
    )
    process = shaped(process, stage.shape, agent)
    return run_command(process if stage.fixed is None else shown_at(process, stage.fixed, FIXED))


def _finish(writer: RunWriter, place: Place, outcome: Outcome, aborted: str = "") -> None:
    """Bring the fresh run to its end and remove its workspace."""
    place.remove()
    if aborted:
        writer.finish("aborted", datetime.now(UTC), reason=aborted)
    elif outcome.outcome == "success":
        writer.finish("success", outcome.finished)
    else:
        evidence = f" ({outcome.evidence})" if outcome.evidence else ""
        reason = f"the pipeline ended: {outcome.outcome}, exit code {outcome.exit_code}{evidence}"
        writer.finish("failed", outcome.finished, reason=reason)


def _wait_until_clocks_moved_on(run: Run) -> None:
    """Wait, at most a second, until a replay right after its record has another second on the clock.

    Otherwise a time written to the second could be the same in both runs, and the leak stay unseen.
    """
    finished = run.runtime.finished_at
    if finished is not None:
        since = datetime.now(UTC).timestamp() - aware(finished).timestamp()
        if 0 <= since < _CLOCK_GRAIN_S:
            time.sleep(_CLOCK_GRAIN_S - since)


def _fingerprint(project: Project, plan: Plan, stage: _Stage) -> dict[str, Any]:
    """Return what the replay ran with, and keep it in its record."""
    root, environ = stage.workspace.root, stage.environ
    today = fingerprint(plan.interpreter.path, project.root, environ, copies=[root])
    program = program_today(_pipeline(project, plan, stage.workspace), root, environ["PATH"])
    today |= {PROGRAM: program} if program else {}
    write_json(stage.fresh.path / "environment" / "fingerprint.json", today)
    return today


def _avoided(
    project: Project, plan: Plan, workspace: Workspace, recorded: dict[str, Any], environ: dict[str, str]
) -> tuple[Drift, ...]:
    """Return how today's environment differs from the recorded one, when a rebuilt one was taken instead."""
    if plan.rebuilt is None:
        return ()
    python = plan.rebuilt.instead_of.path
    return environment_drift(recorded, fingerprint(python, project.root, environ, copies=[workspace.root]))
