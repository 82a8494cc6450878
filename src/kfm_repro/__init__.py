"""kfm-repro: replay recorded pipeline runs and say what differs.

>>> import kfm_repro as kr
>>> report = kr.replay("01K9…", root=".")                   # doctest: +SKIP
>>> comparison = kr.diff("a.parquet", "b.parquet")           # doctest: +SKIP
>>> assert comparison.identical or comparison.equivalent     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfm_repro.model.report import Comparison, Report

__all__ = ["__version__", "diff", "replay"]

__version__ = "0.1.0"


def replay(run_id: str, *, root: str | Path | None = None, runs: str | Path | None = None) -> Report:
    """Replay a recorded run into a fresh run, compare the outputs, and return the report.

    ``run_id`` is an id, a unique prefix or ``latest:<pipeline>``; ``root`` the project, by default the
    nearest one upwards. Raises `kfm_repro.errors.KfmReproError`.
    """
    from kfm_repro.execute.replay import Request
    from kfm_repro.judge.replay import replay_and_judge
    from kfm_repro.runs.project import find_project

    project = find_project(Path(root) if root else None, Path(runs) if runs else None)
    return replay_and_judge(project, run_id, Request()).report


def diff(a: str | Path, b: str | Path, *, key: Sequence[str] = ()) -> Comparison:
    """Compare two files or two folders; ``key`` names the columns that identify a row.

    Raises `kfm_repro.errors.KfmReproError`.
    """
    from kfm_repro.judge.diff import compare_paths

    return compare_paths(Path(a), Path(b), key=(key,) if isinstance(key, str) else tuple(key))
