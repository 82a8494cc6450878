"""What the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from kfm_repro.model.report import ErrorInfo, ErrorReport, Report

__all__ = ["print_error", "print_report", "progress", "shortest", "wants_color", "write"]


def wants_color(stream: TextIO, *, no_color: bool = False) -> bool:
    """Return whether a stream is a terminal that may be coloured."""
    return (
        not no_color
        and not os.environ.get("NO_COLOR")
        and stream.isatty()
        and os.environ.get("TERM") != "dumb"
    )


def write(stream: TextIO, text: str, *, exact: bool = False) -> None:
    """Write text; what the stream's encoding cannot show is escaped, never an error.

    A terminal gets lines that are broken between words to its width, unless the text is for programs: ``exact``.
    """
    if not exact and (width := _width(stream)):
        from kfm_repro.present.lines import wrapped

        text = wrapped(text, width)
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
    stream.flush()


def _width(stream: TextIO) -> int:
    """Return how many columns a terminal has, or COLUMNS says; 0 for what is none or does not tell."""
    if not stream.isatty():
        return 0
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def print_report(report: Report, options: Mapping[str, Any], *, saved: str = "") -> None:
    """Print a report: the JSON document and nothing else, or text that ends with the verdict.

    ``options`` are those of the command; for GitHub annotations follow the text.
    """
    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(report), exact=True)
        return
    from kfm_repro.present.terminal import render, render_error

    no_color = options["no_color"]
    if isinstance(report.error, ErrorInfo):
        write(sys.stderr, render_error(report.error, color=wants_color(sys.stderr, no_color=no_color)))
    color = wants_color(sys.stdout, no_color=no_color)
    text = render(report, color=color, quiet=options["quiet"], saved=saved)
    if options["style"] == "github":
        from kfm_repro.present.github import fenced, render_github

        text = fenced(text) + render_github(report)
    write(sys.stdout, text, exact=options["style"] == "github")


def print_error(code: str, message: str, hint: str, *, command: str, as_json: bool) -> None:
    """Print why there is no verdict: as one JSON document on stdout, or as text on stderr."""
    error = ErrorInfo(code=code, message=message, hint=hint)
    if as_json:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(ErrorReport(command=command, error=error)), exact=True)
        return
    from kfm_repro.present.terminal import render_error

    write(sys.stderr, render_error(error, color=wants_color(sys.stderr)))


def shortest(path: Path) -> str:
    """Return ``path`` from here where it lies below, so that it can be copied."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    from kfm_repro.present.lines import inert

    write(sys.stderr, "".join(f"{inert(line)}\n" for line in text.split("\n")))
