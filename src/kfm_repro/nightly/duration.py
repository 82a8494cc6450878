"""Durations as people write them: ``2h``, ``90m``, ``1h30m``, ``45s``."""

from __future__ import annotations

import re

from kfm_repro.errors import UsageError

__all__ = ["parse_duration"]

_PARTS = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?\Z")


def parse_duration(text: str) -> float:
    """Return seconds. Raises UsageError for what is none, or nothing."""
    found = _PARTS.match(text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = float(3600 * hours + 60 * minutes + seconds)
    if not total:
        raise UsageError(f"not a duration: {text[:40]!r}", hint="write 2h, 90m, 1h30m or 45s")
    return total
