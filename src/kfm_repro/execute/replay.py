"""Replay a recorded run: the same code, inputs, config and variables, in a fresh place, as a fresh run."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError
from kfm_repro.execute.collect import Produced
from kfm_repro.execute.command import build_command, working_folder
from kfm_repro.execute.drift import environment_drift
from kfm_repro.execute.environment import replay_environment
from kfm_repro.execute.fingerprint import fingerprint
from kfm_repro.execute.gather import adopt_run_files, collect_outputs, not_compared
from kfm_repro.execute.imports import import_roots
from kfm_repro.execute.inputs import InputSource, changed_inputs, describe_inputs, resolve_inputs
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.execute.preconditions import (
    changed_precondition,
    code_precondition,
    original_precondition,
    project_state,
    trespass,
)
from kfm_repro.execute.process import Outcome, Process, run_command
from kfm_repro.execute.rebuild.recorded import recorded_fingerprint
from kfm_repro.execute.record import write_metrics
from kfm_repro.execute.validation import write_validation
from kfm_repro.execute.workspace import Workspace, build_workspace
from kfm_repro.model.manifest import Entry
from kfm_repro.model.report import Drift, Precondition
from kfm_repro.model.run import RUN_SCHEMA, Run
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.labels import read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact_folder
from kfm_repro.runs.write import RunWriter, stamp, write_json

__all__ = ["Replayed", "aware", "host_names", "run_replay"]

_HELD = ("PYTHONHASHSEED", "TZ", "LC_ALL")
"""Variables that hold an axis of nondeterminism; the scope of the report names them."""
_CLOCK_GRAIN_S = 1.1
"""A second, the grain of most written times, and a little."""


@dataclass(frozen=True)
class Replayed:
    """A finished replay: its record, how it ended, what it wrote (under the recorded paths), what held."""

    run: RunDir
    outcome: Outcome
    produced: dict[str, Produced]
    workspace: Path
    place: Path
    preconditions: tuple[Precondition, ...]
    drift: tuple[Drift, ...]
    avoided: tuple[Drift, ...]
    held: dict[str, str]
    not_compared: tuple[str, ...]
    finish: Callable[[str], None] = field(compare=False)


def run_replay(project: Project, plan: Plan, request: Request) -> Replayed:
    """Execute ``plan`` into a fresh run. Call ``finish`` of the result when its report is written.

    A pipeline that fails is an outcome, not an error. Raises InputUnavailable, CodeNotAvailable, NotWritable;
    the fresh run then reads as failed, and as aborted after an interruption.
    """
    writer = RunWriter(
        project.runs, plan.original.pipeline, new_run_id(), datetime.now(UTC), of=plan.original.name
    )
    # Outside of the project, lest a pipeline that looks upwards for its root finds the original.
    place = Path(tempfile.mkdtemp(prefix="kfm-repro-")).resolve()
    try:
        return _replay_into(writer, place, project, plan, request)
    except BaseException as exc:
        ours = isinstance(exc, KfmReproError)
        reason = f"not run: {exc}" if ours else type(exc).__name__
        writer.finish("failed" if ours else "aborted", datetime.now(UTC), reason=reason)
        shutil.rmtree(place, ignore_errors=True)
        raise


def _replay_into(writer: RunWriter, place: Path, project: Project, plan: Plan, request: Request) -> Replayed:
    fresh = writer.run
    document = _document(plan, fresh)
    writer.yaml(document)
    sources = resolve_inputs(
        project.root, plan.inputs, ObjectStore(project.runs), (plan.code.repository, plan.code.commit),
        current=request.current_inputs, spool=place / "spool",
    )  # fmt: skip
    workspace = build_workspace(
        place, project, plan.original, plan.run, fresh, plan.code, sources, plan.outputs
    )
    environ, environment = _environment(project, plan, fresh, workspace)
    untouched = project_state(project, plan)
    _wait_until_clocks_moved_on(plan.run)
    outcome = _execute(plan, fresh, workspace, environ)
    document["runtime"] |= {"started_at": stamp(outcome.started), "finished_at": stamp(outcome.finished)}
    document["environment"] |= {"env": {k: v for k, v in environ.items() if not k.startswith("KFM_RUN")}}
    writer.yaml(document)
    produced = collect_outputs(project, plan, fresh, workspace)
    left = not_compared(plan, workspace, produced)
    adopt_run_files(workspace, fresh)
    _write_results(writer, project, plan, outcome, sources, produced)
    recorded = recorded_fingerprint(plan.original, plan.run)
    today = fingerprint(plan.interpreter.path, project.root, environ)
    write_json(fresh.path / "environment" / "fingerprint.json", today)
    preconditions = (
        code_precondition(plan),
        *original_precondition(plan),
        describe_inputs(sources),
        *changed_precondition(changed_inputs(sources, workspace.root), plan),
        environment,
        plan.interpreter.precondition,
        *(plan.rebuilt.preconditions() if plan.rebuilt else ()),
        *trespass(untouched, project_state(project, plan)),
    )
    return Replayed(
        run=fresh, outcome=outcome, produced=produced, workspace=workspace.root, place=place,
        preconditions=preconditions, drift=environment_drift(recorded, today),
        avoided=_avoided(project, plan, recorded, environ),
        held={name: environ[name] for name in _HELD if name in environ},
        not_compared=left, finish=partial(_finish, writer, place, outcome),
    )  # fmt: skip


def _environment(
    project: Project, plan: Plan, fresh: RunDir, workspace: Workspace
) -> tuple[dict[str, str], Precondition]:
    """Return what the pipeline sees, with the project's own packages taken from the workspace."""
    environ, precondition = replay_environment(
        plan.run, plan.interpreter, home=workspace.home, temporary=workspace.temporary,
        given=_variables(plan, fresh, workspace),
    )  # fmt: skip
    environ = {name: value.replace("{root}", str(workspace.root)) for name, value in environ.items()}
    if plan.rebuilt is None:
        roots = import_roots(plan.interpreter.path, project.root)
    else:
        roots = tuple(path for path in plan.rebuilt.wanted.import_roots if (workspace.root / path).is_dir())
    imported = [str(workspace.root / path) for path in roots]
    if imported:
        environ["PYTHONPATH"] = os.pathsep.join([*imported, *filter(None, [environ.get("PYTHONPATH")])])
    return environ, precondition


