"""The documents: every link leads somewhere, every kind has its words and its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workshop import REPOSITORY

from kfm_repro.model.finding import Kind
from kfm_repro.present.kinds import TOLD

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    lines = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def test_every_kind_has_words() -> None:
    assert list(TOLD) == list(Kind)
    for kind, words in TOLD.items():
        assert all((words.title, words.means, words.cause)), kind
        assert words.remedy or kind is Kind.BYTES
