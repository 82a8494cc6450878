"""status.json as it stands, and the mark that keeps a run from being pruned (rule 23)."""

from __future__ import annotations

import json
from typing import Any

from kfm_repro.errors import InvalidRecord
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.locks import mark_lock
from kfm_repro.runs.trouble import runs_not_writable
from kfm_repro.runs.write import json_text, replace_text

__all__ = ["KEPT_MARKS", "mark_retained", "packed_status", "retained", "status_document"]

KEPT_MARKS = ("published", "artifact")


def status_document(run: RunDir) -> dict[str, Any]:
    """Return the whole of status.json, empty when there is none. Raises InvalidRecord."""
    if not run.status.is_file():
        return {}
    try:
        document = json.loads(run.status.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise InvalidRecord(
            f"status.json of {run.name} is not JSON: {exc}", hint="restore it from where the run was made"
        ) from exc
    if not isinstance(document, dict):
        raise InvalidRecord(
            f"status.json of {run.name} is not a mapping", hint='it looks like {"state": "success"}'
        )
    return document


def retained(document: dict[str, Any]) -> str:
    """Return the mark that keeps a run, empty when it has none; a mark that we do not know keeps it, too."""
    mark = document.get("retain")
    return "" if mark in (None, False, "", "none") else str(mark)


def packed_status(run: RunDir) -> bytes:
    """Return status.json as it goes into a pack: an artifact, whatever else the run is marked as here.

    Raises InvalidRecord.
    """
    return json_text(_marked(run, "artifact")).encode()


def mark_retained(run: RunDir, mark: str) -> None:
    """Keep ``run`` from being pruned until ``retain`` is taken out of its status.json again.

    ``published`` is never weakened. For a run that has ended: a running one would overwrite the mark. Raises
    InvalidRecord, and NotWritable, also when the run is no longer there.
    """
    with mark_lock(run.path.parent.parent):
        if retained(status_document(run)) in (mark, "published"):
            return
        try:
            replace_text(run.status, json_text(_marked(run, mark)))
        except OSError as exc:
            raise runs_not_writable(run.path, exc) from exc


def _marked(run: RunDir, mark: str) -> dict[str, Any]:
    # Where there is no status it has the mark alone: how the run ended is not ours to say.
    document = status_document(run)
    document.pop("retain", None)
    return document | {"retain": mark}
