"""A report as JUnit XML: a suite per run, a case per output, red exactly when the exit code is not 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

import msgspec

from kfm_repro.model.finding import OutputComparison, OutputVerdict
from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code
from kfm_repro.model.waiver import WaiverState
from kfm_repro.present.terminal import verdict_line
from kfm_repro.present.visible import visible
from kfm_repro.present.words import advice, counted, how_many, place_of, title_of

__all__ = ["document", "render_junit", "suite_of"]

_FAILED = (OutputVerdict.DIFFERENT, OutputVerdict.MISSING, OutputVerdict.EXTRA)
_NAME, _TEXT, _FINDINGS, _EXAMPLES = 300, 400, 100, 3


def render_junit(report: Report) -> str:
    """Return the report as a JUnit document.

    What differs is a failure, what could not be compared an error, what is waived is skipped; an equivalent output
    fails unless it is accepted.
    """
    name = "files" if isinstance(report.run, msgspec.UnsetType) else visible(report.run.pipeline, _NAME)
    return document([suite_of(report, name, f"kfm-repro {visible(report.command, _NAME)}: {name}")])


def document(suites: Iterable[ET.Element]) -> str:
    """Return suites as one document; what their cases came to is counted here."""
    root = ET.Element("testsuites")
    root.extend(suites)
    for suite in root:
        for counter, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(counter, str(len(suite.findall(f"./testcase/{tag}"))))
        suite.set("tests", str(len(suite.findall("testcase"))))
    for counter in ("tests", "failures", "errors"):
        root.set(counter, str(sum(int(suite.get(counter, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def suite_of(report: Report, name: str, title: str) -> ET.Element:
    """Return the suite of one report; its cases are of the class ``kfm-repro.name``."""
    seconds = f"{sum(item.duration_s for item in report.replays):.3f}"
    suite = ET.Element("testsuite", name=title, time=seconds)
    for output in report.outputs:
        case = ET.SubElement(
            suite, "testcase", classname=f"kfm-repro.{name}", name=visible(output.path, _NAME), time="0"
        )
        _judge(case, output, report)
    _whole(suite, report, name)
    return suite


def _judge(case: ET.Element, output: OutputComparison, report: Report) -> None:
    findings = counted(output)
    kinds = ", ".join(dict.fromkeys(str(finding.kind) for finding in findings)) or str(output.verdict)
    message = f"{output.verdict}: {kinds}"
    refused = output.verdict is OutputVerdict.EQUIVALENT and not output.accepted
    tag = ""
    if output.verdict in _FAILED or refused:
        tag = "skipped" if report.verdict is Verdict.WAIVED else "failure"
    elif output.verdict is OutputVerdict.UNKNOWN:
        tag = "skipped" if report.verdict is Verdict.WAIVED else "error"
    if not tag:
        return
    if tag == "skipped":
        message = "; ".join([message, *_reasons(output, report)])
    found = ET.SubElement(case, tag, message=message)
    if tag != "skipped":
        found.set("type", str(findings[0].kind) if findings else str(output.verdict))
    found.text = _told(output, replay=bool(report.replays))


def _reasons(output: OutputComparison, report: Report) -> Iterator[str]:
    """Yield by what an output is waived: the reason of every waiver of it that holds, with its last day."""
    for use in report.waivers:
        if use.output == output.path and use.state in (WaiverState.USED, WaiverState.OUTGROWN):
            yield f"waived until {visible(use.expires, 40)}: {visible(use.reason, _TEXT)}"


def _told(output: OutputComparison, *, replay: bool) -> str:
    lines = []
    findings = counted(output)
    for finding in findings[:_FINDINGS]:
        parts = (place_of(finding), title_of(finding, replay=replay), how_many(finding))
        lines.append(": ".join(filter(None, parts)))
        if finding.evidence:
            lines.append(f"  {visible(finding.evidence, _TEXT)}")
        for example in finding.examples[:_EXAMPLES]:
            key = example.key if isinstance(example.key, dict) else {}
            named = " ".join(f"{visible(k)}={visible(v)}" for k, v in key.items())
            if named and example.a is None and example.b is None:
                lines.append(f"  {named}")
                continue
            lines.append(f"  {named} {visible(example.a, _TEXT)} -> {visible(example.b, _TEXT)}")
        lines += [
            f"  why: {visible(cause.source or cause.axis)} {visible(cause.call)}".rstrip()
            for cause in finding.causes
        ]
        if advice(finding):
            lines.append(f"  fix: {visible(advice(finding), _TEXT)}")
    if len(findings) > _FINDINGS:
        lines.append(f"{len(findings) - _FINDINGS} more findings")
    return "\n".join(lines)


def _whole(suite: ET.Element, report: Report, name: str) -> None:
    """Add a case for the verdict where no output stands for it: nothing was compared, or why that does not count."""
    failing = suite.find("./testcase/failure") is not None or suite.find("./testcase/error") is not None
    passed = exit_code(report.verdict, report.outputs) is ExitCode.OK
    failed = report.verdict is Verdict.UNKNOWN and isinstance(report.error, ErrorInfo)
    if report.outputs and failing is not passed and not failed:
        return
    case = ET.SubElement(suite, "testcase", classname=f"kfm-repro.{name}", name="verdict", time="0")
    if passed:
        return
    error = report.error if isinstance(report.error, ErrorInfo) else ErrorInfo(code="", message="")
    told = ET.SubElement(
        case, "error", type=error.code or str(report.verdict), message=visible(verdict_line(report), _TEXT)
    )
    told.text = "\n".join(filter(None, (visible(error.message, 2_000), visible(error.hint, 2_000))))
