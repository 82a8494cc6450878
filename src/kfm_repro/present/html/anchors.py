"""Names for places on a page: readable, stable, safe in an address, and each used once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Anchors"]

_LONGEST = 96


@dataclass(frozen=True)
class Anchors:
    """Makes anchors out of texts; a second one of the same text gets a number."""

    _used: dict[str, int] = field(default_factory=dict)

    def make(self, text: str) -> str:
        """Return an anchor of letters, digits, dots and hyphens that begins with a letter."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[-_LONGEST:].lstrip("-.")
        name = slug if slug[:1].isalpha() else f"at-{slug}"
        while name in self._used:
            self._used[name] += 1
            name = f"{name}-{self._used[name]}"
        self._used[name] = 1
        return name
