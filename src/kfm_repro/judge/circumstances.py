"""What a report of a replay says besides its outputs: conditions, what drifted since, and why there is no verdict."""

from __future__ import annotations

import msgspec

from kfm_repro.execute.drift import bounded
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.preconditions import LFS, READ_FIRST, SHARED, TRESPASS, UNDECLARED
from kfm_repro.execute.program import PROGRAM
from kfm_repro.execute.replay import Replayed
from kfm_repro.judge.drift import conditions, environment_found, source_drift
from kfm_repro.judge.parameters import config_drift, snapshot_files
from kfm_repro.model.manifest import Entry
from kfm_repro.model.report import CodedDrift, DriftCode, Environment, ErrorInfo, Precondition
from kfm_repro.model.run import RunState
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.project import Project

__all__ = [
    "conditions_of",
    "environment_of_replay",
    "parameters_today",
    "sources_today",
    "why_capped",
    "why_no_verdict",
]

_UNMET = {
    "code": (
        "code-unavailable",
        "commit before recording, or record with kfm-repro record, which keeps the patch",
    ),
    LFS: ("code-unavailable", "fetch the data of Git LFS (git lfs pull), then replay again"),
    "stdin": (
        "input-missing",
        "let the command read a file that is a declared input, for example: sh -c 'CMD < data/raw/list.txt'",
    ),
    "inputs-after": (
        "input-changed",
        "record again while nothing else writes to it; if the command itself does, name it with --output as well",
    ),
    PROGRAM: (
        "code-unavailable",
        "restore the program, or put it into the repository and record again",
    ),
    READ_FIRST: (
        "input-missing",
        "declare it with --input, which keeps its first content, or remove it first, and record again",
    ),
    UNDECLARED: (
        "input-missing",
        "declare it with --input when you record, and use paths relative to the project root",
    ),
    SHARED: (
        "input-changed",
        "keep what a run writes inside the project: below a data root, or in the folder that KFM_RUN_DIR names",
    ),
    TRESPASS: (
        "project-changed",
        "use paths relative to the project root; if you changed the files yourself, replay again",
    ),
}
"""Error code and hint of each precondition without which no verdict holds."""


_HINTS = {
    "timeout": "give it more time with --timeout SECONDS",
    "out-of-memory": "give it more memory, or a machine that has it",
    "disk-full": "make room in the temporary folder, or choose another one with TMPDIR",
    "too-many-processes": "the pipeline starts processes without end, or needs a higher limit",
    "killed": "look who sends signals to it; the whole log is in logs/pipeline.jsonl of the replay",
}
"""How a pipeline can be ended from outside, and what to do: no verdict about its outputs."""


_NAMED = 5


def environment_of_replay(plan: Plan, replayed: Replayed) -> Environment:
    """Return what of the environment is not as recorded, and what was made where it was made again."""
    found = environment_found(replayed.drift)
    if plan.rebuilt is None:
        return found
    rebuilt, avoided = plan.rebuilt.document, bounded(replayed.avoided)[0]
    return msgspec.structs.replace(found, mode="rebuild", rebuilt=rebuilt, avoided=avoided)


def why_capped(plan: Plan) -> str:
    """Return why a replay in a rebuilt environment is none in the recorded one: then it claims no level."""
    if plan.rebuilt is None or plan.rebuilt.exact:
        return ""
    if plan.interpreter.state == "drift":
        return f"not the same environment: {plan.interpreter.chosen}"
    return f"not the same environment: other files in {', '.join(plan.rebuilt.differs[:_NAMED])}"


def parameters_today(project: Project, plan: Plan) -> tuple[CodedDrift, ...]:
    """Return how today's config differs from the snapshot that the replay ran with."""
    snapshot = snapshot_files(plan.original, plan.run)
    origins = plan.run.pipeline.config or {}
    today = {}
    for name in snapshot:
        path = inside(project.root, origins.get(name, f"config/{name}"), what="pipeline.config of the record")
        if kind_of(path) == "file":
            today[name] = path
    return config_drift(snapshot, today)


def sources_today(replayed: Replayed) -> tuple[CodedDrift, ...]:
    """Return how today's input files differ from the recorded ones."""
    drifted = [source for source in replayed.sources if source.drift]
    today = {
        source.entry.path: Entry(path=source.entry.path, sha256=source.today, extra=source.entry.extra)
        for source in drifted
        if source.today
    }
    return source_drift({source.entry.path: source.entry for source in drifted}, today)


def conditions_of(
    replayed: Replayed, parameters: tuple[CodedDrift, ...], sources: tuple[CodedDrift, ...]
) -> tuple[Precondition, ...]:
    """Return the preconditions of a replay, with what has drifted of config and environment."""
    made = []
    for item in replayed.preconditions:
        if item.name == "environment" and replayed.drift:
            detail = f"{item.detail}; {len(replayed.drift)} things are not as recorded, {replayed.drift[0].what} first"
            state = "drift" if item.state == "ok" else item.state
            made.append(msgspec.structs.replace(item, state=state, detail=detail, code=DriftCode.ENVIRONMENT))
        elif item.name == "inputs" and {drift.code for drift in sources} == {DriftCode.MODEL_IDENTITY}:
            made.append(msgspec.structs.replace(item, code=DriftCode.MODEL_IDENTITY))
        else:
            made.append(item)
    if parameters:
        (config,) = [
            item for item in conditions(parameters, {}) if item.code == DriftCode.TRANSFORM_PARAMETERS
        ]
        detail = f"today's config is not the snapshot, with which the replay ran: {config.detail}"
        made.append(msgspec.structs.replace(config, detail=detail))
    return tuple(made)


def why_no_verdict(plan: Plan, replayed: Replayed, unmet: Precondition | None) -> ErrorInfo:
    """Return why a replay has no verdict, most telling reason first."""
    outcome = replayed.outcome
    if outcome.outcome in _HINTS:
        took = outcome.outcome == "timeout"
        message = f"the pipeline was ended in the replay: {outcome.outcome}: {outcome.evidence}"
        return ErrorInfo(
            code=outcome.outcome,
            message=f"the pipeline was ended after {plan.timeout_s:.0f} s" if took else message,
            hint=_HINTS[outcome.outcome],
        )
    if outcome.outcome != "success":
        said = "".join(f"\n  {line}" for line in outcome.last_lines)
        also = " (the recorded run failed, too)" if plan.state is RunState.FAILED else ""
        said += "".join(
            f"\n  tried to open {path}, not in inputs.json" for path in replayed.watched.undeclared
        )
        return ErrorInfo(
            code="pipeline-failed",
            message=f"the pipeline failed in the replay with exit code {outcome.exit_code}{also}{said}",
            hint="the whole log is in logs/pipeline.jsonl of the replay; data that is not a declared input, and code "
            "that git ignores, do not exist there",
        )
    if plan.state is not RunState.SUCCESS:
        return ErrorInfo(
            code="no-baseline",
            message="the recorded run failed, so that there is nothing to reproduce",
            hint="replay a run that succeeded",
        )
    if unmet is not None:
        code, hint = _UNMET[unmet.name]
        return ErrorInfo(code=code, message=unmet.detail, hint=hint)
    return ErrorInfo(
        code="nothing-compared",
        message="the record declares no outputs and the replay wrote none: nothing was compared",
        hint="declare outputs in manifests/outputs.json, or record again with --output GLOB",
    )
