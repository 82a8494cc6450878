"""What the pipeline itself takes longer in a replay than bare: the whole stack, beyond set-up and comparison.

Set-up is what a pipeline that does nothing takes longer: making and entering its private root, loading the agent.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.execute import replay
from kfm_repro.execute.plan import Request, plan_replay
from kfm_repro.execute.process import Outcome
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.project import Project, find_project

_GEOPANDAS = """
import pathlib, geopandas, pandas
from shapely import box
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
table = pandas.read_csv("data/raw/points.csv")
points = geopandas.GeoDataFrame(table[["n"]], geometry=geopandas.points_from_xy(table.x, table.y), crs=4326)
cells = [box(i % 20 / 20, i // 20 / 20, i % 20 / 20 + .05, i // 20 / 20 + .05) for i in range(400)]
joined = points.sjoin(geopandas.GeoDataFrame({"m": range(400)}, geometry=cells, crs=4326)).to_crs(3857)
joined[:8000].to_file(out / "out.gpkg")
joined.to_parquet(out / "out.parquet")
"""
_SMALL_OPENS = """
import pathlib
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
for n in range(200):
    (out / f"{n}").write_text("x")
for n in range(20_000):
    with open(f"data/processed/job/{n % 200}", "rb") as file:
        file.read()
"""
_NOTHING = """
import pathlib
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
(out / "0").write_text("x")
"""
_CASES = {"geopandas": (_GEOPANDAS, 1.10, 5), "20 000 small opens": (_SMALL_OPENS, 1.30, 15)}
"""What it runs, how many times as long it may take in a replay, and rounds: a short one needs more of them."""
_POINTS = 180_000
_PROGRAM = str(Path(sys.executable).with_name("kfm-repro"))
_COMMAND = (sys.executable, "pipelines/job.py")
_OUTPUT = "data/processed/job"


@dataclass
class _Taken:
    """Seconds of the runs of one kind: of the pipeline, of processors, and of what a replay does before and after."""

    pipeline: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    def add(self, began: datetime, outcome: Outcome, ended: datetime) -> None:
        self.pipeline.append(outcome.duration_s)
        self.processors.append(outcome.user_s + outcome.system_s)
        self.before.append((outcome.started - began).total_seconds())
        self.after.append((ended - outcome.finished).total_seconds())


def _recorded(root: Path, code: str) -> Project:
    """Lay out a project whose run is recorded, as a user does."""
    for folder in ("data/work/runs", "data/raw", "pipelines"):
        (root / folder).mkdir(parents=True)
    (root / ".gitignore").write_text("data/\n", encoding="utf-8")
    (root / "pipelines/job.py").write_text(code, encoding="utf-8")
    draw = random.Random(1)  # noqa: S311 - points, no secret
    rows = (f"{n},{draw.random()},{draw.random()}\n" for n in range(_POINTS))
    (root / "data/raw/points.csv").write_text("n,x,y\n" + "".join(rows), encoding="utf-8")
    who = ["-c", "user.name=KFM", "-c", "user.email=kfm@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "code"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    record = (_PROGRAM, "record", "--input", "data/raw/*", "--output", f"{_OUTPUT}/**", "--", *_COMMAND)
    subprocess.run(record, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return find_project(root)


def _replay(project: Project, taken: _Taken) -> None:
    request, began = Request(), datetime.now(UTC)
    plan = plan_replay(project, resolve_run(project, "latest:job"), request)
    replayed = replay.run_replay(project, plan, request)
    taken.add(began, replayed.outcome, datetime.now(UTC))
    assert replayed.outcome.outcome == "success", replayed.outcome
    replayed.finish("")


def _replay_without_log(project: Project, taken: _Taken) -> None:
    """Observe nothing, which no option of a replay does: its verdict rests on it."""
    real = replay.replay_shape

    def shape(*args: Any) -> Any:  # noqa: ANN401 - handed on
        made = real(*args)
        return made.with_agent(replace(made.agent, observe=False))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "replay_shape", shape)
        _replay(project, taken)


@pytest.mark.parametrize("case", list(_CASES))
def test_the_pipeline_of_a_replay_against_the_bare_command(
    benchmark: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    run: Callable[..., float],
    promise: Callable[..., None],
    case: str,
) -> None:
    code, limit, rounds = _CASES[case]
    project, nothing = (
        _recorded(tmp_path / name, work) for name, work in (("case", code), ("none", _NOTHING))
    )

    def bare(project: Project, taken: _Taken, *prefix: str) -> None:
        shutil.rmtree(project.root / _OUTPUT)
        used = _processors()
        taken.pipeline.append(run((*prefix, *_COMMAND), cwd=project.root))
        taken.processors.append(_processors() - used)

    plain, logged, unlogged, peer, least, entered = (_Taken() for _ in range(6))
    ways = [
        lambda: bare(project, plain),
        lambda: _replay(project, logged),
        lambda: _replay_without_log(project, unlogged),
        lambda: bare(nothing, least),
        lambda: _replay(nothing, entered),
    ]
    bare(project, _Taken())  # fills the caches
    for number in range(rounds):
        # Each comes after each other one: what a run leaves to be written slows down the next.
        for way in (*ways[number % len(ways) :], *ways[: number % len(ways)]):
            way()
    if strace := shutil.which("strace"):
        bare(project, peer, strace, "-f", "-o", os.devnull, "-e", "trace=file,network")
    benchmark.pedantic(_replay, (project, _Taken()), rounds=1)  # type: ignore[attr-defined]
    before, after = (statistics.median(part) * 1000 for part in (logged.before, logged.after))
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{case}: a replay takes {before:.0f} ms before its pipeline starts, {after:.0f} ms after it has ended"
        )
    took = statistics.median(plain.pipeline)
    set_up = statistics.median(entered.pipeline) - statistics.median(least.pipeline)
    beyond = statistics.median(
        (mine - set_up) / other for mine, other in zip(logged.pipeline, plain.pipeline, strict=True)
    )
    peers = f"; strace -f {peer.pipeline[0] / took:.2f}" if peer.pipeline else ""
    promise(
        f"pipeline in a replay beyond set-up / bare, {case}",
        beyond,
        at_most=limit,
        detail=f"{took:.2f} s; set-up {set_up * 1000:.0f} ms, with it {_ratio(logged.pipeline, plain.pipeline):.2f}; "
        f"processors {_ratio(logged.processors, plain.processors):.2f}; without the log "
        f"{_ratio(unlogged.pipeline, plain.pipeline):.2f}, {_ratio(unlogged.processors, plain.processors):.2f}{peers}",
    )


def _processors() -> float:
    """Return the processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ratio(ours: list[float], bare: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, bare, strict=True))
