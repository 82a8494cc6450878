"""The config snapshot of a recorded run: the files that a replay lays out, all of them or none (rule 13)."""

from __future__ import annotations

import os
from pathlib import Path

from kfm_repro.errors import InvalidRecord
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir

__all__ = ["config_files"]


def config_files(original: RunDir, run: Run) -> dict[str, Path]:
    """Return the files of the snapshot by their path in it, sorted; the patch of the code is none of them.

    Where the record lists its files, one that is not in the list was written by the run itself and left out.
    Raises InvalidRecord for a link, for a listed file that is not there, and for what cannot be read: without it
    the replay would run on other config than the recorded run, and nobody would know.
    """
    if original.config.is_symlink():
        raise InvalidRecord(
            f"the config snapshot of {original.name} is a symbolic link",
            hint="put the files themselves into the folder config/ of the run",
        )
    listed = run.pipeline.config
    found = {}
    for relative, path in sorted(_walk(original)):
        if path.is_symlink():
            raise InvalidRecord(
                f"the config snapshot of {original.name} holds a symbolic link: {relative}",
                hint="put the file itself into the snapshot",
            )
        if not path.is_file() or f"config/{relative}" == run.pipeline.version.patch:
            continue
        if listed is None or relative in listed:
            found[relative] = path
    missing = sorted(set(listed or {}) - found.keys())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InvalidRecord(
            f"the config snapshot of {original.name} lacks config/{missing[0]}{more}, which its run.yaml lists",
            hint="put the recorded files back, from a backup or a pack of the run, or record it again",
        )
    for relative, path in found.items():
        if not os.access(path, os.R_OK):
            raise _unreadable(original, f"config/{relative}")
    return found


def _walk(original: RunDir) -> list[tuple[str, Path]]:
    """Return everything in the snapshot but folders, and links to folders, by its path in it."""

    def refuse(exc: OSError) -> None:
        name = Path(os.fsdecode(exc.filename)).relative_to(original.path).as_posix()
        raise _unreadable(original, f"{name}/") from exc

    if not original.config.is_dir():
        return []
    return [
        (path.relative_to(original.config).as_posix(), path)
        for folder, folders, files in os.walk(original.config, onerror=refuse)
        for path in (Path(folder, name) for name in (*folders, *files))
        if path.is_symlink() or not path.is_dir()
    ]


def _unreadable(original: RunDir, name: str) -> InvalidRecord:
    return InvalidRecord(
        f"the config snapshot of {original.name} cannot be read: {name}",
        hint="make it readable for you: a replay needs the recorded config",
    )
