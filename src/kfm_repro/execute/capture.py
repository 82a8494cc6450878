"""The code of a project as it lies on disk: a commit and a patch that leads to the very bytes.

Git may convert files between the repository and the disk: line ends, ``$Id$``, filters such as those of Git LFS, by
attributes and settings that no clone takes along. So files are read raw, in a repository of our own beside the real
one: what differs from the commit is in the patch, whoever wrote it. Whether the code is dirty is what git itself says.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git import RAW, Repository, init_repository
from kfm_repro.execute.refs import UNSAID, Refs, read_refs

__all__ = ["CodeState", "code_state"]

_MAX_PATCH_BYTES = 64 << 20
_CARRIED = r"^core\.(filemode|symlinks|ignorecase|precomposeunicode|excludesfile)$"
"""Settings of the real repository that say how its files lie on this disk."""


@dataclass(frozen=True)
class CodeState:
    """The code of a project at one moment: a commit and, when its files are not those bytes, the patch to ``tree``.

    ``files`` are the paths of ``tree``, from the top. ``dirty`` is what git calls it: ``converted`` files are in the
    patch because git wrote them with other bytes than it keeps, which is no change. ``left_out`` are converted files
    that were too large for a patch.
    """

    commit: str
    dirty: bool
    tree: str
    patch: bytes
    refs: Refs = UNSAID
    files: frozenset[str] = frozenset()
    converted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def code_state(repository: Repository, excluded: Sequence[str]) -> CodeState:
    """Return the code as it is now, leaving index, working tree and objects of ``repository`` alone.

    ``excluded`` are folders from the top that are data, not code. New files that git does not ignore belong to the
    patch. Raises CodeNotAvailable when there is no commit yet.
    """
    try:
        commit = repository.git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    except CodeNotAvailable as exc:
        raise CodeNotAvailable(
            "the repository has no commit yet", hint="commit the code first: a run records its commit"
        ) from exc
    with tempfile.TemporaryDirectory(prefix="kfm-repro-code-") as folder:
        beside = _Beside(repository, Path(folder))
        beside.git("read-tree", commit)
        changed = _changed(beside, excluded)
        by_git = _changed_for_git(repository, commit, excluded, Path(folder)) if changed else set()
        converted = [name for name in changed if by_git is not None and name not in by_git]
        left_out: list[str] = []
        if _size(repository, changed) > _MAX_PATCH_BYTES:
            left_out, converted = converted, []
            changed = [name for name in changed if name not in {*left_out}]
            _refuse_large(repository, changed)
        if changed:
            # A file that became a folder is replaced by what lies in the folder now.
            beside.git(
                "update-index", "--add", "--remove", "--replace", "-z", "--stdin",
                data=b"".join(os.fsencode(name) + b"\0" for name in changed),
            )  # fmt: skip
        tree = beside.git("write-tree").decode().strip()
        patch = beside.git(
            "diff", "--cached", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
            "--no-textconv", "--no-color", "-O/dev/null", "--src-prefix=a/", "--dst-prefix=b/", commit,
        )  # fmt: skip
        files = frozenset(_split(beside.git("ls-files", "--cached", "-z", "--full-name")))
    return CodeState(
        commit=commit, dirty=bool(patch) and len(converted) < len(changed), tree=tree, patch=patch,
        refs=read_refs(repository, commit), files=files, converted=tuple(sorted(converted)),
        left_out=tuple(sorted(left_out)),
    )  # fmt: skip


class _Beside:
    """A repository of our own that sees the files and the objects of the real one, and none of its settings."""

    def __init__(self, real: Repository, folder: Path) -> None:
        asked = real.git(
            "rev-parse", "--show-object-format", "--git-path", "objects", "--git-path", "info/exclude"
        )
        format_, objects, exclude = (real.top / name for name in os.fsdecode(asked).splitlines())
        inner = init_repository(folder / "beside", format_.name).top / ".git"
        (inner / "info").mkdir(exist_ok=True)
        (inner / "info/attributes").write_text(RAW, encoding="utf-8")
        (inner / "objects/info").mkdir(exist_ok=True)
        (inner / "objects/info/alternates").write_bytes(os.fsencode(objects.resolve()) + b"\n")
        if exclude.is_file():
            shutil.copyfile(exclude, inner / "info/exclude")
        self._settings = [part for item in _settings(real) for part in ("-c", item)]
        self._real = real
        self._folder = inner

    def git(self, *args: str, data: bytes | None = None) -> bytes:
        """Run git on the real files. Raises CodeNotAvailable."""
        place = {"GIT_DIR": str(self._folder), "GIT_WORK_TREE": str(self._real.top)}
        return self._real.git(*self._settings, *args, data=data, place=place)


def _settings(real: Repository) -> list[str]:
    try:
        found = os.fsdecode(real.git("config", "-z", "--get-regexp", _CARRIED))
    except CodeNotAvailable:
        return []
    pairs = (item.partition("\n") for item in found.split("\0") if item)
    return [f"{name}={value}" if line_end else name for name, line_end, value in pairs]


def _list_changed(excluded: Sequence[str]) -> tuple[str, ...]:
    outside = [f":(exclude,top,literal){name}" for name in excluded]
    return (
        "ls-files", "--modified", "--deleted", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/",
        *outside,
    )  # fmt: skip


def _changed(beside: _Beside, excluded: Sequence[str]) -> list[str]:
    """Return the files whose bytes are not those of the commit, and the new ones, in the order of git."""
    names = dict.fromkeys(_split(beside.git(*_list_changed(excluded))))
    top = beside._real.top  # noqa: SLF001 - it is ours
    return [name for name in names if not _is_folder(top / name)]


def _changed_for_git(
    repository: Repository, commit: str, excluded: Sequence[str], folder: Path
) -> set[str] | None:
    """Return what git calls changed, by all of the user's settings; None when it cannot say."""
    index = folder / "index"
    try:
        repository.git("read-tree", commit, index=index)
        return set(_split(repository.git(*_list_changed(excluded), index=index, as_configured=True)))
    except CodeNotAvailable:
        return None


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _sizes(repository: Repository, names: Iterable[str]) -> list[tuple[int, str]]:
    return [(path.lstat().st_size, name) for name in names if os.path.lexists(path := repository.top / name)]


def _size(repository: Repository, names: Iterable[str]) -> int:
    return sum(size for size, _ in _sizes(repository, names))


def _refuse_large(repository: Repository, names: Iterable[str]) -> None:
    """Refuse a patch that would hold a whole environment or data set. Raises CodeNotAvailable."""
    sizes = _sizes(repository, names)
    total = sum(size for size, _ in sizes)
    if total > _MAX_PATCH_BYTES:
        size, name = max(sizes)
        raise CodeNotAvailable(
            f"uncommitted changes add up to {total >> 20} MiB; the largest is {name} ({size >> 20} MiB)",
            hint="put what is not code into .gitignore, or below a data root; commit the rest",
        )


def _split(answer: bytes) -> list[str]:
    return [name for name in os.fsdecode(answer).split("\0") if name]
