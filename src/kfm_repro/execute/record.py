"""Run a command unchanged and write the complete record of it."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from kfm_repro.errors import NotWritable, PipelineFailed, UsageError
from kfm_repro.execute.collect import (
    Produced,
    describe_file,
    glob_files,
    is_ephemeral,
    relative_pattern,
    written_files,
)
from kfm_repro.execute.command import describe_command, is_python, portable
from kfm_repro.execute.environment import fingerprint, recorded_variables
from kfm_repro.execute.git import CodeState, Repository, find_repository
from kfm_repro.execute.process import Echo, Outcome, Process, run_command
from kfm_repro.execute.workspace import FileState, scan_files, watched_folders
from kfm_repro.model.manifest import Entry
from kfm_repro.model.run import RUN_SCHEMA
from kfm_repro.runs.hashing import Digest, digest_file
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import inside, is_safe_component
from kfm_repro.runs.project import Project
from kfm_repro.runs.write import RunWriter, stamp, write_json

__all__ = ["Recorded", "Request", "record", "write_metrics", "write_not_run"]

_PATCH = "config/dirty.patch"


@dataclass(frozen=True)
class Request:
    """What to record: the command, and which files are its inputs, outputs and config.

    Patterns and files are relative to the project root. Without ``outputs`` every file that appears or
    changes below the data roots is one. ``echo_to_stderr`` keeps our stdout free of the command's output.
    """

    command: Sequence[str]
    pipeline: str = ""
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    config: str | None = None
    params: str | None = None
    echo_to_stderr: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(frozen=True)
class Recorded:
    """A finished record. ``notes`` are what the user should know about it."""

    run: RunDir
    outcome: Outcome
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    commit: str
    notes: tuple[str, ...] = ()


def record(project: Project, request: Request) -> Recorded:
    """Run a command in the project and record it.

    Raises UsageError, CodeNotAvailable (no repository, no commit), NotWritable, and PipelineFailed after the
    record of a failed command was written.
    """
    request = _checked(project, request)
    pipeline = request.pipeline or _pipeline_name(request.command)
    repository = find_repository(project.root)
    data = _data_folders(project, repository)
    code = repository.state(data)
    entries, digests = _declared_inputs(project, request.inputs)
    writer = RunWriter(project.runs, pipeline, new_run_id(), datetime.now(UTC))
    try:
        return _record_into(writer, project, request, repository, code, entries, digests)
    except PipelineFailed:
        raise
    except BaseException as exc:
        writer.finish("aborted", datetime.now(UTC), reason=str(exc) or type(exc).__name__)
        raise


def _record_into(
    writer: RunWriter,
    project: Project,
    request: Request,
    repository: Repository,
    code: CodeState,
    inputs: tuple[Entry, ...],
    digests: dict[str, Digest],
) -> Recorded:
    run = writer.run
    origins = _snapshot_config(project, request, run)
    if code.dirty:
        (run.path / _PATCH).write_bytes(code.patch)
    started = datetime.now(UTC)
    document = _document(project, request, run, code, origins, started)
    writer.yaml(document)
    before = scan_files(project.root, watched_folders(project, request.outputs))
    _keep_untracked_inputs(project, repository, code, inputs)
    outcome = run_command(
        Process(
            argv=list(request.command),
            cwd=project.root,
            env={**request.environ, **run_variables(run.path, run.path / "config", run.name, started)},
            logs=run.logs,
            echo=Echo.STDERR if request.echo_to_stderr else Echo.BOTH,
            own_group=False,
        )
    )
    document["runtime"] |= {"finished_at": stamp(outcome.finished)}
    writer.yaml(document)
    produced = _outputs(project, request, run, before)
    changed = _changed(project, digests, before)
    _keep(project, produced)
    writer.manifest("inputs", inputs, outcome.started)
    writer.manifest("outputs", tuple(item.entry for item in produced), outcome.finished)
    write_metrics(run, outcome, produced)
    write_not_run(run)
    shutil.rmtree(run.scratch, ignore_errors=True)
    run.scratch.mkdir()
    notes = _notes(project, repository, request, produced, changed)
    if outcome.outcome != "success":
        reason = f"the command ended with exit code {outcome.exit_code}"
        writer.finish("failed", outcome.finished, reason=reason)
        raise PipelineFailed(
            f"{reason}; its record is {project.relative(run.path)}",
            hint="mend the command; a failed run is no baseline",
        )
    writer.finish("success", outcome.finished)
    return Recorded(run, outcome, inputs, tuple(item.entry for item in produced), code.commit, notes)


def run_variables(run_dir: Path, config: Path, run_id: str, started: datetime) -> dict[str, str]:
    """Return the KFM_* variables that a pipeline sees; ``started`` is the recorded start (rule 20)."""
    params = config / "params.json"
    variables = {
        "KFM_RUN_ID": run_id,
        "KFM_RUN_DIR": str(run_dir),
        "KFM_CONFIG_DIR": str(config),
        "KFM_RUN_STARTED_AT": stamp(started),
    }
    return variables | ({"KFM_PARAMS": str(params)} if params.is_file() else {})


def write_metrics(run: RunDir, outcome: Outcome, produced: Sequence[Produced]) -> None:
    """Write metrics/runtime.json (seconds, bytes) and metrics/counters.json (rows and features per output).

    What the pipeline wrote under these names is kept.
    """
    runtime = {
        "wall_s": round(outcome.duration_s, 3),
        "user_s": round(outcome.user_s, 3),
        "system_s": round(outcome.system_s, 3),
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "exit_code": outcome.exit_code,
    }
    counters = {
        item.entry.path: {
            name: value
            for name, value in (("rows", item.entry.row_count), ("features", item.entry.feature_count))
            if value is not None
        }
        for item in produced
    }
    for name, document in (("runtime", runtime), ("counters", counters)):
        path = run.metrics / f"{name}.json"
        if not path.exists():
            write_json(path, document)


def write_not_run(run: RunDir) -> None:
    """Say of every validation that the pipeline left none: never an invented pass (rule 16)."""
    for name in ("schema_report", "geometry_report", "policy_gate"):
        path = run.validation / f"{name}.json"
        if not path.exists():
            write_json(path, {"status": "not-run", "reason": "the pipeline wrote none"})


def _checked(project: Project, request: Request) -> Request:
    """Refuse what cannot be recorded before anything runs, and make all patterns relative to the root."""
    if not request.command:
        raise UsageError("no command to record", hint="kfm-repro record -- python pipelines/import_census.py")
    program = request.command[0]
    place = project.root / program if "/" in program else program
    if shutil.which(place, path=request.environ.get("PATH")) is None:
        raise UsageError(
            f"no such program: {program}", hint="commands run in the project root; check the name and PATH"
        )
    root = project.root
    return replace(
        request,
        inputs=tuple(relative_pattern(root, pattern, what="--input") for pattern in request.inputs),
        outputs=tuple(relative_pattern(root, pattern, what="--output") for pattern in request.outputs),
        config=_checked_file(root, request.config, "--config"),
        params=_checked_file(root, request.params, "--params"),
    )


def _checked_file(root: Path, text: str | None, option: str) -> str | None:
    if text is None:
        return None
    path = relative_pattern(root, text, what=option)
    if not inside(root, path, what=option).is_file():
        raise UsageError(f"no such file for {option}: {text}", hint="name it relative to the project root")
    return path


def _pipeline_name(command: Sequence[str]) -> str:
    words = [word for word in command if not word.startswith("-")]
    if len(words) > 1 and (is_python(words[0]) or words[0] == "make"):
        words = words[1:]
    name = PurePosixPath(words[0]).stem if words else ""
    if not is_safe_component(name):
        raise UsageError("the command suggests no name for the pipeline", hint="give one: --pipeline NAME")
    return name


def _data_folders(project: Project, repository: Repository) -> list[str]:
    """Return the folders, from the top of the repository, that hold data and run records, not code."""
    names = list(project.settings.data_roots)
    if project.runs.is_relative_to(project.root):
        names.append(project.runs_relative.as_posix())
    return [repository.prefix + name for name in names]


def _declared_inputs(
    project: Project, patterns: Sequence[str]
) -> tuple[tuple[Entry, ...], dict[str, Digest]]:
    digests: dict[str, Digest] = {}
    for pattern in patterns:
        paths = [
            path
            for path in glob_files(project.root, [pattern])
            if not (project.root / path).is_relative_to(project.runs)
        ]
        if not paths:
            raise UsageError(
                f"--input {pattern!r} names no file", hint="patterns are relative to the project root"
            )
        for path in paths:
            digests[path] = digest_file(inside(project.root, path, what="input"))
    entries = tuple(
        Entry(path=path, sha256=digest.sha256, size_bytes=digest.size_bytes)
        for path, digest in sorted(digests.items())
    )
    return entries, digests


def _snapshot_config(project: Project, request: Request, run: RunDir) -> dict[str, str]:
    """Copy the config into the record; return the project path that each file came from."""
    given = [(request.config, None), (request.params, "params.json")]
    files: dict[str, Path] = {}
    for text, name in given:
        if text is not None:
            path = project.root / text
            files[name or _snapshot_name(project, path)] = path
    if request.config is None:
        files = {name: project.root / "config" / name for name in _tracked_config(project)} | files
    origins = {}
    for name, path in sorted(files.items()):
        target = run.config / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        origins[name] = path.relative_to(project.root).as_posix()
    return origins


def _snapshot_name(project: Project, path: Path) -> str:
    folder = project.root / "config"
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _tracked_config(project: Project) -> list[str]:
    return [
        path.removeprefix("config/")
        for path in glob_files(project.root, ["config"])
        if "/." not in f"/{path}"
    ]


def _document(
    project: Project,
    request: Request,
    run: RunDir,
    code: CodeState,
    origins: dict[str, str],
    started: datetime,
) -> dict[str, Any]:
    command = describe_command(request.command, project.root)
    python = shutil.which(
        request.command[0] if is_python(request.command[0]) else "python", path=request.environ.get("PATH")
    )
    probe = fingerprint(python, project.root) if python else {}
    write_json(run.path / "environment" / "fingerprint.json", probe)
    version: dict[str, Any] = {"git_commit": code.commit, "repo_dirty": code.dirty}
    if code.dirty:
        version |= {"tree": code.tree, "patch": _PATCH, "patch_sha256": digest_file(run.path / _PATCH).sha256}
    pipeline: dict[str, Any] = {
        "name": run.pipeline,
        "entrypoint": command.entrypoint,
        "args": list(command.args),
        "cwd": ".",
    }
    if request.outputs:
        pipeline["outputs"] = list(request.outputs)
    pipeline["config"] = origins
    environment: dict[str, Any] = {"fingerprint": "environment/fingerprint.json", "root": str(project.root)}
    if probe:
        environment |= {"python": probe.get("python", ""), "executable": probe.get("executable", "")}
    variables = recorded_variables(request.environ)
    variables = {name: portable(value, project.root) for name, value in variables.items()}
    return {
        "schema": RUN_SCHEMA,
        "run_id": run.name,
        "pipeline": pipeline | {"version": version},
        "runtime": {
            "started_at": stamp(started),
            "host": platform.node(),
            "runner": _runner(request.environ),
        },
        "actor": {"invoked_by": _user()},
        "inputs_manifest": "manifests/inputs.json",
        "outputs_manifest": "manifests/outputs.json",
        "validation": {
            "schema_report": "validation/schema_report.json",
            "geometry_report": "validation/geometry_report.json",
            "policy_gate": "validation/policy_gate.json",
        },
        "environment": environment | {"env": variables},
    }


def _runner(environ: Mapping[str, str]) -> str:
    return "ci" if environ.get("CI", "").lower() in ("1", "true", "yes") else "local"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _keep_untracked_inputs(
    project: Project, repository: Repository, code: CodeState, inputs: Sequence[Entry]
) -> None:
    """Keep the bytes of inputs that git does not have at the commit, so that the run stays replayable."""
    store = ObjectStore(project.runs)
    for entry in inputs:
        if entry.sha256 is None:
            continue
        spool = project.runs / ".objects" / f".git-{uuid4().hex}"
        spool.parent.mkdir(parents=True, exist_ok=True)
        try:
            in_git = repository.blob(code.commit, repository.prefix + entry.path, spool)
            if not in_git or digest_file(spool).sha256 != entry.sha256:
                store.add(project.root / entry.path, entry.sha256)
        finally:
            spool.unlink(missing_ok=True)


def _of_another_run(project: Project, run: RunDir, path: str) -> bool:
    """Return whether a file lies among the run records, but not in the record of this run."""
    place = project.root / path
    return place.is_relative_to(project.runs) and not place.is_relative_to(run.path)


def _outputs(project: Project, request: Request, run: RunDir, before: dict[str, FileState]) -> list[Produced]:
    folders = watched_folders(project, request.outputs)
    written = written_files(project.root, folders, before)
    if not request.outputs:
        paths = tuple(path for path in written if not is_ephemeral(path, project.ephemeral))
    else:
        paths = tuple(
            path
            for path in glob_files(project.root, request.outputs)
            if path in written and not _of_another_run(project, run, path)
        )
    return [describe_file(project.root, path) for path in paths]


def _changed(project: Project, digests: dict[str, Digest], before: dict[str, FileState]) -> list[str]:
    """Return the declared inputs that the command changed; only those whose file state moved are read."""
    after = scan_files(project.root, project.settings.data_roots)
    changed = []
    for path, digest in digests.items():
        if path in before and before[path] == after.get(path):
            continue
        file = project.root / path
        if not file.is_file() or digest_file(file).sha256 != digest.sha256:
            changed.append(path)
    return sorted(changed)


def _keep(project: Project, produced: Sequence[Produced]) -> None:
    store = ObjectStore(project.runs)
    for item in produced:
        if not store.add(item.file, item.entry.sha256 or ""):
            raise NotWritable(
                f"an output changed while it was recorded: {item.entry.path}",
                hint="the command left something running that still writes; wait for it inside the command",
            )


def _notes(
    project: Project,
    repository: Repository,
    request: Request,
    produced: Sequence[Produced],
    changed: Sequence[str],
) -> tuple[str, ...]:
    notes = []
    if not request.inputs:
        notes.append("no inputs declared: a replay sees no data files; declare them with --input GLOB")
    if not produced:
        notes.append("no outputs found: there is nothing to compare; name them with --output GLOB")
    written = {item.entry.path for item in produced}
    left = [path for path in glob_files(project.root, request.outputs) if path not in written]
    if left:
        notes.append(
            f"{len(left)} files fit --output but were not written by the command, {left[0]} first: left out"
        )
    if repository.visible(project.runs):
        notes.append(f"git does not ignore {project.runs_relative}: add {project.ephemeral}/ to .gitignore")
    notes += [f"the command changed its own input {path}" for path in changed]
    return tuple(notes)
