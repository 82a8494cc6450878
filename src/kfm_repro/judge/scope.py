"""What a plain replay holds, lets be natural, and does not exercise: the small print of every verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kfm_repro.execute.isolate.levels import Chosen
from kfm_repro.model.report import Scope

__all__ = ["AXES", "replay_scope"]

AXES: tuple[str, ...] = (
    "affinity", "aslr", "build-path", "clock", "cpu-count", "cpu-features", "directory-order", "entropy",
    "env-order", "hash-seed", "home-user", "hostname", "input-mtime", "locale", "network", "pid", "schedule",
    "threads", "timezone", "tmp-dir", "umask",
)  # fmt: skip
"""Every axis of nondeterminism that we have a name for."""

_BY_VARIABLE: Mapping[str, str] = {"PYTHONHASHSEED": "hash-seed", "TZ": "timezone", "LC_ALL": "locale"}
_NATURAL = frozenset(("aslr", "build-path", "clock", "entropy", "home-user", "input-mtime", "pid", "tmp-dir"))

_NAMED = 5


def replay_scope(
    held: Mapping[str, str],
    not_compared: Sequence[str],
    isolation: Chosen,
    *,
    level: tuple[str, str] = ("R1", ""),
    shown: bool = False,
    capped: str = "",
) -> Scope:
    """Return the scope of a plain replay at the level of isolation that was chosen.

    ``level`` is what it exercised, and why; ``shown`` is whether the bytes were the same.

    ``held`` are the environment variables that the record pins. What is held is not exercised either; a hash
    seed that nobody pins is drawn anew by every Python and so is natural. ``capped`` is why no level is claimed.
    """
    pinned = {axis: held[name] for name, axis in _BY_VARIABLE.items() if name in held}
    if held.get("PYTHONHASHSEED") == "random":
        del pinned["hash-seed"]
    natural = _NATURAL | ({"hash-seed"} - set(pinned))
    notes = [f"{capped}; no level of reproducibility is claimed"] if capped else []
    if not_compared:
        named = ", ".join(not_compared[:_NAMED]) + (" …" if len(not_compared) > _NAMED else "")
        notes.append(f"written, but no declared output and not below a data root: not compared: {named}")
    return Scope(
        held=dict(sorted(pinned.items())),
        natural=tuple(sorted(natural)),
        not_exercised=tuple(axis for axis in AXES if axis not in natural),
        level="" if capped else level[0],
        shown=level[0] if shown and not capped else "",
        notes=(
            *(f"isolation {isolation.level}: {text}" for text in isolation.lost),
            *filter(None, ["" if capped else level[1] and f"level {level[0]}: {level[1]}"]),
            *notes,
        ),
    )
