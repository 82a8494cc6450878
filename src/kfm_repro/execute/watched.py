"""What the agent saw of a replay, as far as a verdict needs it: files that are not its own, the network, the agent."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.execute.perturb.agent import Event, Kind, Mechanism, Prepared
from kfm_repro.execute.uncovered import programs_without_agent
from kfm_repro.runs.project import Project

__all__ = ["Scene", "Watched", "watched"]

_REFUSED = (errno.ENOENT, errno.EACCES, errno.EPERM)
_LOOPBACK = ("127.", "[::1]", "0.0.0.0:", "localhost")
_MOST = 20
_NO_DATA = (".venv/", ".git/")


@dataclass(frozen=True)
class Watched:
    """What was seen; files of the project are named relative to it.

    ``undeclared`` are files that the pipeline wanted and its record does not declare; ``taken`` is data that it read
    from the project itself and not from its workspace, ``strayed`` are other files that it read there. ``stale`` are
    files of shared places that were written while the recorded run ran, or later. ``network`` is every host and port
    that it tried to reach. ``present`` is whether the agent was in the pipeline at all; ``mechanism`` is how;
    ``uncovered`` are programs that ran without it, with the reasons.
    """

    mechanism: Mechanism = Mechanism.NONE
    present: bool = False
    undeclared: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    strayed: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What is known of a replay that was watched.

    The command ran in ``folder`` of ``workspace``, which stands for the root of ``project``. ``inputs`` and
    ``outputs`` are those of the record, ``made`` is what the replay wrote, all by path. ``shared`` are the folders
    outside of the workspace that every run on this machine has; ``window`` is when the recorded run began and ended.
    ``launched`` is ``folder`` as it lies on this machine, and PATH: where the command's programs were found.
    """

    workspace: Path
    folder: Path
    project: Project
    inputs: Collection[str]
    outputs: Collection[str]
    made: Collection[str]
    launched: tuple[Path, str]
    shared: tuple[Path, ...] = ()
    window: tuple[float, float] | None = None


def watched(agent: Prepared | None, scene: Scene) -> Watched:
    """Return what the agent's log tells of a command.

    A file counts as wanted when it was not there for the command, and is on this machine.
    """
    if agent is None:
        return Watched()
    events = agent.events()
    read = dict.fromkeys(_read(events, scene))
    return Watched(
        agent.mechanism,
        any(event.kind is not Kind.NOTE for event in events),
        _some(_undeclared(events, scene)),
        _some(_network(events)),
        _some(path for path, data in _from_project(read, scene) if data),
        _some(path for path, data in _from_project(read, scene) if not data),
        _some(_stale(read, scene)),
        programs_without_agent(events, *scene.launched)[:_MOST],
    )


def _some(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))[:_MOST]


def _undeclared(events: Iterable[Event], scene: Scene) -> Iterator[str]:
    root = scene.project.root
    for event in events:
        wanted = event.kind in (Kind.OPEN, Kind.MISSING) and event.error in _REFUSED and not event.imported
        made = event.kind is Kind.OPEN and any(letter in event.how for letter in "ctax")
        if not wanted or event.cut or made:
            continue
        path = _place(event, scene)
        if path.is_relative_to(scene.workspace):
            relative = path.relative_to(scene.workspace).as_posix()
            known = relative in scene.inputs or relative in scene.outputs
            # What it made itself it only looked for before.
            known = known or (relative in scene.made and _is_data(scene.project, relative))
            if not known and (root / relative).is_file():
                yield relative
        elif path.is_relative_to(root) and path.is_file():
            relative = path.relative_to(root).as_posix()
            if not relative.startswith(_NO_DATA):
                yield relative


def _read(events: Iterable[Event], scene: Scene) -> Iterator[Path]:
    """Yield the files outside of the workspace that were opened to be read."""
    for event in events:
        if event.kind is Kind.OPEN and not event.error and "r" in event.how and not event.cut:
            path = _place(event, scene)
            if not path.is_relative_to(scene.workspace):
                yield path


def _place(event: Event, scene: Scene) -> Path:
    # A relative path is taken from where the pipeline started; few change their folder.
    return Path(os.path.normpath(scene.folder / event.text))


def _from_project(read: Iterable[Path], scene: Scene) -> Iterator[tuple[str, bool]]:
    """Yield the files that were read from the project itself, and whether that is data which no replay has."""
    bases = dict.fromkeys((scene.project.root, scene.project.root.resolve()))
    for path in read:
        base = next((base for base in bases if path.is_relative_to(base)), None)
        if base is None or not path.is_file():
            continue
        relative = path.relative_to(base).as_posix()
        undeclared = _is_data(scene.project, relative) and relative not in scene.inputs
        if undeclared or relative in scene.outputs:
            yield relative, True
        elif not relative.startswith(_NO_DATA) and not any(path.is_relative_to(p) for p in scene.shared):
            yield relative, False


def _is_data(project: Project, relative: str) -> bool:
    return any(PurePosixPath(relative).is_relative_to(root) for root in project.settings.data_roots)


def _stale(read: Iterable[Path], scene: Scene) -> Iterator[str]:
    """Yield the files of shared places that the recorded run wrote, or that hold what came after it.

    The time of change (ctime) tells what was written while that run ran. Of later changes only the time of
    modification counts: an image or an archive that is unpacked again changes all files, and their data not.
    """
    if scene.window is None:
        return
    started, finished = scene.window
    for path in read:
        if path.suffix == ".pyc" or not any(path.is_relative_to(place) for place in scene.shared):
            continue
        try:
            state = path.stat()
        except OSError:
            continue
        during = started <= state.st_ctime <= finished
        if stat.S_ISREG(state.st_mode) and (
            during or (state.st_mtime > finished and not _installed(path, state))
        ):
            yield str(path)


def _installed(path: Path, state: os.stat_result) -> bool:
    """Return whether a file is a program or belongs to a package: the drift of the environment says that it is new."""
    code = path.suffix in {".py", ".pth", ".so"} or path.name == "pyvenv.cfg" or state.st_mode & 0o111
    if code or any(part.endswith((".dist-info", ".egg-info")) for part in path.parts):
        return True
    site = next(
        (folder for folder in path.parents if folder.name in {"site-packages", "dist-packages"}), None
    )
    if site is None:
        return False
    line = path.relative_to(site).as_posix().encode() + b","
    return any(line in record.read_bytes() for record in site.glob("*.dist-info/RECORD"))


def _network(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if event.kind not in (Kind.CONNECT, Kind.RESOLVE) or event.text.startswith("unix:"):
            continue
        if event.text and not event.text.startswith(_LOOPBACK):
            yield event.text
