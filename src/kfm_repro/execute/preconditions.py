"""What a fair comparison needs, and whether a replay had it."""

from __future__ import annotations

from collections.abc import Sequence

from kfm_repro.execute.plan import Plan
from kfm_repro.execute.workspace import FileState, scan_files
from kfm_repro.model.report import Precondition
from kfm_repro.model.run import RunState
from kfm_repro.runs.project import Project

__all__ = [
    "TRESPASS",
    "changed_precondition",
    "code_precondition",
    "original_precondition",
    "project_state",
    "some",
    "trespass",
]

_NAMED = 3

TRESPASS = "project"
"""Name of the precondition that is not met when a replay changed files of the project: then no verdict holds."""


def code_precondition(plan: Plan) -> Precondition:
    """Say whether the code that ran is the recorded one, and which files of it no commit has."""
    code = plan.code
    if code.uncaptured:
        return Precondition(name="code", state="missing", detail=code.uncaptured, code="CODE_DRIFT")
    detail = f"commit {code.commit[:12]}"
    if code.patch:
        detail += " with the recorded patch"
    if code.added:
        detail += f", which has {some(code.added)} that the commit does not have"
    if code.converted:
        detail += f"; as the settings of git had written them: {some(code.converted)}"
    if code.filtered:
        detail += (
            f"; a filter of git may have rewritten {some(code.filtered)}: a replay has them as git keeps them"
        )
    if code.unsaid:
        detail += "; the record does not say if it was dirty"
    return Precondition(name="code", state="unknown" if code.unsaid or code.filtered else "ok", detail=detail)


def original_precondition(plan: Plan) -> tuple[Precondition, ...]:
    """Say when the recorded run is no baseline, because it failed."""
    if plan.state is RunState.SUCCESS:
        return ()
    return (Precondition(name="baseline", state="unknown", detail="the recorded run itself failed"),)


def changed_precondition(changed: tuple[str, ...], plan: Plan) -> tuple[Precondition, ...]:
    """Name the inputs that the pipeline changed in its workspace, unless they are outputs as well."""
    outputs = {entry.path for entry in plan.outputs.entries}
    names = [path for path in changed if path not in outputs]
    if not names:
        return ()
    detail = f"the pipeline changed its own inputs: {', '.join(names[:5])} (the originals are untouched)"
    return (Precondition(name="inputs-after", state="drift", detail=detail, code="SOURCE_SNAPSHOT_DRIFT"),)


def project_state(project: Project, plan: Plan) -> dict[str, FileState]:
    """Return the state of the original inputs and outputs, which a replay must leave alone."""
    entries = (*plan.inputs.entries, *plan.outputs.entries)
    return scan_files(project.root, sorted({entry.path for entry in entries}))


def trespass(before: dict[str, FileState], after: dict[str, FileState]) -> tuple[Precondition, ...]:
    """Name what changed in the project between two states of it, while a replay ran."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if not changed:
        return ()
    detail = f"files of the project changed while the replay ran, {changed[0]} first"
    return (Precondition(name=TRESPASS, state="drift", detail=detail),)


def some(names: Sequence[str]) -> str:
    """Return how many files these are, and the first of them: ``4 files (a, b, c …)``."""
    shown = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
    return f"{len(names)} file{'s' * (len(names) != 1)} ({shown})"
