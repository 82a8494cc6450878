"""One line of advice per kind: what to do about a finding when nothing better is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kfm_repro.model.finding import Finding, Fix, Kind, Rung

__all__ = ["advice_for", "advised"]

_IN_DATA: Mapping[Kind, str] = {
    Kind.TIMESTAMP: "take the time from the run record (KFM_RUN_STARTED_AT) or leave it out of the dataset",
    Kind.IDENTIFIER: "derive the id from the data (a key, or a digest of the row) instead of drawing it",
    Kind.PATH: "write paths relative to the project root, or leave them out",
    Kind.HOST: "leave the machine's name out of the dataset; the run record has it",
    Kind.ADDRESS: "write the value itself, not the default text of an object",
    Kind.ROW_ORDER: "sort by a unique key before writing",
    Kind.FEATURE_ORDER: "sort by a unique key before writing",
    Kind.ARRAY_ORDER: "sort the list before writing",
    Kind.KEY_ORDER: "write with sorted keys (json.dumps(..., sort_keys=True))",
}
_GZIP = "write gzip without the time: gzip -n; in Python mtime=0 (pandas: compression={'method': 'gzip', 'mtime': 0})"
"""Nothing in a finding says which program wrote the file."""


def advised(finding: Finding) -> Finding:
    """Return the finding with what to do about it, as far as that is known and nothing better was said."""
    text = "" if finding.fix else advice_for(finding)
    return msgspec.structs.replace(finding, fix=Fix(text=text)) if text else finding


def advice_for(finding: Finding) -> str:
    """Return advice for a finding, empty when its kind alone says too little."""
    if finding.rung is Rung.CONTAINER and finding.kind is Kind.TIMESTAMP:
        if finding.where.get("column") == "last_change":
            return "set OGR_CURRENT_DATE=2000-01-01T00:00:00.000Z while writing the GeoPackage"
        if "gzip" in str(finding.where.get("member", "")):
            return _GZIP
        return ""
    if finding.rung in (Rung.CONTAINER, Rung.TOLERANCE) or (
        finding.kind is Kind.ROW_ORDER and finding.rung is Rung.VALUE
    ):
        return ""
    if finding.kind is Kind.IDENTIFIER and "run" in finding.evidence:
        return "leave the run's id out of the dataset; the run record has it"
    return _IN_DATA.get(finding.kind, "")
