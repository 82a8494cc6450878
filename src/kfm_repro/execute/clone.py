"""A clean clone: one commit laid out as any machine would, with its history, sharing nothing with its source.

No transport is used and nothing of the user's git configuration counts: attributes, line endings, filters, hooks,
templates. Objects of the source are copied, never lent or hard linked: who may write in the clone could write
through a link into the user's repository.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git import UNFILTERED, Repository, init_repository
from kfm_repro.execute.refs import UNSAID, Refs, restore_refs, tags_of

__all__ = ["clone_at", "copy_history", "lay_tree", "settle"]

_COPIED_KIB = 256 << 10
"""Up to this size the whole history is copied (0.5 s for 3000 files that lie loose, 0.05 s from a pack); of a larger
repository only what the commit needs is packed: its own files, and its history without theirs."""
_SHOWN = 3
_ATTRIBUTES = ".git/info/attributes"


def clone_at(source: Repository, commit: str, target: Path) -> Repository:
    """Make a clean clone of ``source`` in the new folder ``target`` with ``commit`` checked out, detached.

    It has a real .git, the history and today's tags of the commit, and no remote. Raises CodeNotAvailable.
    """
    clone = copy_history(source, commit, target)
    lay_tree(clone, commit, commit)
    settle(clone)
    return clone


def copy_history(source: Repository, commit: str, target: Path, refs: Refs = UNSAID) -> Repository:
    """Make a repository in the new folder ``target`` that has ``commit``, with nothing checked out yet.

    It has the history of the commit, branch and tags as ``refs`` say, and no other object. Raises CodeNotAvailable,
    also when a partial clone lacks files of the commit.
    """
    format_ = source.git("rev-parse", "--show-object-format").decode().strip()
    init_repository(target, format_, alone=True)
    clone = Repository(target, source.prefix, alone=True)
    sizes = _sizes(source)
    partial = _is_partial(source)
    if partial:
        _refuse_missing(source, commit)
    if refs.tags is None:
        refs = replace(refs, tags=tags_of(source, commit))
    revisions = "".join(f"{name}\n" for name in (commit, *sorted({*(refs.tags or {}).values()})))
    small = sizes.get("size", 0) + sizes.get("size-pack", 0) <= _COPIED_KIB
    lent = "alternate" in sizes or _git_path(source, "shallow").exists()
    if partial or not small or lent or not _copy_reachable(source, clone, revisions):
        _pack_objects(source, clone, commit, revisions, lean=partial or not small)
    _copy_shallow(source, clone)
    restore_refs(clone, source, commit, refs)
    return clone


def lay_tree(clone: Repository, tree: str, commit: str, *, attributes: str = UNFILTERED) -> None:
    """Write the files of ``tree`` with modes 0644 and 0755 and the time of ``commit``, and the index.

    ``attributes`` (`RAW` or `UNFILTERED`) hold until ``settle``. Raises CodeNotAvailable.
    """
    own = clone.top / _ATTRIBUTES
    own.parent.mkdir(exist_ok=True)
    own.write_text(attributes, encoding="utf-8")
    clone.git("read-tree", "-m", "-u", "--no-recurse-submodules", tree)
    moment = int(clone.git("show", "-s", "--no-show-signature", "--format=%ct", commit)) * 10**9
    for folder, folders, files in os.walk(clone.top):
        if folder == str(clone.top):
            folders.remove(".git")
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), ns=(moment, moment), follow_symlinks=False)  # noqa: PTH118 - many
    os.utime(clone.top, ns=(moment, moment))
    clone.git("update-index", "-q", "--refresh")


def settle(clone: Repository) -> None:
    """Take back the attributes under which ``lay_tree`` wrote: from now on those of the commit hold."""
    (clone.top / _ATTRIBUTES).unlink()


def _sizes(source: Repository) -> dict[str, int]:
    """Return what git counts of its objects, sizes in KiB; ``alternate`` is there when others lend some."""
    lines = os.fsdecode(source.git("count-objects", "-v")).splitlines()
    found = dict(line.split(": ", 1) for line in lines if ": " in line)
    return {name: int(value) if value.isdigit() else 0 for name, value in found.items()}


def _is_partial(source: Repository) -> bool:
    try:
        source.git("config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$")
    except CodeNotAvailable:
        return False
    return True


def _refuse_missing(source: Repository, commit: str) -> None:
    """Refuse when files of ``commit`` were never fetched: there is no network in a replay to fetch them with."""
    listed = source.git("rev-list", "--objects", "--missing=print", f"{commit}^{{tree}}").decode(
        errors="replace"
    )
    missing = {line[1:] for line in listed.splitlines() if line.startswith("?")}
    if not missing:
        return
    entries = [line.partition("\t") for line in source.list_tree(commit)]
    names = sorted(path for meta, _, path in entries if meta.split()[2] in missing)
    named = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    raise CodeNotAvailable(
        f"the repository is a partial clone without all files of commit {commit[:12]}: {named or 'folders'}",
        hint=f"fetch them while there is a network: git checkout {commit[:12]}, then go back to your branch",
    )


def _copy_reachable(source: Repository, clone: Repository, revisions: str) -> bool:
    """Copy what is reachable from ``revisions``; False when git cannot, as while the source is being repacked.

    Never whole packs: they hold what other branches and earlier runs left, which the recorded run may not have had.
    Deltas are taken as they are and nothing is compressed anew.
    """
    objects = clone.top / ".git" / "objects"
    lent = objects / "info" / "alternates"
    lent.parent.mkdir(exist_ok=True)
    lent.write_bytes(os.fsencode(_git_path(source, "objects")) + b"\n")
    try:
        clone.git(
            "-c", "pack.compression=0", "pack-objects", "--revs", "--quiet", "--window=0", "--delta-base-offset",
            str(objects / "pack" / "pack"), data=revisions.encode(),
        )  # fmt: skip
    except CodeNotAvailable:
        return False
    finally:
        lent.unlink()
    return True


def _pack_objects(source: Repository, clone: Repository, commit: str, revisions: str, *, lean: bool) -> None:
    """Bring what ``commit`` needs into the clone, ``lean`` without the files of its history."""
    if lean:
        _bring(source, clone, revisions, ("--filter=blob:none", "--missing=allow-promisor"), ("--promisor",))
        # What is left out of the history is marked as promised by a remote, which does not exist.
        clone.git("config", "core.repositoryFormatVersion", "1")
        clone.git("config", "extensions.partialClone", "origin")
        revisions = source.git("rev-parse", f"{commit}^{{tree}}").decode()
    _bring(source, clone, revisions, (), ())


def _bring(
    source: Repository, clone: Repository, revisions: str, chosen: tuple[str, ...], taken: tuple[str, ...]
) -> None:
    with tempfile.TemporaryFile(dir=clone.top / ".git") as pack, Path(os.devnull).open("wb") as nowhere:
        source.stream(
            "-c", "pack.compression=1", "pack-objects", "--revs", "--stdout", "--quiet", "--window=0",
            "--delta-base-offset", *chosen, data=revisions.encode(), sink=pack,
        )  # fmt: skip
        os.lseek(pack.fileno(), 0, os.SEEK_SET)
        clone.stream("index-pack", "--stdin", *taken, source=pack, sink=nowhere)


def _copy_shallow(source: Repository, clone: Repository) -> None:
    """Tell the clone of a shallow repository where history ends."""
    ends = b""
    with suppress(FileNotFoundError):
        ends = _git_path(source, "shallow").read_bytes()
    if not ends:
        return
    known = clone.git("cat-file", "--batch-check", data=ends).splitlines()
    kept = [line.split()[0] for line in known if line.split()[1] == b"commit"]
    (clone.top / ".git" / "shallow").write_bytes(b"".join(line + b"\n" for line in kept))


def _git_path(source: Repository, name: str) -> Path:
    said = source.git("rev-parse", "--path-format=absolute", "--git-path", name)
    return Path(os.fsdecode(said).removesuffix("\n"))
