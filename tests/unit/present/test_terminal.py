"""The report at a terminal: the verdict last, written from the counts; nothing hostile gets through."""

from __future__ import annotations

import re

import msgspec
import pytest
from reports import hostile_report

from kfm_repro.model.finding import Example, Finding, Fix, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import ErrorInfo, Replay, Report, RunRef, Scope, count_verdicts
from kfm_repro.model.verdict import Verdict, run_verdict
from kfm_repro.present.lines import plural
from kfm_repro.present.terminal import render, render_error, verdict_line
from kfm_repro.present.visible import visible

TIMESTAMP = Finding(
    kind=Kind.TIMESTAMP,
    rung=Rung.VALUE,
    where={"column": "generated_at"},
    count=105,
    of=105,
    examples=(Example(key={"geoid": "20001"}, a="2026-02-03T21:14:08", b="2026-02-04T09:00:00"),),
    evidence="A's values lie in run A's window and B's in run B's",
    fix=Fix(text="take the time from the run record"),
)


def report(*outputs: OutputComparison) -> Report:
    return Report(
        command="replay",
        verdict=run_verdict(outputs),
        counts=count_verdicts(outputs),
        run=RunRef(run_id="01K9A", pipeline="census_1900"),
        replays=(Replay(run_id="01KBB", path="data/work/runs/census_1900/01KBB", duration_s=4.2),),
        outputs=outputs,
    )


SAME = OutputComparison(path="data/a.parquet", verdict=OutputVerdict.IDENTICAL)
ORDER = OutputComparison(
    path="data/b.geojson",
    verdict=OutputVerdict.EQUIVALENT,
    findings=(Finding(kind=Kind.FEATURE_ORDER, rung=Rung.ORDER, count=105, of=105),),
)
OTHER = OutputComparison(path="data/summary.csv", verdict=OutputVerdict.DIFFERENT, findings=(TIMESTAMP,))


def test_the_last_line_is_the_verdict_from_the_counts() -> None:
    text = render(report(SAME, ORDER, OTHER), saved="x/repro_report.json")
    assert text.splitlines()[-1] == (
        "NOT REPRODUCIBLE: 1 of 3 outputs differs, 1 equivalent, 1 identical.  Report: x/repro_report.json"
    )


def test_outputs_findings_and_advice_are_shown() -> None:
    text = render(report(SAME, ORDER, OTHER))
    assert "  =  identical   data/a.parquet\n" in text
    assert "  ~  equivalent  data/b.geojson     feature-order, 105 of 105" in text
    assert "  ≠  different   data/summary.csv   column generated_at: timestamp, 105 of 105" in text
    assert "geoid=20001  2026-02-03T21:14:08 → 2026-02-04T09:00:00" in text
    assert "fix   take the time from the run record\n" in text


def test_a_level_of_isolation_below_the_best_is_shown_with_what_is_lost() -> None:
    notes = ("isolation none: unobserved", "isolation none: inputs are copies", "level R1: one machine")
    shown = msgspec.structs.replace(report(SAME), scope=Scope(notes=notes))
    assert "  !  isolation none: unobserved … 1 more in the report\n" in render(shown)
    assert "isolation" not in render(report(SAME))


def test_what_was_not_compared_is_said() -> None:
    shown = msgspec.structs.replace(
        report(SAME), scope=Scope(notes=("not compared: written elsewhere: a.csv",))
    )
    assert "  !  not compared: written elsewhere: a.csv\n" in render(shown)


def test_quiet_is_only_the_verdict() -> None:
    assert render(report(SAME), quiet=True) == "REPRODUCIBLE: 1 of 1 output identical.\n"


def test_nothing_compared_is_not_praised() -> None:
    assert verdict_line(report()) == "UNKNOWN: nothing was compared."


def test_colour_changes_no_word() -> None:
    plain, coloured = render(report(SAME, OTHER)), render(report(SAME, OTHER), color=True)
    stripped = coloured
    for code in ("0", "1", "2", "31", "32", "33", "1;31", "1;32", "1;33"):
        stripped = stripped.replace(f"\x1b[{code}m", "")
    assert "\x1b" not in stripped
    assert [line.rstrip() for line in stripped.splitlines()] == [line.rstrip() for line in plain.splitlines()]


def test_markup_and_control_characters_in_names_are_only_text() -> None:
    hostile = OutputComparison(
        path="data/[red]\x1b]0;x\x07\u202e.csv", verdict=OutputVerdict.DIFFERENT, findings=(TIMESTAMP,)
    )
    for color in (False, True):
        text = render(report(hostile), color=color)
        assert "[red]\\x1b]0;x\\x07\\u202e.csv" in text
        assert "\x07" not in text


def test_an_error_says_what_and_what_to_do() -> None:
    error = ErrorInfo(
        code="input-changed", message="input changed: a.csv\n  recorded  sha256 9f", hint="restore it"
    )
    assert render_error(error) == "error: input changed: a.csv\n  recorded  sha256 9f\n  hint: restore it\n"


def test_long_values_are_cut_and_say_so() -> None:
    assert visible("x" * 100, 10) == "x" * 10 + "…"
    assert visible("a\tb\nc\u00a0d") == "a\\tb\\nc\\xa0d"


def test_what_was_compared_without_a_verdict_is_a_sentence_of_its_own() -> None:
    failed = msgspec.structs.replace(
        report(OTHER),
        verdict=Verdict.UNKNOWN,
        error=ErrorInfo(code="x", message="the pipeline failed", hint=""),
    )
    assert verdict_line(failed) == (
        "UNKNOWN: the pipeline failed.  Compared all the same: 1 of 1 output differs."
    )


def test_one_of_a_thing_is_not_plural() -> None:
    assert [plural(number, "input") for number in range(3)] == ["0 inputs", "1 input", "2 inputs"]


@pytest.mark.parametrize("color", [True, False])
def test_a_report_that_is_hostile_throughout_stays_on_its_lines(*, color: bool) -> None:
    plain = render(hostile_report(), color=False)
    assert all(char == "\n" or char.isprintable() for char in plain)
    assert len(plain) < 200_000
    shown = re.sub(r"\x1b\[[0-9;]*m", "", render(hostile_report(), color=color))
    assert [line.rstrip() for line in shown.split("\n")] == plain.split("\n")


def test_a_place_without_values_is_named_alone() -> None:
    tile = Finding(kind=Kind.VALUE, rung=Rung.VALUE, examples=(Example(key={"tile": "3/1/2"}),))
    text = render(report(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(tile,))))
    assert "tile=3/1/2\n" in text


@pytest.mark.parametrize(
    ("distance", "said"),
    [
        (0.0, "0 m"),
        (1e-9, "1e-09 m"),
        (3.476, "3.48 m"),
        (999.4, "999 m"),
        (999.6, "1 km"),
        (26_341.0, "26.3 km"),
    ],
)
def test_metres_are_written_as_people_write_them(distance: float, said: str) -> None:
    moved = Finding(kind=Kind.GEOMETRY, rung=Rung.VALUE, metres={"max": distance})
    text = render(report(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(moved,))))
    assert f", up to {said}\n" in text
