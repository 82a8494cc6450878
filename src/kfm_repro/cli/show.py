"""``kfm-repro show RUN``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options, report_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro show latest:import_census\n\n"
    "Exit codes: 0 shown, 2 no such run or a part of its record cannot be read (the rest is shown), "
    "130 interrupted."
)
@click.argument("run")
@project_options
@report_options
@output_options
def command(run: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Show one run: what ran, on what, how it ended, and what its replays came to.

    RUN is an id, a unique prefix of one, or latest:PIPELINE. For a replay, its saved report follows, and can be
    written anew in every form.
    """
    from kfm_repro.cli.output import print_report, wants_color, write
    from kfm_repro.cli.reports import reporting
    from kfm_repro.errors import UsageError
    from kfm_repro.model.report import Report
    from kfm_repro.runs.inspect import show_run
    from kfm_repro.runs.project import find_project

    with reporting(options, "show") as reports:
        project = find_project(options["root"], options["runs"])
        shown = show_run(project, run)
        if isinstance(shown.report, Report):
            reports.write(shown.report)
        elif reports.paths:
            why = "; ".join(shown.problems) or "it is no replay"
            raise UsageError(f"{run} has no report: {why}", hint="name a replay; kfm-repro list shows them")
    code = 2 if shown.problems else 0
    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(shown), exact=True)
        return code
    from kfm_repro.present.show import render_show

    color = wants_color(sys.stdout, no_color=options["no_color"])
    write(sys.stdout, render_show(shown, color=color, quiet=options["quiet"]))
    if isinstance(shown.report, Report):
        write(sys.stdout, "\n")
        print_report(shown.report, options)
    return code
