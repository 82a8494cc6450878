"""A night as JUnit XML: a suite per run with a case per output, and one of the night itself with a case per alarm."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from kfm_repro.model.nightly import NightReport
from kfm_repro.model.report import ErrorInfo
from kfm_repro.present.junit import document, suite_of
from kfm_repro.present.night.words import TITLES, left_out_by_reason, run_name, sentence, told_alarm
from kfm_repro.present.visible import visible

__all__ = ["render_night_junit"]

_TEXT, _LEFT_OUT = 400, 1_000


def render_night_junit(report: NightReport) -> str:
    """Return the night as a JUnit document, red exactly when the exit code is not 0.

    An output that is waived is skipped, with the reason of its waiver; an alarm is a failure. Runs that were left out
    are no cases: why they were stands in the output of the night's own suite.
    """
    names = [(run, run_name(run)) for run in report.runs]
    suites = [
        suite_of(run.report, name.replace("/", "."), f"kfm-repro nightly: {name}") for run, name in names
    ]
    return document([_night(report), *suites])


def _night(report: NightReport) -> ET.Element:
    """Return the suite of the night itself: its alarms, else one case for the night as a whole."""
    name = f"kfm-repro.night {visible(report.night, 20)}"
    suite = ET.Element("testsuite", name=f"kfm-repro nightly: {visible(report.night, 20)}", time="0")
    numbers: Counter[str] = Counter()
    for alarm in report.alarms:
        title = TITLES.get(alarm.kind, visible(alarm.kind))
        case_name = f"{title}: {visible(alarm.output, _TEXT)}"
        numbers[case_name] += 1
        if numbers[case_name] > 1:
            case_name += f" ({numbers[case_name]})"
        case = ET.SubElement(suite, "testcase", classname=name, name=case_name, time="0")
        ET.SubElement(case, "failure", type=visible(alarm.kind), message=told_alarm(alarm))
    if isinstance(report.error, ErrorInfo) or not report.alarms:
        case = ET.SubElement(suite, "testcase", classname=name, name="anything was compared", time="0")
        if isinstance(report.error, ErrorInfo):
            error = ET.SubElement(case, "error", type=visible(report.error.code), message=sentence(report))
            error.text = visible(report.error.hint, 2_000)
    if report.left_out:
        out = ET.SubElement(suite, "system-out")
        out.text = "\n".join(_left_out(report))
    return suite


def _left_out(report: NightReport) -> list[str]:
    lines = [
        f"left out ({visible(reason)}): {visible(item.pipeline)}/{visible(item.run_id)}: {visible(item.detail, _TEXT)}"
        for reason, items in left_out_by_reason(report)
        for item in items
    ]
    more = len(lines) - _LEFT_OUT
    return [*lines[:_LEFT_OUT], f"{more} more"] if more > 0 else lines