def _execute(plan: Plan, fresh: RunDir, workspace: Workspace, environ: dict[str, str]) -> Outcome:
    values = _values(plan, workspace)
    return run_command(
        Process(
            argv=build_command(plan.run.pipeline, workspace.root, plan.interpreter.path, values),
            cwd=working_folder(plan.run.pipeline, workspace.root),
            env=environ,
            logs=fresh.logs,
            timeout_s=plan.timeout_s,
        )
    )


def _write_results(
    writer: RunWriter,
    project: Project,
    plan: Plan,
    outcome: Outcome,
    sources: tuple[InputSource, ...],
    produced: dict[str, Produced],
) -> None:
    """Write manifests, objects, metrics, logs without secrets, and what can be validated."""
    items = [produced[path] for path in sorted(produced)]
    inputs = tuple(_as_laid(source) for source in sources)
    writer.manifest("inputs", inputs, outcome.started)
    writer.manifest("outputs", tuple(item.entry for item in items), outcome.finished)
    store = ObjectStore(project.runs)
    for item in items:
        store.add(item.file, item.entry.sha256 or "")
    write_metrics(writer.run, outcome, items)
    redact_folder(writer.run.logs)
    labels = read_labels(project, plan.inputs.entries, plan.outputs.entries)
    write_validation(project, writer.run, inputs, items, labels=labels)


def _finish(writer: RunWriter, place: Path, outcome: Outcome, aborted: str = "") -> None:
    """Bring the fresh run to its end and remove its workspace."""
    shutil.rmtree(place, ignore_errors=True)
    if aborted:
        writer.finish("aborted", datetime.now(UTC), reason=aborted)
    elif outcome.outcome == "success":
        writer.finish("success", outcome.finished)
    else:
        reason = f"the pipeline ended: {outcome.outcome}, exit code {outcome.exit_code}"
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


