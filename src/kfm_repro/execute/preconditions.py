"""What a fair comparison needs, and whether a replay had it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kfm_repro.execute.isolate import Isolation
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.scan import FileState, scan_files
from kfm_repro.execute.stdin import READ, STDIN, UNKNOWN
from kfm_repro.execute.watched import Watched
from kfm_repro.model.report import Precondition
from kfm_repro.model.run import RunState
from kfm_repro.model.verdict import Verdict
from kfm_repro.runs.project import Project

__all__ = [
    "LFS",
    "READ_FIRST",
    "SHARED",
    "TRESPASS",
    "UNDECLARED",
    "changed_precondition",
    "code_precondition",
    "first_precondition",
    "is_unmet",
    "left_precondition",
    "original_precondition",
    "pointers_precondition",
    "project_state",
    "some",
    "stdin_precondition",
    "trespass",
    "variables_precondition",
    "watched_preconditions",
]

_NAMED = 3
_NAMED_WATCHED = 5
_SHOWN_NAMES = 12
_UNSAID = "unsaid"

LFS = "lfs"
"""Name of the precondition that says which files of the code are only pointers."""
READ_FIRST = "read-first"
"""Name of the precondition that says of which files the recorded run read a content that is gone."""
UNDECLARED = "undeclared"
"""Name of the precondition that says which files the pipeline wanted or had that its record does not declare."""
SHARED = "shared-places"
"""Name of the precondition that is missing when a replay read what the recorded run, or a later one, left behind."""
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
    if code.refs.lost:
        detail += f"; without {len(code.refs.lost)} tags that it had and this repository has not: {code.refs.lost[0]}"
    if code.unsaid:
        detail += "; the record does not say if it was dirty"
    unsure = code.unsaid or code.filtered or code.refs.lost
    return Precondition(name="code", state="unknown" if unsure else "ok", detail=detail)


def pointers_precondition(pointers: Sequence[str]) -> tuple[Precondition, ...]:
    """Name files of the code whose data Git LFS did not have; what is identical without them did not need them."""
    if not pointers:
        return ()
    detail = f"only pointers of Git LFS, the data is not on this machine: {some(pointers)}"
    return (Precondition(name=LFS, state="unknown", detail=detail, code="CODE_DRIFT"),)


def original_precondition(plan: Plan) -> tuple[Precondition, ...]:
    """Say when the recorded run is no baseline, because it failed."""
    if plan.state is RunState.SUCCESS:
        return ()
    return (Precondition(name="baseline", state="unknown", detail="the recorded run itself failed"),)


def changed_precondition(
    changed: Mapping[str, str | None], plan: Plan, *, recorded_inputs: bool = True
) -> tuple[Precondition, ...]:
    """Say which inputs the pipeline changed in its workspace, and whether the recorded run did the same.

    ``changed`` are their digests afterwards. Inputs that are outputs as well are compared as such. Where the two runs
    did not do the same to an input, nobody knows what the recorded one read, or an effect of it is in no output: the
    state is missing, and no verdict holds. On today's inputs (not ``recorded_inputs``) nothing can be told of that.
    """
    outputs = {entry.path for entry in plan.outputs.entries}
    names = [path for path in changed if path not in outputs]
    then = {
        entry.path: entry.extra.get("sha256_after", _UNSAID)
        for entry in plan.inputs.entries
        if entry.extra.get("changed_during_run") is True and entry.path not in outputs
    }
    only_then = [path for path in then if path not in changed]
    if only_then and recorded_inputs:
        detail = (
            f"{some(only_then)} changed while the run was recorded, and this replay did not change it: what the "
            "recorded run read is not known"
        )
        return (_inputs_after("missing", detail),)
    # Only a record of ours says what the recorded run did to its inputs.
    only_now = [path for path in names if path not in then] if _observed(plan) else []
    if only_now and recorded_inputs:
        detail = f"this replay changed {some(only_now)}, which the recorded run left alone: the two did not do the same"
        return (_inputs_after("missing", detail),)
    otherwise = [path for path in names if then.get(path, _UNSAID) not in (_UNSAID, changed[path])]
    if otherwise and recorded_inputs:
        detail = f"the pipeline changed its own inputs, and not to what they became then: {some(otherwise)}"
        return (_inputs_after("missing", detail),)
    if not names:
        return ()
    as_then = ", as it did when it was recorded" if all(path in then for path in names) else ""
    detail = (
        f"the pipeline changed its own inputs: {', '.join(names[:5])} (the originals are untouched){as_then}"
    )
    return (_inputs_after("drift", detail),)


def first_precondition(plan: Plan) -> tuple[Precondition, ...]:
    """Name files whose first content the recorded run read and then changed: what is identical did without it."""
    said = _observed(plan).get("read_first")
    names = [str(name) for name in said] if isinstance(said, list) else []
    if not names:
        return ()
    detail = f"the recorded run read {some(names)} and then changed it; no record keeps the first content"
    return (Precondition(name=READ_FIRST, state="unknown", detail=detail),)


def stdin_precondition(plan: Plan) -> tuple[Precondition, ...]:
    """Say that the recorded run read its standard input, which no record keeps: then no verdict holds."""
    said = _observed(plan).get("stdin")
    if said not in (READ, UNKNOWN):
        return ()
    state = "missing" if said == READ else "unknown"
    detail = (
        f"{STDIN[said].replace('the command', 'the recorded run')}, which no record keeps: a replay gets none"
    )
    return (Precondition(name="stdin", state=state, detail=detail),)


def left_precondition(plan: Plan, left: Sequence[str], ended: int = 0) -> tuple[Precondition, ...]:
    """Say that processes outlived the pipeline, in the recorded run or in the replay.

    ``left`` are the names of their programs, ``ended`` is how many there were where names are not known.
    """
    left = left or ([f"{ended} in all"] if ended else [])
    said = _observed(plan).get("left_running")
    then = [str(name) for name in said] if isinstance(said, list) else []
    told = [
        f"{who} left processes running when it ended ({', '.join(names[:_NAMED])}{' …' * (len(names) > _NAMED)})"
        for who, names in (("the recorded run", then), ("the replay", list(left)))
        if names
    ]
    if not told:
        return ()
    fate = "; the replay's were ended" if left else ""
    detail = f"{' and '.join(told)}{fate}: what they wrote later is not compared"
    return (Precondition(name="left-running", state="drift", detail=detail),)


def variables_precondition(plan: Plan, verdict: Verdict) -> tuple[Precondition, ...]:
    """Say which variables the recorded run had and no replay has; outputs that are identical did without them."""
    environment = plan.run.environment
    names = environment.not_recorded if environment else ()
    if not names:
        return ()
    shown = ", ".join(names[:_SHOWN_NAMES]) + (" …" if len(names) > _SHOWN_NAMES else "")
    if verdict is Verdict.REPRODUCIBLE:
        detail = f"the recorded run had {len(names)} variables that a replay has not, which did without them: {shown}"
        return (Precondition(name="variables", state="ok", detail=detail),)
    detail = (
        f"{len(names)} variables that the recorded run had are not set in a replay; any may matter: {shown}"
    )
    return (Precondition(name="variables", state="unknown", detail=detail),)


def watched_preconditions(plan: Plan, seen: Watched) -> tuple[Precondition, ...]:
    """Say what the pipeline reached for beyond its record: files that are not declared, old state, the network."""
    apart = plan.isolation.level in (Isolation.NAMESPACE, Isolation.LANDLOCK)
    reached = (
        "there is no network in this replay" if apart else "nothing keeps it from the network at this level"
    )
    taken = "read from the project itself, and not declared by the record, so that no fair replay has it: {}"
    stale = (
        "read files outside of the project that were written by or since the recorded run, so that what that run "
        "read is not known: {}"
    )
    wanted = "wanted files that the record does not declare, so that a replay has none: {}"
    told = (
        (UNDECLARED, "missing", seen.taken, taken),
        (UNDECLARED, "drift", seen.undeclared, wanted),
        (UNDECLARED, "drift", seen.strayed, "read from the project itself, not from the recorded code: {}"),
        (SHARED, "missing", seen.stale, stale),
        ("network", "drift", seen.network, f"not hermetic: the pipeline tried to reach {{}}; {reached}"),
    )
    return tuple(
        Precondition(name=name, state=state, detail=detail.replace("{}", _listed(names)))
        for name, state, names, detail in told
        if names
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_WATCHED
    return ", ".join(names[:_NAMED_WATCHED]) + (f" and {more} more" if more > 0 else "")


def is_unmet(precondition: Precondition) -> bool:
    """Return whether no verdict holds because of this."""
    return precondition.state == "missing" or precondition.name == TRESPASS


def _observed(plan: Plan) -> dict[str, Any]:
    said = plan.run.raw.get("observation")
    return said if isinstance(said, dict) else {}


def _inputs_after(state: str, detail: str) -> Precondition:
    return Precondition(name="inputs-after", state=state, detail=detail, code="SOURCE_SNAPSHOT_DRIFT")


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
