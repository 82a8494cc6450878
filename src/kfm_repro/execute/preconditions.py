"""What a fair comparison needs, and whether a replay had it."""

from __future__ import annotations

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
    "trespass",
]

TRESPASS = "project"
"""Name of the precondition that is not met when a replay changed files of the project: then no verdict holds."""


def code_precondition(plan: Plan, pointers: tuple[str, ...] = ()) -> Precondition:
    """Say whether the code that ran is the recorded one; ``pointers`` are files whose data Git LFS did not have."""
    if plan.code.uncaptured:
        return Precondition(name="code", state="missing", detail=plan.code.uncaptured, code="CODE_DRIFT")
    patched = " with the recorded patch" if plan.code.patch else ""
    detail = f"commit {plan.code.commit[:12]}{patched}"
    if pointers:
        detail += f"; {len(pointers)} files are only pointers of Git LFS, {pointers[0]} first: git lfs pull"
        return Precondition(name="code", state="missing", detail=detail, code="CODE_DRIFT")
    if plan.code.unsaid:
        return Precondition(
            name="code", state="unknown", detail=f"{detail}; the record does not say if it was dirty"
        )
    return Precondition(name="code", state="ok", detail=detail)


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
