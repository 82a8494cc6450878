"""Compare two runs, two files or two folders, running nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.outputs import Rule, compare_outputs
from kfm_repro.errors import KfmReproError, RootNotFound, RunNotFound, UsageError
from kfm_repro.judge.belonging import belonging
from kfm_repro.judge.beside import are_large, compare_large
from kfm_repro.judge.folders import file_outputs, folder_outputs
from kfm_repro.model.report import NOTHING_COMPARED, Comparison, Report, Scope, count_verdicts
from kfm_repro.model.verdict import Accept
from kfm_repro.runs.paths import kind_of

if TYPE_CHECKING:
    from kfm_repro.judge.digests import Digests
    from kfm_repro.runs.project import Project

__all__ = ["compare_paths", "diff"]

FindProject = Callable[[], "Project"]


def diff(
    a: str,
    b: str,
    find_project: FindProject,
    *,
    key: tuple[str, ...] = (),
    accept: Accept | None = None,
    memory_bytes: int | None = None,
    begun: Digests | None = None,
) -> Report:
    """Compare A with B: both files, both folders, or both runs.

    What exists as a path is a path, unless it is the folder of a run; everything else is the name of a run.
    ``begun`` are digests of two files that may be these; they end with the comparison.
    Raises UsageError when A and B are of different sorts, and the errors of finding and reading runs.
    """
    sides = [_path_or_none(text) for text in (a, b)]
    left, right = sides
    if left is not None and right is not None:
        options = Options(key=key, memory_bytes=memory_bytes)
        return _report(compare_paths(left, right, accept=accept, options=options, begun=begun))
    if left is not None or right is not None:
        path, run = (a, b) if left is not None else (b, a)
        raise _not_both_paths(path, run, find_project)
    from kfm_repro.judge.diff_runs import diff_runs  # all that runs are made of: half the start of two files

    try:
        return diff_runs(find_project(), a, b, Options(key=key, memory_bytes=memory_bytes), accept)
    except (RunNotFound, RootNotFound) as exc:
        paths = [text for text in (a, b) if "/" in text or "." in text]
        if paths or isinstance(exc, RootNotFound):
            raise UsageError(
                f"no such file, folder or run: {(paths or [a])[0]}",
                hint="check the path; a run needs its project",
            ) from exc
        raise


def compare_paths(
    a: Path,
    b: Path,
    *,
    key: tuple[str, ...] = (),
    accept: Accept | None = None,
    options: Options | None = None,
    begun: Digests | None = None,
) -> Comparison:
    """Compare two files (whatever they are called) or two folders (file by file, by relative path).

    Raises UsageError when one is a file and the other a folder, or one does not exist.
    """
    for path in (a, b):
        kind = kind_of(path)
        if not kind:
            raise UsageError(f"no such file or folder: {path}", hint="check the path")
        if kind not in ("file", "folder"):
            raise UsageError(
                f"{path} is a {kind}, which can be read only once or never ends",
                hint="write its content into a file, and compare that",
            )
    if a.is_dir() != b.is_dir():
        raise UsageError(f"{a} and {b} are not of one sort", hint="compare two files or two folders")
    rule = Rule(options=options or Options(key=key), accept=accept or Accept.IDENTICAL)
    if a.is_file() and are_large(a, b) and not (belonging(a, a) or belonging(b, a)):
        return compare_large(a, b, rule, begun)
    if begun is not None:
        begun.stop()
    left, right = folder_outputs(a, b) if a.is_dir() else file_outputs(a, b)
    return compare_outputs(left, right, Context(), lambda _: rule)


def _report(comparison: Comparison) -> Report:
    return Report(
        command="diff",
        verdict=comparison.verdict,
        counts=count_verdicts(comparison.outputs),
        scope=Scope(level=""),
        outputs=comparison.outputs,
        error=msgspec.UNSET if comparison.outputs else NOTHING_COMPARED,
    )


def _path_or_none(text: str) -> Path | None:
    path = Path(text)
    if not path.exists() or (path / "run.yaml").is_file():
        return None
    return path


def _not_both_paths(path: str, run: str, find_project: FindProject) -> KfmReproError:
    """Say whether the other side is a run or nothing at all."""
    from kfm_repro.runs.discover import resolve_run

    try:
        resolve_run(find_project(), run)
    except (RunNotFound, RootNotFound):
        return UsageError(f"no such file, folder or run: {run}", hint="check the path or the run id")
    except KfmReproError as exc:
        return exc
    return UsageError(
        f"{path} is a path and {run} is a run", hint="compare two runs, two files or two folders"
    )
