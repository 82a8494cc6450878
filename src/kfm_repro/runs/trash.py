"""What stands in a runs folder to be deleted: ``.trash``, where runs go first, and what a killed unpack has left.

Such names may have come with somebody's code, as links that lead anywhere. Nothing but a real folder is entered,
and everything below is named from the open folder: no link is followed to what somebody else owns.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from kfm_repro.errors import NotWritable
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.locks import try_lock

__all__ = ["TRASH", "check_trash", "empty_trash", "finish_leftovers", "put_in_trash", "unpack_stages"]

TRASH = ".trash"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST = 250
"""Bytes of a name: file systems take 255."""


def check_trash(runs: Path) -> None:
    """Refuse a trash that is a symbolic link, before anything is done. Raises NotWritable."""
    trash = runs / TRASH
    if trash.is_symlink():
        raise NotWritable(
            f"the trash is a symbolic link, and prune would delete what lies behind it: {trash}",
            hint=f"remove the link: rm {shlex.quote(str(trash))}; prune makes a folder of its own",
        )


def put_in_trash(runs: Path, run: RunDir) -> None:
    """Move a run into the trash by one rename. Raises OSError."""
    with suppress(FileExistsError):
        (runs / TRASH).mkdir()
    with _opened(runs / TRASH) as trash:
        name = os.fsencode(f"{run.pipeline}__{run.name}__{uuid4().hex}")[-_LONGEST:]
        os.rename(os.fsencode(run.path), name, dst_dir_fd=trash)
        with _opened(run.path.parent) as parent:
            os.fsync(parent)
        os.fsync(trash)


def empty_trash(runs: Path) -> list[str]:
    """Delete what lies in the trash; return what could not be deleted, and why. Raises OSError."""
    notes = []
    with suppress(FileNotFoundError, NotADirectoryError), _opened(runs / TRASH) as trash:
        for name in sorted(os.listdir(trash)):  # noqa: PTH208 - the folder is open, and has no path
            try:
                _delete(name, trash)
            except OSError as exc:
                notes.append(f"cannot be deleted, and is left in {TRASH}: {exc.strerror or exc}: {name}")
    return notes


def finish_leftovers(runs: Path) -> list[str]:
    """Finish what an earlier prune, or an unpack that was killed, has left. Raises OSError."""
    notes = empty_trash(runs)
    for stage in unpack_stages(runs):
        try:
            with _opened(stage) as handle, _opened(runs) as parent:
                if try_lock(handle):
                    _delete(stage.name, parent)
        except OSError as exc:
            notes.append(f"cannot be deleted, and is left: {exc.strerror or exc}: {stage.name}")
    return notes


def unpack_stages(runs: Path) -> Iterator[Path]:
    """Yield the folders in which an unpack works, or was killed; a link or a file of such a name is none."""
    for path in sorted(runs.glob(".unpack-*")):
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(path.lstat().st_mode):
                yield path


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, _FOLDER)
    try:
        yield handle
    finally:
        os.close(handle)


def _delete(name: str, parent: int) -> None:
    """Delete what ``name`` is in an open folder: a link or a file itself, a folder whose folders may be read-only."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    for _, _, _, handle in os.fwalk(name, dir_fd=parent):
        with suppress(OSError):
            os.fchmod(handle, 0o700)
    shutil.rmtree(name, dir_fd=parent)
