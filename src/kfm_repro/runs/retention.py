"""Retention (rule 23): which runs are kept, which may go, and how they go so that a kill leaves whole runs.

A run leaves by one rename into ``<runs>/.trash``; only then its files are deleted. What an earlier prune left
there is finished by the next one. Objects go last, and only those that no run names.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kfm_repro.errors import KfmReproError, NotWritable
from kfm_repro.model.retention import Action
from kfm_repro.model.run import RunState
from kfm_repro.runs.activities import Activities, read_activities
from kfm_repro.runs.locks import runs_lock
from kfm_repro.runs.objects import Collected, ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.provenance import carries, has_provenance, read_record, write_provenance
from kfm_repro.runs.read import read_state
from kfm_repro.runs.sizes import parse_size
from kfm_repro.runs.survey import Seen, named_digests, survey
from kfm_repro.runs.trash import check_trash, empty_trash, finish_leftovers, put_in_trash, unpack_stages

__all__ = ["Decision", "Pruned", "keep_within_cap", "plan_prune", "prune"]

GRACE_S = 3600.0
"""An object added within the last hour is never collected: whoever added it may not have named it yet."""
_COUNTED = {
    "success": "successful run",
    "other": "run that did not succeed",
    "replay": "replay",
    "foreign": "unpacked run",
}


@dataclass(frozen=True)
class Decision:
    """One run, what happens to it, and why. ``proof`` is the file that carries its provenance."""

    seen: Seen
    action: Action
    reason: str
    proof: Path | None = None


@dataclass(frozen=True)
class Pruned:
    """What a prune did. ``objects`` is None when they could not be looked at; ``notes`` say why."""

    decisions: tuple[Decision, ...]
    objects: Collected | None
    damaged: tuple[str, ...]
    notes: tuple[str, ...] = ()


def plan_prune(project: Project, keep: int, pipeline: str = "") -> tuple[Decision, ...]:
    """Return what a prune would do to every run (of ``pipeline``, if given), deleting nothing.

    Of each pipeline the ``keep`` newest are kept of each group: successful runs, runs that ended otherwise,
    replays, unpacked runs. A kept run keeps its newest successful replay besides.
    """
    everything = survey(project)
    runs = [seen for seen in everything if not pipeline or seen.run.pipeline == pipeline]
    replayed_now = {seen.of for seen in everything if seen.state is RunState.RUNNING and seen.of}
    kept = {seen.run.path: why for seen in runs if (why := _held(seen, replayed_now))}
    kept |= _newest(runs, keep, set(kept))
    kept |= _witnesses(runs, kept)
    known = read_activities(project)
    return tuple(
        Decision(seen, Action.KEEP, kept[seen.run.path])
        if seen.run.path in kept
        else _candidate(project, seen, known)
        for seen in runs
    )


def prune(project: Project, keep: int, pipeline: str = "", *, write_missing: bool = False) -> Pruned:
    """Delete the runs that ``plan_prune`` says, then the objects that no run names any more.

    ``write_missing`` first writes the provenance of runs that lack it. Two prunes at once wait for each other.
    """
    with runs_lock(project.runs):
        check_trash(project.runs)
        notes = finish_leftovers(project.runs)
        if write_missing:
            notes += _write_missing(project, plan_prune(project, keep, pipeline))
        decisions = tuple(_put_away(project, item) for item in plan_prune(project, keep, pipeline))
        notes += empty_trash(project.runs)
        objects, more = _collect(project)
    store = ObjectStore.of(project)
    return Pruned(decisions, objects, store.damaged(), (*notes, *more))


def keep_within_cap(project: Project) -> Collected | None:
    """Remove the oldest objects that no run names while the store is larger than ``objects-max``.

    For the end of a record or replay; cheap while there is room. Objects that a run names are never removed,
    so that a store may stay above its cap. Returns None when there was room, or when others use the store and
    what they need is not known (``prune`` says so). Raises UsageError, OSError.
    """
    cap = parse_size(project.settings.objects_max, what="objects-max")
    store = ObjectStore.of(project)
    if sum(item.size_bytes for item in store.objects()) <= cap:
        return None
    with runs_lock(project.runs):
        try:
            needed, before = _needs(project, store)
        except NotWritable:
            return None
        return store.collect(needed, before=before, down_to=cap)


class _Needed:
    """The named digests, asked by their hex."""

    def __init__(self, names: set[bytes]) -> None:
        self._names = names

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and bytes.fromhex(sha256) in self._names


def _held(seen: Seen, replayed_now: set[str]) -> str:
    """Return why a run is kept whatever its age, empty when nothing holds it."""
    if seen.state is RunState.RUNNING:
        return "running"
    if seen.elsewhere:
        return "may be running on another machine"
    if seen.retain:
        return f"marked {seen.retain}"
    if seen.run.name in replayed_now:
        return "is being replayed"
    return ""


def _newest(runs: Sequence[Seen], keep: int, held: set[Path]) -> dict[Path, str]:
    """Return the ``keep`` newest of each group of each pipeline; what is running does not take a place."""
    counts: Counter[tuple[str, str]] = Counter()
    kept: dict[Path, str] = {}
    for seen in sorted(runs, key=lambda item: (item.started, item.run.name), reverse=True):
        if seen.problem or seen.state is RunState.RUNNING:
            continue
        group = (seen.run.pipeline, seen.group)
        counts[group] += 1
        if counts[group] <= keep and seen.run.path not in held:
            kept[seen.run.path] = f"one of the {keep} newest: {_COUNTED[seen.group]}"
    return kept


def _witnesses(runs: Sequence[Seen], kept: dict[Path, str]) -> dict[Path, str]:
    """Return the newest successful replay of each kept run: it is what is known of its reproducibility."""
    originals = {(seen.run.pipeline, seen.run.name) for seen in runs if seen.run.path in kept and not seen.of}
    newest: dict[tuple[str, str], Seen] = {}
    for seen in sorted(runs, key=lambda item: (item.started, item.run.name)):
        if seen.of and seen.state is RunState.SUCCESS and (seen.run.pipeline, seen.of) in originals:
            newest[seen.run.pipeline, seen.of] = seen
    found = [seen for seen in newest.values() if seen.run.path not in kept]
    return {seen.run.path: "newest replay of a kept run" for seen in found}


def _candidate(project: Project, seen: Seen, known: Activities) -> Decision:
    """Decide on a run that nothing keeps: without provenance, or when it cannot be read, it stays."""
    if seen.problem:
        return Decision(seen, Action.BLOCKED, f"cannot be read: {seen.problem}")
    if seen.state is RunState.INCONSISTENT:
        return Decision(seen, Action.BLOCKED, f"inconsistent: {seen.why}")
    try:
        record = read_record(seen.run)
    except KfmReproError as exc:
        return Decision(seen, Action.BLOCKED, f"cannot be read: {exc}")
    proof = has_provenance(project, seen.run, record, known)
    if proof is None:
        why = f"it has no provenance yet: kfm-repro prov {seen.run.pipeline}/{seen.run.name}"
        return Decision(seen, Action.BLOCKED, why)
    return Decision(seen, Action.DELETE, f"its provenance is {project.relative(proof)}", proof)


def _put_away(project: Project, item: Decision) -> Decision:
    """Move a run that goes into the trash, by one rename, after a last look at it and its provenance."""
    if item.action is not Action.DELETE or item.proof is None:
        return item
    run = item.seen.run
    try:
        record, state = read_record(run), read_state(run)[0]
    except KfmReproError as exc:
        return replace(item, action=Action.BLOCKED, reason=f"cannot be read: {exc}")
    if state is not item.seen.state or not carries(project, run, record, item.proof):
        return replace(item, action=Action.BLOCKED, reason="it has changed meanwhile")
    try:
        put_in_trash(project.runs, run)
    except OSError as exc:
        return replace(item, action=Action.FAILED, reason=f"cannot be moved: {exc.strerror or exc}")
    return item


def _write_missing(project: Project, decisions: Iterable[Decision]) -> list[str]:
    notes = []
    known = read_activities(project)
    for item in decisions:
        if item.action is Action.BLOCKED and not item.seen.problem:
            try:
                write_provenance(project, item.seen.run, known)
            except KfmReproError as exc:
                notes.append(f"no provenance of {item.seen.run.name}: {exc}")
    return notes


def _collect(project: Project) -> tuple[Collected | None, list[str]]:
    store = ObjectStore.of(project)
    try:
        needed, before = _needs(project, store)
        store.clean(before=before)
        found = store.collect(needed, before=before)
    except NotWritable as exc:
        return None, [f"no object was removed: {exc.message} ({exc.hint})"]
    except OSError as exc:
        return None, [f"no object was removed: {exc.strerror or exc}: {exc.filename or ''}"]
    cap = parse_size(project.settings.objects_max, what="objects-max")
    if found.left_bytes > cap:
        why = f"the stored objects are larger than objects-max ({project.settings.objects_max})"
        return found, [f"{why}: kept runs name them, or they are new; keep fewer runs"]
    return found, []


def _needs(project: Project, store: ObjectStore) -> tuple[_Needed, float]:
    """Return what the runs of all who use the store name, and the time before which an object must have been added.

    What a running run or unpack has added so far is named by no manifest yet, so that its start counts as well.
    Raises NotWritable when runs that use the store cannot be looked at, OSError.
    """
    names: set[bytes] = set()
    moments = [time.time()]
    for runs in store.users():
        seen = survey(replace(project, runs=runs))
        moments += [item.started for item in seen if item.state is RunState.RUNNING or item.elsewhere]
        moments += [folder.stat().st_mtime for folder in unpack_stages(runs)]
        names |= named_digests(runs)
    return _Needed(names), min(moments) - GRACE_S
