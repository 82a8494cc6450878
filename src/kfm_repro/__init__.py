"""kfm-repro: replay recorded pipeline runs and say what differs.

>>> import kfm_repro as kr
>>> report = kr.replay("01K9…", root=".")                   # doctest: +SKIP
>>> comparison = kr.diff("a.parquet", "b.parquet")           # doctest: +SKIP
>>> assert comparison.identical or comparison.equivalent     # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfm_repro.model.report import Comparison, Report

__all__ = ["__version__", "diff", "replay"]

__version__ = "0.1.0"


def replay(  # noqa: PLR0913 - the options of the command, each by its name
    run_id: str,
    *,
    root: str | Path | None = None,
    runs: str | Path | None = None,
    accept: str | None = None,
    inputs: str = "recorded",
    timeout: float | None = None,
    times: int = 1,
    env: str = "current",
    isolation: str = "auto",
) -> Report:
    """Replay a recorded run into a fresh run, compare the outputs, and return the report.

    ``run_id`` is an id, a unique prefix or ``latest:<pipeline>``; ``root`` the project, by default the
    nearest one upwards; ``accept`` "identical" or "equivalent"; ``inputs`` "recorded" or "current";
    ``timeout`` in seconds; ``times`` how many replays, each into a fresh run; ``env`` "current" or "rebuild";
    ``isolation`` "auto", "namespace", "landlock", "agent" or "none". ``report.passed`` is whether
    the command line would exit 0. Raises `kfm_repro.errors.KfmReproError`.
    """
    from pathlib import Path

    from kfm_repro.errors import UsageError
    from kfm_repro.execute.plan import Request
    from kfm_repro.judge.replay import replay_and_judge
    from kfm_repro.model.verdict import Accept
    from kfm_repro.present.html import render_html
    from kfm_repro.runs.project import find_project

    if times < 1:
        raise UsageError(f"times is {times}", hint="replay at least once: times=1")
    for name, value, known in (
        ("inputs", inputs, ("recorded", "current")),
        ("env", env, ("current", "rebuild")),
    ):
        if value not in known:
            raise UsageError(f"{name} is {value!r}", hint=f"one of {', '.join(known)}")
    project = find_project(Path(root) if root else None, Path(runs) if runs else None)
    request = Request(
        current_inputs=inputs == "current", timeout_s=timeout, rebuild=env == "rebuild", isolation=isolation
    )
    accepted = Accept(accept) if accept else None
    return replay_and_judge(project, run_id, request, accepted, times=times, page=render_html).report


def diff(
    a: str | Path, b: str | Path, *, key: Sequence[str] = (), root: str | Path | None = None
) -> Comparison:
    """Compare two files, two folders, or two runs of the project at ``root``.

    ``key`` names the columns that identify a row. Raises `kfm_repro.errors.KfmReproError`.
    """
    from pathlib import Path

    from kfm_repro.judge.diff import diff as compare
    from kfm_repro.model.report import Comparison
    from kfm_repro.runs.project import find_project

    columns = (key,) if isinstance(key, str) else tuple(key)
    report = compare(str(a), str(b), lambda: find_project(Path(root) if root else None), key=columns)
    return Comparison(outputs=report.outputs)
