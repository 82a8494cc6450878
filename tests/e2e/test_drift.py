"""Rule 25: what is not the same about two runs is named with KFM's words, keys and values; and the level shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from workshop import REPOSITORY, Workshop

JOB = (
    "import json, pathlib\n"
    "out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
    "text = pathlib.Path('data/raw/in.csv').read_text() + str(json.load(open('config/job.json'))['threshold'])\n"
    "(out / 'a.txt').write_text(text)\n"
)
OPTIONS = ("--input", "data/raw/*", "--output", "data/processed/**")


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("data/raw/in.csv", "id\n1\n")
    workshop.write("data/raw/land.onnx", "weights\n")
    workshop.write(
        "config/job.json", '{"threshold": 1, "deep": {"a/b": [1, 2]}, "api_token": "q9Zx81Tn4WcL70pRsV2k"}'
    )
    workshop.write("pipelines/job.py", JOB)
    workshop.commit()
    return workshop


def answer(shop: Workshop, *args: str, code: int) -> Any:
    done = shop.kfm(*args, "--json")
    assert done.code == code, done.out + done.err
    schema = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
    jsonschema.validate(done.json, schema)
    return done.json


def drift(report: Any) -> dict[str, tuple[str, str | None, str | None]]:
    return {item["what"]: (item["code"], item["a"], item["b"]) for item in report["drift"]}


def precondition(report: Any, name: str) -> tuple[str, str]:
    item = next(item for item in report["preconditions"] if item["name"] == name)
    return item["state"], item["code"]


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(document), encoding="utf-8")


def test_rule_25_diff_names_config_code_inputs_models_environment_and_validators(job: Workshop) -> None:
    first = job.record(*OPTIONS, python=sys.executable, env={"OMP_NUM_THREADS": "1"})
    old = job.git("rev-parse", "HEAD")
    job.write(
        "config/job.json", '{"threshold": 2, "deep": {"a/b": [1, 3]}, "api_token": "m4Kd93Vy6HqT18bNfJ5z"}'
    )
    job.write("data/raw/in.csv", "id\n2\n")
    job.write("data/raw/land.onnx", "other weights\n")
    job.write("kfm-repro.toml", "[policy]\ncounts = true\n")
    new = job.commit()
    second = job.record(*OPTIONS, python=sys.executable, env={"OMP_NUM_THREADS": "2"})
    fingerprint = job.run_dir(second) / "environment/fingerprint.json"
    packages = json.loads(fingerprint.read_text(encoding="utf-8"))["packages"]
    edit(fingerprint, packages=packages | {"shapely": "1.0"})
    report = answer(job, "diff", first, second, code=1)
    found = drift(report)
    assert found["config/job.json#/threshold"] == ("TRANSFORM_PARAMETERS_DRIFT", "1", "2")
    assert found["config/job.json#/deep/a~1b/1"] == ("TRANSFORM_PARAMETERS_DRIFT", "2", "3")
    assert found["config/job.json#/api_token"][0] == "TRANSFORM_PARAMETERS_DRIFT"
    assert "q9Zx81Tn4WcL70pRsV2k" not in json.dumps(report)
    assert "m4Kd93Vy6HqT18bNfJ5z" not in json.dumps(report)
    assert found["commit"] == ("CODE_DRIFT", old, new)
    assert found["data/raw/in.csv"][0] == "SOURCE_SNAPSHOT_DRIFT"
    assert found["data/raw/land.onnx"][0] == "MODEL_IDENTITY_DRIFT"
    assert found["shapely"] == ("ENVIRONMENT_DRIFT", packages["shapely"], "1.0")
    assert found["variable OMP_NUM_THREADS"] == ("ENVIRONMENT_DRIFT", "1", "2")
    assert found["policy_gate"][0] == "VALIDATOR_SET_DRIFT"
    assert found["data/processed/a.txt"][0] == "OUTPUT_DRIFT"
    states = {
        name: precondition(report, name) for name in ("code", "parameters", "inputs", "models", "validators")
    }
    assert states == {
        "code": ("drift", "CODE_DRIFT"),
        "parameters": ("drift", "TRANSFORM_PARAMETERS_DRIFT"),
        "inputs": ("drift", "SOURCE_SNAPSHOT_DRIFT"),
        "models": ("drift", "MODEL_IDENTITY_DRIFT"),
        "validators": ("drift", "VALIDATOR_SET_DRIFT"),
    }
    assert {item["code"] for item in report["environment"]["drift"]} == {"ENVIRONMENT_DRIFT"}
    assert (report["scope"]["level"], report["scope"]["shown"]) == ("", "")
    shown = job.kfm("diff", first, second).out
    assert "config/job.json#/threshold: 1 → 2" in shown
    assert old[:12] in shown


def test_rule_25_two_runs_of_the_same_work_show_r1_and_no_drift(job: Workshop) -> None:
    first, second = job.record(*OPTIONS), job.record(*OPTIONS)
    report = answer(job, "diff", first, second, code=0)
    assert report["drift"] == []
    assert {item["state"] for item in report["preconditions"]} == {"ok"}
    assert (report["scope"]["level"], report["scope"]["shown"]) == ("R1", "R1")
    replay = answer(job, "replay", first, code=0)
    report = answer(job, "diff", first, replay["replays"][0]["run_id"], code=0)
    assert report["drift"] == []


def test_rule_25_uncommitted_changes_are_code_drift(job: Workshop) -> None:
    first = job.record(*OPTIONS)
    job.write("pipelines/job.py", JOB + "# later\n")
    report = answer(job, "diff", first, job.record(*OPTIONS), code=0)
    code, a, b = drift(report)["uncommitted changes"]
    assert (code, a) == ("CODE_DRIFT", None)
    assert b is not None
    assert b.startswith("patch ")
    assert report["scope"]["shown"] == ""


def test_rule_25_what_a_record_does_not_say_is_unknown_not_ok(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    report = answer(template, "diff", run.name, run.name, code=0)
    assert precondition(report, "code") == ("ok", "")
    assert precondition(report, "environment") == ("unknown", "")


def test_rule_25_a_replay_names_what_has_drifted_since(job: Workshop) -> None:
    run = job.record(*OPTIONS)
    job.write(
        "config/job.json", '{"threshold": 2, "deep": {"a/b": [1, 2]}, "api_token": "q9Zx81Tn4WcL70pRsV2k"}'
    )
    job.write("data/raw/land.onnx", "other weights\n")
    fingerprint = job.run_dir(run) / "environment/fingerprint.json"
    edit(fingerprint, libc="glibc 1.0")
    report = answer(job, "replay", run, code=0)
    found = drift(report)
    assert found["config/job.json#/threshold"] == ("TRANSFORM_PARAMETERS_DRIFT", "1", "2")
    assert found["data/raw/land.onnx"][0] == "MODEL_IDENTITY_DRIFT"
    assert found["libc"][:2] == ("ENVIRONMENT_DRIFT", "glibc 1.0")
    assert precondition(report, "parameters") == ("drift", "TRANSFORM_PARAMETERS_DRIFT")
    assert precondition(report, "inputs") == ("drift", "MODEL_IDENTITY_DRIFT")
    assert precondition(report, "environment") == ("drift", "ENVIRONMENT_DRIFT")
    assert not [code for code, _, _ in found.values() if code == "OUTPUT_DRIFT"]
    report = answer(job, "replay", run, "--inputs", "current", code=0)
    assert report["scope"]["shown"] == ""


@pytest.mark.parametrize(
    ("change", "host", "level"),
    [({}, None, "R1"), ({"kernel": "1.0"}, "elsewhere", "R2"), ({"machine": "riscv64"}, "elsewhere", "R3")],
)
def test_rule_25_a_replay_shows_r1_r2_or_r3_and_none_where_the_bytes_differ(
    job: Workshop, change: dict[str, str], host: str | None, level: str
) -> None:
    run = job.record(*OPTIONS)
    folder = job.run_dir(run)
    edit(folder / "environment/fingerprint.json", **change)
    if host:
        text = (folder / "run.yaml").read_text(encoding="utf-8")
        before = next(line for line in text.splitlines() if line.startswith("  host:"))
        (folder / "run.yaml").write_text(text.replace(before, f'  host: "{host}"'), encoding="utf-8")
    scope = answer(job, "replay", run, code=0)["scope"]
    assert (scope["level"], scope["shown"]) == (level, level)
    assert any(note.startswith(f"level {level}") for note in scope["notes"])
    manifest = folder / "manifests/outputs.json"
    (entry,) = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
    edit(manifest, outputs=[entry | {"sha256": "0" * 64, "size_bytes": 1}])
    scope = answer(job, "replay", run, code=2)["scope"]
    assert (scope["level"], scope["shown"]) == (level, "")
