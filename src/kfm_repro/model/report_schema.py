"""The JSON Schema of all documents: what ``docs/schema`` is made of. Nothing that runs imports it."""

from __future__ import annotations

from typing import Any

import msgspec

from kfm_repro.model.doctor import DoctorReport
from kfm_repro.model.listing import ListReport, ShowReport
from kfm_repro.model.nightly import LedgerReport, NightReport
from kfm_repro.model.provenance import PackReport, ProvReport, UnpackReport
from kfm_repro.model.report import DemoReport, ErrorReport, RecordReport, Report
from kfm_repro.model.retention import PruneReport
from kfm_repro.model.verification import Verification

__all__ = ["report_schema"]


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
