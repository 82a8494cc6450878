"""Places of a run or a machine inside a text: its folders, temporary files, hosts, object addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfm_repro.compare.context import Side

__all__ = ["ADDRESS_TEXT", "TEMP_TEXT", "is_address", "is_host", "is_path", "known_hosts", "known_paths"]

TEMP_TEXT = r"(?:/private)?(?:/var)?/tmp/(?:tmp[a-z0-9_]{8}|tmp\.[A-Za-z0-9]{6,12})"
"""Names that Python's tempfile and mktemp(1) make up."""

ADDRESS_TEXT = r"0x[0-9a-f]{6,16}"
"""An object's address as CPython prints it."""

_TEMP = re.compile(TEMP_TEXT)
_TEMP_TAIL = re.compile(r"/(?:tmp[a-z0-9_]{8}|tmp\.[A-Za-z0-9]{6,12})")
_ADDRESS = re.compile(ADDRESS_TEXT)
_SHORTEST_PATH = 3
_SHORTEST_HOST = 2


def known_paths(*sides: Side) -> tuple[str, ...]:
    """Return the folders of all sides, longest first; the root and bare names are none."""
    found = {path.rstrip("/") for side in sides for path in side.paths}
    return tuple(sorted((p for p in found if len(p) >= _SHORTEST_PATH), key=lambda p: (-len(p), p)))


def known_hosts(*sides: Side) -> tuple[str, ...]:
    """Return the host names of all sides, longest first."""
    found = {host for side in sides for host in side.hosts if len(host) >= _SHORTEST_HOST}
    return tuple(sorted(found, key=lambda h: (-len(h), h)))


def is_path(token: str, side: Side) -> bool:
    """Return whether a token is a folder of this side, a temporary name in one, or a temporary path."""
    if _TEMP.fullmatch(token):
        return True
    return any(
        token == path or (token.startswith(path) and _TEMP_TAIL.fullmatch(token[len(path) :]))
        for path in known_paths(side)
    )


def is_host(token: str, side: Side) -> bool:
    """Return whether a token is one of this side's host names."""
    return token in known_hosts(side)


def is_address(token: str) -> bool:
    """Return whether a token is an object's address."""
    return _ADDRESS.fullmatch(token) is not None
