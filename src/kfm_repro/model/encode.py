"""Documents as JSON text: keys in the order of the model, the same bytes for the same document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import Report

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What file names that are not UTF-8 decode to; JSON can only hold them escaped."""

__all__ = ["read_report", "report_json"]


def report_json(report: Document) -> str:
    """Return a document as indented JSON with a newline at its end."""
    built = msgspec.to_builtins(report)
    # With an indent the library of Python leaves its compiled loop; msgspec alone spells some numbers otherwise.
    text = json.dumps(built, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if _SURROGATE.search(text) is None:
        return msgspec.json.format(text, indent=2) + "\n"
    text = json.dumps(built, indent=2, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"


def read_report(path: Path) -> Report:
    """Return a saved report. Raises msgspec.ValidationError, OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
