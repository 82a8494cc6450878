"""Submodules of the project's repository: their commits belong to the code that ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable, UnsafePath
from kfm_repro.execute.git import Repository
from kfm_repro.runs.paths import inside, safe_relative

__all__ = ["Submodule", "find_submodules", "read_submodules"]

_GITLINK = "160000"


@dataclass(frozen=True)
class Submodule:
    """One submodule: where it lies (from the top of the repository), its commit, whether it is checked out."""

    path: str
    commit: str
    present: bool


def read_submodules(repository: Repository, commit: str) -> tuple[Submodule, ...]:
    """Return the submodules of ``commit``, sorted by path.

    Raises CodeNotAvailable when one has uncommitted changes or another commit checked out: the patch of a run
    cannot hold them.
    """
    found = []
    for path, wanted in _gitlinks(repository, commit):
        place = repository.top / path
        present = os.path.lexists(place / ".git")
        if present:
            _refuse_changed(place, path, wanted)
        found.append(Submodule(path, wanted, present))
    return tuple(found)


def find_submodules(
    source: Repository,
    treeish: str,
    absent: frozenset[str] = frozenset(),
    *,
    listed_by: Repository | None = None,
) -> tuple[tuple[str, str, Repository], ...]:
    """Return path, commit and local repository of each submodule of a commit or tree, sorted by path.

    Looked for where it is checked out, then in git's own folder (``modules/NAME``). ``absent`` ones were not
    checked out when the run was recorded, and are left out. ``listed_by`` has the tree where ``source`` has not,
    as that of a patch. Raises CodeNotAvailable when one is not on this machine, UnsafePath when its path or name
    leads out.
    """
    reader = listed_by or source
    links = [link for link in _gitlinks(reader, treeish) if link[0] not in absent]
    names = _names(reader, treeish) if links else {}
    found = []
    for path, commit in links:
        safe_relative(path, what="submodule")
        candidates = _candidates(source, path, names.get(path, path))
        repository = next((item for item in candidates if _has(item, commit)), None)
        if repository is None:
            raise CodeNotAvailable(
                f"the submodule {path} is not on this machine at commit {commit[:12]}",
                hint=f"fetch it where there is a network: git submodule update --init --recursive -- {path}",
            )
        found.append((path, commit, repository))
    return tuple(found)


def _gitlinks(repository: Repository, treeish: str) -> list[tuple[str, str]]:
    """Return path and commit of the submodules of a commit or tree, sorted by path."""
    entries = (line.partition("\t") for line in repository.list_tree(treeish) if line.startswith(_GITLINK))
    return sorted((path, meta.split()[2]) for meta, _, path in entries)


def _names(source: Repository, treeish: str) -> dict[str, str]:
    """Return the name of each submodule by its path, as .gitmodules of ``treeish`` has them."""
    try:
        said = source.git(
            "config", "-z", f"--blob={treeish}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$"
        )
    except CodeNotAvailable:
        return {}
    pairs = (item.partition("\n") for item in os.fsdecode(said).split("\0") if item)
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in pairs}


def _candidates(source: Repository, path: str, name: str) -> Iterator[Repository]:
    """Yield the repositories on this machine that may hold a submodule."""
    try:
        place = inside(source.top, path, what="submodule") if not source.bare else None
    except UnsafePath:
        # Today something else lies there; what git keeps of the submodule still counts.
        place = None
    if place is not None and os.path.lexists(place / ".git"):
        yield Repository(place, "")
    safe_relative(name, what="name of a submodule")
    for folder in (source.git_folder("--git-dir"), source.git_folder("--git-common-dir")):
        modules = folder / "modules" / name
        if (modules / "objects").is_dir():
            yield Repository(modules, "", bare=True)


def _has(repository: Repository, commit: str) -> bool:
    try:
        return repository.git("cat-file", "-t", commit).decode().strip() == "commit"
    except CodeNotAvailable:
        return False


def _refuse_changed(place: Path, path: str, wanted: str) -> None:
    inner = Repository(place, "")
    head = inner.git("rev-parse", "--verify", "HEAD").decode().strip()
    if head != wanted:
        raise CodeNotAvailable(
            f"the submodule {path} is at commit {head[:12]}, the project's commit names {wanted[:12]}",
            hint=f"git add {path} and commit it, or git submodule update",
        )
    if inner.git("status", "--porcelain", "-z"):
        raise CodeNotAvailable(
            f"the submodule {path} has uncommitted changes, which a run record cannot hold",
            hint=f"commit them in {path}, then commit the new state of {path} in the project",
        )