def _document(plan: Plan, fresh: RunDir) -> dict[str, Any]:
    version: dict[str, Any] = {"git_commit": plan.code.commit, "repo_dirty": bool(plan.code.patch)}
    if plan.code.patch:
        (fresh.path / "config" / "dirty.patch").write_bytes(plan.code.patch)
        digest = hashlib.sha256(plan.code.patch).hexdigest()
        version |= {"tree": plan.code.tree, "patch": "config/dirty.patch", "patch_sha256": digest}
    pipeline = plan.run.pipeline
    return {
        "schema": RUN_SCHEMA,
        "run_id": fresh.name,
        "pipeline": {
            "name": plan.run.pipeline_name or plan.original.pipeline,
            "entrypoint": pipeline.entrypoint or "",
            "args": list(pipeline.args),
            "cwd": pipeline.cwd,
            "version": version,
        },
        "runtime": {"host": platform.node(), "runner": "local"},
        "actor": {"invoked_by": "kfm-repro replay"},
        "inputs_manifest": "manifests/inputs.json",
        "outputs_manifest": "manifests/outputs.json",
        "environment": {
            "fingerprint": "environment/fingerprint.json",
            "executable": plan.interpreter.path,
            **({"rebuilt": plan.rebuilt.held.path.name} if plan.rebuilt else {}),
        },
        "replay": {"of": plan.original.name, "setting": {}, "isolation": "none"},
    }


def _variables(plan: Plan, fresh: RunDir, workspace: Workspace) -> dict[str, str]:
    config = workspace.run_dir / "config"
    variables = {
        "KFM_RUN_ID": fresh.name,
        "KFM_RUN_DIR": str(workspace.run_dir),
        "KFM_CONFIG_DIR": str(config),
    }
    if (config / "params.json").is_file():
        variables["KFM_PARAMS"] = str(config / "params.json")
    raw = plan.run.raw.get("runtime")
    text = raw.get("started_at") if isinstance(raw, dict) else None
    if isinstance(text, str):
        variables["KFM_RUN_STARTED_AT"] = text
    elif plan.run.runtime.started_at is not None:
        variables["KFM_RUN_STARTED_AT"] = stamp(aware(plan.run.runtime.started_at))
    return variables


def _values(plan: Plan, workspace: Workspace) -> dict[str, str]:
    """Return what the placeholders of the recorded arguments stand for in this replay."""
    config = workspace.run_dir / "config"
    values = {"config": str(config), "params": str(config / "params.json"), "run": str(workspace.run_dir)}
    folders = {str(Path(entry.path).parent) for entry in plan.outputs.entries}
    if len(folders) == 1:
        values["outputs"] = folders.pop()
    for entry in plan.inputs.entries:
        values.setdefault(f"inputs.{Path(entry.path).stem}", entry.path)
        values.setdefault(f"inputs.{Path(entry.path).name}", entry.path)
    values["root"] = str(workspace.root)
    return values


def _as_laid(source: InputSource) -> Entry:
    digest = source.digest
    return Entry(path=source.entry.path, sha256=digest.sha256, size_bytes=digest.size_bytes)


def _avoided(
    project: Project, plan: Plan, recorded: dict[str, Any], environ: dict[str, str]
) -> tuple[Drift, ...]:
    """Return how today's environment differs from the recorded one, when a rebuilt one was taken instead."""
    if plan.rebuilt is None:
        return ()
    return environment_drift(recorded, fingerprint(plan.rebuilt.instead_of.path, project.root, environ))


def aware(moment: datetime) -> datetime:
    """Return a moment with a time zone: one without is UTC, as records are."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def host_names() -> tuple[str, ...]:
    """Return the names of this machine that could be embedded in an output."""
    return tuple(sorted({platform.node(), socket.gethostname()} - {"", "localhost"}))
