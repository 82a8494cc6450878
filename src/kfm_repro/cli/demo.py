"""``kfm-repro demo [DIR]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kfm_repro.cli.options import output_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro demo /tmp/kansas\n\n"
    "Exit codes: 0 both verdicts are the expected ones, 1 one is not, 2 the demo could not run, 130 interrupted."
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@output_options
def command(directory: Path | None, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Lay out a real project in DIR, record two pipelines, replay them, and say what differs.

    One pipeline is written well, one as people write in a hurry. DIR is new or empty [default: kfm-demo].
    """
    from kfm_repro.cli.output import progress, shortest, wants_color, write
    from kfm_repro.demo import EXPECTED, run_demo
    from kfm_repro.model.encode import report_json
    from kfm_repro.model.report import DemoReport
    from kfm_repro.present.html import render_html
    from kfm_repro.present.terminal import render, verdict_line

    target = (directory or Path("kfm-demo")).absolute()
    results = run_demo(target, progress, render_html)
    if options["as_json"]:
        reports = {result.pipeline: result.judged.report for result in results}
        write(sys.stdout, report_json(DemoReport(reports=reports)), exact=True)
        return 0 if all(result.as_expected for result in results) else 1
    color = wants_color(sys.stdout, no_color=options["no_color"])
    for result in results:
        text = render(result.judged.report, color=color, quiet=options["quiet"])
        write(sys.stdout, f"\n{text}")
    write(sys.stdout, "\n")
    for result in results:
        expected = "as expected" if result.as_expected else f"expected {EXPECTED[result.pipeline]}"
        report = shortest(result.judged.page_path or result.judged.report_path)
        verdict = verdict_line(result.judged.report)
        write(sys.stdout, f"{result.pipeline} ({expected})\n  {verdict}\n  report: {report}\n")
    return 0 if all(result.as_expected for result in results) else 1
