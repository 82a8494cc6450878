"""Every run of a project with what decides whether it may go: state, age, marks (rule 23)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError
from kfm_repro.model.run import RunState
from kfm_repro.runs.discover import iterate_runs
from kfm_repro.runs.ids import id_time
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import boot_id, read_run, read_state
from kfm_repro.runs.status import retained, status_document
from kfm_repro.runs.summary import may_be_replay
from kfm_repro.runs.trust import is_foreign

__all__ = ["Group", "Seen", "named_digests", "survey"]

_DIGEST = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_ELSEWHERE = timedelta(days=7)

Group = str
"""What a run is counted with: ``success``, ``other`` (it ended otherwise), ``replay`` or ``foreign``."""


@dataclass(frozen=True)
class Seen:
    """One run. ``problem`` says why it cannot be read; ``elsewhere`` that another machine may be running it."""

    run: RunDir
    state: RunState
    why: str = ""
    started: float = 0.0
    started_at: str | None = None
    of: str = ""
    retain: str = ""
    foreign: bool = False
    elsewhere: bool = False
    problem: str = ""

    @property
    def group(self) -> Group:
        """With which runs of its pipeline it is counted."""
        if self.foreign:
            return "foreign"
        if self.of:
            return "replay"
        return "success" if self.state is RunState.SUCCESS else "other"


def survey(project: Project) -> tuple[Seen, ...]:
    """Return every run of the project by pipeline, oldest first; one that cannot be read is among them."""
    seen = [_look(run) for run in iterate_runs(project.runs)]
    return tuple(sorted(seen, key=lambda item: (item.run.pipeline, item.started, item.run.name)))


def named_digests(runs: Path) -> set[bytes]:
    """Return every sha256 that a run below ``runs`` names, as 32 bytes.

    Manifests are searched as text, whatever their state: a digest in half a manifest counts. Folders that are
    links count, too. Raises OSError when one cannot be read: then nothing is known to be unneeded.
    """
    names: set[bytes] = set()
    for pipeline in _folders(runs):
        for folder in _folders(pipeline):
            for path in _manifests(RunDir(folder)):
                content = _plain(path.read_bytes())
                names.update(bytes.fromhex(found.decode()) for found in _DIGEST.findall(content))
    return names


def _plain(content: bytes) -> bytes:
    """Return JSON text with nothing escaped or in wide characters, so that a digest reads as it is."""
    content = content.replace(b"\0", b"")
    if b"\\u" not in content:
        return content
    with suppress(ValueError, RecursionError):
        return content + json.dumps(json.loads(content)).encode()
    return content


def _look(run: RunDir) -> Seen:
    try:
        status = status_document(run)
        state, why = read_state(run)
        started, of = _text(status.get("started_at")), _replayed(status)
        told = bool(started) and "pid" in status
        if run.run_yaml.exists() and (not told or (not of and may_be_replay(run))):
            record = read_run(run)
            of = of or (record.replay.of if record.replay else "")
            if not told and record.runtime.started_at is not None:
                started = record.runtime.started_at.isoformat()
    except (KfmReproError, OSError) as exc:
        return Seen(run, RunState.INCONSISTENT, problem=str(exc), started=_guessed(run))
    moment = _seconds(started)
    return Seen(
        run,
        state,
        why,
        started=moment if moment is not None else _guessed(run),
        started_at=started or None,
        of=of,
        retain=retained(status),
        foreign=is_foreign(run),
        elsewhere=_maybe_elsewhere(status, state, moment),
    )


def _maybe_elsewhere(status: dict[str, Any], state: RunState, started: float | None) -> bool:
    """Return whether a run that seems dead may live on another machine that shares the folder."""
    if state is not RunState.ABORTED or status.get("state") != "running":
        return False
    if status.get("boot_id") in (None, boot_id()):
        return False
    return started is None or datetime.now(UTC).timestamp() - started < _ELSEWHERE.total_seconds()


def _manifests(run: RunDir) -> Iterator[Path]:
    """Yield every file of a run that may name objects: its manifests, or all its JSON when run.yaml is no help."""
    paths = {path for path in run.path.glob("manifests/*") if path.is_file()}
    try:
        record = read_run(run)
        for relative in (record.inputs_manifest, record.outputs_manifest):
            paths.add(inside(run.path, relative, what="manifest"))
    except KfmReproError:
        paths |= set(run.path.rglob("*.json"))
    yield from sorted(path for path in paths if path.is_file())


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(item for item in path.iterdir() if not item.name.startswith(".") and item.is_dir())


def _replayed(status: dict[str, Any]) -> str:
    replay = status.get("replay")
    return _text(replay.get("of")) if isinstance(replay, dict) else ""


def _seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _guessed(run: RunDir) -> float:
    """Return when a run that does not say so started: its id may, and the time of its folder changes with a copy."""
    moment = id_time(run.name)
    if moment is not None:
        return moment.timestamp()
    try:
        return run.path.stat().st_mtime
    except OSError:
        return 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
