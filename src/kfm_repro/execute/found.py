"""Which files are the inputs of a command that declares none: from what was seen, or all that could be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.execute.collect import can_be_recorded, is_ephemeral
from kfm_repro.execute.observe import Observation, SeenState
from kfm_repro.runs.paths import real_path
from kfm_repro.runs.project import Project

__all__ = ["KNOWN_GAPS", "FoundInputs", "find_inputs", "note_observation"]

KNOWN_GAPS = (
    "files outside of the project are not seen",
    "hidden folders, caches and virtual environments are not watched",
    "files of which only the name, the size or the time was asked are not seen",
    "files that another program had open before, or opened on another machine, are not seen",
)
"""What watching from outside never sees, whatever the machine."""
_MAX_DEPTH = 50
_MAX_LISTED_FILES = 1_000
_MAX_LISTED_BYTES = 256 << 20
_MAX_OFFERED_BYTES = 1 << 30
_NEVER = re.compile(r"\..*|.*(?:\.pyc|\.pyo|\.lock|\.swp|~)\Z", re.DOTALL)
_SHOWN = 5


@dataclass(frozen=True)
class FoundInputs:
    """Inputs that nobody declared. ``how`` says of each path: opened, listed, or offered; sorted by path.

    *listed* files lie in a folder that the command listed, *offered* ones are all that it could have read when
    it could not be watched. ``gaps`` are sentences on what may be missing. ``lost`` are files that the command
    read and then changed, so that their first content is gone.
    """

    how: dict[str, str]
    gaps: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def find_inputs(project: Project, seen: Observation, code: Collection[str]) -> FoundInputs:
    """Return the inputs of a command: files that were there before, that it may have read and did not change.

    ``code`` are paths that come with the commit, the patch or the config snapshot; below the data roots they
    count all the same, because a replay has no data there that is not declared (rule 12).
    """
    known = frozenset(code)
    files = {
        path: state
        for path, state in seen.before.items()
        if _may_be_input(project, path, known) and _is_unchanged(project, path, state, seen)
    }
    unnameable = sorted(path for path in files if not can_be_recorded(path, what="input"))
    for path in unnameable:
        del files[path]
    how = {path: "opened" for path in seen.opened if path in files}
    gaps = [f"a symbolic link out of the project: {_names(seen.links)}"] if seen.links else []
    if unnameable:
        gaps.append(
            f"{len(unnameable)} files have names that no record can hold (control characters, not UTF-8)"
        )
    if seen.gap:
        more = {
            path for path in files if _is_data(project, path) and not is_ephemeral(path, project.ephemeral)
        }
        gaps.append(seen.gap)
        gaps += _add(how, more - how.keys(), files, "offered", _MAX_OFFERED_BYTES)
    else:
        folders = {f for f in seen.listed if _is_data(project, f) and not is_ephemeral(f, project.ephemeral)}
        more = {path for path in files if str(PurePosixPath(path).parent) in folders}
        gaps += _add(how, more - how.keys(), files, "listed", _MAX_LISTED_BYTES)
    passed_over = [
        path for path in seen.opened if path in seen.before and _never(path) and _is_data(project, path)
    ]
    if passed_over:
        gaps.append(f"hidden files, locks and caches are never taken: {_names(passed_over)}")
    if seen.remote:
        gaps.append(
            f"the project lies on {', '.join(seen.remote)}: what other machines open there is not seen"
        )
    how |= _through_links(project, seen, how)
    lost = tuple(path for path in seen.read_first if path not in how and _may_be_input(project, path, known))
    return FoundInputs(dict(sorted(how.items())), tuple(gaps), lost)


def _through_links(project: Project, seen: Observation, how: dict[str, str]) -> dict[str, str]:
    """Return the names that found files have through links below the data roots: a replay has no such link.

    The kernel tells the real name only, whichever was opened.
    """
    found: dict[str, str] = {}
    if not seen.aliases:
        return found
    # Behind a link below the data roots may lie code as well.
    waiting = {
        path: "opened"
        for path in seen.opened
        if path in seen.before and _is_unchanged(project, path, seen.before[path], seen)
    }
    waiting |= how
    while waiting and len(found) < _MAX_LISTED_FILES:
        named: dict[str, str] = {}
        for link, target in seen.aliases.items():
            for path, kind in waiting.items():
                if path == target or path.startswith(f"{target}/"):
                    named[f"{link}{path[len(target) :]}"] = kind
        waiting = {
            path: kind
            for path, kind in named.items()
            if path not in found and path not in how and path.count("/") < _MAX_DEPTH
        }
        found |= waiting
    return {
        path: kind
        for path, kind in found.items()
        if _is_data(project, path)
        and not _never(path)
        and can_be_recorded(path, what="input")
        and (project.root / path).is_file()
    }


def note_observation(
    project: Project,
    seen: Observation,
    found: FoundInputs,
    *,
    declared: Collection[str],
    outputs: Collection[str],
) -> tuple[str, ...]:
    """Return what the user should know about what was seen.

    ``found`` are the inputs of the run, unless there are ``declared`` ones: then what was opened besides them,
    and is none of the ``outputs``, is missing in a replay.
    """
    notes = _notes_on_declared(found, declared, outputs) if declared else _notes_on_found(found)
    same = {real_path(project.root / path) for path in outputs} if seen.aliases else set()
    elsewhere = [
        path
        for path in seen.written
        if not _is_data(project, path)
        and path not in outputs
        and not _never(path)
        and (project.root / path).is_file()
        and project.root / path not in same
        and _state(project.root / path) != seen.before.get(path)
    ]
    if elsewhere:
        notes.append(f"also written, outside of the data folders: {_names(elsewhere)}; see --output GLOB")
    return tuple(notes)


def _notes_on_found(found: FoundInputs) -> list[str]:
    counts = {kind: list(found.how.values()).count(kind) for kind in _WORDS}
    told = [f"{number} {_WORDS[kind]}" for kind, number in counts.items() if number]
    how = ", ".join(told) or "the command opened no data files"
    notes = [f"no inputs declared; found: {how} (declare them with --input GLOB to be sure)"]
    notes += [f"inputs may be missing: {gap}" for gap in found.gaps]
    if found.lost:
        notes.append(
            f"read and then changed, so that a replay finds no first content: {_names(found.lost)}; "
            "declare it with --input to have it kept"
        )
    return notes


def _notes_on_declared(found: FoundInputs, declared: Collection[str], outputs: Collection[str]) -> list[str]:
    others = [
        path for path, how in found.how.items()
        if how == "opened" and path not in declared and path not in outputs
    ]  # fmt: skip
    if not others:
        return []
    return [f"opened but not declared, so that a replay will not have it: {_names(others)}; add --input GLOB"]


_WORDS = {
    "opened": "opened",
    "listed": "in folders that were listed",
    "offered": "that could have been read",
}


def _may_be_input(project: Project, path: str, code: frozenset[str]) -> bool:
    return not _never(path) and (_is_data(project, path) or path not in code)


def _never(path: str) -> bool:
    """Return whether a file is a cache, a lock, or hidden: those often hold secrets, and no data."""
    return _NEVER.match(path.rpartition("/")[2]) is not None


def _is_data(project: Project, path: str) -> bool:
    return any(PurePosixPath(path).is_relative_to(root) for root in project.settings.data_roots)


def _state(path: Path) -> SeenState | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def _is_unchanged(project: Project, path: str, before: SeenState, seen: Observation) -> bool:
    """Return whether a file has the data that it had; one that was written to may have its old time again."""
    after = _state(project.root / path)
    return after == before if path in seen.written else after is not None and after[:-1] == before[:-1]


def _add(
    how: dict[str, str], more: Iterable[str], files: dict[str, SeenState], kind: str, limit: int
) -> list[str]:
    """Add all of ``more``, or none of them and a sentence when they are too many to be kept unasked."""
    paths = sorted(more)
    size = sum(files[path][0] for path in paths)
    if len(paths) <= _MAX_LISTED_FILES and size <= limit:
        how.update(dict.fromkeys(paths, kind))
        return []
    return [f"{len(paths)} files ({size >> 20} MiB) {_WORDS[kind]} are too many to be kept unasked"]


def _names(paths: Iterable[str]) -> str:
    listed = list(paths)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
