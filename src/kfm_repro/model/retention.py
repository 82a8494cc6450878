"""What ``prune --json`` prints."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA

__all__ = ["Action", "EnvironmentsReport", "ObjectsReport", "PruneReport", "PrunedRun"]


class Action(StrEnum):
    """What happens to a run. ``blocked`` would go, but must not yet; ``failed`` could not be deleted."""

    KEEP = "keep"
    DELETE = "delete"
    BLOCKED = "blocked"
    FAILED = "failed"


class PrunedRun(Document, frozen=True, kw_only=True):
    """One run, what happens to it, and why."""

    run_id: str
    pipeline: str
    action: Action
    reason: str
    state: str
    started_at: str | None = None


class ObjectsReport(Document, frozen=True, kw_only=True):
    """The object store after a prune (before it, in a dry run). ``damaged`` names objects with wrong bytes."""

    removed: int = 0
    freed_bytes: int = 0
    left: int = 0
    left_bytes: int = 0
    damaged: tuple[str, ...] = ()


class EnvironmentsReport(Document, frozen=True, kw_only=True):
    """The rebuilt environments of this user after a prune; ``removed`` names those that went (or would go)."""

    path: str
    removed: tuple[str, ...] = ()
    freed_bytes: int = 0
    left: int = 0
    left_bytes: int = 0


class PruneReport(Document, frozen=True, kw_only=True):
    """Every run with what happens to it, by pipeline and then oldest first."""

    schema: str = REPORT_SCHEMA
    command: str = "prune"
    dry_run: bool
    keep: int
    counts: dict[str, int]
    runs: tuple[PrunedRun, ...] = ()
    objects: ObjectsReport = ObjectsReport()
    environments: EnvironmentsReport | msgspec.UnsetType = msgspec.UNSET
    notes: tuple[str, ...] = ()
