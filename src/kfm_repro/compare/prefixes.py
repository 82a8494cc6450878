"""What prefixes of an XML document stand for where its texts use them: ``type="gml:Point"`` (Namespaces in XML 1.0).

Parsers give the names of elements and attributes their namespaces, and leave those in texts alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["Prefixes"]

_PREFIXED = re.compile(r"([^\W\d][\w.-]*):(?=[^\W\d])")


class Prefixes:
    """Collects declarations and uses while a document is read; `settle` says what elements have to keep."""

    def __init__(self) -> None:
        self._new: list[tuple[str, str]] = []
        self._declared: list[tuple[str, str, Callable[[str, str], None]]] = []
        self._used: set[str] = set()

    def declare(self, prefix: str | None, namespace: str | None) -> None:
        """Note a declaration of the element that begins next."""
        self._new.append((prefix or "", namespace or ""))

    def element(self, namespace: str, values: list[str], keep: Callable[[str, str], None]) -> None:
        """Note an element and the values of its attributes; ``keep`` sets one that stands for a declaration."""
        for prefix, declared in self._new:
            if prefix or declared != namespace:
                self._declared.append((prefix, declared, keep))
        self._new.clear()
        for value in values:
            self.text(value)

    def text(self, value: str) -> None:
        """Note the prefixes that a text may use."""
        if ":" in value:
            self._used.update(match[1] for match in _PREFIXED.finditer(value))

    def settle(self) -> None:
        """Keep every declaration whose prefix some text uses, and defaults that are not those of their elements."""
        for prefix, namespace, keep in self._declared:
            if not prefix or prefix in self._used:
                keep(f"xmlns:{prefix}".rstrip(":"), namespace)
