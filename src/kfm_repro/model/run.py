"""A run record as a frozen document: run.yaml, status.json and what they mean (``docs/run-record.md``).

Reading is tolerant: values may be missing, unknown keys are kept in ``raw``. Only what decides how a run is
replayed is typed strictly.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

__all__ = [
    "RUN_SCHEMA",
    "CodeVersion",
    "Pipeline",
    "RecordedEnvironment",
    "ReplayOf",
    "Run",
    "RunState",
    "Runtime",
    "Status",
    "StatusReplay",
]

RUN_SCHEMA = "kfm-repro.run/1"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts of run.yaml; keys it does not name are ignored here and kept in ``Run.raw``."""


class CodeVersion(Part, frozen=True, kw_only=True):
    """Which code ran: a commit and, where its files were not those bytes, the patch that leads to ``tree``.

    ``checkout`` is ``raw`` when commit and patch have the files byte by byte as they lay there. ``converted`` files
    had other bytes than git keeps, and git does not call that a change; ``not_kept`` ones of them are nowhere.
    Of each of ``submodules`` it says ``path``, ``commit`` and, when it was not checked out, ``present: false``.
    ``branch`` was checked out, ``tags`` maps those of its history to their objects, ``abbrev`` is how many digits git
    shortens a commit to; None where a record does not say.
    """

    git_commit: str | None = None
    branch: str | None = None
    tags: dict[str, str] | None = None
    abbrev: int | None = None
    repo_dirty: bool | None = None
    tree: str | None = None
    patch: str | None = None
    patch_sha256: str | None = None
    submodules: tuple[dict[str, Any], ...] = ()
    checkout: str | None = None
    converted: tuple[str, ...] = ()
    not_kept: tuple[str, ...] = ()


class Pipeline(Part, frozen=True, kw_only=True):
    """What ran. ``config`` maps a file of the config snapshot to the project path that it came from."""

    name: str | None = None
    entrypoint: str | None = None
    args: tuple[str, ...] = ()
    cwd: str = "."
    version: CodeVersion = CodeVersion()
    outputs: tuple[str, ...] = ()
    config: dict[str, str] | None = None


class Runtime(Part, frozen=True, kw_only=True):
    """When and where it ran."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    host: str | None = None
    runner: str | None = None


class RecordedEnvironment(Part, frozen=True, kw_only=True):
    """In what it ran. ``env`` are the variables that the pipeline saw, ``root`` its project folder then.

    ``not_recorded`` are the names of those whose values were not kept.
    """

    fingerprint: str | None = None
    python: str | None = None
    executable: str | None = None
    root: str | None = None
    env: dict[str, str] = {}
    not_recorded: tuple[str, ...] = ()


class ReplayOf(Part, frozen=True, kw_only=True):
    """Present in replays only: which run was replayed, and how."""

    of: str
    setting: dict[str, str] = {}
    isolation: str = "none"


class Run(Part, frozen=True, kw_only=True):
    """run.yaml. Manifest paths are relative to the run directory; ``raw`` is the whole document as read."""

    run_id: str
    pipeline: Pipeline = Pipeline()
    runtime: Runtime = Runtime()
    environment: RecordedEnvironment | None = None
    replay: ReplayOf | None = None
    inputs_manifest: str = "manifests/inputs.json"
    outputs_manifest: str = "manifests/outputs.json"
    raw: dict[str, Any] = {}

    @property
    def pipeline_name(self) -> str:
        """The pipeline's name, empty when the record has none."""
        return self.pipeline.name or ""


class RunState(StrEnum):
    """What a run is, after status, sentinel and process were looked at together."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ABORTED = "aborted"
    INCONSISTENT = "inconsistent"


class StatusReplay(Part, frozen=True, kw_only=True):
    """What status.json mirrors of a replay's run.yaml, so that a listing needs no YAML (rule 19)."""

    of: str | None = None


class Status(Part, frozen=True, kw_only=True):
    """status.json. ``pid``, ``pid_started`` and ``boot_id`` tell whether the process still lives."""

    state: str
    pid: int | None = None
    pid_started: int | None = None
    boot_id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    reason: str | None = None
    replay: StatusReplay | None = None
