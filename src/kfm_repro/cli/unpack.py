"""``kfm-repro unpack FILE``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro unpack census.zip --into /tmp/census\n\n"
    "Exit codes: 0 unpacked or here already, 2 refused and nothing changed, 130 interrupted."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A project, or a new folder to make one in [default: the project around here]",
)
@click.option(
    "--max-size", default="8 GiB", show_default=True, metavar="SIZE", help="Refuse what unpacks to more."
)
@project_options
@output_options
def command(file: Path, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Bring in a run from a pack. It stays foreign: its command is a stranger's.

    So it replays at the isolation level namespace only (kfm-repro doctor says whether this machine has it), or with
    --trust. The file is checked before anything is written; a refused one leaves nothing behind.
    """
    from kfm_repro.cli.output import write
    from kfm_repro.errors import RootNotFound, UsageError
    from kfm_repro.judge.unpack import unpack
    from kfm_repro.model.encode import report_json
    from kfm_repro.present.keep import render_unpack
    from kfm_repro.runs.project import Project, find_project
    from kfm_repro.runs.sizes import parse_size
    from kfm_repro.runs.unzip import Limits

    if options["into"] and (options["root"] or options["runs"]):
        raise UsageError("--into names the project already", hint="leave --root and --runs out")
    limits = Limits(total_bytes=parse_size(options["max_size"], what="--max-size"))

    def around() -> Project:
        try:
            return find_project(options["root"], options["runs"])
        except RootNotFound as exc:
            raise RootNotFound(
                exc.message, hint="name a project, or a new folder to make one in: --into DIR"
            ) from exc

    report = unpack(file, options["into"], around, limits=limits)
    text = report_json(report) if options["as_json"] else render_unpack(report, quiet=options["quiet"])
    write(sys.stdout, text, exact=options["as_json"])
    return 0
