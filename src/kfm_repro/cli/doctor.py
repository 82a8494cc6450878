"""``kfm-repro doctor``."""

from __future__ import annotations

from typing import Any

import click

from kfm_repro.cli.options import output_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro doctor --isolation landlock\n\n"
    "Exit codes: 0 examined (also when something is missing), 2 the level is not available, 130 interrupted."
)
@click.option(
    "--isolation",
    type=click.Choice(["auto", "namespace", "landlock", "agent", "none"]),
    default="auto",
    help="The level at which the axes are tried; auto: the best that works here.",
)
@output_options
def command(**options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Say what this machine can isolate, pin and vary, each proved by a canary that ran, and how to get the rest.

    Nothing is installed or changed.
    """
    import sys

    from kfm_repro.cli.output import progress, wants_color, write
    from kfm_repro.execute.examine import examine

    if not options["quiet"] and not options["as_json"]:
        progress("sending canaries")
    report = examine(options["isolation"], sys.executable)
    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(report), exact=True)
    else:
        from kfm_repro.present.doctor import render_doctor

        color = wants_color(sys.stdout, no_color=options["no_color"])
        write(sys.stdout, render_doctor(report, color=color, quiet=options["quiet"]))
    return 0
