"""What ``doctor --json`` prints: what this machine can isolate, pin and vary, each proved by doing it."""

from __future__ import annotations

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA

__all__ = ["DoctorReport", "ProvedAxis", "Rung", "Tool"]


class Rung(Document, frozen=True, kw_only=True):
    """One level of isolation: whether it can be had, else why not, and the one line that would change that."""

    level: str
    available: bool
    reason: str = ""
    enable: str = ""


class ProvedAxis(Document, frozen=True, kw_only=True):
    """One axis at the level that was tried: whether a canary saw it pinned, and varied; when not, why."""

    axis: str
    pinned: bool
    varied: bool
    pin: str
    vary: str
    pin_reason: str = ""
    vary_reason: str = ""


class Tool(Document, frozen=True, kw_only=True):
    """A program or package that something needs: where it is, else how to get it."""

    name: str
    found: str | None
    used_for: str
    get: str = ""


class DoctorReport(Document, frozen=True, kw_only=True):
    """What this machine can do for a replay. ``level`` is the one that ``auto`` takes.

    ``agent`` is library, python or none; ``agent_reason`` says why it is no library.
    """

    schema: str = REPORT_SCHEMA
    command: str = "doctor"
    level: str
    levels: tuple[Rung, ...]
    agent: str
    agent_reason: str = ""
    axes: tuple[ProvedAxis, ...]
    tools: tuple[Tool, ...]
    notes: tuple[str, ...] = msgspec.field(default=())
