"""Run a command unchanged and write the complete record of it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kfm_repro.errors import InputUnavailable, KfmReproError, NotWritable, PipelineFailed, UsageError
from kfm_repro.execute.collect import Produced, describe_file, glob_files, is_ephemeral, written_files
from kfm_repro.execute.command import is_python
from kfm_repro.execute.found import FoundInputs, find_inputs, note_observation
from kfm_repro.execute.git import CodeState, Repository, find_repository
from kfm_repro.execute.lfs import is_pointer
from kfm_repro.execute.observe import Observation, Watch
from kfm_repro.execute.process import Echo, Outcome, Process, run_command
from kfm_repro.execute.snapshot import (
    PATCH,
    Request,
    checked_request,
    describe_run,
    snapshot_config,
    snapshot_environment,
)
from kfm_repro.execute.submodules import Submodule, read_submodules
from kfm_repro.execute.validation import write_validation
from kfm_repro.execute.workspace import FileState, scan_files, watched_folders
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import inside, is_safe_component
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact_folder
from kfm_repro.runs.trouble import temporary_outside
from kfm_repro.runs.write import RunWriter, stamp, write_json

__all__ = ["Recorded", "Request", "record", "write_metrics"]


@dataclass(frozen=True)
class Recorded:
    """A finished record. ``notes`` are what the user should know about it."""

    run: RunDir
    outcome: Outcome
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    commit: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Session:
    """What is known before the command begins."""

    project: Project
    request: Request
    repository: Repository
    code: CodeState
    submodules: tuple[Submodule, ...]
    declared: tuple[Entry, ...]


def record(project: Project, request: Request) -> Recorded:
    """Run a command in the project and record it.

    Raises UsageError, CodeNotAvailable (no repository, no commit, changed submodules), InputUnavailable (an
    input is a pointer of Git LFS), NotWritable, and PipelineFailed after the record of a failed command was
    written.
    """
    request = checked_request(project, request)
    pipeline = request.pipeline or _pipeline_name(request.command)
    repository = find_repository(project.root)
    temporary_outside(project.root)
    code = repository.state(_data_folders(project, repository))
    submodules = read_submodules(repository, code.commit)
    declared = _declared_inputs(project, request.inputs)
    session = _Session(project, request, repository, code, submodules, declared)
    ObjectStore.of(project).prepare()
    writer = RunWriter(project.runs, pipeline, new_run_id(), datetime.now(UTC))
    try:
        return _record_into(writer, session)
    except _Ended as exc:
        raise exc.error from None
    except BaseException as exc:
        writer.finish("aborted", datetime.now(UTC), reason=str(exc) or type(exc).__name__)
        raise


class _Ended(Exception):
    """A record is complete and at its end; ``error`` is what is still to be raised."""

    def __init__(self, error: KfmReproError) -> None:
        super().__init__(str(error))
        self.error = error


def _record_into(writer: RunWriter, session: _Session) -> Recorded:
    project, request, run = session.project, session.request, writer.run
    origins = snapshot_config(project, request, run)
    if session.code.dirty:
        (run.path / PATCH).write_bytes(session.code.patch)
    environment = snapshot_environment(project, request, run)
    _keep_inputs(session, session.declared)
    started = datetime.now(UTC)
    document = describe_run(
        project, request, run, session.code, session.submodules, origins, environment, started
    )
    writer.yaml(document)
    before = scan_files(project.root, watched_folders(project, request.outputs))
    outcome, seen = _run(session, run, started)
    produced = _outputs(project, request, run, before)
    found = find_inputs(project, seen, {*_tree(session, session.code.tree), *origins.values()})
    inputs = session.declared or _describe_found(project, found)
    changed = _changed(project, inputs, before)
    if not session.declared:
        _keep_inputs(session, inputs)
    _keep(project, produced)
    told = note_observation(
        project, seen, found,
        declared={entry.path for entry in session.declared}, outputs={item.entry.path for item in produced},
    )  # fmt: skip
    notes = (*_notes(session, produced, changed), *told)
    document["runtime"] |= {"finished_at": stamp(outcome.finished)}
    document["observation"] = _observation(request, seen, found)
    writer.yaml(document)
    inputs = tuple(_marked(entry, changed) for entry in inputs)
    writer.manifest("inputs", inputs, outcome.started)
    writer.manifest("outputs", tuple(item.entry for item in produced), outcome.finished)
    write_metrics(run, outcome, produced)
    redact_folder(run.logs)
    write_validation(project, run, inputs, produced)
    shutil.rmtree(run.scratch, ignore_errors=True)
    run.scratch.mkdir(exist_ok=True)
    _finish(writer, project, outcome, inputs)
    return Recorded(run, outcome, inputs, tuple(item.entry for item in produced), session.code.commit, notes)


def _run(session: _Session, run: RunDir, started: datetime) -> tuple[Outcome, Observation]:
    """Run the command while what it opens is watched from outside: its environment gets KFM_* and no more."""
    project, request = session.project, session.request
    with Watch(project.root, project.runs, on=request.observe) as watch:
        outcome = run_command(
            Process(
                argv=list(request.command),
                cwd=project.root,
                env={**request.environ, **run_variables(run.path, run.config, run.name, started)},
                logs=run.logs,
                echo=Echo.STDERR if request.echo_to_stderr else Echo.BOTH,
                own_group=False,
            )
        )
        return outcome, watch.finish()


def _finish(writer: RunWriter, project: Project, outcome: Outcome, inputs: Sequence[Entry]) -> None:
    """Bring a complete record to its end: success, or failed and an error that says why."""
    pointers = [entry.path for entry in inputs if is_pointer(project.root / entry.path)]
    if outcome.outcome != "success":
        reason = f"the command ended with exit code {outcome.exit_code}"
        error: KfmReproError = PipelineFailed(
            f"{reason}; its record is {project.relative(writer.run.path)}",
            hint="mend the command; a failed run is no baseline",
        )
    elif pointers:
        reason = f"it read pointers of Git LFS instead of data: {', '.join(pointers[:5])}"
        error = _pointer_error(pointers)
    else:
        writer.finish("success", outcome.finished)
        return
    writer.finish("failed", outcome.finished, reason=reason)
    raise _Ended(error)


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


def _declared_inputs(project: Project, patterns: Sequence[str]) -> tuple[Entry, ...]:
    """Return the inputs that ``patterns`` name, hashed before the command can change them."""
    paths: set[str] = set()
    for pattern in patterns:
        named = [
            path
            for path in glob_files(project.root, [pattern])
            if not (project.root / path).is_relative_to(project.runs)
        ]
        if not named:
            raise UsageError(
                f"--input {pattern!r} names no file", hint="patterns are relative to the project root"
            )
        paths.update(named)
    pointers = [path for path in sorted(paths) if is_pointer(inside(project.root, path, what="input"))]
    if pointers:
        raise _pointer_error(pointers)
    return tuple(_describe_input(project, path) for path in sorted(paths))


def _describe_input(project: Project, path: str, extra: Mapping[str, Any] | None = None) -> Entry:
    digest = digest_file(inside(project.root, path, what="input"))
    return Entry(path=path, sha256=digest.sha256, size_bytes=digest.size_bytes, extra=dict(extra or {}))


def _describe_found(project: Project, found: FoundInputs) -> tuple[Entry, ...]:
    return tuple(_describe_input(project, path, {"found": how}) for path, how in found.how.items())


def _pointer_error(paths: Sequence[str]) -> InputUnavailable:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return InputUnavailable(
        f"an input is a pointer of Git LFS, not the data: {paths[0]}{more}",
        hint="fetch the data first: git lfs pull",
        code="input-missing",
    )


def _observation(request: Request, seen: Observation, found: FoundInputs) -> dict[str, Any]:
    """Return what run.yaml says of how inputs and outputs were found."""
    return {
        "method": "none" if seen.gap and not seen.opened else "inotify",
        "inputs": "declared" if request.inputs else "offered" if seen.gap else "observed",
        "outputs": "declared" if request.outputs else "changed files below the data roots",
        "gaps": [*(() if request.inputs else found.gaps), "files outside of the project are not seen"],
    }


def _keep_inputs(session: _Session, inputs: Sequence[Entry]) -> None:
    """Keep the bytes of inputs that git does not have at the commit, so that the run stays replayable."""
    store = ObjectStore.of(session.project)
    in_git = _blobs(session, [entry.path for entry in inputs])
    for entry in inputs:
        if entry.path not in in_git:
            store.add(session.project.root / entry.path, entry.sha256 or "")


def _blobs(session: _Session, paths: Sequence[str]) -> set[str]:
    """Return those of ``paths`` whose bytes are a blob of the commit, at the same path."""
    plain = [path for path in paths if "\n" not in path and not path.startswith('"')]
    if not plain:
        return set()
    places = "\n".join(str(session.project.root.resolve() / path) for path in plain)
    data = f"{places}\n".encode(errors="surrogateescape")
    hashed = (
        session.repository.git("hash-object", "--no-filters", "--stdin-paths", data=data).decode().split()
    )
    recorded = _tree(session, session.code.commit)
    return {path for path, digest in zip(plain, hashed, strict=True) if recorded.get(path) == digest}


def _tree(session: _Session, treeish: str) -> dict[str, str]:
    """Return the blobs of a commit or tree by path, relative to the project root."""
    prefix = session.repository.prefix
    listing = session.repository.git("ls-tree", "-r", "-z", "--full-tree", treeish)
    lines = (line.partition("\t") for line in listing.decode(errors="surrogateescape").split("\0") if line)
    return {name.removeprefix(prefix): meta.split()[-1] for meta, _, name in lines if name.startswith(prefix)}


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


def _changed(project: Project, inputs: Sequence[Entry], before: dict[str, FileState]) -> list[str]:
    """Return the inputs that the command changed; only those whose file state moved are read again."""
    after = scan_files(project.root, project.settings.data_roots)
    changed = []
    for entry in inputs:
        if entry.path in before and before[entry.path] == after.get(entry.path):
            continue
        file = project.root / entry.path
        if not file.is_file() or digest_file(file).sha256 != entry.sha256:
            changed.append(entry.path)
    return sorted(changed)


def _marked(entry: Entry, changed: Collection[str]) -> Entry:
    if entry.path not in changed:
        return entry
    return Entry(
        path=entry.path,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        extra=entry.extra | {"changed_during_run": True},
    )


def _keep(project: Project, produced: Sequence[Produced]) -> None:
    store = ObjectStore.of(project)
    for item in produced:
        if not store.add(item.file, item.entry.sha256 or ""):
            raise NotWritable(
                f"an output changed while it was recorded: {item.entry.path}",
                hint="the command left something running that still writes; wait for it inside the command",
            )


def _notes(session: _Session, produced: Sequence[Produced], changed: Sequence[str]) -> tuple[str, ...]:
    project, notes = session.project, []
    if not produced:
        notes.append("no outputs found: there is nothing to compare; name them with --output GLOB")
    written = {item.entry.path for item in produced}
    left = [path for path in glob_files(project.root, session.request.outputs) if path not in written]
    if left:
        notes.append(
            f"{len(left)} files fit --output but were not written by the command, {left[0]} first: left out"
        )
    if session.repository.visible(project.runs):
        notes.append(f"git does not ignore {project.runs_relative}: add {project.ephemeral}/ to .gitignore")
    notes += [
        f"{item.entry.path} is a pointer of Git LFS, not the data: git lfs pull"
        for item in produced
        if is_pointer(project.root / item.entry.path)
    ]
    notes += [f"the command changed its own input {path}" for path in changed]
    return tuple(notes)
