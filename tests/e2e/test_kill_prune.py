"""``prune`` killed at random moments: whole runs, and every object that a remaining run names (rule 23)."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from keeping import Shelf, shelf

from kfm_repro.runs.project import Project, Settings

_FILES = ("run.yaml", "status.json", "_SUCCESS", "manifests/inputs.json", "manifests/outputs.json")
_RUNS, _KEEP = 30, 4
_SEED = 20260203


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with thirty runs that name two old objects each, one of them shared."""
    kept = shelf(tmp_path_factory.mktemp("stocked"))
    shared = kept.keep(b"shared")
    for number in range(_RUNS):
        run = kept.run(number)
        manifest = json.loads(run.outputs.read_text(encoding="utf-8"))
        manifest["outputs"].append({"path": "data/processed/shared.txt", "sha256": shared})
        run.outputs.write_text(json.dumps(manifest), encoding="utf-8")
        for n in range(20):
            (run.logs / f"part{n}.log").write_text("line\n" * 200, encoding="utf-8")
    kept.age()
    return kept.project.root


def start(root: Path) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("kfm-repro")
    return subprocess.Popen(
        [str(program), "prune", "--keep", str(_KEEP), "--yes", "--json", "--root", str(root)],
        stdout=subprocess.PIPE,
    )


def fresh(stocked: Path, target: Path) -> Shelf:
    """Return a copy of the project, with the ages of its objects."""
    shutil.copytree(stocked, target)
    return Shelf(Project(target, target / "data/work/runs", Settings()))


def check(kept: Shelf) -> str:
    """Check what a kill has left, and return what it was."""
    names = kept.names()
    assert names[-_KEEP:] == [f"job/run{n:03}" for n in range(_RUNS - _KEEP, _RUNS)]
    sound = kept.sound_digests()
    for name in names:
        run = kept.project.runs / name
        assert [file for file in _FILES if not (run / file).is_file()] == []
        assert len(list((run / "logs").iterdir())) == 20
        manifest = json.loads((run / "manifests/outputs.json").read_text(encoding="utf-8"))
        assert {entry["sha256"] for entry in manifest["outputs"]} <= sound
    if len(names) == _RUNS:
        return "nothing gone"
    if len(names) > _KEEP:
        return "some runs gone"
    trash = kept.project.runs / ".trash"
    if any(trash.iterdir()):
        return "all moved, files left in the trash"
    return "all gone, objects left" if len(sound) > _KEEP + 1 else "all done"


def campaign(stocked: Path, folder: Path, kills: int) -> None:
    rng = random.Random(_SEED)  # noqa: S311 - a schedule, not a secret
    whole = fresh(stocked, folder / "whole")
    began = time.monotonic()
    with start(whole.project.root) as process:
        process.communicate()
    assert process.returncode == 0
    duration = time.monotonic() - began
    outcomes: Counter[str] = Counter()
    for number in range(kills):
        kept = fresh(stocked, folder / f"kill{number}")
        process = start(kept.project.root)
        try:
            process.communicate(timeout=duration * rng.uniform(0.2, 1.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        outcomes[check(kept)] += 1
        again = start(kept.project.root)
        again.communicate()
        assert again.returncode == 0
        assert check(kept) == "all done"
        shutil.rmtree(folder / f"kill{number}")
    sys.stdout.write(f"\n{kills} kills of prune: {dict(sorted(outcomes.items()))}\n")
    assert sum(outcomes.values()) == kills
    assert len(outcomes) > 1, "the kills all came at the same stage"


def test_rule_23_twenty_kills_leave_whole_runs_and_their_objects(stocked: Path, tmp_path: Path) -> None:
    campaign(stocked, tmp_path, 20)


@pytest.mark.full
def test_rule_23_two_hundred_kills_leave_whole_runs_and_their_objects(stocked: Path, tmp_path: Path) -> None:
    campaign(stocked, tmp_path, 200)
