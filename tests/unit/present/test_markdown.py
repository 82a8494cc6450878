"""Markdown for the summary of a job: read by a renderer, nothing hostile in it, small enough to be shown."""

from __future__ import annotations

import re

import msgspec
import pytest
from markdown_it import MarkdownIt
from reports import (
    GOLD,
    HOSTILE,
    MARKDOWN_TAGS,
    empty_report,
    full_report,
    hostile_report,
    map_report,
    report_of,
)

from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.waiver import WaiverState, WaiverUse
from kfm_repro.present.markdown import escaped, render_markdown
from kfm_repro.present.visible import visible

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_read_back_as_it_is_seen(text: str) -> None:
    html = READER.render(f"x{escaped(text)}x").strip()
    assert "<" not in html.removeprefix("<p>").removesuffix("</p>")
    plain = html.removeprefix("<p>x").removesuffix("x</p>")
    for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        plain = plain.replace(name, sign)
    assert plain == visible(text, 300)


def test_hostile_reports_have_only_our_tags_and_whole_rows() -> None:
    html = READER.render(render_markdown(hostile_report()))
    tags = set(re.findall(r"<([a-z0-9]+)", html))
    assert tags <= MARKDOWN_TAGS
    assert html.count("<td") == 6 * (html.count("<tr>") - html.count("<thead>"))


def test_verdict_first_then_the_worst_output() -> None:
    lines = render_markdown(full_report()).splitlines()
    assert lines[0] == "### ❌ census&#95;1900: not reproducible"
    assert lines[2].startswith("5 of 9 outputs differ")
    assert "summary.csv" in lines[6]


def test_beyond_twenty_rows_the_rest_is_folded_and_beyond_its_room_left_out() -> None:
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": "c" * 300}, evidence="e" * 999)
    outputs = [
        OutputComparison(path=f"{n}" + "p" * 300, verdict=OutputVerdict.DIFFERENT, findings=(finding,))
        for n in range(3_000)
    ]
    text = render_markdown(report_of(*outputs))
    assert "<summary>400 more</summary>" in text
    assert "2580 more rows are in the JSON report." in text
    assert len(text.encode()) < 1 << 20
    assert len(render_markdown(report_of(*outputs), room=30_000).encode()) <= 30_000
    assert len(render_markdown(report_of(*outputs), room=300).encode()) <= 300
    assert render_markdown(report_of(*outputs), room=0) == ""


def test_an_empty_report_says_so() -> None:
    assert "nothing was compared" in render_markdown(empty_report())


def test_the_gold_file() -> None:
    assert render_markdown(full_report()) == (GOLD / "report.md").read_text(encoding="utf-8")
    assert len(render_markdown(map_report(5_000))) < 5_000


@pytest.mark.parametrize("reason", ["the portal wants it", *HOSTILE])
def test_a_waiver_stands_beside_what_it_waives_with_its_reason_and_its_last_day(reason: str) -> None:
    use = WaiverUse(
        output="a.csv", kind="timestamp", rung="value", count=3, reason=reason, expires="2027-01-31",
        state=WaiverState.USED,
    )  # fmt: skip
    html = READER.render(render_markdown(msgspec.structs.replace(full_report(), waivers=(use,))))
    assert "<li>waiver used: a.csv   timestamp, until 2027-01-31: " in html
    assert escaped(reason, 160) in render_markdown(msgspec.structs.replace(full_report(), waivers=(use,)))
