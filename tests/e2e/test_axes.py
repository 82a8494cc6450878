"""Axes, on real pipelines that each depend on one of them: varied they show, pinned they do not."""

from __future__ import annotations

import json
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate import Isolation, choose
from kfm_repro.execute.perturb.axes import AXES
from kfm_repro.execute.perturb.prove import Stage, prove
from kfm_repro.execute.plan import Request, plan_replay
from kfm_repro.execute.replay import run_replay
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.project import find_project

FIXTURE = Path(__file__).parents[2] / "fixtures/axes"
CASES: dict[str, dict[str, Any]] = json.loads((FIXTURE / "cases.json").read_text(encoding="utf-8"))
PACKAGES = re.compile(r"^import (?:duckdb|geopandas|numpy|polars|pyarrow)", re.MULTILINE)
START = datetime(2026, 2, 3, 21, 14, 8, tzinfo=UTC)


@pytest.fixture
def axes(workshop: Workshop) -> Workshop:
    """Return a project with all the pipelines."""
    for name in ("pipelines", "data"):
        shutil.copytree(FIXTURE / name, workshop.root / name, dirs_exist_ok=True)
    workshop.write(".gitignore", "data/\n__pycache__/\n")
    workshop.commit()
    return workshop


def need(level: str) -> None:
    """Skip, with the reason, where this machine does not have a level."""
    try:
        choose(level)
    except NotReplayable as exc:
        pytest.skip(exc.message)


def record(shop: Workshop, name: str) -> str:
    """Record one of the pipelines."""
    script = f"pipelines/{name}.py"
    options = ("--pipeline", name, "--input", "data/raw/counties/*.csv")
    needs_packages = PACKAGES.search((shop.root / script).read_text(encoding="utf-8"))
    return shop.record(*options, script=script, python=sys.executable if needs_packages else "")


def varied(shop: Workshop, name: str, axis: str) -> dict[str, Any]:
    """Record a pipeline, replay it with one axis varied, and return the report."""
    document: dict[str, Any] = shop.kfm("replay", record(shop, name), "--json", "--vary", axis).json
    return document


@pytest.mark.parametrize("level", ["namespace", "landlock", "agent"])
def test_canaries_prove_every_axis_varied_and_pinned_as_far_as_the_level_can(level: str) -> None:
    need(level)
    proofs = prove(Stage(Isolation(level), sys.executable, {"PATH": "/usr/bin:/bin"}), START)
    assert set(proofs) == set(AXES)
    no_other_network = {"network"} if level == "agent" else set()
    fixed_only_in_a_namespace = (
        set() if level == "namespace" else {"build-path", "home-user", "pid", "tmp-dir"}
    )
    assert {name for name, proof in proofs.items() if not proof.varied.effective} == no_other_network
    assert {name for name, proof in proofs.items() if not proof.pinned.effective} <= fixed_only_in_a_namespace


@pytest.mark.parametrize("name", ["set_order", "directory_listing", "host_name"])
def test_a_varied_axis_exposes_the_pipeline_that_depends_on_it(axes: Workshop, name: str) -> None:
    report = varied(axes, name, CASES[name]["axis"])
    assert report["verdict"] == "not-reproducible"
    assert CASES[name]["axis"] in report["scope"]["varied"]


def test_with_everything_varied_a_pipeline_that_depends_on_nothing_is_reproducible(axes: Workshop) -> None:
    report = varied(axes, "control", "all")
    assert report["verdict"] == "reproducible"
    assert set(report["scope"]["varied"]) == set(AXES)
    assert report["replays"][0]["setting"]["locale"] == "et_EE.UTF-8"


def test_an_axis_is_not_called_varied_where_the_recorded_run_was_at_that_level(axes: Workshop) -> None:
    run_id = axes.record("--pipeline", "job", script="pipelines/host_name.py", env={"PYTHONHASHSEED": "1"})
    scope = axes.kfm("replay", run_id, "--json", "--vary", "hash-seed,timezone").json["scope"]
    assert "hash-seed" not in scope["varied"]
    assert "timezone" in scope["varied"]
    assert any("PYTHONHASHSEED=1" in note for note in scope["notes"])


