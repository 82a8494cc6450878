"""Annotations for GitHub Actions: at most ten, at the pipeline's line, and no command from the data."""

from __future__ import annotations

import re

import pytest
from reports import GOLD, empty_report, full_report, hostile_report, report_of

from kfm_repro.model.finding import Cause, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import RunRef
from kfm_repro.present.github import fenced, render_github

COMMAND = re.compile(r"::(error|warning)( (file|title|line)=[^:,]*(,(file|title|line)=[^:,]*)*)?::[^\r\n]*\n")


def output(number: int, source: str = "") -> OutputComparison:
    causes = (Cause(axis="clock", confidence="proved", source=source),) if source else ()
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": "x"}, causes=causes)
    return OutputComparison(path=f"data/{number:03}", verdict=OutputVerdict.DIFFERENT, findings=(finding,))


@pytest.mark.parametrize("count", [1, 10, 11, 500])
def test_ten_at_most_and_what_is_left_is_counted(count: int) -> None:
    lines = render_github(report_of(*map(output, range(count)))).splitlines()
    assert len(lines) == min(count, 10)
    assert all(
        line.startswith("::error file=pipelines/import_census.py,title=different%3A data/")
        for line in lines[:9]
    )
    if count > 10:
        assert lines[9].endswith(f"{count - 9} more outputs do not pass: the report has them all")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("pipelines/x.py:88", "file=pipelines/x.py,line=88,"),
        ("pipelines/x.py", "file=pipelines/x.py,"),
        ("/etc/passwd:1", "file=pipelines/import_census.py,"),
        ("../../x.py:1", "file=pipelines/import_census.py,"),
        ("a:b:c", "file=pipelines/import_census.py,"),
    ],
)
def test_the_line_of_the_cause_where_it_is_known(source: str, place: str) -> None:
    assert render_github(report_of(output(1, source))).startswith(f"::error {place}title=")


def test_no_file_where_the_report_knows_none() -> None:
    report = report_of(output(1), run=RunRef(run_id="x"))
    assert render_github(report).startswith("::error title=different%3A data/001::")


def test_what_passes_is_not_mentioned() -> None:
    same = OutputComparison(path="a", verdict=OutputVerdict.IDENTICAL)
    assert render_github(report_of(same)) == ""


def test_no_verdict_is_an_error_by_itself() -> None:
    assert render_github(empty_report()).startswith(
        "::error file=pipelines/import_census.py,title=kfm-repro%3A unknown::"
    )


def test_hostile_texts_begin_no_command() -> None:
    text = render_github(hostile_report())
    assert "".join(match.group() for match in COMMAND.finditer(text)) == text
    assert len(text.splitlines()) == 10


def test_text_is_fenced_by_what_it_cannot_contain() -> None:
    text = "::error::x\n##[warning]y\n"
    first, *middle, last = fenced(text).splitlines()
    token = first.removeprefix("::stop-commands::")
    assert last == f"::{token}::"
    assert "\n".join(middle) + "\n" == text
    assert token not in text
    assert fenced(text) == fenced(text)


def test_the_gold_file() -> None:
    assert render_github(full_report()) == (GOLD / "report.github.txt").read_text(encoding="utf-8")


def test_line_ends_and_percent_signs_are_escaped_where_github_reads_them() -> None:
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": "100%0A"})
    two = OutputComparison(path="a,b:c%", verdict=OutputVerdict.DIFFERENT, findings=(finding, finding))
    (line,) = render_github(report_of(two)).splitlines()
    assert "title=different%3A a%2Cb%3Ac%25::" in line
    assert line.count("column 100%250A") == 2
    assert line.count("%0A") == 1
