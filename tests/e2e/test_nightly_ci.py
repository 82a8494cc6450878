"""The example workflow and the action: linted, and every command in them run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml
from nights import STABLE, UNSTABLE, Nights
from workshop import REPOSITORY, Workshop, user_environ

WORKFLOW = REPOSITORY / "docs/examples/nightly-reproducibility.yml"
ACTION = REPOSITORY / "action.yml"
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}\Z")
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_zizmor_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [program, "--offline", "--no-progress", "--persona", "pedantic", WORKFLOW, ACTION],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout + done.stderr


def actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("actionlint")
    return subprocess.run([program, path], capture_output=True, text=True, check=False)


def test_actionlint_has_nothing_to_say_and_would(tmp_path: Path) -> None:
    done = actionlint(WORKFLOW)
    assert (done.returncode, done.stdout) == (0, "")
    broken = tmp_path / "broken.yml"
    broken.write_text(
        WORKFLOW.read_text(encoding="utf-8").replace("needs: day", "needs: noon"), encoding="utf-8"
    )
    done = actionlint(broken)
    assert done.returncode == 1
    assert "noon" in done.stdout


def test_every_action_is_pinned_and_nothing_is_permitted_that_is_not_needed() -> None:
    workflow = load(WORKFLOW)
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(_PINNED.match(use) for use in used)
    assert workflow["permissions"] == {}
    granted = {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()}
    assert granted == {
        "day": {},
        "replay": {"contents": "read", "actions": "read"},
        "verdict": {"contents": "read"},
    }


@pytest.fixture
def repository(workshop: Workshop, tmp_path: Path) -> tuple[Path, Path]:
    """Return a clone whose runs are not there, with their packs in ``baselines``, and where commands are found."""
    nights = Nights(workshop)
    for name, body in (("good", STABLE), ("bad", UNSTABLE)):
        nights.script(name, body)
    workshop.write("kfm-repro.toml", "")
    workshop.commit()
    for name in ("good", "bad"):
        nights.record(name)
        done = workshop.kfm("pack", nights.runs[name][0], "--bundle", "--output", f"baselines/{name}.zip")
        assert done.code == 0, done.err
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", workshop.root, clone], check=True)
    shutil.copytree(workshop.root / "baselines", clone / "baselines")
    return clone, Path(sys.executable).parent


class Runner:
    """Runs the commands of steps as a runner does: bash, its files, and the values of expressions."""

    def __init__(self, folder: Path, programs: Path, known: Mapping[str, str]) -> None:
        self.folder, self._programs, self._known = folder, programs, known
        self.files = {
            name: folder.parent / f"{folder.name}-{name}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        }
        for file in self.files.values():
            file.write_text("", encoding="utf-8")

    def step(self, step: Mapping[str, Any], *, code: int = 0) -> None:
        """Run the commands of one step."""
        environ = user_environ() | {name: str(file) for name, file in self.files.items()}
        environ |= {name: self._value(str(value)) for name, value in step.get("env", {}).items()}
        environ["PATH"] = os.pathsep.join([str(self._programs), environ["PATH"]])
        environ |= {"PIP_NO_INDEX": "1", "PIP_ROOT_USER_ACTION": "ignore"}
        assert not _EXPRESSION.search(step["run"]), "expressions belong into env"
        flags = ["--noprofile", "--norc", "-eo", "pipefail"] if "shell" in step else ["-e"]
        done = subprocess.run(
            ["bash", *flags, "-c", step["run"]], cwd=self.folder, env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, (step["name"], done.stdout, done.stderr)

    def _value(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: self._known[found[1]], text)

    def read(self, name: str) -> str:
        return self.files[name].read_text(encoding="utf-8")


def commands(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"].split(";")[0].split(",")[0]: step for step in job["steps"] if "run" in step}


@pytest.mark.slow
def test_the_commands_of_the_workflow_as_they_stand(repository: tuple[Path, Path], tmp_path: Path) -> None:
    clone, programs = repository
    jobs = load(WORKFLOW)["jobs"]
    day = Runner(clone, programs, {})
    for step in commands(jobs["day"]).values():
        day.step(step)
    night = day.read("GITHUB_OUTPUT").strip().removeprefix("night=")
    kept = tmp_path / "artifacts"
    kept.mkdir()
    for shard in jobs["replay"]["strategy"]["matrix"]["shard"]:
        machine = tmp_path / f"machine-{shard[0]}"
        shutil.copytree(clone, machine)
        runner = Runner(machine, programs, {"needs.day.outputs.night": night, "matrix.shard": shard})
        for step in commands(jobs["replay"]).values():
            runner.step(step)
        for part in (machine / "night").iterdir():
            shutil.copy(part, kept)
    assert sorted(path.name for path in kept.iterdir()) == ["part-1.json", "part-2.json", "part-3.json"]
    last = tmp_path / "last"
    shutil.copytree(clone, last)
    shutil.copytree(kept, last / "night")
    runner = Runner(last, programs, {})
    for name, step in commands(jobs["verdict"]).items():
        runner.step(step, code=1 if name == "Put the parts together" else 0)
    report = json.loads((last / "night/report.json").read_text(encoding="utf-8"))
    verdicts = {run["run"]["pipeline"]: run["report"]["verdict"] for run in report["runs"]}
    assert verdicts == {"good": "reproducible", "bad": "not-reproducible"}
    assert json.loads((last / "night/ledger.json").read_text(encoding="utf-8"))["entries"]
    assert (last / "data/work/runs/.ledger/ledger.sqlite3").is_file()
    summary = runner.read("GITHUB_STEP_SUMMARY")
    assert summary.startswith("### ❌ night ")
    assert "1 reproducible, 1 not-reproducible" in summary
    assert "<title>Not reproducible: night" in (last / "night/index.html").read_text(encoding="utf-8")
    assert JUnitXml.fromfile(str(last / "night/junit.xml")).failures == 1


def test_the_action_as_it_stands(repository: tuple[Path, Path]) -> None:
    clone, programs = repository
    (clone / "baselines/bad.zip").unlink()
    action = load(ACTION)
    given = {name: str(item["default"]) for name, item in action["inputs"].items()}
    given |= {"baselines": "baselines", "trust": "true", "budget": "10m"}
    runner = Runner(clone, programs, {f"inputs.{name}": value for name, value in given.items()})
    for nights in (1, 2):  # a runner may keep its workspace from one night to the next
        for step in action["runs"]["steps"]:
            runner.step(step)
        assert runner.read("GITHUB_OUTPUT") == "verdict=reproducible\n" * nights
        assert runner.read("GITHUB_STEP_SUMMARY").count(": reproducible\n\n1 reproducible.") == nights
    assert "<title>Reproducible: night" in (clone / "kfm-repro-night.html").read_text(encoding="utf-8")
    assert JUnitXml.fromfile(str(clone / "kfm-repro-night.xml")).failures == 0
    assert (
        json.loads((clone / "kfm-repro-night.json").read_text(encoding="utf-8"))["verdict"] == "reproducible"
    )


def test_an_action_whose_night_is_killed_has_no_verdict_and_no_page_of_the_night_before(
    tmp_path: Path,
) -> None:
    """What runs out of memory writes nothing: its exit code stays, 1 would mean that something differs."""
    program = tmp_path / "bin/kfm-repro"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    program.chmod(0o755)
    folder = tmp_path / "project"
    folder.mkdir()
    page = folder / "kfm-repro-night.html"
    page.write_text("<title>Reproducible: night", encoding="utf-8")
    action = load(ACTION)
    known = {f"inputs.{name}": str(item["default"]) for name, item in action["inputs"].items()}
    runner = Runner(folder, program.parent, known)
    runner.step(action["runs"]["steps"][-1], code=128 + 9)
    assert runner.read("GITHUB_OUTPUT") == "verdict=unknown\n"
    assert not page.exists()
