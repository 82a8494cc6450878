"""Run a command unchanged and write the complete record of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError, PipelineFailed
from kfm_repro.execute.capture import code_state
from kfm_repro.execute.collect import (
    Produced,
    describe_files,
    glob_files,
    is_ephemeral,
    matches_any,
    written_files,
)
from kfm_repro.execute.found import KNOWN_GAPS, FoundInputs, find_inputs, note_observation
from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.execute.given import (
    Session,
    changed_by_command,
    code_files,
    declared_inputs,
    describe_found,
    keep_inputs,
    marked,
    not_kept,
    pointer_error,
)
from kfm_repro.execute.guard import Guard
from kfm_repro.execute.lfs import is_pointer
from kfm_repro.execute.naming import pipeline_name
from kfm_repro.execute.observe import Observation, Watch
from kfm_repro.execute.outside import note_outside, outside_before, outside_outputs
from kfm_repro.execute.process import Echo, Outcome, Process, run_command
from kfm_repro.execute.redacted import redacted_in_logs, redacted_in_record
from kfm_repro.execute.scan import FileState, scan_files, watched_folders
from kfm_repro.execute.snapshot import (
    Request,
    checked_request,
    describe_run,
    keep_patch,
    snapshot_config,
    snapshot_environment,
    snapshot_notes,
)
from kfm_repro.execute.stdin import STDIN, UNREAD, StdinWatch
from kfm_repro.execute.submodules import read_submodules
from kfm_repro.execute.validation import write_validation
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.ids import new_run_id
from kfm_repro.runs.layout import RunDir, is_own_file
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import real_path
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact_folder
from kfm_repro.runs.trouble import reason_of, temporary_outside
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


def record(project: Project, request: Request) -> Recorded:
    """Run a command in the project and record it.

    Raises UsageError, CodeNotAvailable (no repository, no commit, changed submodules), InputUnavailable (an
    input is a pointer of Git LFS), NotWritable, and PipelineFailed after the record of a failed command was
    written.
    """
    request = checked_request(project, request)
    repository = find_repository(project.root)
    temporary_outside(project.root)
    code = code_state(repository, _data_folders(project, repository))
    submodules = read_submodules(repository, code.commit)
    declared = declared_inputs(project, request.inputs)
    pipeline = pipeline_name(request.pipeline, request.command)
    session = Session(project, request, repository, code, submodules, declared)
    ObjectStore.of(project).prepare()
    writer = RunWriter(project.runs, pipeline, new_run_id(), datetime.now(UTC))
    try:
        return _record_into(writer, session)
    except _Ended as exc:
        raise exc.error from None
    except BaseException as exc:
        writer.finish("aborted", datetime.now(UTC), reason=reason_of(exc))
        raise


class _Ended(Exception):
    """A record is complete and at its end; ``error`` is what is still to be raised."""

    def __init__(self, error: KfmReproError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class _Ran:
    """What was seen of the command: how it ended, what it opened, whether it read its standard input."""

    outcome: Outcome
    seen: Observation
    stdin: str


def _record_into(writer: RunWriter, session: Session) -> Recorded:
    project, request, run = session.project, session.request, writer.run
    document, origins = _begin(writer, session)
    before = scan_files(project.root, watched_folders(project, request.outputs))
    links = outside_before(project, request.outputs)
    ran = _run(session, writer, document)
    outcome, seen = ran.outcome, ran.seen
    document["pipeline"]["version"] |= keep_patch(run, session.code)
    produced = _outputs(project, request, run, before)
    outside = outside_outputs(project, request.outputs, run, links)
    found = find_inputs(project, seen, {*code_files(session), *origins.values()})
    inputs = session.declared or describe_found(project, found)
    changed = changed_by_command(project, inputs, before)
    if not session.declared:
        keep_inputs(session, inputs)
    unsettled = _unsettled(project, produced, outcome)
    told = note_observation(
        project, seen, found,
        declared={entry.path for entry in session.declared}, outputs={item.entry.path for item in produced},
    )  # fmt: skip
    lost = not_kept(session, seen, inputs)
    if lost:
        document["pipeline"]["version"]["not_kept"] = lost
    document["runtime"] |= {"finished_at": stamp(outcome.finished)}
    document["observation"] = _observation(request, ran, found)
    writer.yaml(document)
    inputs = tuple(marked(entry, changed) for entry in inputs)
    writer.manifest("inputs", inputs, outcome.started)
    outputs = (*(item.entry for item in produced), *outside)
    writer.manifest("outputs", outputs, outcome.finished)
    write_metrics(run, outcome, produced)
    printed = redact_folder(run.logs)
    write_validation(project, run, inputs, produced)
    shutil.rmtree(run.scratch, ignore_errors=True)
    run.scratch.mkdir(exist_ok=True)
    _finish(writer, project, outcome, inputs, unsettled)
    known = (
        *redacted_in_record(document),
        *redacted_in_logs(printed),
        *snapshot_notes(run, origins, document["environment"]),
    )
    told = (*told, *note_outside(outside))
    notes = (*_notes(session, run, produced, changed), *told, *_notes_on_run(ran, lost), *known)
    return Recorded(run, outcome, inputs, outputs, session.code.commit, notes)


def _begin(writer: RunWriter, session: Session) -> tuple[dict[str, Any], dict[str, str]]:
    """Write what is known before the command begins; return run.yaml, and where its config came from."""
    project, request, run = session.project, session.request, writer.run
    origins = snapshot_config(project, request, run)
    environment = snapshot_environment(project, request, run)
    keep_inputs(session, session.declared)
    document = describe_run(
        project, request, run, session.code, session.submodules, origins, environment, datetime.now(UTC)
    )
    writer.yaml(document)
    return document, origins


def _run(session: Session, writer: RunWriter, document: dict[str, Any]) -> _Ran:
    """Run the command while what it opens is watched from outside: its environment gets KFM_* and no more.

    Raises what is to be raised when it destroyed its own record, which then reads as failed.
    """
    project, request, run = session.project, session.request, writer.run
    guard = Guard(run.path, ("config", "environment"))
    with Watch(project.root, project.runs, on=request.observe) as watch, StdinWatch() as stdin:
        outcome = run_command(
            Process(
                argv=list(request.command),
                cwd=project.root,
                env={
                    **request.environ,
                    **run_variables(run.path, run.config, run.name, document["runtime"]["started_at"]),
                },
                logs=run.logs,
                echo=Echo.STDERR if request.echo_to_stderr else Echo.BOTH,
                own_group=False,
            )
        )
        ran = _Ran(outcome, watch.finish(), stdin.finish())
    broken = guard.broken()
    if not broken:
        return ran
    guard.make_way()
    document["runtime"] |= {"finished_at": stamp(outcome.finished)}
    writer.yaml(document)
    writer.finish("failed", outcome.finished, reason=f"the command {broken}")
    raise _Ended(
        PipelineFailed(
            f"the command {broken}: what was recorded of it is lost",
            hint="keep the folder, and what lies in config/ and environment/ there, while the command runs",
        )
    )


def _finish(
    writer: RunWriter,
    project: Project,
    outcome: Outcome,
    inputs: Sequence[Entry],
    unsettled: Sequence[str],
) -> None:
    """Bring a complete record to its end: success, or failed and an error that says why."""
    pointers = [entry.path for entry in inputs if is_pointer(project.root / entry.path)]
    if outcome.outcome != "success":
        reason = f"the command ended with exit code {outcome.exit_code}"
        error: KfmReproError = PipelineFailed(
            f"{reason}; its record is {project.relative(writer.run.path)}",
            hint=f"mend the command; a failed run is no baseline{_elsewhere(project)}",
        )
    elif pointers:
        reason = f"it read pointers of Git LFS instead of data: {', '.join(pointers[:5])}"
        error = pointer_error(pointers)
    elif unsettled:
        who = f" ({', '.join(outcome.left.programs)})" if outcome.left.programs else ""
        reason = f"something still wrote to {unsettled[0]} after the command had ended{who}"
        error = PipelineFailed(
            f"{reason}: what it will hold is not known",
            hint="let the command wait for everything that it starts, then record it again",
        )
    else:
        writer.finish("success", outcome.finished)
        return
    writer.finish("failed", outcome.finished, reason=reason)
    raise _Ended(error)


def _elsewhere(project: Project) -> str:
    """Say where a command ran when that is not where its user is."""
    root = project.root.resolve()
    return f". It ran in the project root, {root}, not here" if Path.cwd().resolve() != root else ""


def _unsettled(project: Project, produced: Sequence[Produced], outcome: Outcome) -> list[str]:
    """Keep the outputs, and return those that are still being written: nobody knows what they will hold."""
    store, root = ObjectStore.of(project), project.root.resolve()
    wrong = frozenset(store.add_all((item.file, item.entry.sha256 or "") for item in produced))
    moving = {item.entry.path for item in produced if item.file in wrong}
    named = {item.entry.path for item in produced}
    resolved = {real_path(item.file): item.entry.path for item in produced}
    for path in outcome.left.writing:
        if path in resolved:
            moving.add(resolved[path])
        elif any(path.is_relative_to(root / name) for name in project.settings.data_roots):
            moving.add(path.relative_to(root).as_posix())
    return sorted(path for path in moving if not is_ephemeral(path, project.ephemeral) or path in named)


def run_variables(run_dir: Path, config: Path, run_id: str, started: str) -> dict[str, str]:
    """Return the KFM_* variables that a pipeline sees; ``started`` is the recorded start (rule 20)."""
    params = config / "params.json"
    variables = {
        "KFM_RUN_ID": run_id,
        "KFM_RUN_DIR": str(run_dir),
        "KFM_CONFIG_DIR": str(config),
        "KFM_RUN_STARTED_AT": started,
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


def _data_folders(project: Project, repository: Repository) -> list[str]:
    """Return the folders, from the top of the repository, that hold data and run records, not code."""
    names = list(project.settings.data_roots)
    if project.runs.is_relative_to(project.root):
        names.append(project.runs_relative.as_posix())
    return [repository.prefix + name for name in names]


def _observation(request: Request, ran: _Ran, found: FoundInputs) -> dict[str, Any]:
    """Return what run.yaml says of how inputs and outputs were found, and of what cannot be kept."""
    seen = ran.seen
    more: dict[str, Any] = {}
    if ran.stdin != UNREAD:
        more["stdin"] = ran.stdin
    if lost := [path for path in found.lost if not matches_any(path, request.inputs)]:
        more["read_first"] = lost
    if ran.outcome.left.programs:
        more["left_running"] = list(ran.outcome.left.programs)
    return {
        "method": "none" if seen.gap and not seen.opened else "inotify",
        "inputs": "declared" if request.inputs else "offered" if seen.gap else "observed",
        "outputs": "declared" if request.outputs else "changed files below the data roots",
        "gaps": [*(() if request.inputs else found.gaps), *KNOWN_GAPS],
        **more,
    }


def _outputs(project: Project, request: Request, run: RunDir, before: dict[str, FileState]) -> list[Produced]:
    folders = watched_folders(project, request.outputs)
    written = dict.fromkeys(written_files(project.root, folders, before))
    if not request.outputs:
        paths = tuple(path for path in written if not is_ephemeral(path, project.ephemeral))
    else:
        paths = tuple(path for path in _named(project, request, run) if path in written)
    return describe_files(project.root, paths)


def _named(project: Project, request: Request, run: RunDir) -> list[str]:
    """Return the files that --output names; our own, of the records and of the object store, are none of them."""
    runs, root = project.runs_relative, project.root
    own = runs / run.pipeline / run.name
    return [
        path
        for path in glob_files(root, request.outputs)
        if not is_own_file(path, runs, own) and not (root / path).is_relative_to(project.objects)
    ]


def _notes_on_run(ran: _Ran, lost: Sequence[str]) -> tuple[str, ...]:
    """Return what the user should know of what the command had and no replay will have."""
    notes = []
    if ran.stdin != UNREAD:
        notes.append(f"{STDIN[ran.stdin]}, which no record keeps: a replay gets none")
    if ran.outcome.left.programs:
        names = ", ".join(ran.outcome.left.programs)
        notes.append(
            f"the command left processes running when it ended ({names}): what they write later is not recorded"
        )
    if lost:
        notes.append(f"too large to be kept as a filter of git left it, so that no replay has it: {lost[0]}")
    return tuple(notes)


def _notes(
    session: Session, run: RunDir, produced: Sequence[Produced], changed: Iterable[str]
) -> tuple[str, ...]:
    project, notes = session.project, []
    if not produced:
        given = ", ".join(session.request.outputs)
        why = (
            f"the command wrote no file that fits --output {given}"
            if given
            else "name them with --output GLOB"
        )
        notes.append(f"no outputs found: there is nothing to compare; {why}")
    written = {item.entry.path for item in produced}
    left = [path for path in _named(project, session.request, run) if path not in written]
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
