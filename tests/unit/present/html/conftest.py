"""One browser for all tests of pages; pages open from disk, offline, and nothing may go wrong unheard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.model.report import Report
from kfm_repro.present.html import render_html


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return Debian's Chromium, driven by Playwright."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@dataclass
class Opened:
    """A page, and what was heard while it was open."""

    page: Any
    heard: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return the function that opens a report as a page; dialogs, requests and console messages fail the test."""
    opened: list[Opened] = []

    def show(report: Report | str, **options: Any) -> Any:
        file = tmp_path / f"report{len(opened)}.html"
        file.write_text(report if isinstance(report, str) else render_html(report), encoding="utf-8")
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800}, **options)
        one = Opened(context.new_page())
        opened.append(one)
        one.page.on("dialog", lambda dialog: (one.heard.append(f"dialog {dialog.message}"), dialog.dismiss()))
        one.page.on("console", lambda message: one.heard.append(f"console {message.text}"))
        one.page.on("pageerror", lambda error: one.heard.append(f"error {error}"))
        one.page.on(
            "request",
            lambda request: (
                None if request.url.split("#")[0] == file.as_uri() else one.heard.append(request.url)
            ),
        )
        one.page.goto(file.as_uri())
        return one.page

    yield show
    heard = [text for one in opened for text in one.heard]
    for one in opened:
        one.page.context.close()
    assert not heard
