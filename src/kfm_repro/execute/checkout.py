"""The code of a run: a clean clone at the recorded commit, with the recorded patch on top."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable, UnsafePath
from kfm_repro.execute.git import Repository, clone_at, find_repository
from kfm_repro.model.run import CodeVersion
from kfm_repro.runs.hashing import normal_sha256
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside

__all__ = ["Code", "check_code", "check_out", "hide_removed"]


@dataclass(frozen=True)
class Code:
    """Which code a replay runs: the resolved commit, the patch to apply, and whether it is the recorded code.

    ``uncaptured`` says why it is not: then no verdict can be reached, only differences shown. ``unsaid`` is
    whether the record leaves open if the tree was dirty.
    """

    repository: Repository
    commit: str
    patch: bytes = b""
    tree: str | None = None
    uncaptured: str = ""
    unsaid: bool = False


def check_code(root: Path, run: RunDir, version: CodeVersion) -> Code:
    """Find the recorded code without touching anything. Raises CodeNotAvailable, UnsafePath, InvalidRecord."""
    repository = find_repository(root)
    if not version.git_commit:
        raise CodeNotAvailable(
            f"run.yaml of {run.name} names no commit",
            hint="pipeline.version.git_commit says which code ran; without it there is nothing to replay",
        )
    commit = repository.resolve_commit(version.git_commit)
    submodules = repository.submodules(commit)
    if submodules:
        return Code(
            repository,
            commit,
            uncaptured=f"the code has submodules, which a replay does not have yet: {submodules[0]}",
        )
    if not version.repo_dirty and not version.patch:
        return Code(repository, commit, tree=version.tree, unsaid=version.repo_dirty is None)
    if not version.patch:
        return Code(
            repository, commit,
            uncaptured=f"the code was dirty when it was recorded and no patch was kept: only {commit[:7]} can run",
        )  # fmt: skip
    return Code(repository, commit, _read_patch(run, version), version.tree)


def check_out(code: Code, target: Path) -> Repository:
    """Lay out ``code`` in the new folder ``target`` and return the clone.

    Raises CodeNotAvailable when the patch does not lead to the recorded tree, UnsafePath when the patch makes
    a symbolic link that leaves the tree.
    """
    clone = clone_at(code.repository, code.commit, target)
    if code.patch:
        clone.git("apply", "--index", "--binary", "--whitespace=nowarn", "-", data=code.patch)
        _refuse_links_out(clone)
    tree = clone.git("write-tree").decode().strip()
    if code.tree and tree != code.tree:
        raise CodeNotAvailable(
            f"the recorded commit and patch lead to tree {tree[:12]}, not to the recorded {code.tree[:12]}",
            hint="config/dirty.patch of the run was changed; restore it",
        )
    if code.patch:
        # Changes were not staged when they were recorded, and git describe tells.
        clone.git("reset", "--quiet")
    return clone


def hide_removed(clone: Repository) -> None:
    """Tell git that removed tracked files are meant to be absent, so that the tree reads as clean as it was."""
    removed = clone.git("ls-files", "--deleted", "-z")
    if removed:
        clone.git("update-index", "--skip-worktree", "-z", "--stdin", data=removed)


def _read_patch(run: RunDir, version: CodeVersion) -> bytes:
    path = inside(run.path, version.patch or "", what="pipeline.version.patch")
    try:
        patch = path.read_bytes()
    except OSError as exc:
        raise CodeNotAvailable(
            f"the recorded patch {version.patch} cannot be read: {exc.strerror}",
            hint="restore it from where the run was made",
        ) from exc
    digest = hashlib.sha256(patch).hexdigest()
    where = f"pipeline.version.patch_sha256 of {run.name}"
    if version.patch_sha256 and digest != normal_sha256(version.patch_sha256, where=where):
        raise CodeNotAvailable(
            f"the recorded patch {version.patch} is not the one that was recorded (sha256 {digest[:12]}…)",
            hint="restore it from where the run was made",
        )
    return patch


def _refuse_links_out(clone: Repository) -> None:
    top = clone.top.resolve()
    for line in clone.git("ls-files", "-s", "-z").decode(errors="surrogateescape").split("\0"):
        if line.startswith("120000 "):
            path = clone.top / line.partition("\t")[2]
            if not path.resolve().is_relative_to(top):
                raise UnsafePath(
                    f"the recorded code has a symbolic link that leads out of it: {line.partition(chr(9))[2]}",
                    hint="replace the link by the file; what lies outside is not part of the record",
                )
