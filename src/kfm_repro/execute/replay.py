"""Replay a recorded run: the same code, inputs, config and variables, in a fresh place, as a fresh run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kfm_repro.errors import InconsistentRun, KfmReproError
from kfm_repro.execute.checkout import Code, check_code
from kfm_repro.execute.collect import Produced, describe_file, is_ephemeral, matches_any, written_files
from kfm_repro.execute.command import build_command, working_folder
from kfm_repro.execute.environment import (
    Interpreter,
    choose_interpreter,
    replay_environment,
)
from kfm_repro.execute.fingerprint import environment_drift, fingerprint
from kfm_repro.execute.imports import import_roots
from kfm_repro.execute.inputs import InputSource, changed_inputs, describe_inputs, resolve_inputs
from kfm_repro.execute.process import Outcome, Process, run_command
from kfm_repro.execute.record import write_metrics, write_not_run
from kfm_repro.execute.workspace import FileState, Workspace, build_workspace, relocate, scan_files
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.report import Drift, Precondition
from kfm_repro.model.run import RUN_SCHEMA, Run, RunState
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import safe_relative
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state
from kfm_repro.runs.write import RunWriter, stamp, write_json

__all__ = ["Plan", "Replayed", "Request", "aware", "host_names", "plan_replay", "run_replay"]

_MIN_TIMEOUT_S = 60.0
_TIMEOUT_FACTOR = 10.0
TRESPASS = "project"
"""Name of the precondition that is not met when a replay changed files of the project: then no verdict holds."""
_CLOCK_GRAIN_S = 1.1
"""A second, the grain of most written times, and a little."""


@dataclass(frozen=True)
class Request:
    """How to replay. ``timeout_s`` None takes ten times the recorded duration, at least a minute."""

    current_inputs: bool = False
    timeout_s: float | None = None


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
    held: dict[str, str]
    not_compared: tuple[str, ...]
    finish: Callable[[str], None] = field(compare=False)


def plan_replay(project: Project, original: RunDir, request: Request) -> Plan:
    """Read and check the record of ``original``; nothing is written or run.

    Raises the errors of reading, CodeNotAvailable, NotReplayable, and InconsistentRun for a run that is no
    baseline: aborted, still running, or one whose status and sentinel disagree.
    """
    run = read_run(original)
    state, why = read_state(original)
    if state not in (RunState.SUCCESS, RunState.FAILED):
        raise InconsistentRun(
            f"run {original.name} is {state} and no baseline" + (f": {why}" if why else ""),
            hint=f"replay a run that ended: kfm-repro replay latest:{original.pipeline}",
        )
    for pattern in run.pipeline.outputs:
        safe_relative(pattern, what=f"pipeline.outputs of {original.name}")
    return Plan(
        original=original,
        run=run,
        state=state,
        code=check_code(project.root, original, run.pipeline.version),
        interpreter=choose_interpreter(project, run),
        inputs=read_manifest(original, run.inputs_manifest, "inputs"),
        outputs=read_manifest(original, run.outputs_manifest, "outputs"),
        timeout_s=request.timeout_s or _default_timeout(run),
    )


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
    fresh, store = writer.run, ObjectStore(project.runs)
    document = _document(plan, fresh)
    writer.yaml(document)
    sources = resolve_inputs(
        project.root, plan.inputs, store, (plan.code.repository, plan.code.commit),
        current=request.current_inputs, spool=place / "spool",
    )  # fmt: skip
    workspace = build_workspace(
        place, project, plan.original, plan.run, fresh, plan.code, sources, plan.outputs
    )
    environ, environment = replay_environment(
        plan.run, plan.interpreter, home=workspace.home, temporary=workspace.temporary,
        given=_variables(plan, fresh, workspace),
    )  # fmt: skip
    environ = {name: value.replace("{root}", str(workspace.root)) for name, value in environ.items()}
    imported = [str(workspace.root / path) for path in import_roots(plan.interpreter.path, project.root)]
    if imported:
        environ["PYTHONPATH"] = os.pathsep.join([*imported, *filter(None, [environ.get("PYTHONPATH")])])
    untouched = _project_state(project, plan)
    _wait_until_clocks_moved_on(plan.run)
    outcome = run_command(
        Process(
            argv=build_command(
                plan.run.pipeline, workspace.root, plan.interpreter.path, _values(plan, workspace)
            ),
            cwd=working_folder(plan.run.pipeline, workspace.root),
            env=environ,
            logs=fresh.logs,
            timeout_s=plan.timeout_s,
        )
    )
    document["runtime"] |= {"started_at": stamp(outcome.started), "finished_at": stamp(outcome.finished)}
    document["environment"] |= {"env": {k: v for k, v in environ.items() if not k.startswith("KFM_RUN")}}
    writer.yaml(document)
    produced = _collect(project, plan, fresh, workspace)
    not_compared = _not_compared(plan, workspace, produced)
    _adopt_run_files(workspace, fresh)
    writer.manifest("inputs", tuple(_as_laid(source) for source in sources), outcome.started)
    writer.manifest("outputs", tuple(produced[path].entry for path in sorted(produced)), outcome.finished)
    for path in sorted(produced):
        store.add(produced[path].file, produced[path].entry.sha256 or "")
    write_metrics(fresh, outcome, [produced[path] for path in sorted(produced)])
    write_not_run(fresh)
    today = fingerprint(plan.interpreter.path, project.root, environ)
    write_json(fresh.path / "environment" / "fingerprint.json", today)
    preconditions = (
        _code_precondition(plan),
        *_original_precondition(plan),
        describe_inputs(sources),
        *_changed_precondition(changed_inputs(sources, workspace.root), plan),
        environment,
        plan.interpreter.precondition,
        *_trespass(untouched, _project_state(project, plan)),
    )

    def finish(aborted: str = "") -> None:
        shutil.rmtree(place, ignore_errors=True)
        if aborted:
            writer.finish("aborted", datetime.now(UTC), reason=aborted)
        elif outcome.outcome == "success":
            writer.finish("success", outcome.finished)
        else:
            reason = f"the pipeline ended: {outcome.outcome}, exit code {outcome.exit_code}"
            writer.finish("failed", outcome.finished, reason=reason)

    return Replayed(
        run=fresh,
        outcome=outcome,
        produced=produced,
        workspace=workspace.root,
        place=place,
        preconditions=preconditions,
        drift=environment_drift(_recorded_fingerprint(plan), today),
        held={name: environ[name] for name in _HELD if name in environ},
        not_compared=not_compared,
        finish=finish,
    )


_HELD = ("PYTHONHASHSEED", "TZ", "LC_ALL")


def _wait_until_clocks_moved_on(run: Run) -> None:
    """Wait, at most a second, until a replay right after its record has another second on the clock.

    Otherwise a time written to the second could be the same in both runs, and the leak stay unseen.
    """
    finished = run.runtime.finished_at
    if finished is not None:
        since = datetime.now(UTC).timestamp() - aware(finished).timestamp()
        if 0 <= since < _CLOCK_GRAIN_S:
            time.sleep(_CLOCK_GRAIN_S - since)


def _default_timeout(run: Run) -> float:
    started, finished = run.runtime.started_at, run.runtime.finished_at
    if started is None or finished is None or (started.tzinfo is None) != (finished.tzinfo is None):
        return 60 * _MIN_TIMEOUT_S
    return max(_MIN_TIMEOUT_S, _TIMEOUT_FACTOR * (finished - started).total_seconds())


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
        "environment": {"fingerprint": "environment/fingerprint.json", "executable": plan.interpreter.path},
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


def _collect(project: Project, plan: Plan, fresh: RunDir, workspace: Workspace) -> dict[str, Produced]:
    """Return what the replay wrote, by the path under which the recorded run would have written it.

    What lay in the workspace before the pipeline started counts only when its state moved on.
    """
    written = written_files(workspace.root, ["."], workspace.before)
    produced: dict[str, Produced] = {}
    places = {
        relocate(entry.path, project, plan.original, fresh): entry.path for entry in plan.outputs.entries
    }
    for place, path in places.items():
        if place in written:
            produced[path] = _renamed(describe_file(workspace.root, place), path)
    patterns = plan.run.pipeline.outputs
    passed_over = {_provenance_target(plan.run), *(entry.path for entry in plan.inputs.entries), *places}
    for path in written:
        if path not in passed_over and _wanted(project, path, patterns):
            produced[path] = describe_file(workspace.root, path)
    return produced


def _wanted(project: Project, path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a file that was not declared would be an output all the same."""
    if patterns:
        return matches_any(path, patterns)
    in_data = any(PurePosixPath(path).is_relative_to(name) for name in project.settings.data_roots)
    return in_data and not is_ephemeral(path, project.ephemeral)


