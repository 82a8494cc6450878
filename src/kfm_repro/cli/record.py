"""``kfm-repro record -- CMD``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]

_NOTE_CHARACTERS = 2_000


@click.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    epilog="Example: kfm-repro record --input 'data/raw/**' --output 'data/processed/**' -- python pipelines/x.py\n\n"
    "Exit codes: 0 recorded, 2 the command failed or could not be recorded, 130 interrupted.",
)
@click.option("--pipeline", default="", help="Name of the pipeline [default: the name of the script]")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="GLOB",
    help="Input files; may be repeated [default: what the command opens or lists]",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="GLOB",
    help="Output files; may be repeated [default: what appears or changes below data/]",
)
@click.option("--config", metavar="FILE", help="Config file to keep with the run [default: all of config/]")
@click.option("--params", metavar="FILE", help="JSON file of parameters, kept as params.json (KFM_PARAMS).")
@click.option("--no-observe", is_flag=True, help="Do not watch which files the command opens.")
@project_options
@output_options
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED)
def command(cmd: tuple[str, ...], **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Run CMD unchanged in the project and write a complete record of the run.

    Patterns are relative to the project root. The command's own output passes through. Nothing is added to it
    but the KFM_* variables: which files it opens is watched from outside.
    """
    from kfm_repro.cli.output import progress, write
    from kfm_repro.execute.record import Request, record
    from kfm_repro.model.encode import report_json
    from kfm_repro.model.report import RecordReport, RunRef
    from kfm_repro.present.lines import plural
    from kfm_repro.present.visible import visible
    from kfm_repro.runs.project import find_project
    from kfm_repro.runs.retention import keep_within_cap

    project = find_project(options["root"], options["runs"], new=True)
    request = Request(
        command=cmd,
        pipeline=options["pipeline"],
        inputs=options["inputs"],
        outputs=options["outputs"],
        config=options["config"],
        params=options["params"],
        observe=not options["no_observe"],
        echo_to_stderr=options["as_json"],
    )
    recorded = record(project, request)
    keep_within_cap(project)
    for note in recorded.notes:
        progress(f"note: {visible(note, _NOTE_CHARACTERS)}")
    if options["as_json"]:
        run = RunRef(run_id=recorded.run.name, pipeline=recorded.run.pipeline, git_commit=recorded.commit)
        path = project.relative(recorded.run.path)
        write(sys.stdout, report_json(RecordReport(run=run, path=path, notes=recorded.notes)), exact=True)
        return 0
    if not options["quiet"]:
        counts = f"{plural(len(recorded.inputs), 'input')}, {plural(len(recorded.outputs), 'output')}"
        progress(f"recorded {recorded.run.pipeline}: {counts}, {recorded.outcome.duration_s:.1f} s")
    write(sys.stdout, f"{recorded.run.name}\n")
    return 0
