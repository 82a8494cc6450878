"""The code of a run: a clean clone at the recorded commit, with the recorded patch on top."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable, UnsafePath
from kfm_repro.execute.git import RAW, UNFILTERED, Repository, clone_at, find_repository
from kfm_repro.model.run import CodeVersion
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, real_path

__all__ = ["Code", "check_code", "check_out", "hide_removed"]

_ADDED = re.compile(rb"^diff --git (.+)\nnew file mode", re.MULTILINE)
_NOT_KEPT = "a file that a filter of git had rewritten was too large to be kept with the code"


@dataclass(frozen=True)
class Code:
    """Which code a replay runs: the resolved commit, the patch to apply, and whether it is the recorded code.

    ``uncaptured`` says why it is not: then no verdict can be reached, only differences shown. ``unsaid`` is
    whether the record leaves open if the tree was dirty. ``raw`` code is laid out byte by byte as it was recorded,
    ``converted`` files of its patch are no changes to git. ``filtered`` files lay there as a filter left them, which
    no clone runs, and the record does not have them so.
    """

    repository: Repository
    commit: str
    patch: bytes = b""
    tree: str | None = None
    uncaptured: str = ""
    unsaid: bool = False
    raw: bool = False
    converted: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[str, ...]:
        """The files of the patch that the commit does not have, in the order of the patch, as git spells them."""
        names = (match[1].decode(errors="replace") for match in _ADDED.finditer(self.patch))
        return tuple(name[len(name) // 2 + 1 :].strip('"').removeprefix("b/") for name in names)


def check_code(root: Path, run: RunDir, version: CodeVersion) -> Code:
    """Find the recorded code without touching anything. Raises CodeNotAvailable, UnsafePath."""
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
    raw = version.checkout == "raw"
    code = Code(
        repository, commit, tree=version.tree, unsaid=version.repo_dirty is None and not version.patch, raw=raw,
        converted=version.converted, filtered=() if raw else _filtered(repository, commit),
    )  # fmt: skip
    if version.patch:
        code = replace(code, patch=_read_patch(run, version))
    if version.not_kept:
        return replace(code, uncaptured=f"{_NOT_KEPT}: {version.not_kept[0]}")
    if version.repo_dirty and not version.patch:
        why = f"the code was dirty when it was recorded and no patch was kept: only {commit[:7]} can run"
        return replace(code, uncaptured=why)
    return code


def check_out(code: Code, target: Path) -> Repository:
    """Lay out ``code`` in the new folder ``target`` and return the clone.

    Raises CodeNotAvailable when the patch does not lead to the recorded tree, UnsafePath when the patch makes
    a symbolic link that leaves the tree.
    """
    clone = clone_at(code.repository, code.commit, target, attributes=RAW if code.raw else UNFILTERED)
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
    (target / ".git/info/attributes").unlink()
    if code.converted:
        names = b"".join(os.fsencode(name) + b"\0" for name in code.converted)
        clone.git("update-index", "--assume-unchanged", "-z", "--stdin", data=names)
    return clone


def hide_removed(clone: Repository) -> None:
    """Tell git that removed tracked files are meant to be absent, so that the tree reads as clean as it was."""
    removed = clone.git("ls-files", "--deleted", "-z")
    if removed:
        clone.git("update-index", "--skip-worktree", "-z", "--stdin", data=removed)


def _filtered(repository: Repository, commit: str) -> tuple[str, ...]:
    """Return the files of ``commit`` that a filter rewrites here when git checks them out, sorted."""
    with tempfile.TemporaryDirectory(prefix="kfm-repro-index-") as folder:
        index = Path(folder) / "index"
        repository.git("read-tree", commit, index=index)
        names = repository.git("ls-files", "--cached", "-z", index=index)
        said = repository.git(
            "check-attr", "--cached", "-z", "--stdin", "filter", index=index, data=names, as_configured=True
        )
    parts = os.fsdecode(said).split("\0")
    told = zip(parts[0::3], parts[2::3], strict=False)
    return tuple(sorted(name for name, value in told if value not in ("unspecified", "unset")))


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
    if version.patch_sha256 and digest != version.patch_sha256.lower().removeprefix("sha256:"):
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
            if not real_path(path).is_relative_to(top):
                raise UnsafePath(
                    f"the recorded code has a symbolic link that leads out of it: {line.partition(chr(9))[2]}",
                    hint="replace the link by the file; what lies outside is not part of the record",
                )
