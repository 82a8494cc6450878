"""What ``list --json`` and ``show --json`` print: runs in brief, and one run on one screen."""

from __future__ import annotations

from typing import Any

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA, Report
from kfm_repro.model.run import RunState
from kfm_repro.model.verdict import Verdict

__all__ = ["ListReport", "ListedRun", "ShowReport", "ShownFile", "ShownFiles", "ShownValidation"]


class ListedRun(Document, frozen=True, kw_only=True):
    """One run in brief. Times are UTC; what the record does not say is null.

    ``partial`` is true while there is no run.yaml; ``reason`` says why a run is failed, aborted or inconsistent.
    ``path`` is relative to the project root where it lies inside.
    """

    run_id: str
    pipeline: str
    state: RunState
    reason: str = ""
    partial: bool = False
    started_at: str | None = None
    finished_at: str | None = None
    duration_s: float | None = None
    replay_of: str | None = None
    path: str = ""


class ListReport(Document, frozen=True, kw_only=True):
    """The runs that were asked for, by start and then by id; those without a known start come first.

    ``counts`` says how many of them have each state, ``total`` among how many they were looked for. ``notes`` names
    folders that look like runs and are none.
    """

    schema: str = REPORT_SCHEMA
    command: str = "list"
    total: int
    counts: dict[str, int]
    runs: tuple[ListedRun, ...] = ()
    notes: tuple[str, ...] = ()


class ShownFile(Document, frozen=True, kw_only=True):
    """One file of a manifest. ``records`` are rows or features."""

    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    records: int | None = None


class ShownFiles(Document, frozen=True, kw_only=True):
    """A manifest in brief: how many files, how many bytes where sizes are known, the first of them."""

    count: int
    size_bytes: int
    files: tuple[ShownFile, ...] = ()


class ShownValidation(Document, frozen=True, kw_only=True):
    """One report of ``validation/``: what it says of itself. Without a status it is ``unknown``, never a pass."""

    name: str
    status: str
    reason: str = ""


class ShowReport(Document, frozen=True, kw_only=True):
    """One run on one screen. What the record does not say is null or empty; ``problems`` is what cannot be read.

    ``report`` is the saved report of a replay, ``verdict`` the one in it; ``replays`` are the replays of this run
    and ``verdicts`` what each of them came to.
    """

    schema: str = REPORT_SCHEMA
    command: str = "show"
    verdict: Verdict | msgspec.UnsetType = msgspec.UNSET
    run: ListedRun
    git_commit: str | None = None
    repo_dirty: bool | None = None
    entrypoint: str | None = None
    args: tuple[str, ...] = ()
    cwd: str = "."
    host: str | None = None
    runner: str | None = None
    invoked_by: str | None = None
    environment: dict[str, str] = {}
    variables: dict[str, str] = {}
    packages: int | None = None
    inputs: ShownFiles | None = None
    outputs: ShownFiles | None = None
    config: tuple[str, ...] = ()
    validation: tuple[ShownValidation, ...] = ()
    metrics: dict[str, Any] = {}
    last_lines: tuple[str, ...] = ()
    replays: tuple[ListedRun, ...] = ()
    verdicts: dict[str, str] = {}
    problems: tuple[str, ...] = ()
    report: Report | msgspec.UnsetType = msgspec.UNSET
