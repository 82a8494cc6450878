"""Whether a report that is read back can be true: a file may have been changed since it was written."""

from __future__ import annotations

from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.model.verdict import Verdict, run_verdict, worst_verdict
from kfm_repro.model.waiver import WaiverState

__all__ = ["is_sound"]


def is_sound(report: Report) -> bool:
    """Return whether the verdict on a run is no better than its outputs allow; waivers are taken at their word.

    Of a run whose pipeline failed nothing counts, whatever it left: it has no verdict.
    """
    if report.verdict is Verdict.UNKNOWN and isinstance(report.error, ErrorInfo):
        return True
    if report.verdict is Verdict.WAIVED:
        return any(use.state in (WaiverState.USED, WaiverState.OUTGROWN) for use in report.waivers)
    return worst_verdict((report.verdict, run_verdict(report.outputs))) is report.verdict
