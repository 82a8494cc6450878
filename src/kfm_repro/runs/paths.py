"""Paths that stay inside their root. Manifests come from elsewhere; nothing they name may lead out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from kfm_repro.errors import InvalidRecord, UnsafePath

__all__ = [
    "Root",
    "inside",
    "is_safe_component",
    "kind_of",
    "make_parent",
    "real_path",
    "safe_relative",
    "safe_text",
]

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_PLAIN = re.compile(r"\w[\w .+=,@-]*(?:/\w[\w .+=,@-]*)*\Z")
"""Paths that no rule can object to, for every part begins with a letter, a digit or ``_``: nearly all paths."""
_COMPONENT = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}\Z")


def is_safe_component(name: str) -> bool:
    """Return whether ``name`` can be one directory name: no separators, no control characters, no dots only."""
    return bool(_COMPONENT.match(name)) and name.strip(". ") != "" and not name.startswith("-")


def safe_relative(text: str, *, what: str) -> PurePosixPath:
    """Return ``text`` as a relative path that does not climb out of its root.

    Raises UnsafePath naming ``what`` for an absolute path, ``..``, an empty path or a control character.
    """
    path = PurePosixPath(text)
    if not text or _CONTROL.search(text):
        reason = "is empty or holds characters that no name has"
    elif path.is_absolute() or text.startswith("~") or re.match(r"[A-Za-z]:[\\/]", text):
        reason = "is absolute"
    elif ".." in path.parts or "\\.." in text or "..\\" in text:
        reason = "climbs out with '..'"
    elif ".git" in path.parts:
        reason = "lies in git's own folder"
    elif not path.parts:
        reason = "names no file"
    else:
        return path
    raise UnsafePath(
        f"{what} {reason}: {text!r}",
        hint="paths in a record are relative and stay inside their root; correct the entry",
    )


def safe_text(text: str, *, what: str) -> str:
    """Return what ``safe_relative`` returns, as text with ``/``; plain paths cost a tenth. Raises UnsafePath."""
    return text if _PLAIN.match(text) else safe_relative(text, what=what).as_posix()


def inside(root: Path, text: str, *, what: str) -> Path:
    """Return ``root/text``, refused when it, or a symbolic link on the way, leads out of ``root``.

    The file need not exist. Raises UnsafePath.
    """
    path = root / safe_relative(text, what=what)
    resolved, base = real_path(path), root.resolve()
    if not resolved.is_relative_to(base):
        raise UnsafePath(
            f"{what} leads out of its root through a symbolic link: {text!r}",
            hint=f"replace the link by the file, or record the run with the file inside {root.name}",
        )
    return path


def real_path(path: Path) -> Path:
    """Return ``path`` with every link followed; unlike ``Path.resolve`` it raises nothing for links in a circle."""
    return Path(os.path.realpath(path))


def make_parent(root: Path, text: str, *, what: str) -> Path:
    """Return ``root/text`` after making the folder that it lies in, behind links that dangle as well.

    Raises UnsafePath, and InvalidRecord when a file stands where a folder must be.
    """
    path = inside(root, text, what=what)
    try:
        real_path(path.parent).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as exc:
        raise InvalidRecord(
            f"{what} cannot be laid: a part of its path is a file: {text!r}",
            hint="compare the manifest with the recorded code",
        ) from exc
    return path


def kind_of(path: Path) -> str:
    """Return what lies at ``path``, links followed: ``file``, ``folder``, ``pipe``, …; empty for nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return next((name for test, name in _KINDS if test(mode)), "something else")


class Root:
    """``inside`` for many paths below one root: every folder on the way is resolved once, not once per file.

    What it has seen of the folders it believes for as long as it lives: make one per task.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._text = os.fspath(root)
        self._good: set[str] = set()
        self._made: set[str] = set()

    def path(self, text: str, *, what: str) -> Path:
        """Return ``root/text`` after its check. Raises UnsafePath."""
        self.check(text, what=what)
        return self._root / text

    def make_parent(self, text: str, *, what: str) -> Path:
        """Return what ``make_parent`` returns, every folder made once. Raises UnsafePath, InvalidRecord."""
        path = self.path(text, what=what)
        folder = text.rpartition("/")[0]
        if folder not in self._made:
            make_parent(self._root, text, what=what)
            self._made.add(folder)
        return path

    def check(self, text: str, *, what: str) -> None:
        """Raise UnsafePath when ``root/text``, or a symbolic link on the way, leads out of the root."""
        path = safe_text(text, what=what)
        folder = path.rpartition("/")[0]
        if folder not in self._good:
            inside(self._root, folder or path, what=what)
            self._good.add(folder)
        if os.path.islink(f"{self._text}/{path}"):  # noqa: PTH114 - a Path per file costs more than the question
            inside(self._root, path, what=what)
