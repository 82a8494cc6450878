"""What the operating system refuses, told as one error with the cause and the command that mends it."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from pathlib import Path

from kfm_repro.errors import KfmReproError, NotWritable

__all__ = ["explain_refusal", "home_folder", "reason_of", "runs_not_writable", "temporary_outside", "way_out"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM)
_NONE_USABLE = "No usable temporary directory"
_OTHER_TEMPORARY = "TMPDIR=/folder kfm-repro …"
_NO_TEMPORARY = (
    "there is no folder for temporary files: neither TMPDIR nor /tmp nor /var/tmp can be written",
    f"name one that you may write to: {_OTHER_TEMPORARY}",
)


def explain_refusal(exc: OSError) -> KfmReproError | None:
    """Return the error for what the system refused, None when nothing better is known than what it says."""
    if _NONE_USABLE in str(exc):
        return NotWritable(_NO_TEMPORARY[0], hint=_NO_TEMPORARY[1])
    place = Path(os.fsdecode(exc.filename)) if isinstance(exc.filename, str | bytes) else None
    if exc.errno in _NO_ROOM:
        # Of a copy the system names the source first, which has room enough.
        written = Path(os.fsdecode(exc.filename2)) if isinstance(exc.filename2, str | bytes) else place
        return NotWritable(
            f"no space left: {written or 'the file system written to'}",
            hint=way_out(written or Path("/"), exc),
        )
    if place is None or not os.path.lexists(place):
        return None
    if exc.errno == errno.EROFS:
        return NotWritable(f"a file system that cannot be written: {place}", hint=way_out(place, exc))
    if exc.errno in _REFUSED:
        return KfmReproError(
            f"not permitted: {place} (it belongs to uid {os.lstat(place).st_uid}, you are uid {os.geteuid()})",
            hint=way_out(place, exc),
            code="system",
        )
    return None


def reason_of(exc: BaseException) -> str:
    """Return why a run ended before its time, for its status: which signal came, else what went wrong."""
    if isinstance(exc, KeyboardInterrupt):
        return f"interrupted ({str(exc) or 'SIGINT'})"
    return str(exc) or type(exc).__name__


def runs_not_writable(path: Path, exc: OSError) -> NotWritable:
    """Return the error for a runs folder, or a file in it, that could not be written."""
    return NotWritable(
        f"the runs folder cannot be written: {exc.strerror or exc}: {path}",
        hint=f"{way_out(path, exc)}; or point elsewhere with --runs DIR or KFM_RUNS_ROOT",
    )


def way_out(path: Path, exc: OSError) -> str:
    """Return what to do when the system refuses to write at or below ``path``."""
    there = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)
    quoted = shlex.quote(str(there))
    if exc.errno in _NO_ROOM:
        return f"free some space, or name a roomier folder for temporary files: {_OTHER_TEMPORARY}"
    if exc.errno == errno.EROFS:
        return "mount it writable (a container: its volume without :ro or --read-only)"
    if exc.errno not in _REFUSED:
        return f"look at what lies there: ls -ld {quoted}"
    if os.lstat(there).st_uid == os.geteuid():
        return f"give yourself the right to read and write it: chmod -R u+rwX {quoted}"
    return f"make it yours, as root: chown -R {os.geteuid()} {quoted}"


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
