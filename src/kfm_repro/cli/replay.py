"""``kfm-repro replay RUN``."""

from __future__ import annotations

from typing import Any

import click

from kfm_repro.cli.options import accept_option, output_options, project_options, report_options

__all__ = ["command"]

_MOST_SHIFT_S = 100 * 366 * 86_400.0


@click.command(
    epilog="Example: kfm-repro replay latest:import_census\n\n"
    "Exit codes: 0 reproduced, 1 it differs, 2 no verdict, 130 interrupted."
)
@click.argument("run")
@click.option(
    "--times",
    type=click.IntRange(1, 1_000),
    default=1,
    metavar="N",
    help="How many replays; what differs is counted over all of them [default: 1]",
)
@click.option(
    "--inputs",
    type=click.Choice(["recorded", "current"]),
    default="recorded",
    help="The recorded bytes, or today's files (the verdict says so).",
)
@click.option(
    "--env",
    type=click.Choice(["current", "rebuild"]),
    default="current",
    help="Today's environment, or the recorded packages installed anew with uv (the extra kfm-repro[rebuild]).",
)
@click.option("--fresh-env", is_flag=True, help="With --env rebuild: make it anew, not from the cache.")
@click.option(
    "--isolation",
    type=click.Choice(["auto", "namespace", "landlock", "agent", "none"]),
    default="auto",
    help="How the replay is kept apart; auto: the best that works here (docs/isolation.md).",
)
@click.option(
    "--vary",
    metavar="AXES",
    help="Axes to vary, with commas between them, or all: clock, locale, hash-seed … (kfm-repro doctor lists them).",
)
@click.option(
    "--clock",
    default="shift",
    metavar="real|shift|SECONDS",
    help="The pipeline's wall clock: on another day, so that embedded times show [default: shift], real, or moved.",
)
@click.option("--memory", metavar="SIZE", help="Most memory that the pipeline may take, such as 4G.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds [default: 10 × recorded, at least 60]",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Run the command of a run that was unpacked from elsewhere, at other levels than namespace, too.",
)
@accept_option
@project_options
@report_options
@output_options
def command(run: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Re-execute a recorded run from its snapshot into a fresh run, and compare the outputs.

    RUN is an id, a unique prefix of one, or latest:PIPELINE.
    """
    from kfm_repro.cli.output import print_report, shortest
    from kfm_repro.cli.progress import working
    from kfm_repro.cli.reports import reporting
    from kfm_repro.errors import UsageError
    from kfm_repro.execute.perturb.axes import parse_axes
    from kfm_repro.execute.plan import Request
    from kfm_repro.judge.replay import replay_and_judge
    from kfm_repro.model.verdict import Accept, exit_code
    from kfm_repro.present.html import render_html
    from kfm_repro.runs.project import find_project
    from kfm_repro.runs.sizes import parse_size

    if options["fresh_env"] and options["env"] != "rebuild":
        raise UsageError("--fresh-env goes with --env rebuild", hint="add --env rebuild, or leave it out")
    request = Request(
        current_inputs=options["inputs"] == "current",
        trust=options["trust"],
        timeout_s=options["timeout"],
        isolation=options["isolation"],
        vary=parse_axes(options["vary"]) if options["vary"] else (),
        clock_shift_s=_clock(options["clock"]),
        memory_bytes=parse_size(options["memory"], what="--memory") if options["memory"] else None,
        rebuild=options["env"] == "rebuild",
        fresh_environment=options["fresh_env"],
    )
    times, loud = options["times"], not options["quiet"] and not options["as_json"]
    accepted = Accept(options["accept"]) if options["accept"] else None
    with reporting(options, "replay") as reports:
        project = find_project(options["root"], options["runs"])
        with working(f"replaying {run}", times, loud=loud) as begin:
            judged = replay_and_judge(
                project, run, request, accepted, times=times, begin=begin, page=render_html
            )
        reports.write(judged.report)
    print_report(judged.report, options, saved=shortest(judged.page_path or judged.report_path))
    return int(exit_code(judged.report.verdict, judged.report.outputs))


def _clock(text: str) -> float | None:
    """Return the seconds by which the clock is to be moved, None for a day of our choosing. Raises UsageError."""
    from kfm_repro.errors import UsageError

    if text == "shift":
        return None
    try:
        seconds = 0.0 if text == "real" else float(text)
    except ValueError:
        seconds = float("nan")
    if not abs(seconds) <= _MOST_SHIFT_S:
        raise UsageError(
            f"--clock {text!r} is neither real, nor shift, nor a number of seconds",
            hint="for example --clock real, or --clock 86400 for a day later; a century at most",
        )
    return seconds
