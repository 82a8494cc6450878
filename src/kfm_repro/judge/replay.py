"""Replay a run and judge what came out."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.errors import NotWritable
from kfm_repro.execute.host import host_names
from kfm_repro.execute.inputs import on_todays_inputs
from kfm_repro.execute.perturb.axes import temporary_name
from kfm_repro.execute.perturb.canary import Effect
from kfm_repro.execute.perturb.prove import Stage, prove_varied
from kfm_repro.execute.perturb.shaped import FIXED
from kfm_repro.execute.place import PathProfile
from kfm_repro.execute.plan import Plan, Request, plan_replay
from kfm_repro.execute.preconditions import (
    LFS,
    READ_FIRST,
    is_unmet,
    variables_precondition,
)
from kfm_repro.execute.rebuild.store import prune
from kfm_repro.execute.redacted import redacted_in_logs
from kfm_repro.execute.replay import Replayed, run_replay
from kfm_repro.execute.results import replay_labels
from kfm_repro.execute.setting import shown_window
from kfm_repro.judge.baseline import (
    local_offsets,
    recorded_outputs,
    rule_for,
    side_of,
    source_of,
    with_waivers,
)
from kfm_repro.judge.circumstances import (
    conditions_of,
    environment_of_replay,
    parameters_today,
    sources_today,
    why_capped,
    why_no_verdict,
)
from kfm_repro.judge.disclose import disclosed
from kfm_repro.judge.drift import (
    environment_of,
    output_drift,
    validator_drift,
)
from kfm_repro.judge.level import exercised_level
from kfm_repro.judge.scope import moved_axes, replay_scope
from kfm_repro.judge.times import merge_replays
from kfm_repro.model.encode import report_json
from kfm_repro.model.finding import OutputVerdict
from kfm_repro.model.report import (
    Precondition,
    Replay,
    Report,
    RunRef,
    count_verdicts,
)
from kfm_repro.model.run import RunState
from kfm_repro.model.verdict import Accept, Verdict, run_verdict
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.project import Project
from kfm_repro.runs.retention import keep_within_cap
from kfm_repro.runs.sizes import parse_size
from kfm_repro.runs.trouble import reason_of
from kfm_repro.runs.write import aware, write_text

__all__ = ["Judged", "prove_plan", "replay_and_judge"]


@dataclass(frozen=True)
class Judged:
    """A report and where it was written."""

    report: Report
    report_path: Path
    last_lines: tuple[str, ...] = ()
    page_path: Path | None = None


def replay_and_judge(
    project: Project,
    spec: str,
    request: Request,
    accept: Accept | None = None,
    *,
    times: int = 1,
    begin: Callable[[int], None] = lambda _: None,
    page: Callable[[Report], str] | None = None,
    prove: Callable[[Plan, Request], dict[str, Effect]] | None = None,
) -> Judged:
    """Replay the run that ``spec`` names into a fresh run, compare the outputs, write and return the report.

    With ``times`` all replays run, each into a fresh run with its own report, in paths of changing shape; the
    report returned is over all of them, and lies in the last. ``begin`` hears the number of each, from 1; ``page``
    makes the page that lies beside each report.
    ``prove`` tells which axes can be varied, where somebody knows already.
    Raises what planning and running raise; a pipeline that fails gives a report with verdict unknown.
    """
    room = parse_size(project.settings.environments_max, what="environments-max")
    original = resolve_run(project, spec)
    plan = plan_replay(project, original, request)
    proofs = (prove or prove_plan)(plan, request)
    reports: list[Report] = []
    for number in range(times):
        begin(number + 1)
        shaped = replace(request, paths=PathProfile.of(number))
        replayed = run_replay(project, plan, shaped)
        try:
            report = _judge(project, plan, replayed, accept, shaped, proofs)
            reports.append(report)
            _save(replayed.run.report, report, page)
            if times > 1:
                _save(replayed.run.times_report, merge_replays(reports), page)
        except BaseException as exc:
            replayed.finish(f"not judged: {reason_of(exc)}")
            raise
        replayed.finish("")
    keep_within_cap(project)
    if plan.rebuilt is not None:
        with suppress(NotWritable):
            prune(room)
    saved = replayed.run.times_report if times > 1 else replayed.run.report
    return Judged(
        merge_replays(reports), saved, replayed.outcome.last_lines, _page_of(saved) if page else None
    )


def _save(path: Path, report: Report, page: Callable[[Report], str] | None) -> None:
    """Write a report as JSON, and as a page beside it."""
    write_text(path, report_json(report))
    if page is not None:
        write_text(_page_of(path), page(report))


def _page_of(path: Path) -> Path:
    return path.with_suffix(".html")


def prove_plan(plan: Plan, request: Request) -> dict[str, Effect]:
    """Prove by canaries which axes can be varied at the level and with the Python of the plan."""
    if not request.vary:
        return {}
    started = plan.run.runtime.started_at
    stage = Stage(plan.isolation.level, plan.interpreter.path, {"PATH": os.defpath}, fixed=False)
    return prove_varied(stage, aware(started) if started else datetime.now(UTC), request.vary)


def _judge(
    project: Project, plan: Plan, replayed: Replayed, accept: Accept | None, request: Request,
    proofs: Mapping[str, Effect],
) -> Report:  # fmt: skip
    outcome = replayed.outcome
    fresh = {
        path: Output(facts=item.entry.facts, file=item.file) for path, item in replayed.wrote.produced.items()
    }
    fresh |= {
        path: Output(facts=item.entry.facts, file=None, reason=item.reason, declared=item.entry.extra)
        for path, item in replayed.wrote.unrecorded.items()
    }
    recorded = recorded_outputs(
        project, plan.run, plan.outputs, replayed.place / "baseline",
        settled={path: output.facts.sha256 for path, output in fresh.items()},
    )  # fmt: skip
    context = Context(a=side_of(project, plan.original, plan.run), b=_fresh_side(replayed))
    comparison = compare_outputs(recorded, fresh, context, lambda path: rule_for(project, path, accept))
    labels = replay_labels(project, plan, (item.entry for item in replayed.wrote.produced.values()))
    outputs = disclosed(comparison.outputs, labels)
    failed = outcome.outcome != "success"
    unmet = next(filter(is_unmet, replayed.preconditions), None)
    if unmet is None and any(output.verdict is not OutputVerdict.IDENTICAL for output in outputs):
        unmet = next((item for item in replayed.preconditions if item.name in (LFS, READ_FIRST)), None)
    inconclusive = failed or plan.state is not RunState.SUCCESS or unmet is not None
    verdict, waivers = with_waivers(project, run_verdict(outputs, inconclusive=inconclusive), outputs, accept)
    parameters, sources = parameters_today(project, plan), sources_today(replayed)
    return Report(
        command="replay",
        verdict=verdict,
        counts=count_verdicts(outputs),
        run=RunRef(
            run_id=plan.run.run_id,
            pipeline=plan.run.pipeline_name or plan.original.pipeline,
            git_commit=plan.run.pipeline.version.git_commit,
            source=source_of(plan.run),
            window=context.a.window or msgspec.UNSET,
        ),
        replays=(
            Replay(
                run_id=replayed.run.name,
                path=project.relative(replayed.run.path),
                setting=replayed.setting,
                isolation=plan.isolation.level,
                exit_code=outcome.exit_code,
                duration_s=round(outcome.duration_s, 3),
                outcome=outcome.outcome,
                window=context.b.window or msgspec.UNSET,
            ),
        ),
        scope=replay_scope(
            replayed.held,
            replayed.wrote.not_compared,
            plan.isolation,
            level=exercised_level(*replayed.fingerprints, (plan.run.runtime.host, platform.node())),
            capped=why_capped(plan),
            shown=verdict is Verdict.REPRODUCIBLE and not on_todays_inputs(replayed.sources),
            moved=moved_axes(replayed, request.vary, proofs),
        ),
        preconditions=(
            *conditions_of(replayed, parameters, sources),
            *variables_precondition(plan, verdict),
            *(
                Precondition(name="secrets", state="drift", detail=note)
                for note in redacted_in_logs(replayed.printed)
            ),
        ),
        environment=environment_of_replay(plan, replayed),
        drift=(
            *parameters,
            *sources,
            *environment_of(replayed.drift),
            *validator_drift(plan.original, replayed.run),
            *output_drift(outputs),
        ),
        outputs=outputs,
        waivers=waivers,
        error=why_no_verdict(plan, replayed, unmet) if inconclusive or not outputs else msgspec.UNSET,
    )


def _fresh_side(replayed: Replayed) -> Side:
    place, shape = replayed.place, replayed.shape
    paths = {
        str(replayed.workspace),
        str(replayed.run.path),
        str(place),
        str(place / (shape.home or "home")),
        str(place / temporary_name(shape)),
        *([str(FIXED)] if replayed.fixed else []),
    }
    machine = (replayed.outcome.started.timestamp(), replayed.outcome.finished.timestamp())
    window = shown_window(shape.agent, machine)
    zone = shape.environ.get("TZ") or replayed.held.get("TZ")
    return Side(
        run_id=replayed.run.name,
        window=window,
        machine_window=None if window == machine else machine,
        offsets=tuple(sorted({*local_offsets(zone, window), *local_offsets(zone, machine)})),
        paths=tuple(sorted(paths, key=lambda path: (-len(path), path))),
        hosts=tuple(sorted({*host_names(), *filter(None, [shape.host])})),
    )
