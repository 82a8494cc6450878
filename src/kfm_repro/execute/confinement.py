"""The cell of a replay: its workspace and home, its inputs, its interpreter, and what recorded variables name."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kfm_repro.execute.command import is_python
from kfm_repro.execute.imports import outside_folders
from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Limits,
    Mount,
    Place,
    interpreter_places,
    readable,
    variable_places,
    writable,
)
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.execute.workspace import Workspace
from kfm_repro.runs.project import Project
from kfm_repro.runs.reach import is_file

__all__ = ["confine", "shared_places"]


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
    hidden = _hidden(project, place)
    own = {place.path, *(mount.at for mount in workspace.shown)}
    elsewhere = [
        *map(readable, outside_folders(str(interpreter), plan.code.repository.top)),
        *variable_places(environ, hidden),
    ]
    cell = Cell(
        places=(
            writable(workspace.top),
            writable(workspace.home),
            writable(workspace.temporary),
            *workspace.shown,
            *interpreter_places(interpreter, hidden),
            *_interpreters_on_path(environ, hidden),
            *_named_programs(plan, hidden),
            *(mount for mount in elsewhere if not any(mount.source.is_relative_to(path) for path in own)),
        ),
        scratch=scratch,
        host=platform.node() or "localhost",
        user=_user(),
        home=workspace.home,
        hidden=hidden,
    )
    limits = Limits(timeout_s=plan.timeout_s, memory_bytes=request.memory_bytes)
    return Confinement(cell, plan.isolation.level, limits, place)


def shared_places(project: Project, plan: Plan, environ: Mapping[str, str], place: Place) -> tuple[Path, ...]:
    """Return the folders outside of the workspace that every run has: the interpreter's, those variables name.

    A rebuilt environment is none: no run writes to it.
    """
    hidden = _hidden(project, place)
    own = () if plan.rebuilt else interpreter_places(Path(plan.interpreter.path), hidden)
    found = (mount.source for mount in (*own, *variable_places(environ, hidden)))
    return tuple(path for path in found if not path.is_relative_to(place.path))


def _hidden(project: Project, place: Place) -> tuple[Path, ...]:
    root = project.root
    return (root, root.resolve(), project.runs.resolve(), project.objects.resolve(), place.path)


def _interpreters_on_path(environ: Mapping[str, str], hidden: Sequence[Path]) -> Iterator[Mount]:
    """Yield what the Pythons on PATH need: a shell command or a make target may start one by its name."""
    for folder in environ.get("PATH", "").split(os.pathsep):
        for name in ("python3", "python"):
            program = Path(folder, name)
            if folder.startswith("/") and is_file(program):
                yield from interpreter_places(program, hidden)
                break


def _named_programs(plan: Plan, hidden: Sequence[Path]) -> Iterator[Mount]:
    """Yield the programs that the recorded command names by an absolute path, and what a Python among them needs."""
    pipeline = plan.run.pipeline
    text = pipeline.entrypoint or ""
    words = [*pipeline.args]
    if text.startswith("sh:"):
        with suppress(ValueError):
            words += shlex.split(text.removeprefix("sh:"))
    for word in words:
        program = Path(word)
        if not word.startswith("/") or any(program.is_relative_to(folder) for folder in hidden):
            continue
        if is_file(program) and os.access(program, os.X_OK):
            if is_python(word):
                yield from interpreter_places(program, hidden)
            else:
                yield readable(program)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user{os.getuid()}"
