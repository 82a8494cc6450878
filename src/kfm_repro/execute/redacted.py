"""What a record lost to redaction, in words: where and of which kind, never what it was (rule 24)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kfm_repro.model.verification import SecretHit
from kfm_repro.runs.detectors import PLACEHOLDER
from kfm_repro.runs.secrets import was_redacted

__all__ = ["redacted_in_logs", "redacted_in_record"]

_SHOWN = 5
_KIND = re.compile(re.escape(PLACEHOLDER).replace(re.escape("{kind}"), "([a-z0-9-]+)"))


def redacted_in_logs(hits: Sequence[SecretHit]) -> tuple[str, ...]:
    """Return a note on each secret that was printed and is gone from the logs, the first few by name."""
    notes = [
        f"a secret was printed, and is redacted in {hit.file}, line {hit.line} ({hit.kind})"
        for hit in hits[:_SHOWN]
    ]
    if len(hits) > _SHOWN:
        notes.append(f"{len(hits) - _SHOWN} more secrets were printed, and are redacted in the logs")
    return tuple(notes)


def redacted_in_record(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes on the secrets that run.yaml was to hold: in the command line, in variables."""
    pipeline, notes = document["pipeline"], []
    words = [pipeline["entrypoint"], *pipeline["args"]]
    if was_redacted(words):
        notes.append(
            f"the command line held a secret ({_kinds(words)}), which run.yaml does not keep: this run cannot be "
            "replayed; give the secret in the environment or in a file that git ignores, and record again"
        )
    variables = document["environment"].get("env", {})
    notes += [
        f"the variable {name} held a secret ({_kinds([value])}), which run.yaml does not keep"
        for name, value in variables.items()
        if was_redacted([value])
    ]
    return tuple(notes)


def _kinds(texts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(kind for text in texts for kind in _KIND.findall(text)))
