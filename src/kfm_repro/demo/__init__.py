"""The Kansas demo: a real project laid out, recorded, replayed and judged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from kfm_repro.errors import KfmReproError, UsageError
from kfm_repro.execute.environment import ASSUMED
from kfm_repro.execute.git import require_git
from kfm_repro.execute.plan import Request as ReplayRequest
from kfm_repro.execute.record import Request as RecordRequest
from kfm_repro.execute.record import record
from kfm_repro.judge.replay import Judged, replay_and_judge
from kfm_repro.model.report import Report
from kfm_repro.model.verdict import Verdict
from kfm_repro.runs.project import find_project

__all__ = ["EXPECTED", "DemoResult", "lay_out", "run_demo"]

EXPECTED: dict[str, Verdict] = {
    "county_profile": Verdict.EQUIVALENT,
    "county_profile_sloppy": Verdict.NOT_REPRODUCIBLE,
}
"""The pipelines of the demo and the verdict that each deserves."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo found for one pipeline."""

    pipeline: str
    judged: Judged

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the pipeline deserves."""
        return self.judged.report.verdict is EXPECTED[self.pipeline]


def lay_out(target: Path) -> None:
    """Copy the Kansas project to the new or empty folder ``target`` and commit it.

    Raises UsageError when the folder is not empty, CodeNotAvailable when there is no git, and then nothing is laid
    out; KfmReproError when git fails.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"not an empty folder: {target}", hint="name a new one: kfm-repro demo DIR")
    require_git()
    with as_file(_source()) as source:
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for args in (
        ("init", "--quiet", "--initial-branch=main", "--template="),
        ("add", "--all"),
        ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Kansas county profiles"),
    ):
        _git(target, *args)
    (target / "data" / "work" / "runs").mkdir(parents=True, exist_ok=True)


def run_demo(
    target: Path, progress: Callable[[str], None], page: Callable[[Report], str] | None = None
) -> list[DemoResult]:
    """Lay out the project in ``target``, record and replay both pipelines, and return what was found.

    ``page`` makes the page that lies beside each report.
    """
    lay_out(target)
    project = find_project(target)
    environ = {**os.environ, **ASSUMED}
    results = []
    for pipeline in EXPECTED:
        progress(f"recording {pipeline}")
        recorded = record(
            project,
            RecordRequest(
                command=[sys.executable, f"pipelines/{pipeline}.py"],
                pipeline=pipeline,
                inputs=["data/raw/kansas/*"],
                outputs=[f"data/processed/{pipeline}/**"],
                echo_to_stderr=True,
                environ=environ,
            ),
        )
        progress(f"replaying {recorded.run.name}")
        judged = replay_and_judge(project, recorded.run.name, ReplayRequest(), page=page)
        results.append(DemoResult(pipeline, judged))
    return results


def _source() -> Path:
    """Return the Kansas project: inside the installed package, or in the source tree beside it."""
    installed = files("kfm_repro.demo") / "kansas"
    if installed.is_dir():
        return Path(str(installed))
    checkout = Path(__file__).resolve().parents[3] / "fixtures" / "kansas"
    if checkout.is_dir():
        return checkout
    raise KfmReproError("the demo project is not installed", hint="reinstall kfm-repro from a wheel")


def _git(folder: Path, *args: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "KFM"), ("EMAIL", "kfm@example.org"))
    }
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", *args],
        cwd=folder, env=environ | identity, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise KfmReproError(f"git {args[0]} failed: {done.stderr.strip()}", hint="the demo needs git")
