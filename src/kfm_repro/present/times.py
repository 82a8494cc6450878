"""Points in time as text, in UTC whatever the zone of this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["utc"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(seconds: float, *, fraction: bool = False) -> str:
    """Return seconds since 1970 as ``2026-11-29 02:49:07`` (UTC), with milliseconds where ``fraction``."""
    try:
        when = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return f"{seconds:g} s"
    return when.isoformat(sep=" ", timespec="milliseconds" if fraction else "seconds").partition("+")[0]
