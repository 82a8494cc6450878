"""One HTML file: opens from disk, offline, also without JavaScript; jinja2 is imported only when it is asked for."""

from __future__ import annotations

from kfm_repro.present.html.render import render_html

__all__ = ["render_html"]
