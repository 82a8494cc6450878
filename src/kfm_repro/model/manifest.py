"""Manifests: which files went in and came out, with digests and counts."""

from __future__ import annotations

from typing import Any

import msgspec

from kfm_repro.model.finding import FileFacts

__all__ = ["UNRECORDED", "Entry", "Manifest"]

UNRECORDED = "unrecorded"
"""Field of an entry that says why its content is not recorded: it has no digest then."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One file. ``sha256`` is bare lower-case hex; ``path`` is relative to the project root, with ``/``.

    Counts are rows (tables) and features (vector data); ``extra`` keeps every other declared field.
    """

    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    row_count: int | None = None
    feature_count: int | None = None
    extra: dict[str, Any] = {}

    @property
    def facts(self) -> FileFacts:
        """What a report says of this file."""
        unset = msgspec.UNSET
        return FileFacts(
            sha256=self.sha256,
            size_bytes=self.size_bytes,
            row_count=unset if self.row_count is None else self.row_count,
            feature_count=unset if self.feature_count is None else self.feature_count,
        )


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs or the outputs of one run, in the order of the file."""

    run_id: str | None = None
    generated_at: str | None = None
    entries: tuple[Entry, ...] = ()
