"""``kfm-repro pack RUN``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro pack latest:import_census --bundle --output census.zip\n\n"
    "Exit codes: 0 packed, 2 not packed, 130 interrupted."
)
@click.argument("run")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The zip file to write [default: PIPELINE__RUN.zip here]",
)
@click.option("--with-outputs", is_flag=True, help="Also the bytes of the outputs.")
@click.option(
    "--bundle", is_flag=True, help="Also outputs, inputs and code: the run replays on another machine."
)
@click.option(
    "--restricted",
    is_flag=True,
    help="Pack data that is not labelled as open to all, and code that may hold secrets.",
)
@click.option("--max-size", default="2 GiB", show_default=True, metavar="SIZE", help="Refuse a larger pack.")
@project_options
@output_options
def command(run: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Put a run into a zip file, for CI artifacts and other machines; prune keeps the run from then on.

    The same run gives the same bytes. RUN is an id, a unique prefix of one, or latest:PIPELINE.
    """
    from kfm_repro.cli.output import write
    from kfm_repro.judge.pack import PackRequest, pack_run
    from kfm_repro.model.encode import report_json
    from kfm_repro.present.keep import render_pack
    from kfm_repro.runs.project import find_project
    from kfm_repro.runs.sizes import parse_size

    project = find_project(options["root"], options["runs"])
    request = PackRequest(
        output=options["output"],
        with_outputs=options["with_outputs"],
        bundle=options["bundle"],
        restricted=options["restricted"],
        max_bytes=parse_size(options["max_size"], what="--max-size"),
    )
    report = pack_run(project, run, request)
    text = report_json(report) if options["as_json"] else render_pack(report, quiet=options["quiet"])
    write(sys.stdout, text, exact=options["as_json"])
    return 0
