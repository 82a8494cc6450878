"""Which runs came from elsewhere: their commands are a stranger's (rule 18)."""

from __future__ import annotations

import os

from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.write import write_json

__all__ = ["FOREIGN", "is_foreign", "mark_foreign"]

FOREIGN = "foreign.json"
"""The mark's file in the run directory. It never travels in a pack: who unpacks marks anew."""


def mark_foreign(run: RunDir, *, sha256: str = "") -> None:
    """Mark ``run`` as brought in from elsewhere; ``sha256`` is the digest of the archive it came in."""
    write_json(run.path / FOREIGN, {"origin": "unpacked", "archive_sha256": sha256})


def is_foreign(run: RunDir) -> bool:
    """Return whether ``run`` was brought in from elsewhere. Any file of that name is a mark, readable or not."""
    return os.path.lexists(run.path / FOREIGN)
