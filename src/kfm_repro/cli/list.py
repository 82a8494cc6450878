"""``kfm-repro list``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro list --pipeline import_census --state failed --since 7d\n\n"
    "Exit codes: 0 listed (also when there are no runs), 2 a filter or the project makes no sense, "
    "130 interrupted."
)
@click.option("--pipeline", default="", metavar="NAME", help="Only runs of this pipeline.")
@click.option(
    "--state",
    type=click.Choice(["success", "failed", "aborted", "running", "inconsistent"]),
    help="Only runs in this state.",
)
@click.option(
    "--since", metavar="TIME", help="Started then or later: a date, a time (UTC), or an age: 12h, 7d."
)
@click.option("--until", metavar="TIME", help="Started then or earlier; a date means its end.")
@click.option("--replays/--no-replays", default=None, help="Only replays, or none of them [default: both]")
@project_options
@output_options
def command(**options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """List the recorded runs by start: state, duration, and which run a replay replays.

    Only status.json of each run is read where it says enough. Folders in other layouts are named, not read.
    """
    from datetime import UTC, datetime

    from kfm_repro.cli.output import progress, wants_color, write
    from kfm_repro.model.run import RunState
    from kfm_repro.runs.listing import Filter, list_runs, parse_when
    from kfm_repro.runs.project import find_project

    now = datetime.now(UTC)
    wanted = Filter(
        pipeline=options["pipeline"],
        state=RunState(options["state"]) if options["state"] else None,
        since=parse_when(options["since"], now=now) if options["since"] is not None else None,
        until=parse_when(options["until"], now=now, end=True) if options["until"] is not None else None,
        replays=options["replays"],
    )
    project = find_project(options["root"], options["runs"], there=True)
    report = list_runs(project, wanted)
    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(report), exact=True)
        return 0
    from kfm_repro.present.listing import render_listing
    from kfm_repro.present.visible import visible

    color = wants_color(sys.stdout, no_color=options["no_color"])
    where = project.relative(project.runs)
    write(sys.stdout, render_listing(report, where, color=color, quiet=options["quiet"]))
    for note in report.notes:
        progress(f"note: {visible(note, 2_000)}")
    return 0
