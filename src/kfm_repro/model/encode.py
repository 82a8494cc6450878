"""Documents as JSON text: keys in the order of the model, the same bytes for the same document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA, Report
from kfm_repro.model.sound import is_sound

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What file names that are not UTF-8 decode to; JSON can only hold them escaped."""

_MOST_BYTES = 1 << 30

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
    """Return a saved report. Raises ValueError, also for one that cannot be true or is of another schema; OSError."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    if report.schema != REPORT_SCHEMA:
        raise ValueError(f"its schema is {report.schema[:60]!r}; this kfm-repro reads {REPORT_SCHEMA}")
    if not is_sound(report):
        raise ValueError("it contradicts itself: its outputs differ in more than its verdict says")
    return report
