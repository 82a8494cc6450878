"""A run in brief: from its status.json where that says enough, without opening run.yaml (rule 19)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from kfm_repro.errors import InvalidRecord
from kfm_repro.model.listing import ListedRun
from kfm_repro.model.run import RunState, Status
from kfm_repro.runs.ids import id_time
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.read import MAX_YAML_BYTES, read_run, read_status, state_of

__all__ = ["is_original", "may_be_replay", "moment_of", "spell", "summarise"]


def summarise(run: RunDir, files: Collection[str], *, path: str = "") -> ListedRun:
    """Return ``run`` in brief; ``files`` are the names of the files in its folder, ``path`` is how to call it.

    run.yaml is parsed only where neither status.json nor the id says when it started, or where it may say that
    it is a replay and status.json does not. A damaged record is inconsistent, never an error.
    """
    status, problem = _status(run, files)
    sentinels = [name for name in (run.success.name, run.failed.name) if name in files]
    state, reason = state_of(run, status, sentinels)
    if problem:
        state, reason = RunState.INCONSISTENT, problem
    started = moment_of(status.started_at) if status else None
    finished = moment_of(status.finished_at) if status else None
    replay_of = status.replay.of if status and status.replay else None
    mirrored = started is not None
    started = started or id_time(run.name)
    asked = started is None or ((not mirrored or replay_of is None) and may_be_replay(run))
    if "run.yaml" in files and asked:
        recorded, ended, of, problem = _from_yaml(run)
        replay_of = replay_of or of
        reason = reason or problem
        if not mirrored:
            started, finished = recorded or started, ended
    return ListedRun(
        run_id=run.name,
        pipeline=run.pipeline,
        state=state,
        reason=reason,
        partial="run.yaml" not in files,
        started_at=spell(started),
        finished_at=spell(finished),
        duration_s=_duration(started, finished),
        replay_of=replay_of,
        path=path,
    )


def is_original(run: ListedRun) -> bool:
    """Return whether a run can be a baseline: it succeeded and is not itself a replay (rule 15)."""
    return run.state is RunState.SUCCESS and run.replay_of is None


def may_be_replay(run: RunDir) -> bool:
    """Return whether run.yaml has the word at all: searching it is a hundred times cheaper than parsing it."""
    try:
        if not run.run_yaml.is_file():
            return False
        with run.run_yaml.open("rb") as file:
            return b"replay" in file.read(MAX_YAML_BYTES)
    except OSError:
        return False


def moment_of(value: str | None) -> datetime | None:
    """Return a recorded time in UTC (without a zone it is taken for UTC), None where it is none."""
    try:
        moment = datetime.fromisoformat(value) if value else None
        return _utc(moment) if moment else None
    except (ValueError, OverflowError):
        return None


def spell(moment: datetime | None) -> str | None:
    """Return a moment as listings spell it, so that texts sort as times do: UTC, milliseconds, ``Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _status(run: RunDir, files: Collection[str]) -> tuple[Status | None, str]:
    if run.status.name not in files:
        return None, ""
    try:
        return read_status(run), ""
    except InvalidRecord as exc:
        return None, exc.message


def _from_yaml(run: RunDir) -> tuple[datetime | None, datetime | None, str | None, str]:
    try:
        record = read_run(run)
    except InvalidRecord as exc:
        return None, None, None, exc.message
    times = record.runtime
    return (
        _utc(times.started_at) if times.started_at else None,
        _utc(times.finished_at) if times.finished_at else None,
        record.replay.of if record.replay else None,
        "",
    )


def _duration(started: datetime | None, finished: datetime | None) -> float | None:
    if started is None or finished is None or finished < started:
        return None
    return round((finished - started).total_seconds(), 3)
