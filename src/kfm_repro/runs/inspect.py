"""Everything that a run's record says, gathered for one screen: what cannot be read is named, the rest is shown."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kfm_repro.errors import InvalidRecord, RunError
from kfm_repro.model.encode import read_report
from kfm_repro.model.listing import ListedRun, ShownFile, ShownFiles, ShownValidation, ShowReport
from kfm_repro.model.report import Report
from kfm_repro.model.run import Run, RunState
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.listing import Filter, list_runs
from kfm_repro.runs.logs import last_lines
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_status
from kfm_repro.runs.redacted import redacted
from kfm_repro.runs.summary import moment_of, spell, summarise

__all__ = ["show_run"]

_SHOWN_FILES = 12
_MAX_FILES = 1_000
_MAX_JSON_BYTES = 16 << 20
_T = TypeVar("_T")


def show_run(project: Project, spec: str) -> ShowReport:
    """Return what the record of the run that ``spec`` names says, without the secrets that others left in it.

    Raises RunNotFound, AmbiguousRun.
    """
    run = resolve_run(project, spec)
    reader = _Reader(run)
    with os.scandir(run.path) as entries:
        files = {entry.name for entry in entries if entry.is_file()}
    brief = summarise(run, files, path=project.relative(run.path))
    reader.attempt(lambda: read_status(run))
    record = reader.attempt(lambda: read_run(run)) if "run.yaml" in files else None
    report = reader.report(brief)
    replays = _replays_of(project, brief) if run.path.is_relative_to(project.runs) else ()
    shown = msgspec.structs.replace(
        _of_record(reader, _completed(run, brief, record), record),
        verdict=report.verdict if report else msgspec.UNSET,
        report=report or msgspec.UNSET,
        config=tuple(reader.names("config")),
        validation=tuple(reader.validation()),
        metrics=reader.metrics(),
        last_lines=last_lines(run) if brief.state in (RunState.FAILED, RunState.ABORTED) else (),
        replays=replays,
        verdicts={item.run_id: _verdict_of(project, item) for item in replays},
        problems=tuple(reader.problems),
    )
    return msgspec.convert(redacted(msgspec.to_builtins(shown)), ShowReport)


class _Reader:
    """Reads the parts of one record; a part that cannot be read becomes a problem, not the end."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.problems: list[str] = []

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """Return what ``read`` returns; None, and the problem noted, when the record is at fault."""
        try:
            return read()
        except RunError as exc:
            self.problems.append(exc.message)
        except OSError as exc:
            self.problems.append(f"cannot be read: {exc.filename}: {exc.strerror}")
        return None

    def document(self, relative: str) -> Any:  # noqa: ANN401 - any JSON
        """Return a JSON document of the run, None when it is not there."""
        path = inside(self.run.path, relative, what=f"{relative} of {self.run.name}")
        if not path.is_file():
            return None
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise InvalidRecord(f"{relative} of {self.run.name} is larger than {_MAX_JSON_BYTES >> 20} MiB")
        try:
            return json.loads(path.read_bytes())
        except (ValueError, RecursionError) as exc:
            raise InvalidRecord(f"{relative} of {self.run.name} is not JSON: {exc}") from exc

    def files(self, relative: str, which: str) -> ShownFiles | None:
        """Return a manifest in brief."""
        path = self.attempt(lambda: inside(self.run.path, relative, what=f"{which}_manifest"))
        if path is None or not path.is_file():
            return None
        manifest = self.attempt(lambda: read_manifest(self.run, relative, which))
        if manifest is None:
            return None
        entries = manifest.entries
        return ShownFiles(
            count=len(entries),
            size_bytes=sum(entry.size_bytes or 0 for entry in entries),
            files=tuple(
                ShownFile(
                    path=entry.path,
                    sha256=entry.sha256,
                    size_bytes=entry.size_bytes,
                    records=entry.row_count if entry.row_count is not None else entry.feature_count,
                )
                for entry in entries[:_SHOWN_FILES]
            ),
        )

    def names(self, folder: str) -> Iterator[str]:
        """Yield the files below a folder of the run, sorted; no link is followed."""
        top = self.attempt(lambda: inside(self.run.path, folder, what=f"{folder}/ of {self.run.name}"))
        if top is None:
            return
        found: list[str] = []
        for base, folders, files in os.walk(top):
            folders.sort()
            found += [(Path(base) / name).relative_to(self.run.path).as_posix() for name in files]
            if len(found) > _MAX_FILES:
                break
        yield from sorted(found)[:_MAX_FILES]

    def validation(self) -> Iterator[ShownValidation]:
        """Yield what each report of ``validation/`` says of itself."""
        for name in self.names("validation"):
            if not name.endswith(".json") or name == "validation/repro_report.json":
                continue
            document = self.attempt(lambda name=name: self.document(name))  # type: ignore[misc]
            said = document if isinstance(document, dict) else {}
            status = said.get("status")
            yield ShownValidation(
                name=name.removeprefix("validation/"),
                status=status if isinstance(status, str) else "unknown",
                reason=str(said.get("reason") or ""),
            )

    def metrics(self) -> dict[str, Any]:
        """Return the single values of ``metrics/*.json``, by their names."""
        values: dict[str, Any] = {}
        for name in self.names("metrics"):
            if name.endswith(".json"):
                document = self.attempt(lambda name=name: self.document(name))  # type: ignore[misc]
                if isinstance(document, dict):
                    values |= {k: _finite(v) for k, v in document.items() if isinstance(v, (int, float, str))}
        return dict(sorted(values.items()))

    def report(self, brief: ListedRun) -> Report | None:
        """Return the saved report of a replay."""
        if brief.replay_of is None or not self.run.report.is_file():
            return None
        where = "validation/repro_report.json"
        try:
            return read_report(inside(self.run.path, where, what=where))
        except (msgspec.MsgspecError, ValueError, OSError, RunError) as exc:
            self.problems.append(f"{where} of {self.run.name} is no report: {exc}")
            return None


