"""What is written into a runs folder stays in it: no symbolic link on the way.

A link may have come with somebody's code. Behind it lies whatever its author chose (git's own folder, the code),
and listings do not follow it: a run that is written there is never found again.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from kfm_repro.errors import NotWritable
from kfm_repro.runs.paths import real_path

__all__ = ["refuse_link", "refuse_linked_pipeline"]


def refuse_linked_pipeline(runs: Path, pipeline: str) -> None:
    """Refuse to write a run of ``pipeline`` when its folder is a link, or the runs lie in git's own folder.

    Raises NotWritable.
    """
    refuse_link(
        runs / pipeline,
        hint="put the folder itself there, or keep all runs elsewhere: --runs DIR or KFM_RUNS_ROOT; {}",
    )
    real = real_path(runs)
    if ".git" in real.parts:
        raise NotWritable(
            f"the runs folder leads into git's own folder: {runs}",
            hint="name another with --runs DIR or KFM_RUNS_ROOT",
        )


def refuse_link(path: Path, *, hint: str) -> None:
    """Refuse a folder that is a symbolic link; ``{}`` in ``hint`` becomes what shows where it leads.

    Raises NotWritable.
    """
    if path.is_symlink():
        raise NotWritable(
            f"nothing is written through a symbolic link: {path}",
            hint=hint.format(f"ls -l {shlex.quote(str(path))} shows where it leads"),
        )
