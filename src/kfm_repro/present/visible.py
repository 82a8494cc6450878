"""Texts from files made safe to show: no control character, colour code or direction trick reaches a terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["visible"]

_KEPT = {" "}


def visible(value: object, limit: int = 60) -> str:
    """Return ``value`` as one line of at most ``limit`` characters, with unsafe characters as escapes."""
    text = str(value)
    cut = text[:limit]
    shown = cut if cut.isprintable() else "".join(char if _is_safe(char) else _escape(char) for char in cut)
    return shown + "…" if len(text) > limit else shown


def _is_safe(char: str) -> bool:
    return char in _KEPT or unicodedata.category(char)[0] not in ("C", "Z")


def _escape(char: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    if char in named:
        return named[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"  # noqa: PLR2004
