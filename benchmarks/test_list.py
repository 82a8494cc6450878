"""``list`` against its floor: a bare walk of the same tree that reads every status.json, as a whole process, too."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_RUNS = 10_000
_ROUNDS = 5
_FOLDERS = ("config", "environment", "logs", "manifests", "metrics", "scratch", "validation")
_FLOOR = """
import os, sys
def walk(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                walk(entry.path)
            elif entry.name == "status.json":
                with open(entry.path, "rb") as file:
                    file.read()
walk(sys.argv[1])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, scale: int) -> Path:
    """Return a project with runs as ``record`` and ``replay`` lay them out, every fifth one a replay."""
    root = tmp_path_factory.mktemp("many-runs")
    for number in range(_RUNS * scale):
        name = f"01M82{number:021d}"
        run = root / "data/work/runs" / f"pipeline_{number % 20:02d}" / name
        for folder in _FOLDERS:
            (run / folder).mkdir(parents=True)
        started = f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T21:14:08.123Z"
        status: dict[str, Any] = {
            "state": "success",
            "pid": 4711,
            "pid_started": 508717,
            "boot_id": "c56ac675-d7b9-4d37-9d55-c7603ec2cf1c",
            "started_at": started,
        }
        if number % 5 == 0:
            status["replay"] = {"of": f"01M82{number + 1:021d}"}
        status["finished_at"] = started.replace("14:08", "18:44")
        (run / "status.json").write_text(json.dumps(status, indent=2), encoding="utf-8")
        (run / "run.yaml").write_text(f'run_id: "{name}"\n', encoding="utf-8")
        (run / "_SUCCESS").touch()
    return root


def test_ten_thousand_runs_against_a_bare_walk(
    benchmark: Callable[..., Any],
    project: Path,
    scale: int,
    run: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    program = (str(Path(sys.executable).with_name("kfm-repro")), "list", "--root", str(project))
    floor = (sys.executable, "-c", _FLOOR, str(project / "data/work/runs"))
    runs = _RUNS * scale
    shown = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert shown.splitlines()[-1] == f"{runs} runs: {runs} success"
    assert shown.count("replay of") == runs // 5
    pairs = [(run(program), run(floor)) for _ in range(_ROUNDS)]
    benchmark.pedantic(run, (program,), rounds=2)  # type: ignore[attr-defined]
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    took = statistics.median(ours for ours, _ in pairs)
    promise(f"list of {runs} runs / walk and read each status", ratio, at_most=4.0, detail=f"{took:.2f} s")
