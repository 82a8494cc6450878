"""``kfm-repro nightly`` and ``kfm-repro nightly merge``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfm_repro.cli.options import accept_option, output_options, project_options, report_options

if TYPE_CHECKING:
    from kfm_repro.model.nightly import NightReport
    from kfm_repro.nightly.night import Night

__all__ = ["command"]

_EXIT_CODES = (
    "Exit codes: 0 all that was replayed is reproduced, 1 a run differs or an alarm is raised, 2 a run has no verdict "
    "or nothing was compared, 130 interrupted."
)


@click.group(
    invoke_without_command=True,
    epilog=f"Example: kfm-repro nightly --budget 2h --jobs 4\n\n{_EXIT_CODES}",
)
@click.option(
    "--select",
    default="all",
    metavar="REASONS",
    help="Which runs: all, or some of latest, changed, flaky, never, old [default: all]",
)
@click.option(
    "--pipeline", multiple=True, metavar="GLOB", help="Only runs of these pipelines; may be repeated."
)
@click.option(
    "--budget", default="2h", metavar="TIME", help="How long the night may take: 2h, 90m [default: 2h]"
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, metavar="N", help="Pipelines at once [default: 1]"
)
@click.option("--shard", default="1/1", metavar="I/N", help="Only part I of N; merge the parts afterwards.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Replay on a Dask cluster, such as tcp://10.0.0.1:8786 (the extra kfm-repro[cluster]).",
)
@click.option(
    "--vary",
    default="week",
    metavar="week|none|AXES",
    help="Axes to vary: others each night, all of them within a week [default: week], none, or those named.",
)
@click.option("--night", metavar="DATE", help="The day of the night [default: today, UTC]")
@click.option(
    "--isolation",
    type=click.Choice(["auto", "namespace", "landlock", "agent", "none"]),
    default="auto",
    help="How replays are kept apart; auto: the best that works here (docs/isolation.md).",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds for each replay [default: 10 × recorded, at least 60]",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Run the commands of runs that were unpacked from elsewhere, at other levels than namespace, too.",
)
@accept_option
@project_options
@report_options
@output_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Replay the runs whose replay tells most, within a budget, and fail on what is no longer reproducible.

    Chosen are the newest run of each pipeline, then what is new, has changed, is flaky, and a few old runs. The
    ledger beside the runs remembers every verdict.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return 0
    from kfm_repro.cli.night_forms import NightForms
    from kfm_repro.cli.output import progress
    from kfm_repro.cli.reports import reporting
    from kfm_repro.nightly.executors import local_workers, on_cluster
    from kfm_repro.nightly.night import run_night
    from kfm_repro.present.visible import visible
    from kfm_repro.runs.project import find_project

    forms = NightForms(options["night"] or "")
    with reporting(options, "nightly", forms) as reports:
        project = forms.project = find_project(options["root"], options["runs"], there=True)
        night = _night(options)
        address = options["scheduler"]
        loud = not options["quiet"] and not options["as_json"]
        report = run_night(
            project,
            night,
            (lambda: on_cluster(address)) if address else (lambda: local_workers(night.jobs)),
            (lambda text: progress(visible(text, 500))) if loud else lambda _: None,
        )
        reports.write(report)
    return _print(report, options)


def _refuse_options(context: click.Context) -> None:
    """Refuse options of a night before the name of a command of its own, where they would do nothing."""
    from kfm_repro.errors import UsageError

    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            command = context.invoked_subcommand
            raise UsageError(
                f"{param.opts[0]} before {command} would do nothing",
                hint=f"write it after {command}; see: kfm-repro nightly {command} --help",
            )


@command.command(
    "merge", epilog=f"Example: kfm-repro nightly merge part-1.json part-2.json part-3.json\n\n{_EXIT_CODES}"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--ledger", is_flag=True, help="Also add what the parts replayed to the ledger of this project."
)
@project_options
@report_options
@output_options
def merge(files: tuple[Path, ...], **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Put the parts of a night together: FILE… are what nightly --shard I/N --json printed."""
    from kfm_repro.cli.night_forms import NightForms
    from kfm_repro.cli.reports import reporting
    from kfm_repro.nightly.ledger import Ledger
    from kfm_repro.nightly.merge import merge_nights, read_night
    from kfm_repro.nightly.night import remembered
    from kfm_repro.runs.project import find_project

    forms = NightForms("")
    with reporting(options, "nightly", forms) as reports:
        report = merge_nights([read_night(path) for path in files])
        if options["ledger"]:
            forms.project = find_project(options["root"], options["runs"], there=True)
            report = remembered(Ledger.of(forms.project), report)
        reports.write(report)
    return _print(report, options)


def _night(options: dict[str, Any]) -> Night:
    from datetime import UTC, date, datetime

    from kfm_repro.errors import UsageError
    from kfm_repro.nightly.choose import parse_select
    from kfm_repro.nightly.duration import parse_duration
    from kfm_repro.nightly.night import Night
    from kfm_repro.nightly.shards import parse_shard
    from kfm_repro.nightly.week import axes_of
    from kfm_repro.present.html import render_html

    try:
        day = date.fromisoformat(options["night"]) if options["night"] else datetime.now(UTC).date()
    except ValueError as exc:
        raise UsageError(f"--night {options['night'][:40]!r} is no day", hint="write 2026-02-03") from exc
    axes_of(day, options["vary"])
    return Night(
        day=day,
        select=parse_select(options["select"]),
        pipelines=options["pipeline"],
        budget_s=parse_duration(options["budget"]),
        jobs=options["jobs"],
        shard=parse_shard(options["shard"]),
        vary=options["vary"],
        isolation=options["isolation"],
        trust=options["trust"],
        timeout_s=options["timeout"],
        accept=options["accept"] or "",
        page=render_html,
    )


def _print(report: NightReport, options: dict[str, Any]) -> int:
    from kfm_repro.cli.output import wants_color, write
    from kfm_repro.nightly.report import night_exit_code

    if options["as_json"]:
        from kfm_repro.model.encode import report_json

        write(sys.stdout, report_json(report), exact=True)
    else:
        from kfm_repro.present.night.terminal import render_night

        color = wants_color(sys.stdout, no_color=options["no_color"])
        text = render_night(report, color=color, quiet=options["quiet"])
        if options["style"] == "github":
            from kfm_repro.present.github import fenced
            from kfm_repro.present.night.github import render_night_github

            text = fenced(text) + render_night_github(report)
        write(sys.stdout, text, exact=options["style"] == "github")
    return int(night_exit_code(report))
