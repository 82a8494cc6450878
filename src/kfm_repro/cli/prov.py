"""``kfm-repro prov RUN``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kfm_repro.cli.options import output_options, project_options

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro prov latest:import_census\n\n"
    "Exit codes: 0 the record is there, 2 it could not be written, 130 interrupted."
)
@click.argument("run")
@click.option("--published", is_flag=True, help="Also mark the run as published: prune keeps it.")
@project_options
@output_options
def command(run: str, **options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Write the provenance of a run or replay as PROV-O JSON-LD, below data/prov.

    A record is written once and never rewritten. RUN is an id, a unique prefix of one, or latest:PIPELINE.
    """
    from kfm_repro.cli.output import write
    from kfm_repro.model.encode import report_json
    from kfm_repro.model.provenance import ProvReport
    from kfm_repro.model.report import RunRef
    from kfm_repro.present.keep import render_prov
    from kfm_repro.runs.discover import held_run
    from kfm_repro.runs.project import find_project
    from kfm_repro.runs.provenance import write_provenance
    from kfm_repro.runs.status import mark_retained, retained, status_document

    project = find_project(options["root"], options["runs"])
    with held_run(project, run) as place:
        made = write_provenance(project, place)
        if options["published"]:
            mark_retained(place, "published")
        mark = retained(status_document(place))
    graph = made.document["@graph"]
    report = ProvReport(
        run=RunRef(
            run_id=made.record.run_id,
            pipeline=place.pipeline,
            git_commit=made.record.pipeline.version.git_commit,
        ),
        path=project.relative(made.path),
        written=made.written,
        activity=graph[0]["@id"],
        used=len(graph[0].get("prov:used", [])),
        generated=sum("prov:wasGeneratedBy" in node for node in graph),
        retain=mark,
    )
    text = report_json(report) if options["as_json"] else render_prov(report, quiet=options["quiet"])
    write(sys.stdout, text, exact=options["as_json"])
    return 0
