"""Run ids: ULIDs by default; ``time__pipeline__commit`` and any safe directory name are read as well."""

from __future__ import annotations

__all__ = ["new_run_id"]


def new_run_id() -> str:
    """Return a new ULID; ids sort by the millisecond in which they were made."""
    from ulid import ULID

    return str(ULID())
