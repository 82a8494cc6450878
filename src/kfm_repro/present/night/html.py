"""A night as one self-contained page, made as that of a run is, without any script."""

from __future__ import annotations

from collections.abc import Mapping

from kfm_repro.model.nightly import NightReport
from kfm_repro.present.html.render import MAX_BYTES, page_text
from kfm_repro.present.night.page import FULL, night_page

__all__ = ["render_night_html"]

_NO_LINKS: Mapping[str, str] = {}


def render_night_html(report: NightReport, links: Mapping[str, str] = _NO_LINKS) -> str:
    """Return the night as one HTML document of at most ``MAX_BYTES``; the same report and links give the same text.

    ``links`` are where the report of a replay lies, by its id, as seen from the page: relative, and quoted for a URL.
    """
    limits = FULL
    while True:
        text = page_text("night.html", night_page(report, links, limits), script="")
        if len(text.encode("utf-8")) <= MAX_BYTES or limits.is_least:
            return text
        limits = limits.halved()
