"""The page as text: what a report carries is on it, the same bytes each time, never too large."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from reports import (
    GOLD,
    HOSTILE,
    empty_report,
    full_report,
    hostile_report,
    map_report,
    report_of,
    without_assets,
)
from workshop import REPOSITORY

from kfm_repro.model.encode import read_report, report_json
from kfm_repro.model.figures import Density, Drawing, Figures, Histogram, Shape, Times
from kfm_repro.model.finding import Example, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import Precondition, Report
from kfm_repro.present.html import render_html
from kfm_repro.present.html.anchors import Anchors
from kfm_repro.present.html.around import parts_of
from kfm_repro.present.html.render import MAX_BYTES
from kfm_repro.present.html.samples import table_of


def test_causes_lines_and_verified_fixes_are_rendered_as_in_the_gold_file() -> None:
    page = without_assets(render_html(full_report()))
    assert page == (GOLD / "report.html").read_text(encoding="utf-8"), (
        "python tests/reports.py writes it anew"
    )
    assert page.endswith("</html>\n")


def test_a_saved_report_gives_the_same_page(tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    for report in (full_report(), map_report(20), empty_report()):
        saved.write_text(report_json(report), encoding="utf-8")
        assert render_html(read_report(saved)) == render_html(report)


def test_zone_hash_seed_and_folder_change_no_byte(tmp_path: Path) -> None:
    code = "import hashlib, sys; from reports import *; from kfm_repro.present.html import render_html; "
    code += "sys.stdout.write(hashlib.sha256(render_html(full_report()).encode()).hexdigest())"
    digests = set()
    for zone, seed, folder in (("UTC", "0", tmp_path), ("Asia/Kathmandu", "7", Path("/"))):
        environ = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY / "tests")}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, cwd=folder, check=True, capture_output=True, text=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_an_empty_report_is_small_and_one_of_five_thousand_features_not_large() -> None:
    assert len(render_html(empty_report()).encode()) <= 60_000
    assert len(render_html(map_report(5_000)).encode()) <= 4_000_000


def test_a_report_beyond_measure_is_cut_and_says_so() -> None:
    wide = "W" * 390
    example = Example(key={wide[:100]: wide}, a=wide, b=wide + "x")
    finding = Finding(
        kind=Kind.VALUE, rung=Rung.VALUE, where={"column": wide}, count=999, examples=(example,) * 10
    )
    outputs = [
        OutputComparison(path=f"data/{n}", verdict=OutputVerdict.DIFFERENT, findings=(finding,) * 8)
        for n in range(300)
    ]
    page = render_html(report_of(*outputs))
    assert len(page.encode()) <= MAX_BYTES
    assert "more outputs differ; the JSON report beside this page has all of them" in page
    assert "300 of 300 outputs differ" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_is_on_the_page_as_it_is(text: str) -> None:
    page = render_html(hostile_report())
    if any(sign in text for sign in "<>\x1b\u202e\x00\ud800"):
        assert text not in page
    assert page.count("<script>") == 1
    assert "x" * 3_000 not in page


def test_nothing_of_the_page_asks_for_anything_from_elsewhere() -> None:
    page = render_html(full_report())
    assert "http://" not in page
    assert "https://" not in page
    assert "style=" not in page


@pytest.mark.parametrize(
    "figures",
    [
        Figures(histogram=Histogram(unit="relative", edges=(), counts=())),
        Figures(histogram=Histogram(unit="ulp", edges=(1.0,), counts=(0,))),
        Figures(times=Times()),
        Figures(times=Times(a=(1e300,), b=(-1e300,), of=1)),
        Figures(drawing=Drawing()),
        Figures(drawing=Drawing(width=-5, height=0, unit_m=1e-300, shapes=(Shape(east=1e308, north=1e308),))),
        Figures(density=Density(columns=1, rows=256)),
        Figures(density=Density(columns=2, rows=2, cells=((5, 5, 1), (0, 0, -1), (1, 1, 10**18)))),
    ],
)
def test_odd_figures_do_no_harm(figures: Figures) -> None:
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE, figures=figures)
    page = render_html(
        report_of(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(finding,)))
    )
    assert "nan" not in page.partition("<main")[2].partition("<script>")[0]


def test_an_outline_is_nothing_but_an_outline() -> None:
    made = msgspec.to_builtins(map_report(1))
    made["outputs"][0]["findings"][0]["figures"]["drawing"]["shapes"][0]["a"] = '"/><script>'
    with pytest.raises(msgspec.ValidationError, match=r"matching regex .*figures.drawing.shapes"):
        msgspec.convert(made, Report)


def test_what_differs_in_two_values_is_marked_by_whole_words() -> None:
    example = Example(a="2026-02-02T00:00:00", b="2026-02-03T00:00:00")
    table = table_of(Finding(kind=Kind.TIMESTAMP, rung=Rung.VALUE, examples=(example,)), 10)
    assert table is not None
    cell = table.rows[0].b
    assert (cell.before, cell.middle, cell.after) == ("2026-02-", "03T00", ":00:00")


def test_rows_of_one_side_have_one_column() -> None:
    finding = Finding(kind=Kind.ROWS_ADDED, rung=Rung.VALUE, examples=(Example(a=None, b="x"),))
    table = table_of(finding, 10)
    assert table is not None
    assert (table.has_a, table.has_b) == (False, True)


def test_a_place_without_values_is_not_called_absent() -> None:
    finding = Finding(
        kind=Kind.SPATIAL_INDEX, rung=Rung.CONTAINER, examples=(Example(key={"table": "rtree_x_geom_node"}),)
    )
    output = OutputComparison(path="a", verdict=OutputVerdict.EQUIVALENT, findings=(finding,))
    page = without_assets(render_html(report_of(output)))
    assert "rtree_x_geom_node" in page
    assert "not there" not in page


def test_a_column_without_any_value_has_no_head() -> None:
    ok = Precondition(name="code", state="ok", detail="commit 1234567")
    drifted = Precondition(name="inputs", state="drift", code="inputs-changed", detail="1 of 9")
    (part,) = (p for p in parts_of(report_of(preconditions=(ok,))) if p.anchor == "preconditions")
    assert (part.heads, part.rows) == (("what", "state", "detail"), (("code", "ok", "commit 1234567"),))
    (part,) = (p for p in parts_of(report_of(preconditions=(ok, drifted))) if p.anchor == "preconditions")
    assert part.heads[-1] == "code"


def test_anchors_are_safe_stable_and_used_once() -> None:
    anchors = Anchors()
    names = [anchors.make(text) for text in ("data/a b.csv", "data/a b.csv", "7", "", '"><x>', "x" * 500)]
    assert names == ["data-a-b.csv", "data-a-b.csv-2", "at-7", "at-", "x", "x" * 96]


def test_times_of_a_later_replay_are_held_against_its_own_window() -> None:
    report = full_report()
    (first,) = report.replays
    early = msgspec.structs.replace(first, run_id="01K9AA", window=(0.0, 1.0))
    page = render_html(msgspec.structs.replace(report, replays=(early, first)))
    assert page.count("all in the window of the run") == 2
    assert "1970-01-01 00:00:00.000" not in page
