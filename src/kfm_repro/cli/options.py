"""Options that several commands share, under the same name and with the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["accept_option", "output_options", "project_options", "report_options"]

_F = TypeVar("_F", bound=Callable[..., Any])
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


def project_options(function: _F) -> _F:
    """Add ``--root`` and ``--runs``."""
    function = click.option(
        "--runs", type=_FOLDER, help="Folder of the run records (or KFM_RUNS_ROOT) [default: data/work/runs]"
    )(function)
    return click.option("--root", type=_FOLDER, help="The project [default: the nearest one upwards]")(
        function
    )


def output_options(function: _F) -> _F:
    """Add ``--json``, ``--quiet``, ``--no-color`` and ``--debug``."""
    function = click.option("--debug", is_flag=True, help="Show tracebacks.")(function)
    function = click.option("--no-color", is_flag=True, help="No colours (also: NO_COLOR).")(function)
    function = click.option("--quiet", "-q", is_flag=True, help="Only the verdict.")(function)
    return click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")(function)


def accept_option(function: _F) -> _F:
    """Add ``--accept``."""
    return click.option(
        "--accept",
        type=click.Choice(["identical", "equivalent"]),
        help="The worst that passes: the same bytes, or the same meaning [default: identical]",
    )(function)


def report_options(function: _F) -> _F:
    """Add ``--html``, ``--junit``, ``--markdown`` and ``--format``."""
    for option in (
        click.option(
            "--format", "style", type=click.Choice(["text", "github"]), default="text",
            help="github: the text, then annotations for GitHub Actions [default: text]",
        ),
        click.option(
            "--markdown", type=_FILE, metavar="FILE",
            help="Also write Markdown; appended when FILE is $GITHUB_STEP_SUMMARY.",
        ),
        click.option("--junit", type=_FILE, metavar="FILE", help="Also write JUnit XML, a case per output."),
        click.option("--html", type=_FILE, metavar="FILE", help="Also write the report as one HTML page."),
    ):  # fmt: skip
        function = option(function)
    return function
