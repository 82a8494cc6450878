"""Which runs came from elsewhere: their commands are a stranger's (rule 18)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.write import write_json

__all__ = ["FOREIGN", "foreign_labels", "is_foreign", "mark_foreign"]

FOREIGN = "foreign.json"
"""The mark's file in the run directory. It never travels in a pack: who unpacks marks anew."""


def mark_foreign(run: RunDir, *, sha256: str = "", labels: Mapping[str, str] | None = None) -> None:
    """Mark ``run`` as brought in from elsewhere; ``sha256`` is the digest of the archive it came in.

    ``labels`` say by path how restricted its data is, as it was known where it comes from.
    """
    mark = {"origin": "unpacked", "archive_sha256": sha256}
    write_json(run.path / FOREIGN, mark | ({"labels": dict(labels)} if labels else {}))


def foreign_labels(run: RunDir) -> dict[str, str]:
    """Return the labels that came with ``run``; empty for a run of our own."""
    try:
        document = json.loads((run.path / FOREIGN).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    labels = document.get("labels") if isinstance(document, dict) else None
    return {str(path): str(label) for path, label in labels.items()} if isinstance(labels, dict) else {}


def is_foreign(run: RunDir) -> bool:
    """Return whether ``run`` was brought in from elsewhere. Any file of that name is a mark, readable or not."""
    return os.path.lexists(run.path / FOREIGN)
