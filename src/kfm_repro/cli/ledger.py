"""``kfm-repro ledger export``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.group(
    epilog="Example: kfm-repro ledger export --json\n\n"
    "Exit codes: 0 done, 2 the ledger cannot be read, 130 interrupted."
)
def command() -> None:
    """Show what all nights say of every output: how often it was replayed, how often it differed."""


@command.command(
    epilog="Example: kfm-repro ledger export --json > ledger.json\n\n"
    "Exit codes: 0 done (also when there is no ledger yet), 2 the ledger cannot be read, 130 interrupted."
)
@project_options
@output_options
def export(**options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Print the ledger: each output, and each place in it that ever differed, with n, k and the posterior."""
    from kfm_repro.cli.output import wants_color, write
    from kfm_repro.nightly.export import export as exported
    from kfm_repro.nightly.ledger import Ledger
    from kfm_repro.runs.project import find_project

    project = find_project(options["root"], options["runs"], there=True)
    report = exported([*Ledger.of(project).trials()])
    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(report), exact=True)
        return 0
    from kfm_repro.present.night.terminal import render_ledger

    write(sys.stdout, render_ledger(report, color=wants_color(sys.stdout, no_color=options["no_color"])))
    return 0
