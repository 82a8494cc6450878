"""``kfm-repro verify RUN``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro verify latest:import_census\n\n"
    "Exit codes: 0 publishable, 1 not publishable, 2 it cannot be told, 130 interrupted."
)
@click.argument("run")
@project_options
@output_options
def command(run: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Check a recorded run against the definition of done, line by line; nothing is executed.

    RUN is an id, a unique prefix of one, or latest:PIPELINE. Reproducible does not mean publishable.
    """
    from kfm_repro.cli.output import wants_color, write
    from kfm_repro.judge.verify import verify
    from kfm_repro.model.encode import report_json
    from kfm_repro.model.verification import exit_code
    from kfm_repro.present.verification import render_verification
    from kfm_repro.runs.project import find_project

    verification = verify(find_project(options["root"], options["runs"]), run)
    if options["as_json"]:
        write(sys.stdout, report_json(verification), exact=True)
    else:
        color = wants_color(sys.stdout, no_color=options["no_color"])
        write(sys.stdout, render_verification(verification, color=color, quiet=options["quiet"]))
    return int(exit_code(verification.verdict))
