"""Sizes as people write them: ``20 GiB``, ``500MB``, ``4096``."""

from __future__ import annotations

import re

from kfm_repro.errors import UsageError

__all__ = ["parse_size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\Z", re.IGNORECASE)
_STEPS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str, *, what: str) -> int:
    """Return a size in bytes; ``kB`` is 1000, ``KiB`` 1024. Raises UsageError."""
    found = _SIZE.match(text.strip())
    if found is None:
        raise UsageError(f"{what} is no size: {text!r}", hint="write it like 20 GiB, 500 MB or 4096")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _STEPS[unit.upper()])
