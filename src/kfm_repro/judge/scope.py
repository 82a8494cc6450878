"""What a plain replay holds, lets be natural, and does not exercise: the small print of every verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kfm_repro.execute.isolate.levels import Chosen, Isolation
from kfm_repro.execute.perturb.agent import Mechanism
from kfm_repro.execute.perturb.axes import AXES
from kfm_repro.execute.perturb.canary import Effect
from kfm_repro.execute.replay import Replayed
from kfm_repro.model.report import Scope

__all__ = ["Moved", "moved_axes", "replay_scope"]

_BY_VARIABLE: Mapping[str, str] = {"PYTHONHASHSEED": "hash-seed", "TZ": "timezone", "LC_ALL": "locale"}
_NATURAL = frozenset(("aslr", "build-path", "clock", "entropy", "home-user", "input-mtime", "pid", "tmp-dir"))
_OF_AGENT = frozenset(("clock", "cpu-count", "directory-order", "entropy", "hostname", "schedule"))
"""Axes that the agent varies: only for the programs that it is in."""

_NAMED = 5


@dataclass(frozen=True)
class Moved:
    """The axes that a replay varied, in words, and why others that were to be varied were not."""

    varied: Mapping[str, str] = field(default_factory=dict)
    unmoved: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def moved_axes(replayed: Replayed, wanted: Sequence[str], proofs: Mapping[str, Effect]) -> Moved:
    """Return which axes a replay varied: those ``wanted`` as far as their canaries prove it, and its clock."""
    varied, unmoved, notes = dict[str, str](), dict[str, str](), list[str]()
    shift, seen = replayed.shape.agent.clock_shift, replayed.watched
    bare = f"not in every program: {', '.join(seen.uncovered[:_NAMED])}" if seen.uncovered else ""
    if shift is not None:
        if not seen.present:
            unmoved["clock"] = "nothing could be loaded into the pipeline"
        elif bare:
            unmoved["clock"] = bare
        else:
            varied["clock"] = f"{shift.total_seconds():+.0f}"
            notes.append("clock: the times of files are not moved: they are the machine's")
        if seen.present and seen.mechanism is Mechanism.PYTHON:
            notes.append(
                "clock: only what Python's time module tells was moved, since no library could be loaded"
            )
    held = {axis: name for name, axis in _BY_VARIABLE.items() if name in replayed.held}
    for name in wanted:
        variable = held.get(name, "")
        if variable and replayed.held[variable] == replayed.shape.environ.get(variable):
            unmoved[name] = f"the recorded run had {variable}={replayed.held[variable]}, too"
        elif bare and name in _OF_AGENT:
            unmoved[name] = bare
        elif proofs[name].effective:
            varied[name] = AXES[name].varied
        else:
            unmoved[name] = proofs[name].reason
    notes += [f"{name} was not varied: {reason}" for name, reason in sorted(unmoved.items())]
    return Moved(varied, unmoved, tuple(notes))


def replay_scope(
    held: Mapping[str, str],
    not_compared: Sequence[str],
    isolation: Chosen,
    *,
    level: tuple[str, str] = ("R1", ""),
    shown: bool = False,
    capped: str = "",
    moved: Moved | None = None,
) -> Scope:
    """Return the scope of a plain replay at the level of isolation that was chosen.

    ``level`` is what it exercised, and why; ``shown`` is whether the bytes were the same.

    ``held`` are the environment variables that the record pins. What is held is not exercised either; a hash
    seed that nobody pins is drawn anew by every Python and so is natural. ``capped`` is why no level is claimed.
    """
    moved = moved or Moved()
    pinned = {axis: held[name] for name, axis in _BY_VARIABLE.items() if name in held}
    if isolation.level in (Isolation.NAMESPACE, Isolation.LANDLOCK):
        pinned["network"] = "none"
    if held.get("PYTHONHASHSEED") == "random":
        del pinned["hash-seed"]
    natural = (_NATURAL | ({"hash-seed"} - set(pinned))) - set(moved.varied) - set(moved.unmoved)
    pinned = {axis: value for axis, value in pinned.items() if axis not in moved.varied}
    notes = [f"{capped}; no level of reproducibility is claimed"] if capped else []
    if not_compared:
        named = ", ".join(not_compared[:_NAMED]) + (" …" if len(not_compared) > _NAMED else "")
        notes.append(f"not compared: written where no outputs are looked for, and declared as none: {named}")
    return Scope(
        held=dict(sorted(pinned.items())),
        natural=tuple(sorted(natural)),
        varied=dict(sorted(moved.varied.items())),
        not_exercised=tuple(axis for axis in AXES if axis not in natural and axis not in moved.varied),
        level="" if capped else level[0],
        shown=level[0] if shown and not capped else "",
        notes=(
            *(f"isolation {isolation.level}: {text}" for text in isolation.lost),
            *filter(None, ["" if capped else level[1] and f"level {level[0]}: {level[1]}"]),
            *moved.notes,
            *notes,
        ),
    )
