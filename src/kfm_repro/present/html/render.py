"""A report as one self-contained page: style, script and figures inside, a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.model.report import Report
from kfm_repro.present.html.view import FULL, page_of

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["MAX_BYTES", "page_text", "render_html"]

MAX_BYTES = 10_000_000
"""A larger page is slow to open: beyond it less is shown, and the page says so."""
_TEMPLATES = Path(__file__).with_name("templates")


def render_html(report: Report) -> str:
    """Return the report as one HTML document of at most ``MAX_BYTES``; the same report gives the same text."""
    limits = FULL
    while True:
        text = page_text("report.html", page_of(report, limits), script="script.js")
        if len(text.encode("utf-8")) <= MAX_BYTES or limits.is_least:
            return text
        limits = limits.halved()


def page_text(template: str, page: object, *, script: str) -> str:
    """Return a page laid out by one of our templates; ``script`` is the file of its script, empty for none."""
    style, code = _asset("style.css"), _asset(script) if script else ""
    allowed = f"'{_hash(code)}'" if code else "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(page=page, policy=policy, style=style, script=code)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _asset(name: str) -> str:
    """Return a file of our own that goes into the page as it is."""
    from markupsafe import Markup

    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - ours, with no value in it


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