def test_a_plain_replay_goes_on_another_day_and_says_so(axes: Workshop) -> None:
    run_id = record(axes, "time_column")
    report = axes.kfm("replay", run_id, "--json").json
    (finding,) = report["outputs"][0]["findings"]
    assert (finding["kind"], finding["count"]) == ("timestamp", 3)
    then, now = (datetime.fromisoformat(finding["examples"][0][side]) for side in "ab")
    assert (now - then).total_seconds() >= 90_000
    assert then.date() != now.date()
    assert int(report["scope"]["varied"]["clock"]) >= 90_000
    real = axes.kfm("replay", run_id, "--json", "--clock", "real").json
    assert "clock" in real["scope"]["natural"]
    then, now = (datetime.fromisoformat(real["outputs"][0]["findings"][0]["examples"][0][s]) for s in "ab")
    assert (now - then).total_seconds() < 80_000


def test_an_undeclared_file_is_named_when_the_pipeline_fails_for_want_of_it(axes: Workshop) -> None:
    axes.write("data/raw/secret.csv", "n\n1\n")
    axes.write(
        "pipelines/job.py",
        "from pathlib import Path\n"
        "text = Path('data/raw/secret.csv').read_text()\n"
        "Path('data/processed').mkdir(exist_ok=True)\n"
        "Path('data/processed/out.csv').write_text(text)\n",
    )
    axes.commit()
    run_id = axes.record("--input", "data/raw/counties/*.csv")
    report = axes.kfm("replay", run_id, "--json").json
    assert report["verdict"] == "unknown"
    assert report["error"]["code"] == "pipeline-failed"
    assert "tried to open data/raw/secret.csv, not in inputs.json" in report["error"]["message"]


def test_an_attempt_to_reach_the_network_is_named_with_host_and_port(axes: Workshop) -> None:
    need("namespace")
    axes.write(
        "pipelines/job.py",
        "import socket\nfrom pathlib import Path\n"
        "try:\n    socket.create_connection(('192.0.2.1', 443), timeout=0.05)\nexcept OSError:\n    pass\n"
        "Path('data/processed').mkdir(exist_ok=True)\n"
        "Path('data/processed/out.csv').write_text('n\\n1\\n')\n",
    )
    axes.commit()
    run_id = axes.record("--input", "data/raw/counties/*.csv")
    report = axes.kfm("replay", run_id, "--json", "--isolation", "namespace").json
    assert report["verdict"] == "reproducible"
    (said,) = [item for item in report["preconditions"] if item["name"] == "network"]
    assert "192.0.2.1:443" in said["detail"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--vary", "moon"], "moon"),
        (["--clock", "tomorrow"], "tomorrow"),
        (["--clock", "nan"], "nan"),
        (["--memory", "many"], "many"),
    ],
)
def test_bad_options_are_one_clear_error(axes: Workshop, options: list[str], said: str) -> None:
    done = axes.kfm("replay", "latest:control", *options)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_doctor_says_what_is_there_and_proves_every_axis(axes: Workshop) -> None:
    report = axes.kfm("doctor", "--json").json
    assert {axis["axis"] for axis in report["axes"]} == set(AXES)
    assert all(axis["varied"] or axis["vary_reason"] for axis in report["axes"])
    assert [item["level"] for item in report["levels"]] == ["namespace", "landlock", "agent", "none"]
    assert all(tool["found"] or tool["get"] for tool in report["tools"])
    assert report["level"] == next(item["level"] for item in report["levels"] if item["available"])


def produced(shop: Workshop, name: str, **setting: tuple[str, ...]) -> dict[str, str]:
    """Replay the newest run of a pipeline in a setting of axes, and return the digest of each output."""
    project = find_project(shop.root, None)
    request = Request(isolation="namespace", **setting)
    plan = plan_replay(project, resolve_run(project, f"latest:{name}"), request)
    replayed = run_replay(project, plan, request)
    assert replayed.outcome.outcome == "success", replayed.outcome.last_lines
    digests = {path: digest_file(item.file).sha256 for path, item in replayed.wrote.produced.items()}
    replayed.finish("")
    assert digests
    return digests


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(CASES))
def test_one_axis_varied_and_all_others_pinned_exposes_its_pipeline(axes: Workshop, name: str) -> None:
    need("namespace")
    record(axes, name)
    axis = CASES[name]["axis"]
    others = tuple(other for other in AXES if other != axis)
    pinned = produced(axes, name, pin=tuple(AXES))
    # A race that is rare, or that two processors seldom lose, takes its tries.
    attempts = 40 if CASES[name]["race"] else 1
    assert any(produced(axes, name, pin=others, vary=(axis,)) != pinned for _ in range(attempts))


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(name for name in CASES if not CASES[name]["race"]))
def test_with_everything_pinned_three_replays_are_byte_identical(axes: Workshop, name: str) -> None:
    need("namespace")
    record(axes, name)
    first, second, third = (produced(axes, name, pin=tuple(AXES)) for _ in range(3))
    assert first == second == third
