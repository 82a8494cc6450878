"""Put a shape around a command: its variables and their order, a prefix, the agent, names, umask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kfm_repro.execute.isolate import Confinement, readable, writable
from kfm_repro.execute.perturb.agent import Prepared
from kfm_repro.execute.perturb.axes import Shape
from kfm_repro.execute.process import Process

__all__ = ["FIXED", "shaped", "shown_at"]

FIXED = Path("/kfm")
"""Where a controlled replay is shown, whatever folder it lies in."""

_PRELOAD = "LD_PRELOAD"
_FORK_FIRST = 'n=$1; shift; while [ "$n" -gt 0 ]; do /bin/true; n=$((n - 1)); done; "$@"; exit $?'


def shaped(process: Process, shape: Shape, agent: Prepared | None = None) -> Process:
    """Return ``process`` as ``shape`` has it, with the agent in it when there is one.

    Folders and times of inputs are for who lays them out; the rest is done here.
    """
    return replace(
        process,
        argv=[*_forks(shape.forks), *shape.prefix, *process.argv],
        env=_environ(process.env, shape, agent),
        confinement=process.confinement and _confinement(process.confinement, shape, agent),
    )


def shown_at(process: Process, room: Path, at: Path) -> Process:
    """Return ``process`` with all that lies in the folder ``room`` shown at ``at`` instead; takes a namespace.

    Arguments, variables and the working folder are changed along.
    """

    def moved(text: str) -> str:
        return text.replace(str(room), str(at))

    confinement = process.confinement
    if confinement is not None:
        places = tuple(replace(mount, at=Path(moved(str(mount.at)))) for mount in confinement.cell.places)
        cell = replace(confinement.cell, places=places, home=Path(moved(str(confinement.cell.home))))
        confinement = replace(confinement, cell=cell)
    return replace(
        process, argv=[moved(word) for word in process.argv], cwd=Path(moved(str(process.cwd))),
        env={name: moved(value) for name, value in process.env.items()}, confinement=confinement,
    )  # fmt: skip


def _forks(count: int) -> list[str]:
    return ["/bin/sh", "-c", _FORK_FIRST, "sh", str(count)] if count else []


def _environ(given: Mapping[str, str], shape: Shape, agent: Prepared | None) -> dict[str, str]:
    environ = {**given, **{name: value for name, value in shape.environ.items() if value is not None}}
    for name, value in shape.environ.items():
        if value is None:
            environ.pop(name, None)
    for name, value in (agent.variables if agent else {}).items():
        own = environ.get(name, "") if name == _PRELOAD else ""
        environ[name] = f"{value}:{own}" if own else value
    if shape.environ_order:
        names = sorted(environ, reverse=shape.environ_order == "reversed")
        environ = {name: environ[name] for name in names}
    return environ


def _confinement(confinement: Confinement, shape: Shape, agent: Prepared | None) -> Confinement:
    cell, places = confinement.cell, confinement.cell.places
    if agent is not None:
        log = (writable(path, agent.seen_at / path.relative_to(agent.folder)) for path in agent.writable)
        places = (*places, readable(agent.folder, agent.seen_at), *log)
    home = Path(shape.home) if shape.home.startswith("/") else cell.home
    cell = replace(
        cell, places=places, host=shape.host or cell.host, user=shape.user or cell.user, home=home,
        network=cell.network or shape.network,
    )  # fmt: skip
    umask = confinement.umask if shape.umask is None else shape.umask
    return replace(confinement, cell=cell, umask=umask)
