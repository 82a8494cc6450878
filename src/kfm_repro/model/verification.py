"""Whether a run is publishable: the document of ``verify``, line by line (rule 21)."""

from __future__ import annotations

from enum import StrEnum

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA, RunRef
from kfm_repro.model.verdict import ExitCode

__all__ = [
    "CheckState",
    "Line",
    "Publishable",
    "SecretHit",
    "SecretScan",
    "Verification",
    "exit_code",
    "publishable",
]


class CheckState(StrEnum):
    """What one line of the definition of done came to; unknown is never a pass."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Publishable(StrEnum):
    """The verdict over all lines. Reproducible does not mean publishable."""

    PUBLISHABLE = "publishable"
    NOT_PUBLISHABLE = "not-publishable"
    UNKNOWN = "unknown"


class Line(Document, frozen=True, kw_only=True):
    """One line: what it asks for, whether it holds, why, and which files that was read from.

    ``files`` are relative to the project root, those of the record to the folder of the run.
    """

    number: int
    name: str
    asks: str
    state: CheckState
    reason: str
    files: tuple[str, ...] = ()


class SecretHit(Document, frozen=True, kw_only=True):
    """Where a secret is, in a file of the record, and of which kind. Never what it is."""

    file: str
    line: int
    kind: str


class SecretScan(Document, frozen=True, kw_only=True):
    """What the search for secrets came to. ``unread`` are files that were not read to their end."""

    state: CheckState
    reason: str
    hits: tuple[SecretHit, ...] = ()
    unread: tuple[str, ...] = ()


class Verification(Document, frozen=True, kw_only=True):
    """What ``verify --json`` prints."""

    schema: str = REPORT_SCHEMA
    command: str = "verify"
    verdict: Publishable
    run: RunRef
    path: str
    lines: tuple[Line, ...]
    secrets: SecretScan


def publishable(lines: tuple[Line, ...], secrets: SecretScan) -> Publishable:
    """Return the verdict: a failed line outweighs an unknown one, and all have to pass."""
    states = {line.state for line in lines} | {secrets.state}
    if CheckState.FAIL in states:
        return Publishable.NOT_PUBLISHABLE
    if CheckState.UNKNOWN in states or not lines:
        return Publishable.UNKNOWN
    return Publishable.PUBLISHABLE


def exit_code(verdict: Publishable) -> ExitCode:
    """Return the exit code of ``verify``."""
    return {
        Publishable.PUBLISHABLE: ExitCode.OK,
        Publishable.NOT_PUBLISHABLE: ExitCode.DIFFERS,
        Publishable.UNKNOWN: ExitCode.NO_VERDICT,
    }[verdict]
