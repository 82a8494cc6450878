"""A cell as arguments of bubblewrap: a private root in which only the places of the cell exist."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate.cell import Cell, Limits, Mount, readable
from kfm_repro.execute.isolate.hidden import covers
from kfm_repro.execute.isolate.levels import CONFINE, SHARED_MEMORY
from kfm_repro.execute.isolate.system import (
    helper_places,
    made_files,
    shared_paths,
    system_links,
    system_paths,
)

__all__ = ["HELPER", "SIZED", "bubblewrap_arguments"]

HELPER = "/run/kfm-repro/confine"
"""Where the supervisor lies in the private root."""
TEMPORARY = "/tmp"  # noqa: S108 - the command's own
SIZED = (TEMPORARY, SHARED_MEMORY)
"""File systems in memory that are the command's own, as large as its limits say."""


def bubblewrap_arguments(cell: Cell, limits: Limits) -> list[str]:
    """Return the argv up to ``--``. Writes the files that we make for /etc below the cell's ``scratch``.

    Folders come before what lies in them, whatever the order of the places. The root, /dev and /etc are read-only.
    Raises NotReplayable when bubblewrap is gone or a place does not exist.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise NotReplayable("bubblewrap is not installed", hint="kfm-repro doctor says how to get it")
    argv = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1"]
    argv += ["--cap-drop", "ALL", "--hostname", cell.host]
    if cell.network:
        argv += ["--share-net"]
    uid, gid = os.geteuid(), os.getegid()
    if cell.uid is not None:
        uid = gid = cell.uid
        argv += ["--uid", str(uid), "--gid", str(gid)]
    for path in (*system_paths(), *shared_paths()):
        argv += ["--ro-bind", path, path]
    for target, path in system_links():
        argv += ["--symlink", target, path]
    argv += _etc(cell, uid, gid)
    sized = ["--perms", "1777", "--size", str(limits.temporary_bytes), "--tmpfs"]
    argv += ["--dev", "/dev", *sized, SHARED_MEMORY, "--remount-ro", "/dev", "--proc", "/proc"]
    if not any(mount.at == Path(TEMPORARY) for mount in cell.places):
        argv += [*sized, TEMPORARY]
    argv += ["--symlink", f"..{TEMPORARY}", f"/var{TEMPORARY}", "--symlink", "../run", "/var/run"]
    return [*argv, *_places(cell), "--remount-ro", "/"]


def _places(cell: Cell) -> list[str]:
    argv: list[str] = []
    helpers, packages = helper_places(cell.places)
    every = (*helpers, Mount(CONFINE, Path(HELPER)), *cell.places)
    covered = covers((*(readable(Path(path)) for path in system_paths()), *every), cell.hidden)
    # A cover comes after the place that holds it, and before what is shown below it all the same.
    steps: list[tuple[Path, Mount | None]] = [(path, None) for path in covered]
    steps += [(mount.at, mount) for mount in every]
    for at, mount in sorted(steps, key=lambda step: (len(step[0].parts), str(step[0]), step[1] is not None)):
        if mount is None:
            argv += ["--tmpfs", str(at)]
            continue
        if not mount.source.exists():
            raise NotReplayable(
                f"a place that the command needs does not exist: {mount.source}",
                hint="has it just been removed?",
            )
        argv += ["--bind" if mount.writable else "--ro-bind", str(mount.source), str(mount.at)]
    for folder in covered:
        argv += ["--remount-ro", str(folder)]
    for folder in packages:
        argv += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    return argv


def _etc(cell: Cell, uid: int, gid: int) -> list[str]:
    folder = cell.scratch / "etc"
    folder.mkdir(exist_ok=True)
    argv: list[str] = []
    for path, text in made_files(cell, uid, gid).items():
        file = folder / Path(path).name
        file.write_text(text, encoding="utf-8")
        argv += ["--ro-bind", str(file), path]
    zone = Path("/etc/localtime")
    if zone.is_symlink():
        argv += ["--symlink", str(zone.readlink()), str(zone)]
    elif zone.is_file():
        argv += ["--ro-bind", str(zone), str(zone)]
    return argv
