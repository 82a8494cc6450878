"""JUnit: red exactly when the exit code is not 0, read by a parser, nothing hostile in it."""

from __future__ import annotations

from io import BytesIO

import msgspec
import pytest
from junitparser import JUnitXml, TestSuite
from reports import GOLD, empty_report, full_report, hostile_report, report_of

from kfm_repro.model.finding import Example, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code
from kfm_repro.present.junit import render_junit

TestSuite.__test__ = False

SAME = OutputComparison(path="a.csv", verdict=OutputVerdict.IDENTICAL)
ORDER = OutputComparison(
    path="b.csv", verdict=OutputVerdict.EQUIVALENT, findings=(Finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER),)
)
ACCEPTED = msgspec.structs.replace(ORDER, accepted=True)
OTHER = OutputComparison(
    path="c.csv", verdict=OutputVerdict.DIFFERENT, findings=(Finding(kind=Kind.VALUE, rung=Rung.VALUE),)
)
GONE = OutputComparison(
    path="d.csv", verdict=OutputVerdict.UNKNOWN, findings=(Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN),)
)
FAILED = ErrorInfo(code="pipeline-failed", message="the pipeline failed", hint="look at the log")


def parsed(report: Report) -> TestSuite:
    (suite,) = JUnitXml.fromfile(BytesIO(render_junit(report).encode()))
    return suite


@pytest.mark.parametrize(
    "report",
    [
        report_of(SAME),
        report_of(SAME, ACCEPTED),
        report_of(SAME, ORDER),
        report_of(SAME, OTHER),
        report_of(SAME, GONE),
        report_of(SAME, ORDER, OTHER, GONE),
        report_of(SAME, verdict=Verdict.UNKNOWN, error=FAILED),
        report_of(SAME, OTHER, verdict=Verdict.WAIVED),
        empty_report(),
        full_report(),
    ],
)
def test_red_exactly_when_the_exit_code_is_not_0(report: Report) -> None:
    suite = parsed(report)
    red = suite.failures + suite.errors
    assert (red == 0) is (exit_code(report.verdict, report.outputs) is ExitCode.OK)
    assert suite.tests == len(list(suite))
    assert suite.tests >= max(1, len(report.outputs))


def test_one_case_per_output_by_what_it_is() -> None:
    suite = parsed(report_of(SAME, ORDER, OTHER, GONE))
    results = {case.name: [type(result).__name__ for result in case.result] for case in suite}
    assert results == {"a.csv": [], "b.csv": ["Failure"], "c.csv": ["Failure"], "d.csv": ["Error"]}


def test_a_failed_pipeline_is_red_even_where_outputs_are_identical() -> None:
    suite = parsed(report_of(SAME, verdict=Verdict.UNKNOWN, error=FAILED))
    (case,) = [case for case in suite if case.name == "verdict"]
    assert case.result[0].type == "pipeline-failed"
    assert "look at the log" in case.result[0].text


def test_waived_outputs_are_skipped() -> None:
    suite = parsed(report_of(SAME, OTHER, verdict=Verdict.WAIVED))
    assert (suite.failures, suite.skipped) == (0, 1)


def test_hostile_texts_stay_texts() -> None:
    suite = parsed(hostile_report())
    assert suite.tests == len(hostile_report().outputs)
    assert len(render_junit(hostile_report())) < 200_000


def test_the_gold_file() -> None:
    assert render_junit(full_report()) == (GOLD / "report.xml").read_text(encoding="utf-8")


def test_a_place_without_values_is_named_alone() -> None:
    tile = Finding(kind=Kind.VALUE, rung=Rung.VALUE, examples=(Example(key={"tile": "3/1/2"}),))
    text = render_junit(
        report_of(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(tile,)))
    )
    assert "tile=3/1/2</failure>" in text
