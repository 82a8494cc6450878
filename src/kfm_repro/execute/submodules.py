"""Submodules of the project's repository: their commits belong to the code that ran."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git import Repository

__all__ = ["Submodule", "read_submodules"]

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
    listing = repository.git("ls-tree", "-r", "-z", "--full-tree", commit).decode(errors="surrogateescape")
    found = []
    for line in listing.split("\0"):
        meta, _, path = line.partition("\t")
        if meta.startswith(_GITLINK):
            place = repository.top / path
            present = os.path.lexists(place / ".git")
            wanted = meta.split()[2]
            if present:
                _refuse_changed(place, path, wanted)
            found.append(Submodule(path, wanted, present))
    return tuple(sorted(found, key=lambda item: item.path))


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
