"""Run ids: ULIDs by default; ``time__pipeline__commit`` and any safe directory name are read as well."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["id_time", "new_run_id"]

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}\Z")
_TIMED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z__")
_CROCKFORD = {digit: value for value, digit in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_TIME_DIGITS = 10
"""The first ten digits of a ULID are 48 bits of milliseconds since 1970 (ULID specification)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_run_id() -> str:
    """Return a new ULID; ids sort by the millisecond in which they were made."""
    from ulid import ULID

    return str(ULID())


def id_time(run_id: str) -> datetime | None:
    """Return the moment that an id states, in UTC; None when it states none."""
    timed = _TIMED.match(run_id)
    try:
        if timed:
            day, hour, minute, second = timed.groups()
            return datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}+00:00")
        if _ULID.match(run_id):
            millis = 0
            for digit in run_id[:_TIME_DIGITS].upper():
                millis = millis * 32 + _CROCKFORD[digit]
            return _EPOCH + timedelta(milliseconds=millis)
    except (ValueError, OverflowError):
        return None
    return None
