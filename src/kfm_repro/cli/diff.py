"""``kfm-repro diff A B``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kfm_repro.cli.options import accept_option, output_options, project_options, report_options

if TYPE_CHECKING:
    from kfm_repro.judge.digests import Digests

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro diff before.parquet after.parquet --key geoid\n\n"
    "Exit codes: 0 no difference, 1 they differ, 2 could not tell, 130 interrupted."
)
@click.argument("a")
@click.argument("b")
@click.option("--key", help="Columns that name a row, separated by commas.")
@click.option("--memory", metavar="SIZE", help="Most memory that comparing two tables may take, such as 2G.")
@accept_option
@project_options
@report_options
@output_options
@click.pass_obj
def command(begun: Digests | None, /, a: str, b: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Compare two runs, two files or two folders; nothing is executed.

    Files are compared byte for byte and then by meaning. No project is needed for files and folders.
    """
    from kfm_repro.cli.output import print_report
    from kfm_repro.cli.progress import moves, working
    from kfm_repro.cli.reports import reporting
    from kfm_repro.judge.diff import diff
    from kfm_repro.model.verdict import Accept, exit_code
    from kfm_repro.runs.project import find_project
    from kfm_repro.runs.sizes import parse_size

    key = tuple(name.strip() for name in (options["key"] or "").split(",") if name.strip())
    with reporting(options, "diff") as reports:
        loud = moves() and not options["quiet"] and not options["as_json"]
        with working("comparing", 1, loud=loud) as begin:
            begin(1)
            report = diff(
                a,
                b,
                lambda: find_project(options["root"], options["runs"]),
                key=key,
                memory_bytes=parse_size(options["memory"], what="--memory") if options["memory"] else None,
                accept=Accept(options["accept"]) if options["accept"] else None,
                begun=begun,
            )
        reports.write(report)
    print_report(report, options)
    return int(exit_code(report.verdict, report.outputs))
