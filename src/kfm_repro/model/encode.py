"""Documents as JSON text: keys in the order of the model, the same bytes for the same document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from kfm_repro.model.doctor import DoctorReport
from kfm_repro.model.finding import Document
from kfm_repro.model.listing import ListReport, ShowReport
from kfm_repro.model.nightly import LedgerReport, NightReport
from kfm_repro.model.provenance import PackReport, ProvReport, UnpackReport
from kfm_repro.model.report import DemoReport, ErrorReport, RecordReport, Report
from kfm_repro.model.retention import PruneReport
from kfm_repro.model.verification import Verification

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What file names that are not UTF-8 decode to; JSON can only hold them escaped."""

__all__ = ["read_report", "report_json", "report_schema"]


def report_json(report: Document) -> str:
    """Return a document as indented JSON with a newline at its end."""
    # With an indent the library of Python leaves its compiled loop; msgspec spells some numbers otherwise.
    text = json.dumps(msgspec.to_builtins(report), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return msgspec.json.format(text, indent=2) + "\n"


def read_report(path: Path) -> Report:
    """Return a saved report. Raises msgspec.ValidationError, OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of everything that ``--json`` prints."""
    documents, components = msgspec.json.schema_components(
        (
            Report, RecordReport, DemoReport, ListReport, ShowReport, ProvReport, PackReport, UnpackReport,
            PruneReport, Verification, DoctorReport, NightReport, LedgerReport, ErrorReport,
        ),
        ref_template="#/$defs/{name}",
    )  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kfm-repro.report/1",
        "anyOf": list(documents),
        "$defs": dict(sorted(components.items())),
    }