def _not_compared(plan: Plan, workspace: Workspace, produced: dict[str, Produced]) -> tuple[str, ...]:
    """Return what the replay wrote where outputs are not looked for."""
    inputs = {entry.path for entry in plan.inputs.entries}
    known = (
        {item.entry.path for item in produced.values()}
        | {*produced}
        | inputs
        | {_provenance_target(plan.run)}
    )
    run_dir = PurePosixPath(workspace.run_dir.relative_to(workspace.root))
    return tuple(
        path
        for path in written_files(workspace.root, ["."], workspace.before)
        if path not in known and not PurePosixPath(path).is_relative_to(run_dir)
    )


def _project_state(project: Project, plan: Plan) -> dict[str, FileState]:
    """Return the state of the original inputs and outputs, which a replay must leave alone."""
    entries = (*plan.inputs.entries, *plan.outputs.entries)
    return scan_files(project.root, sorted({entry.path for entry in entries}))


def _trespass(before: dict[str, FileState], after: dict[str, FileState]) -> tuple[Precondition, ...]:
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if not changed:
        return ()
    detail = f"files of the project changed while the replay ran, {changed[0]} first"
    return (Precondition(name=TRESPASS, state="drift", detail=detail),)


def _renamed(item: Produced, path: str) -> Produced:
    entry = item.entry
    if entry.path == path:
        return item
    return Produced(
        Entry(path=path, sha256=entry.sha256, size_bytes=entry.size_bytes, row_count=entry.row_count,
              feature_count=entry.feature_count),
        item.file,
    )  # fmt: skip


