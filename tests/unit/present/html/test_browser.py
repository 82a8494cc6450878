"""The page in a real browser: from disk, offline, with and without JavaScript, by keyboard, dark, on paper."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from night_reports import hostile_night, mixed_night, night
from reports import DAY, HOSTILE, START, empty_report, full_report, hostile_report, map_report, report_of

from kfm_repro.model.figures import Figures, Histogram, Times
from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.present.night.html import render_night_html

Show = Callable[..., Any]


def mixed_page() -> str:
    return render_night_html(mixed_night(), {"t": "a%20b/x.html"})


def hostile_page() -> str:
    return render_night_html(hostile_night(), dict.fromkeys(HOSTILE, "x.html"))


def empty_page() -> str:
    return render_night_html(night())


def test_hostile_names_and_values_open_no_dialog_and_ask_for_nothing(show: Show) -> None:
    page = show(hostile_report())
    assert page.locator("script").count() == 1
    assert page.locator("img, iframe, object, embed, link").count() == 0
    assert page.evaluate(
        "[...document.querySelectorAll('*')].every(n => ![...n.attributes].some(a => /^on/i.test(a.name)))"
    )
    links = page.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)


def test_the_policy_lets_no_foreign_script_run(show: Show, browser: Any) -> None:
    from kfm_repro.present.html import render_html

    broken = render_html(full_report()).replace("</main>", "<script>document.title='owned'</script></main>")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_content(broken)
    assert page.title() != "owned"
    context.close()
    assert show(full_report()).title() == "Not reproducible: census_1900"


@pytest.mark.parametrize("script", [True, False])
def test_the_first_screen_says_verdict_output_column_kind_and_advice(show: Show, *, script: bool) -> None:
    page = show(full_report(), java_script_enabled=script)
    for text in (
        "Not reproducible",
        "summary.csv",
        "column generated_at",
        "Embedded timestamp",
        "take the time from",
    ):
        box = page.get_by_text(text).first.bounding_box()
        assert box["y"] + box["height"] <= 800


def test_without_javascript_everything_is_there(show: Show) -> None:
    page = show(full_report(), java_script_enabled=False)
    assert not page.locator("#filter").is_visible()
    assert page.locator("[data-finding]").count() == 9
    assert page.locator("figure svg").count() == 5
    assert page.locator("svg .ft").count() == 6
    page.get_by_role("heading", name="2 identical").click()
    assert page.get_by_text("names.csv").is_visible()
    page.locator(".summary a", has_text="Embedded timestamp").click()
    assert page.url.endswith("#data-processed-census-summary.csv--column-generated_at-timestamp")


def test_j_and_k_walk_the_findings_and_the_filter_narrows_them(show: Show) -> None:
    page = show(full_report())
    titles = []
    for key in "jjk":
        page.keyboard.press(key)
        titles.append(page.locator(".now h4").inner_text())
    assert "Float noise" in titles[1]
    assert titles[0] == titles[2]
    page.keyboard.press("/")
    page.keyboard.type("moved as a whole, nobody knows")
    assert page.locator("[data-finding]:visible").count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("generated_at")
    assert page.locator("[data-finding]:visible").count() == 1
    assert page.locator(".summary tbody tr:visible").count() == 1
    assert page.locator("#matches").inner_text() == "1 finding"
    page.keyboard.press("Escape")
    assert page.locator("[data-finding]:visible").count() == 9


def test_the_question_mark_opens_the_keys_and_escape_closes_them(show: Show) -> None:
    page = show(full_report())
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_map_and_table_are_linked_both_ways(show: Show) -> None:
    page = show(map_report(6))
    page.locator(".rows a").nth(3).click()
    assert page.locator(".rows tr.on").inner_text().startswith("geoid 200003")
    assert page.locator("svg .ft.on title").text_content().startswith("geoid 200003")
    assert page.locator(".canvas > svg").get_attribute("viewBox") != "-200 -200 10400 10600"
    page.get_by_label("All of it").click()
    assert page.locator(".canvas > svg").get_attribute("viewBox") == "-200.00 -200.00 10400.00 10600.00"
    page.locator("svg .ft .b").nth(5).dispatch_event("click")
    assert page.locator(".rows tr.on").inner_text().startswith("geoid 200000")


def test_a_map_moves_by_keyboard(show: Show) -> None:
    page = show(map_report(6))
    chart = page.locator(".canvas > svg")
    chart.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    x, _, width, _ = map(float, chart.get_attribute("viewBox").split())
    assert width == pytest.approx(10400 * 0.6)
    assert x == pytest.approx(-200 + 10400 * 0.2 + 6240 * 0.1)
    page.keyboard.press("0")
    assert chart.get_attribute("viewBox") == "-200.00 -200.00 10400.00 10600.00"


def test_five_thousand_features_answer(show: Show) -> None:
    page = show(map_report(5_000))
    assert page.locator("svg .ft").count() == 5_000
    assert page.locator(".rows tbody tr").count() == 500
    assert "The 5000 farthest of 5120" in page.locator("figcaption").inner_text()
    page.locator(".rows a").nth(499).click()
    assert page.locator("svg .ft.on").count() == 1
    page.keyboard.press("j")
    assert page.locator(".now").count() == 1


def test_dark_and_paper(show: Show) -> None:
    page = show(full_report(), color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(20, 24, 22)"
    page.emulate_media(media="print", color_scheme="light")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not page.locator("#filter").is_visible()
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "make", [full_report, empty_report, hostile_report, mixed_page, hostile_page, empty_page]
)
def test_accessible(show: Show, make: Callable[[], Any], scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(show(make(), color_scheme=scheme)).response["violations"]
    assert [(item["id"], item["nodes"][0]["html"][:200]) for item in found] == []


@pytest.mark.parametrize("make", [full_report, hostile_report, mixed_page, hostile_page])
def test_a_narrow_screen_scrolls_only_up_and_down(show: Show, make: Callable[[], Any]) -> None:
    page = show(make())
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_the_page_of_a_night_says_verdict_and_alarm_first_and_needs_no_script(show: Show) -> None:
    page = show(mixed_page(), java_script_enabled=False)
    assert page.locator("script, img, iframe, object, embed, link").count() == 0
    for text in ("Not reproducible", "Regression", "not since commit abc", "flaky"):
        box = page.get_by_text(text).first.bounding_box()
        assert box["y"] + box["height"] <= 800
    assert page.locator("a[href='a%20b/x.html']").count() == 3
    page.get_by_role("heading", name="What passes").click()
    assert page.get_by_text("s.csv").is_visible()
    page.get_by_role("heading", name="Left out").click()
    assert page.get_by_text("it takes long").is_visible()


def test_a_hostile_night_opens_nothing(show: Show) -> None:
    page = show(hostile_page())
    links = page.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert set(links) == {"#main", "x.html"}
    assert page.evaluate(
        "[...document.querySelectorAll('*')].every(n => ![...n.attributes].some(a => /^on/i.test(a.name)))"
    )


def test_where_two_real_rasters_differ_is_drawn(show: Show, tmp_path: Path) -> None:
    import numpy as np
    import rasterio
    from affine import Affine

    values = np.add.outer(np.arange(200), np.arange(300)).astype("f4")
    changed = values.copy()
    changed[150:200, 200:300] += 7
    for name, grid in (("a", values), ("b", changed)):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", width=300, height=200, count=1, dtype="float32",
            crs="EPSG:26914", transform=Affine(30, 0, 300_000, 0, -30, 4_300_000),
        ) as file:  # fmt: skip
            file.write(grid, 1)
    program = Path(sys.executable).with_name("kfm-repro")
    made = tmp_path / "diff.html"
    done = subprocess.run(
        [program, "diff", tmp_path / "a.tif", tmp_path / "b.tif", "--html", made],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    page = show(made.read_text(encoding="utf-8"), java_script_enabled=False)
    assert page.get_by_text("Where it differs: 5000 places").is_visible()
    drawn = page.locator("svg.grid").bounding_box()
    assert drawn["width"] / drawn["height"] == pytest.approx(1.5, abs=0.05)
    boxes = [square.bounding_box() for square in page.locator("svg.grid rect").all()]
    assert min(box["x"] - drawn["x"] for box in boxes) == pytest.approx(drawn["width"] * 2 / 3, abs=10)
    assert min(box["y"] - drawn["y"] for box in boxes) == pytest.approx(drawn["height"] * 3 / 4, abs=10)
    counts = [int(title.text_content()) for title in page.locator("svg.grid rect title").all()]
    assert sum(counts) == 5000


@pytest.mark.parametrize("away", [0.0, -7 * 3600.0, 30 * 3600.0, 0.1])
def test_the_texts_of_a_window_are_whole_and_apart(show: Show, away: float) -> None:
    times = Times(a=(START + away,), b=(START + DAY + away,), of=1)
    finding = Finding(kind=Kind.TIMESTAMP, rung=Rung.VALUE, figures=Figures(times=times))
    page = show(
        report_of(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(finding,))),
        java_script_enabled=False,
    )
    for drawn in page.locator("svg.timeline").all():
        frame = drawn.bounding_box()
        boxes = sorted(
            (text.bounding_box() for text in drawn.locator("text").all()), key=lambda box: box["x"]
        )
        assert boxes[0]["x"] >= frame["x"]
        assert boxes[-1]["x"] + boxes[-1]["width"] <= frame["x"] + frame["width"]
        assert all(a["x"] + a["width"] < b["x"] for a, b in pairwise(boxes))


def test_a_histogram_of_one_bar_is_no_wall(show: Show) -> None:
    histogram = Histogram(unit="ulp", edges=(1.0,), counts=(1383,))
    finding = Finding(kind=Kind.FLOAT_NOISE, rung=Rung.NOISE, figures=Figures(histogram=histogram))
    page = show(report_of(OutputComparison(path="a", verdict=OutputVerdict.EQUIVALENT, findings=(finding,))))
    assert page.locator("svg.bars rect").bounding_box()["width"] < 80


def test_the_table_beside_a_map_is_no_higher_than_the_map(show: Show) -> None:
    report = map_report(40)
    (finding,) = report.outputs[0].findings
    flat = msgspec.structs.replace(finding.figures.drawing, height=5000)
    finding = msgspec.structs.replace(finding, figures=Figures(drawing=flat))
    page = show(report_of(OutputComparison(path="a", verdict=OutputVerdict.DIFFERENT, findings=(finding,))))
    canvas, rows = (page.locator(name).bounding_box() for name in (".canvas > svg", ".rows"))
    assert rows["height"] <= canvas["height"] + 1
