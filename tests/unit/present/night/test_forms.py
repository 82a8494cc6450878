"""A night in its other forms: a page, JUnit, Markdown, annotations; what fails is in each, nothing hostile in any."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgspec
import pytest
from junitparser import JUnitXml, TestSuite
from markdown_it import MarkdownIt
from night_reports import ALARM, USED, hostile_night, mixed_night, night, run, waived
from reports import MARKDOWN_TAGS, full_report

from kfm_repro.model.finding import OutputComparison, OutputVerdict
from kfm_repro.model.nightly import NightReport
from kfm_repro.model.verdict import ExitCode, Verdict
from kfm_repro.nightly.report import night_exit_code, sealed
from kfm_repro.present.html.render import MAX_BYTES
from kfm_repro.present.night.github import render_night_github
from kfm_repro.present.night.html import render_night_html
from kfm_repro.present.night.junit import render_night_junit
from kfm_repro.present.night.markdown import render_night_markdown
from kfm_repro.present.night.terminal import render_night

TestSuite.__test__ = False
KIB = 1 << 10


def suites(report: NightReport) -> list[Any]:
    return [*JUnitXml.fromfile(BytesIO(render_night_junit(report).encode()))]


def nights() -> Iterator[NightReport]:
    yield night()
    yield night(run(Verdict.REPRODUCIBLE))
    yield night(run(Verdict.REPRODUCIBLE), alarms=(ALARM,))
    yield night(waived())
    yield night(run(Verdict.NOT_REPRODUCIBLE))
    yield night(run(Verdict.UNKNOWN, error="the pipeline failed"))
    yield night(run(Verdict.UNKNOWN, error="the pipeline failed"), run(Verdict.REPRODUCIBLE, "s"))
    yield mixed_night()


@pytest.mark.parametrize("report", [*nights()])
def test_junit_is_red_exactly_when_the_exit_code_is_not_0(report: NightReport) -> None:
    found = suites(report)
    red = sum(suite.failures + suite.errors for suite in found)
    assert (red == 0) is (night_exit_code(report) is ExitCode.OK)
    assert all(suite.tests == len(list(suite)) for suite in found)
    assert len(found) == 1 + len(report.runs)
    names = [(case.classname, case.name) for suite in found for case in suite]
    assert len(names) == len(set(names))


def test_junit_has_a_case_per_output_and_a_waived_one_says_why() -> None:
    own, p, s, w = suites(mixed_night())
    assert [case.name for case in own] == ["Regression: p.csv"]
    assert "<system-out>left out (budget): q/x: it takes long</system-out>" in render_night_junit(
        mixed_night()
    )
    assert [[case.name for case in suite] for suite in (p, s, w)] == [["p.csv"], ["s.csv"], ["w.csv"]]
    (skipped,) = next(iter(w)).result
    assert (type(skipped).__name__, skipped.message) == (
        "Skipped", "different: value; waived until 2999-12-31: issue 12",
    )  # fmt: skip


def test_a_failed_pipeline_says_why_though_its_outputs_are_missing_too() -> None:
    one = run(Verdict.UNKNOWN, error="the pipeline failed: exit code 3")
    gone = OutputComparison(path="p.csv", verdict=OutputVerdict.MISSING)
    one = msgspec.structs.replace(one, report=msgspec.structs.replace(one.report, outputs=(gone,)))
    report = sealed(msgspec.structs.replace(night(), runs=(one,)))
    assert "exit code 3" in render_night_junit(report)


def test_markdown_says_verdict_then_alarms_then_what_fails() -> None:
    text = render_night_markdown(mixed_night())
    assert text.startswith("### ❌ night 2026-02-03: not reproducible\n")
    order = [
        text.index(word) for word in ("Regression", "not-reproducible |", "1 run left out", "2 runs pass")
    ]
    assert order[0] < order[1] < min(order[2:])
    assert "issue 12" in render_night_markdown(msgspec.structs.replace(mixed_night(), waivers=(USED,)))


def test_markdown_fits_whatever_there_is() -> None:
    many = night(*(run(Verdict.NOT_REPRODUCIBLE, f"p{number}" + "ü" * 150) for number in range(3_000)))
    for room in (1 << 20, 100 * KIB, 3 * KIB, 100, 3):
        assert len(render_night_markdown(many, room=room).encode()) <= room
    assert "2580 more rows are in the JSON report." in render_night_markdown(many)


def test_annotations_are_ten_at_most_and_the_alarm_is_first() -> None:
    assert render_night_github(night(run(Verdict.REPRODUCIBLE))) == ""
    assert render_night_github(mixed_night()).startswith("::error title=Regression%3A p.csv::p: p.csv:")
    many = night(*(run(Verdict.NOT_REPRODUCIBLE, f"p{number}") for number in range(30)), alarms=(ALARM,))
    lines = render_night_github(many).splitlines()
    assert len(lines) == 10
    assert "22 more" in lines[-1]


def test_nothing_hostile_is_more_than_text_in_any_form() -> None:
    hostile = hostile_night()
    for text in (
        render_night(hostile), render_night_github(hostile), render_night_markdown(hostile),
        render_night_html(hostile), render_night_junit(hostile),
    ):  # fmt: skip
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")
    assert all(line.startswith("::") for line in render_night_github(hostile).splitlines())
    tags = re.findall(
        r"<[^>]*>",
        MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(render_night_markdown(hostile)),
    )
    names = {re.match(r"</?([a-z0-9]+)", tag)[1] for tag in tags}
    assert names <= MARKDOWN_TAGS - {"br"}
    assert not re.search(r"<(?:img|script|iframe)", render_night_html(hostile))
    suites(hostile)


def test_a_page_is_small_and_never_too_large() -> None:
    assert len(render_night_html(night()).encode()) <= 60 * KIB
    two_hundred = night(*(run(Verdict.REPRODUCIBLE, f"p{number}") for number in range(200)))
    assert len(render_night_html(two_hundred).encode()) <= 500 * KIB
    one = msgspec.structs.replace(
        run(Verdict.NOT_REPRODUCIBLE),
        report=full_report(),
        status={f"{n}ü" * 150: "flaky" for n in range(30)},
    )
    page = render_night_html(msgspec.structs.replace(night(one), runs=(one,) * 4_096))
    assert len(page.encode()) <= MAX_BYTES
    assert "more runs are in the JSON report" in page
