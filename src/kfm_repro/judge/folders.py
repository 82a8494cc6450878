"""Files and folders that are no runs, as sets of outputs: all that lies in a folder is one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kfm_repro.compare.engine import same_bytes
from kfm_repro.compare.outputs import Output
from kfm_repro.errors import UsageError
from kfm_repro.judge.belonging import belonging
from kfm_repro.model.finding import FileFacts
from kfm_repro.runs.hashing import Digest, digest_many
from kfm_repro.runs.paths import kind_of, real_path

__all__ = ["file_outputs", "folder_outputs"]


_LARGE = 1 << 20
"""Bytes from which on comparing two files is worth the while before they are digested."""


@dataclass
class _Found:
    """What lies below one folder, by relative path: files, what is none, and why a folder is not listed."""

    files: dict[str, Path] = field(default_factory=dict)
    others: dict[str, Output] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)


def file_outputs(a: Path, b: Path) -> tuple[dict[str, Output], dict[str, Output]]:
    """Return two files as outputs of one name; two Shapefiles with their parts, databases with their logs.

    Raises UsageError when one cannot be read.
    """
    left, right = ({a.name: path} | belonging(path, a) for path in (a, b))
    return _digested(left, right)


def folder_outputs(a: Path, b: Path) -> tuple[dict[str, Output], dict[str, Output]]:
    """Return everything below two folders by relative path.

    A link to a file of its own folder is that file; a link to a folder in there, or to nothing, is compared by
    where it leads: what lies there is compared where it lies. What cannot be read or leads out is an output
    without bytes; so is a folder that one side does not let be listed, on both sides. Raises
    UsageError for files that cannot be read.
    """
    sides = [_found(folder) for folder in (a, b)]
    closed = {**sides[1].closed, **sides[0].closed}
    files, others = [], []
    for found in sides:
        files.append({name: path for name, path in found.files.items() if not _below(name, closed)})
        unread = {name: _nowhere(f"a folder that cannot be listed: {why}") for name, why in closed.items()}
        seen = {name: output for name, output in found.others.items() if not _below(name, closed)}
        others.append(seen | unread)
    left, right = _digested(files[0], files[1])
    return left | others[0], right | others[1]


def _found(folder: Path) -> _Found:
    """List a folder without following links to folders: what is named twice is compared once, and ends."""
    found = _Found()
    base = folder.resolve()

    def refused(error: OSError) -> None:
        name = Path(str(error.filename)).relative_to(folder).as_posix()
        found.closed["" if name == "." else name] = error.strerror or "it cannot be read"

    for parent, folders, files in os.walk(folder, onerror=refused):
        here = Path(parent)
        for path in [here / name for name in (*folders, *files)]:
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                _add_link(found, name, path, base)
            elif (kind := kind_of(path)) not in ("file", "folder", ""):
                found.others[name] = _nowhere(f"a {kind}, which can be read only once or never ends")
            elif kind != "folder":
                found.files[name] = path
    if "" in found.closed:
        raise UsageError(f"cannot be read: {folder}: {found.closed['']}", hint="check its permissions")
    return found


def _add_link(found: _Found, name: str, path: Path, base: Path) -> None:
    real, kind = real_path(path), kind_of(path)
    if not real.is_relative_to(base):
        found.others[name] = _nowhere("a symbolic link out of the folder")
    elif kind == "file":
        found.files[name] = path
    elif kind == "folder":
        link = real.relative_to(base).as_posix()
        found.others[name] = Output(facts=FileFacts(), file=None, link=link, reason=f"a link to {link}")
    elif kind:
        found.others[name] = _nowhere(f"a symbolic link to a {kind}")
    else:
        # There is nothing behind it: what it says is all there is to compare.
        text = str(path.readlink())
        found.others[name] = Output(
            facts=FileFacts(), file=None, link=text, reason="a symbolic link to nothing"
        )


def _below(name: str, closed: Mapping[str, str]) -> bool:
    """Return whether a path is, or lies in, a folder that one side does not let be listed."""
    return any(name == folder or name.startswith(f"{folder}/") for folder in closed)


def _nowhere(reason: str) -> Output:
    return Output(facts=FileFacts(), file=None, reason=reason)


def _digested(a: Mapping[str, Path], b: Mapping[str, Path]) -> tuple[dict[str, Output], dict[str, Output]]:
    """Return two sets of files as outputs. Of two large files of one name and the same bytes one is digested."""
    alike = {name for name in a.keys() & b.keys() if _are_alike(a[name], b[name])}
    own = [name for name in sorted(b) if name not in alike]
    try:
        digests = digest_many([*(a[name] for name in sorted(a)), *(b[name] for name in own)])
    except OSError as exc:
        raise UsageError(
            f"cannot be read: {exc.filename}: {exc.strerror}", hint="check its permissions"
        ) from exc
    left = dict(zip(sorted(a), digests, strict=False))
    right = dict(zip(own, digests[len(left) :], strict=True)) | {name: left[name] for name in alike}
    return _outputs(a, left), _outputs(b, right)


def _are_alike(a: Path, b: Path) -> bool:
    try:
        return a.stat().st_size >= _LARGE and same_bytes(a, b)
    except OSError:
        return False  # which of them cannot be read is said when it is digested


def _outputs(files: Mapping[str, Path], digests: Mapping[str, Digest]) -> dict[str, Output]:
    return {
        name: Output(
            facts=FileFacts(sha256=digests[name].sha256, size_bytes=digests[name].size_bytes), file=path
        )
        for name, path in files.items()
    }
