"""The code of a run: a clean clone at the recorded commit, with the recorded patch on top, its submodules in place."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable, NotARepository, UnsafePath
from kfm_repro.execute.clone import clone_at, copy_history, lay_tree, settle
from kfm_repro.execute.git import RAW, UNFILTERED, Repository, find_repository
from kfm_repro.execute.lfs import is_pointer, local_data, parse_pointer
from kfm_repro.execute.refs import UNSAID, Refs, recorded_refs
from kfm_repro.execute.submodules import find_submodules
from kfm_repro.model.run import CodeVersion
from kfm_repro.runs.copying import copy_file
from kfm_repro.runs.hashing import normal_sha256
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, real_path
from kfm_repro.runs.trust import is_foreign

__all__ = ["Code", "check_code", "check_out", "hide_removed", "left_pointers"]

_POINTER_LINE = "version https://git-lfs.github.com/spec/"

_ADDED = re.compile(rb"^diff --git (.+)\nnew file mode", re.MULTILINE)
_NOT_KEPT = "a file that a filter of git had rewritten was too large to be kept with the code"


@dataclass(frozen=True)
class Code:
    """Which code a replay runs: the resolved commit, the patch to apply, and whether it is the recorded code.

    ``uncaptured`` says why it is not: then no verdict can be reached, only differences shown. ``unsaid`` is
    whether the record leaves open if the tree was dirty. ``raw`` code is laid out byte by byte as it was recorded,
    ``converted`` files of its patch are no changes to git. ``filtered`` files lay there as a filter left them, which
    no clone runs, and the record does not have them so. ``absent`` are
    submodules that were not checked out. ``refs`` are branch and tags then.
    """

    repository: Repository
    commit: str
    patch: bytes = b""
    tree: str | None = None
    uncaptured: str = ""
    unsaid: bool = False
    absent: frozenset[str] = frozenset()
    refs: Refs = UNSAID
    raw: bool = False
    converted: tuple[str, ...] = ()
    filtered: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[str, ...]:
        """The files of the patch that the commit does not have, in the order of the patch, as git spells them."""
        names = (match[1].decode(errors="replace") for match in _ADDED.finditer(self.patch))
        return tuple(name[len(name) // 2 + 1 :].strip('"').removeprefix("b/") for name in names)


def check_code(root: Path, run: RunDir, version: CodeVersion) -> Code:
    """Find the recorded code without touching anything.

    Raises CodeNotAvailable, also for a submodule that is not on this machine, UnsafePath, InvalidRecord.
    """
    try:
        repository = find_repository(root)
    except NotARepository as exc:
        if not is_foreign(run):
            raise
        raise NotARepository(
            f"{exc.message}, and the pack that {run.name} came in brought no code",
            hint="unpack it into a clone of its repository (--into DIR), or get a pack made with: pack --bundle",
        ) from exc
    if not version.git_commit:
        raise CodeNotAvailable(
            f"run.yaml of {run.name} names no commit",
            hint="pipeline.version.git_commit says which code ran; without it there is nothing to replay",
        )
    commit = repository.resolve_commit(version.git_commit)
    absent = frozenset(str(item.get("path")) for item in version.submodules if item.get("present") is False)
    find_submodules(repository, commit, absent)
    raw = version.checkout == "raw"
    code = Code(
        repository, commit, tree=version.tree, unsaid=version.repo_dirty is None and not version.patch, raw=raw,
        refs=recorded_refs(repository, version), converted=version.converted, absent=absent,
        filtered=() if raw else _filtered(repository, commit),
    )  # fmt: skip
    if version.patch:
        code = replace(code, patch=_read_patch(run, version))
    if version.not_kept:
        return replace(code, uncaptured=f"{_NOT_KEPT}: {version.not_kept[0]}")
    if version.repo_dirty and not version.patch:
        why = f"the code was dirty when it was recorded and no patch was kept: only {commit[:7]} can run"
        return replace(code, tree=None, uncaptured=why)
    return code


def check_out(code: Code, target: Path) -> Repository:
    """Lay out ``code`` in the new folder ``target`` and return the clone.

    Submodules come from this machine, and so does the data of Git LFS. Raises CodeNotAvailable when the patch
    does not lead to the recorded tree, UnsafePath when the patch makes a symbolic link that leaves the tree.
    """
    clone = copy_history(code.repository, code.commit, target, code.refs)
    tree = _patched_tree(clone, code)
    if code.tree and tree != code.tree:
        raise CodeNotAvailable(
            f"the recorded commit and patch lead to tree {tree[:12]}, not to the recorded {code.tree[:12]}",
            hint="config/dirty.patch of the run was changed; restore it",
        )
    lay_tree(clone, tree, code.commit, attributes=RAW if code.raw else UNFILTERED)
    if code.patch:
        _refuse_links_out(clone)
        # Changes were not staged when they were recorded, and git describe tells.
        clone.git("reset", "--quiet")
    settle(clone)
    if code.converted:
        names = b"".join(os.fsencode(name) + b"\0" for name in code.converted)
        clone.git("update-index", "--assume-unchanged", "-z", "--stdin", data=names)
    only = frozenset(code.converted) if code.raw else None
    _fetch_data(clone, code.repository, tree, only)
    _lay_submodules(clone, code.repository, tree, code.absent)
    return clone


def hide_removed(clone: Repository) -> None:
    """Tell git that removed tracked files are meant to be absent, so that the tree reads as clean as it was."""
    removed = clone.git("ls-files", "--deleted", "-z")
    if removed:
        clone.git("update-index", "--skip-worktree", "-z", "--stdin", data=removed)


def left_pointers(clone: Repository, code: Code) -> tuple[str, ...]:
    """Return the files of Git LFS, from the top of the clone, that are still pointers and were none then; sorted."""
    only = frozenset(code.converted) if code.raw else None
    paths = _pointers(clone, ":")
    return tuple(
        sorted(path for path in paths if (only is None or path in only) and is_pointer(clone.top / path))
    )


def _patched_tree(clone: Repository, code: Code) -> str:
    if not code.patch:
        return clone.git("rev-parse", f"{code.commit}^{{tree}}").decode().strip()
    with tempfile.TemporaryDirectory(dir=clone.top / ".git") as folder:
        index = Path(folder) / "index"
        clone.git("read-tree", code.commit, index=index)
        clone.git("apply", "--cached", "--binary", "--whitespace=nowarn", "-", index=index, data=code.patch)
        return clone.git("write-tree", index=index).decode().strip()


def _lay_submodules(clone: Repository, source: Repository, tree: str, absent: frozenset[str]) -> None:
    """Clone the submodules of ``tree``, and theirs, to their places."""
    for path, commit, repository in find_submodules(source, tree, absent, listed_by=clone):
        inner = clone_at(repository, commit, clone.top / path)
        clone.git("config", "--add", "submodule.active", path)
        _fetch_data(inner, repository, commit)
        deeper = frozenset(name.removeprefix(f"{path}/") for name in absent if name.startswith(f"{path}/"))
        _lay_submodules(inner, repository, commit, deeper)


def _fetch_data(
    clone: Repository, source: Repository, treeish: str, only: frozenset[str] | None = None
) -> None:
    """Put the data of Git LFS that this machine has in the place of its pointers.

    Raw code has pointers where pointers lay, but for ``only`` those files.
    """
    fetched = []
    for path in _pointers(clone, treeish):
        file = clone.top / path
        pointer = parse_pointer(file.read_bytes()) if file.is_file() and is_pointer(file) else None
        wanted = pointer is not None and (only is None or path in only)
        data = local_data(pointer, source.git_folder()) if pointer and wanted else None
        if data is not None:
            state = file.stat()
            file.unlink()
            copy_file(data, file)
            file.chmod(state.st_mode & 0o777)
            os.utime(file, ns=(state.st_mtime_ns, state.st_mtime_ns))
            fetched.append(os.fsencode(path) + b"\0")
    if fetched:
        # Where Git LFS is installed, git takes data and pointer for the same.
        clone.git("update-index", "--assume-unchanged", "-z", "--stdin", data=b"".join(fetched))


def _pointers(clone: Repository, treeish: str) -> list[str]:
    """Return the pointers in a tree (``:`` is the index) where attributes name the filter of Git LFS."""
    where = ("--cached",) if treeish == ":" else (treeish,)
    options = ("-l", "-z", "-a", "--full-name", "--no-textconv", "--no-recurse-submodules", "-F", "-e")
    try:
        clone.git("grep", "-q", "-F", "-e", "filter=lfs", *where, "--", "*.gitattributes")
        listed = clone.git("grep", *options, _POINTER_LINE, *where)
    except CodeNotAvailable:
        return []
    prefix = b"" if treeish == ":" else treeish.encode() + b":"
    names = b"".join(name.removeprefix(prefix) + b"\0" for name in listed.split(b"\0") if name)
    fields = clone.git("check-attr", "-z", "--stdin", "filter", data=names).split(b"\0")
    triples = zip(fields[::3], fields[2::3], strict=False)
    return [os.fsdecode(path) for path, value in triples if value == b"lfs"]


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
            if not real_path(path).is_relative_to(top):
                raise UnsafePath(
                    f"the recorded code has a symbolic link that leads out of it: {line.partition(chr(9))[2]}",
                    hint="replace the link by the file; what lies outside is not part of the record",
                )
