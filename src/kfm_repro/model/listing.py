"""What ``list --json`` prints: runs in brief, without opening their run.yaml."""

from __future__ import annotations

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA
from kfm_repro.model.run import RunState

__all__ = ["ListReport", "ListedRun"]


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
