"""Members of archives on their way to a comparator: bounded copies, safe names, findings with their place."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare import bytes as raw_bytes
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.timestamps import in_window
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context, Limits

__all__ = ["BLOCK", "Meter", "compare_member", "entry_metadata", "header_times", "safe_name"]

BLOCK = 1 << 20
"""Bytes that are unpacked at a time."""

_FREE = 16 << 20
"""Bytes that may be unpacked before the expansion ratio counts."""
_LONGEST_NAME = 80


class Meter:
    """Counts what is unpacked and stops where the limits are passed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0

    def add(self, size: int, packed: int) -> None:
        """Count ``size`` unpacked bytes; ``packed`` have been read of the source so far.

        Raises LimitExceeded.
        """
        self._bytes += size
        if self._bytes > self._limits.member_bytes:
            raise LimitExceeded(f"unpacks to more than {self._limits.member_bytes} bytes")
        if self._bytes > _FREE and self._bytes > self._limits.ratio * max(packed, 1):
            raise LimitExceeded(f"unpacks to more than {self._limits.ratio} times its size")


def safe_name(name: str) -> str:
    """Return a name of our own for a temporary copy: the last part of ``name``, plain characters only."""
    last = re.split(r"[\\/]", name)[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", last)[-_LONGEST_NAME:].lstrip(".")
    return plain or "member"


def compare_member(a: Path, b: Path, name: str, context: Context) -> tuple[Finding, ...]:
    """Compare two unpacked members by what they are; every finding says in which member it lies."""
    inner = context.inner
    findings = inner(a, b, name, context) if inner else raw_bytes.compare(a, b, context)
    return tuple(_placed(finding, name) for finding in findings)


def _placed(finding: Finding, name: str) -> Finding:
    inner = finding.where.get("member")
    member = name if inner is None else f"{name}/{inner}"
    return msgspec.structs.replace(finding, where={**finding.where, "member": str(scalar(member))})


def entry_metadata(a: str, b: str, what: str, member: str, context: Context) -> Finding:
    """Return the finding for a differing text of the bookkeeping: a path, a name, a comment."""
    part = classify_pairs([(a, b)], context, packaging=True)[0]
    marks = (Kind.PATH, Kind.IDENTIFIER, Kind.TIMESTAMP, Kind.HOST, Kind.ADDRESS)
    known = Kind(part.kind) in marks
    return Finding(
        kind=Kind(part.kind) if known else Kind.ENTRY_METADATA,
        rung=Rung.CONTAINER,
        where={"member": member},
        examples=(Example(key={"field": what}, a=scalar(a), b=scalar(b)),),
        evidence=f"{what}: {part.evidence}" if known and part.evidence else what,
    )


def header_times(a: float | None, b: float | None, context: Context, *, grain: float) -> str:
    """Return both times of a known header field in words, and whether they are the times of the runs."""
    texts = [_utc(value) for value in (a, b)]
    inside = [
        value is not None and any(in_window(value, grain, window) for window in side.windows)
        for value, side in ((a, context.a), (b, context.b))
    ]
    if context.a.window is None or context.b.window is None:
        where = "the windows of the runs are not known"
    elif all(inside):
        where = "A's lies in run A's window and B's in run B's"
    else:
        outside = " and ".join(name for name, hit in zip("AB", inside, strict=True) if not hit)
        where = f"outside the run's window: {outside}"
    return f"{texts[0]} in A, {texts[1]} in B; {where}"


def _utc(value: float | None) -> str:
    if value is None:
        return "no time"
    return dt.datetime.fromtimestamp(value, tz=dt.UTC).isoformat().replace("+00:00", "Z")
