"""``kfm-repro prune``."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from kfm_repro.cli.options import output_options, project_options

if TYPE_CHECKING:
    from kfm_repro.model.retention import EnvironmentsReport, PruneReport
    from kfm_repro.runs.project import Project

__all__ = ["command"]


@click.command(
    epilog="Example: kfm-repro prune --keep 20 --yes\n\n"
    "Exit codes: 0 done (or nothing to do), 2 something could not be deleted, or the project or pipeline is not there, "
    "130 interrupted."
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="How many runs of each pipeline stay; 10 to 50 are usual [default: 20, or the setting keep]",
)
@click.option("--pipeline", default="", metavar="NAME", help="Only the runs of this pipeline.")
@click.option("--yes", is_flag=True, help="Delete. Without it, nothing is deleted, only said.")
@click.option("--dry-run", is_flag=True, help="Delete nothing, as without --yes.")
@click.option("--prov", is_flag=True, help="With --yes: first write the provenance of runs that lack it.")
@click.option(
    "--environments",
    is_flag=True,
    help="Also this user's rebuilt environments: unused for 30 days, or too large.",
)
@project_options
@output_options
def command(**options: Any) -> int:  # noqa: ANN401 - click hands over what it parsed
    """Delete old runs, and stored objects that no run needs any more.

    Kept are the newest runs of each pipeline, what runs, and what is marked (retain: published or artifact).
    No run is deleted before its provenance exists.
    """
    from kfm_repro.cli.output import write
    from kfm_repro.errors import UsageError
    from kfm_repro.model.encode import report_json
    from kfm_repro.present.keep import render_prune
    from kfm_repro.runs.listing import check_pipeline
    from kfm_repro.runs.project import find_project

    if options["yes"] and options["dry_run"]:
        raise UsageError("--yes and --dry-run contradict each other", hint="leave one of them out")
    project = find_project(options["root"], options["runs"], there=True)
    if options["pipeline"]:
        check_pipeline(project, options["pipeline"])
    keep = options["keep"] or project.settings.keep
    if keep < 1:
        raise UsageError(f"the setting keep is {keep}", hint="it is at least 1")
    report = _run(project, keep, options)
    text = report_json(report) if options["as_json"] else render_prune(report, quiet=options["quiet"])
    write(sys.stdout, text, exact=options["as_json"])
    return 2 if report.counts["failed"] else 0


def _run(project: Project, keep: int, options: dict[str, Any]) -> PruneReport:
    from msgspec import UNSET

    from kfm_repro.model.retention import Action, ObjectsReport, PrunedRun, PruneReport
    from kfm_repro.runs.objects import Collected, ObjectStore
    from kfm_repro.runs.retention import Pruned, plan_prune, prune

    if options["yes"]:
        done = prune(project, keep, options["pipeline"], write_missing=options["prov"])
    else:
        store = ObjectStore.of(project)
        stored = [item.size_bytes for item in store.objects()]
        objects = Collected((), 0, len(stored), sum(stored))
        done = Pruned(plan_prune(project, keep, options["pipeline"]), objects, store.damaged())
    counts = Counter(str(item.action) for item in done.decisions)
    found = done.objects
    environments = _environments(project, dry_run=not options["yes"]) if options["environments"] else UNSET
    return PruneReport(
        dry_run=not options["yes"],
        keep=keep,
        counts={str(action): counts[str(action)] for action in Action},
        runs=tuple(
            PrunedRun(
                run_id=item.seen.run.name,
                pipeline=item.seen.run.pipeline,
                action=item.action,
                reason=item.reason,
                state=str(item.seen.state),
                started_at=item.seen.started_at,
            )
            for item in done.decisions
        ),
        objects=ObjectsReport(
            removed=len(found.removed) if found else 0,
            freed_bytes=found.freed_bytes if found else 0,
            left=found.left if found else 0,
            left_bytes=found.left_bytes if found else 0,
            damaged=done.damaged,
        ),
        environments=environments,
        notes=done.notes,
    )


def _environments(project: Project, *, dry_run: bool) -> EnvironmentsReport:
    from kfm_repro.execute.rebuild.store import environments_root, list_environments, prune
    from kfm_repro.model.retention import EnvironmentsReport
    from kfm_repro.runs.sizes import parse_size

    most = parse_size(project.settings.environments_max, what="environments-max")
    gone = prune(most, dry_run=dry_run)
    left = [item for item in list_environments() if item not in gone]
    return EnvironmentsReport(
        path=str(environments_root()),
        removed=tuple(item.key for item in gone),
        freed_bytes=sum(item.size_bytes for item in gone),
        left=len(left),
        left_bytes=sum(item.size_bytes for item in left),
    )
