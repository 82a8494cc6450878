"""What the agent saw of a replay, as far as a verdict needs it: undeclared data, the network, whether it was there."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.execute.perturb.agent import Event, Kind, Mechanism, Prepared
from kfm_repro.execute.uncovered import programs_without_agent

__all__ = ["Watched", "watched"]

_REFUSED = (errno.ENOENT, errno.EACCES, errno.EPERM)
_LOOPBACK = ("127.", "[::1]", "0.0.0.0:", "localhost")
_MOST = 20


@dataclass(frozen=True)
class Watched:
    """What was seen.

    ``undeclared`` are files that the pipeline wanted and its record does not declare, those of the project relative
    to it; ``network`` is every host and port that it tried to reach. ``present`` is whether the agent was in the
    pipeline at all; ``mechanism`` is how; ``uncovered`` are programs that ran without it, with the reasons.
    """

    mechanism: Mechanism = Mechanism.NONE
    present: bool = False
    undeclared: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()


def watched(
    agent: Prepared | None, workspace: Path, folder: Path, project: Path, declared: Collection[str],
    started: tuple[Path, str],
) -> Watched:  # fmt: skip
    """Return what the agent's log tells of a command in ``folder`` of ``workspace``, which stands for ``project``.

    A file counts as wanted when it was not there for the command, and is on this machine. ``started`` is ``folder``
    as it lies on this machine, and PATH: where its programs were found.
    """
    if agent is None:
        return Watched()
    events = agent.events()
    return Watched(
        agent.mechanism,
        any(event.kind is not Kind.NOTE for event in events),
        tuple(sorted(set(_undeclared(events, (workspace, folder), project, declared))))[:_MOST],
        tuple(sorted(set(_network(events))))[:_MOST],
        programs_without_agent(events, *started)[:_MOST],
    )


def _undeclared(
    events: Iterable[Event], places: tuple[Path, Path], project: Path, declared: Collection[str]
) -> Iterable[str]:
    workspace, folder = places
    for event in events:
        wanted = event.kind in (Kind.OPEN, Kind.MISSING) and event.error in _REFUSED and not event.imported
        made = event.kind is Kind.OPEN and any(letter in event.how for letter in "ctax")
        if not wanted or event.cut or made:
            continue
        # A relative path is taken from where the pipeline started; few change their folder.
        path = Path(os.path.normpath(folder / event.text))
        if path.is_relative_to(workspace):
            relative = path.relative_to(workspace).as_posix()
            if relative not in declared and (project / relative).is_file():
                yield relative
        elif path.is_relative_to(project) and path.is_file():
            relative = path.relative_to(project).as_posix()
            if not relative.startswith((".venv/", ".git/")):
                yield relative


def _network(events: Iterable[Event]) -> Iterable[str]:
    for event in events:
        if event.kind not in (Kind.CONNECT, Kind.RESOLVE) or event.text.startswith("unix:"):
            continue
        if event.text and not event.text.startswith(_LOOPBACK):
            yield event.text
