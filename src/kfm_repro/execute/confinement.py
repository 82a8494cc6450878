"""The cell of a replay: its workspace and home, its inputs, its interpreter, and what recorded variables name."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from kfm_repro.execute.imports import outside_folders
from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Limits,
    Place,
    interpreter_places,
    readable,
    variable_places,
    writable,
)
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.execute.workspace import Workspace
from kfm_repro.runs.project import Project

__all__ = ["confine"]


def confine(
    project: Project,
    plan: Plan,
    workspace: Workspace,
    environ: Mapping[str, str],
    place: Place,
    request: Request,
) -> Confinement:
    """Return how the command of a plain replay is kept apart: at its own fresh paths, within its time."""
    scratch = place.path / "scratch"
    scratch.mkdir()
    interpreter = Path(plan.interpreter.path)
    hidden = (project.root, project.root.resolve(), project.runs.resolve(), place.path)
    own = {place.path, *(mount.at for mount in workspace.shown)}
    elsewhere = [
        *map(readable, outside_folders(str(interpreter), project.root)),
        *variable_places(environ, hidden),
    ]
    cell = Cell(
        places=(
            writable(workspace.top),
            writable(workspace.home),
            writable(workspace.temporary),
            *workspace.shown,
            *interpreter_places(interpreter),
            *(mount for mount in elsewhere if not any(mount.source.is_relative_to(path) for path in own)),
        ),
        scratch=scratch,
        host=platform.node() or "localhost",
        user=_user(),
        home=workspace.home,
    )
    limits = Limits(timeout_s=plan.timeout_s, memory_bytes=request.memory_bytes)
    return Confinement(cell, plan.isolation.level, limits, place)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user{os.getuid()}"