def _provenance_target(run: Run) -> str:
    """Return where the run's own PROV record goes: a record about the run, not one of its outputs."""
    prov = run.raw.get("prov")
    return str(prov.get("target_path", "")) if isinstance(prov, dict) else ""


def _adopt_run_files(workspace: Workspace, fresh: RunDir) -> None:
    """Take what the pipeline wrote into its run folder (validation, metrics) over into the fresh record."""
    for path in sorted(workspace.run_dir.rglob("*")):
        relative = path.relative_to(workspace.run_dir)
        if (
            path.is_file()
            and not path.is_symlink()
            and relative.parts[0] in ("validation", "metrics", "config")
        ):
            target = fresh.path / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _as_laid(source: InputSource) -> Entry:
    digest = source.digest
    return Entry(path=source.entry.path, sha256=digest.sha256, size_bytes=digest.size_bytes)


def _code_precondition(plan: Plan) -> Precondition:
    if plan.code.uncaptured:
        return Precondition(name="code", state="missing", detail=plan.code.uncaptured, code="CODE_DRIFT")
    patched = " with the recorded patch" if plan.code.patch else ""
    detail = f"commit {plan.code.commit[:12]}{patched}"
    if plan.code.unsaid:
        return Precondition(
            name="code", state="unknown", detail=f"{detail}; the record does not say if it was dirty"
        )
    return Precondition(name="code", state="ok", detail=detail)


def _original_precondition(plan: Plan) -> tuple[Precondition, ...]:
    if plan.state is RunState.SUCCESS:
        return ()
    return (Precondition(name="baseline", state="unknown", detail="the recorded run itself failed"),)


def _changed_precondition(changed: tuple[str, ...], plan: Plan) -> tuple[Precondition, ...]:
    outputs = {entry.path for entry in plan.outputs.entries}
    names = [path for path in changed if path not in outputs]
    if not names:
        return ()
    detail = f"the pipeline changed its own inputs: {', '.join(names[:5])} (the originals are untouched)"
    return (Precondition(name="inputs-after", state="drift", detail=detail, code="SOURCE_SNAPSHOT_DRIFT"),)


def _recorded_fingerprint(plan: Plan) -> dict[str, Any]:
    environment = plan.run.environment
    if environment is None:
        return {}
    known: dict[str, Any] = {"python": environment.python} if environment.python else {}
    if environment.fingerprint:
        path = plan.original.path / environment.fingerprint
        try:
            inside = path.resolve().is_relative_to(plan.original.path.resolve())
            document: Any = json.loads(path.read_bytes()) if inside else {}
        except (OSError, ValueError):
            return known
        if isinstance(document, dict):
            known |= {str(name): value for name, value in document.items()}
    return known


def aware(moment: datetime) -> datetime:
    """Return a moment with a time zone: one without is UTC, as records are."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def host_names() -> tuple[str, ...]:
    """Return the names of this machine that could be embedded in an output."""
    return tuple(sorted({platform.node(), socket.gethostname()} - {"", "localhost"}))