def _of_record(reader: _Reader, brief: ListedRun, record: Run | None) -> ShowReport:
    """Return what run.yaml says and what it leads to; its defaults where there is none."""
    known = record or Run(run_id=brief.run_id)
    environment = known.environment
    actor = known.raw.get("actor")
    fingerprint = environment.fingerprint if environment else None
    printed = reader.attempt(lambda: reader.document(fingerprint)) if fingerprint else None
    printed = printed if isinstance(printed, dict) else {}
    packages = printed.get("packages")
    named = {name: printed.get(name) for name in ("implementation", "machine", "system", "libc")}
    named |= {
        "python": environment.python if environment and environment.python else printed.get("python"),
        "executable": environment.executable if environment else None,
    }
    return ShowReport(
        run=brief,
        git_commit=known.pipeline.version.git_commit,
        repo_dirty=known.pipeline.version.repo_dirty,
        entrypoint=known.pipeline.entrypoint,
        args=known.pipeline.args,
        cwd=known.pipeline.cwd,
        host=known.runtime.host,
        runner=known.runtime.runner,
        invoked_by=str(actor["invoked_by"]) if isinstance(actor, dict) and actor.get("invoked_by") else None,
        environment={name: str(value) for name, value in sorted(named.items()) if value},
        variables=dict(sorted(environment.env.items())) if environment else {},
        packages=len(packages) if isinstance(packages, dict) else None,
        inputs=reader.files(known.inputs_manifest, "inputs"),
        outputs=reader.files(known.outputs_manifest, "outputs"),
    )


def _completed(run: RunDir, brief: ListedRun, record: Run | None) -> ListedRun:
    """Return the run in brief with what only run.yaml knows: the times of an old record, and that it is a replay.

    The start that a listing takes from the id is a guess as long as status.json does not say it.
    """
    if record is None:
        return brief
    times = record.runtime
    started = spell(moment_of(times.started_at.isoformat())) if times.started_at else brief.started_at
    finished = spell(moment_of(times.finished_at.isoformat())) if times.finished_at else brief.finished_at
    started = (brief.started_at if _mirrors_start(run) else None) or started
    begin, end = moment_of(started), moment_of(finished)
    seconds = (end - begin).total_seconds() if begin and end and end >= begin else None
    return msgspec.structs.replace(
        brief,
        started_at=started,
        finished_at=finished,
        duration_s=brief.duration_s if _mirrors_start(run) else seconds,
        replay_of=brief.replay_of or (record.replay.of if record.replay else None),
    )


def _mirrors_start(run: RunDir) -> bool:
    try:
        status = read_status(run)
    except InvalidRecord:
        return False
    return status is not None and moment_of(status.started_at) is not None


def _finite(value: float | str) -> float | str:
    """Return what JSON can hold: NaN and the infinities, which Python reads and writes, as texts."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _replays_of(project: Project, brief: ListedRun) -> tuple[ListedRun, ...]:
    runs = list_runs(project, Filter(replays=True)).runs
    return tuple(run for run in runs if run.replay_of == brief.run_id)


def _verdict_of(project: Project, replay: ListedRun) -> str:
    """Return the verdict in the saved report of a replay; ``unknown`` where it says none."""
    path = project.runs / replay.pipeline / replay.run_id
    try:
        return str(read_report(inside(path, "validation/repro_report.json", what="report")).verdict)
    except (msgspec.MsgspecError, ValueError, OSError, RunError):
        return "unknown"
