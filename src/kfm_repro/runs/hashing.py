"""Digests: each file is read once, for its sha256 (the records' language) and its size."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import InvalidRecord

__all__ = ["Digest", "digest_file", "normal_sha256"]

_BLOCK = 1 << 18
_PREFIXES = ("jcs:sha256:", "sha256:", "sha256-")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Digest:
    """sha256 (lower-case hex), xxh3-128 (lower-case hex, for our own indexes) and size in bytes."""

    sha256: str
    xxh3: str
    size_bytes: int


def digest_file(path: Path) -> Digest:
    """Read ``path`` once and return its digests. Raises OSError."""
    import xxhash

    sha, xxh, size = hashlib.sha256(), xxhash.xxh3_128(), 0
    block = bytearray(_BLOCK)
    view = memoryview(block)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            sha.update(view[:count])
            xxh.update(view[:count])
            size += count
    return Digest(sha.hexdigest(), xxh.hexdigest(), size)


def normal_sha256(text: str, *, where: str) -> str:
    """Return a sha256 in any spelling met in records as bare lower-case hex. Raises InvalidRecord."""
    value = text.strip().lower()
    for prefix in _PREFIXES:
        if value.startswith(prefix):
            value = value.removeprefix(prefix)
            break
    if not _HEX.match(value):
        raise InvalidRecord(
            f"not a sha256 digest in {where}: {text[:80]!r}",
            hint="write 64 hex digits, bare or after 'sha256:'",
        )
    return value
