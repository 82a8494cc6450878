"""What the operating system refuses, told as one error with the cause and the command that mends it."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from pathlib import Path

from kfm_repro.errors import KfmReproError, NotWritable

__all__ = ["explain_refusal", "home_folder", "temporary_outside"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NONE_USABLE = "No usable temporary directory"
_NO_TEMPORARY = (
    "there is no folder for temporary files: neither TMPDIR nor /tmp nor /var/tmp can be written",
    "name one that you may write to: TMPDIR=/folder kfm-repro …",
)


def explain_refusal(exc: OSError) -> KfmReproError | None:
    """Return the error for what the system refused, None when nothing better is known than what it says."""
    if _NONE_USABLE in str(exc):
        return NotWritable(_NO_TEMPORARY[0], hint=_NO_TEMPORARY[1])
    place = os.fsdecode(exc.filename) if isinstance(exc.filename, str | bytes) else ""
    if exc.errno in _NO_ROOM:
        where = place or "the file system written to"
        return NotWritable(
            f"no space left: {where}",
            hint="free some, or name a roomier folder for temporary files: TMPDIR=/folder kfm-repro …",
        )
    if exc.errno == errno.EROFS and place:
        return NotWritable(
            f"a file system that cannot be written: {place}",
            hint="mount it writable, or keep the runs elsewhere: --runs DIR or KFM_RUNS_ROOT",
        )
    if exc.errno in (errno.EACCES, errno.EPERM) and place and os.path.lexists(place):
        owner = os.lstat(place).st_uid
        return KfmReproError(
            f"not permitted: {place} (it belongs to uid {owner}, you are uid {os.geteuid()})",
            hint=f'make it yours: chown -R "$(id -u)" {shlex.quote(place)}',
            code="system",
        )
    return None


def home_folder() -> str:
    """Return the home of the user, empty where nobody says what it is: no HOME, no entry for the uid."""
    try:
        return str(Path.home())
    except RuntimeError:
        return ""


def temporary_outside(root: Path) -> Path:
    """Return the folder for temporary files. Raises NotWritable when there is none outside of ``root``.

    Python falls back to the current folder: a workspace there would lie in the project.
    """
    try:
        folder = Path(tempfile.gettempdir()).resolve()
    except OSError as exc:
        raise explain_refusal(exc) or exc from exc
    if folder.is_relative_to(root.resolve()):
        if os.environ.get("TMPDIR") and Path(os.environ["TMPDIR"]).resolve() == folder:
            raise NotWritable(
                f"TMPDIR lies in the project: {folder}",
                hint="name a folder outside of it: TMPDIR=/folder kfm-repro …",
            )
        raise NotWritable(_NO_TEMPORARY[0], hint=_NO_TEMPORARY[1])
    return folder
