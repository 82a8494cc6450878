"""Identifiers that a run makes up: UUID, ULID, random hex. A one-to-one renaming A↔B is the proof.

A hexadecimal text as long as a digest (md5 without a UUID's marks, sha1, sha224, sha256, sha384, sha512) is
never taken for an identifier: a digest that differs says that what it digests differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["UUID_TEXT", "is_renaming", "looks_like_digest", "shape"]

UUID_TEXT = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
"""A UUID with its dashes (RFC 9562, section 4)."""

_UUID = re.compile(UUID_TEXT)
_BARE_UUID = re.compile(r"[0-9A-Fa-f]{12}([1-8])[0-9A-Fa-f]{3}[89abAB][0-9A-Fa-f]{15}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_HEX = re.compile(r"[0-9a-f]{16,}|[0-9A-F]{16,}")
_DIGEST_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_LONGEST = 128


def shape(token: str) -> str:
    """Return the identifier shape of a token, or an empty text. Two sides must share the shape."""
    if not 16 <= len(token) <= _LONGEST:  # noqa: PLR2004  # below 64 bits chance is no longer excluded
        return ""
    if _UUID.fullmatch(token):
        return f"UUIDv{token[14]}" if token[14] in "12345678" else "UUID"
    if _ULID.fullmatch(token):
        return "ULID"
    bare = _BARE_UUID.fullmatch(token)
    if bare:
        return f"UUIDv{bare[1]} without dashes"
    if _HEX.fullmatch(token) and len(token) not in _DIGEST_LENGTHS and not token.isdecimal():
        return f"{len(token)} hexadecimal digits"
    return ""


def looks_like_digest(token: str) -> bool:
    """Return whether a token is hexadecimal and as long as a common digest."""
    return len(token) in _DIGEST_LENGTHS and _HEX.fullmatch(token) is not None


def is_renaming(pairs: Iterable[tuple[str, str]]) -> bool:
    """Return whether A's tokens map one-to-one onto B's: no token on either side has two partners."""
    forward: dict[str, str] = {}
    backward: dict[str, str] = {}
    return all(forward.setdefault(a, b) == b and backward.setdefault(b, a) == a for a, b in pairs)
