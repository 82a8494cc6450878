"""Paths into today's checkout, which may have changed since, and what a replay has in their place: its clone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.execute.command import root_spellings
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.workspace import Workspace
from kfm_repro.runs.project import Project
from kfm_repro.runs.reach import exists, is_folder

__all__ = ["Today", "today_of"]

_MARKS = ("pyvenv.cfg", "conda-meta")
_OF_ENVIRONMENT = frozenset(("bin", "etc", "include", "lib", "lib64", "share"))


@dataclass(frozen=True)
class Today:
    """The repository that the project lies in today, and the ``clone`` that a replay has of it.

    ``root`` is the project in it; both are resolved. ``spellings`` are other ways in which a path to ``top`` may be
    written, the longest first.
    """

    top: Path
    root: Path
    clone: Path
    spellings: tuple[str, ...] = ()

    def search(self, path: str) -> str:
        """Return a search path such as PATH with the folders of the clone in the place of today's."""
        folders = (found for part in path.split(os.pathsep) for found in self._folders(part))
        return os.pathsep.join(dict.fromkeys(folders))

    def text(self, value: str) -> str:
        """Return a value of a variable with every path into the repository as one into the clone."""
        for spelling in (*self.spellings, str(self.top)):
            pattern = rf"(?<![\w./-]){re.escape(spelling)}(?P<rest>/[^:;,'\" ]*)?(?=[:;,'\" ]|$)"
            value = re.sub(pattern, self._told, value)
        return value

    def _told(self, match: re.Match[str]) -> str:
        below = (match["rest"] or "").lstrip("/")
        if _in_environment(self.top / below, self.top) and not os.path.lexists(self.clone / below):
            return match[0]
        return f"{self.clone}/{below}" if below else str(self.clone)

    def _folders(self, part: str) -> Iterator[str]:
        # Resolved, because a link may lead in; what is relative is looked for in the workspace anyway.
        real = Path(os.path.realpath(part)) if part.startswith("/") else None
        if real is None or not real.is_relative_to(self.top):
            yield part
            return
        own = self.clone / real.relative_to(self.top)
        # No commit has what was installed, nor tools beside the project in a repository that is a home folder.
        installed = _in_environment(real, self.top) or not (real.is_relative_to(self.root) or is_folder(own))
        if is_folder(own) or not installed:
            yield str(own)
        if installed:
            yield part


def today_of(project: Project, plan: Plan, workspace: Workspace) -> Today:
    """Return today's repository of a project and its counterpart in ``workspace``."""
    top = plan.code.repository.top.resolve()
    depth = len(Path(plan.code.repository.prefix).parts)
    recorded = plan.run.environment.root if plan.run.environment else None
    roots = (*root_spellings(project.root), *filter(None, [recorded]))
    spelled = {str([root, *root.parents][depth]) for root in map(Path, roots) if depth < len(root.parts)}
    spellings = sorted(spelled - {"/", str(top)}, key=lambda text: (-len(text), text))
    return Today(top, project.root.resolve(), workspace.top, tuple(spellings))


def _in_environment(path: Path, top: Path) -> bool:
    """Return whether a path leads into an environment in the repository: packages, which are no code of a commit."""
    inner = path
    for folder in path.parents:
        if not folder.is_relative_to(top):
            return False
        if inner.name in _OF_ENVIRONMENT and any(exists(folder / mark) for mark in _MARKS):
            return True
        inner = folder
    return False
