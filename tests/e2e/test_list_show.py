"""``list`` and ``show`` as a user runs them, on runs that ``record`` and ``replay`` wrote, and on others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from workshop import REPOSITORY, Workshop, plain_python

JOB = """
import os, pathlib, sys
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
(out / "out.csv").write_text("id,n\\n1,10\\n2,20\\n")
print("two rows written")
if pathlib.Path("data/raw/fail").exists():
    sys.exit("no more space")
"""
SCHEMA = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("data/raw/in.csv", "id,n\n1,10\n")
    workshop.write("pipelines/job.py", JOB)
    workshop.commit()
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/job/**")


def checked(shop: Workshop, *args: str, code: int = 0) -> dict:
    done = shop.kfm(*args, "--json")
    assert done.code == code, done.out + done.err
    jsonschema.validate(done.json, SCHEMA)
    return done.json


SECRET = "Zq8Lw3" + "Rt9Kd7"


def leak(shop: Workshop, run: str) -> None:
    """Put secrets into a record, as another tool might have."""
    folder = shop.run_dir(run)
    path = folder / "run.yaml"
    document = yaml.safe_load(path.read_text())
    document["pipeline"]["args"] = ["--url", f"https://h/x?token={SECRET}", "--password", SECRET]
    document["actor"] = {"invoked_by": f"ci https://me:{SECRET}@example.org/x"}
    document["environment"]["env"] = {"DB_PASSWORD": SECRET, "TZ": "UTC"}
    path.write_text(yaml.safe_dump(document))
    manifest = folder / "manifests/inputs.json"
    entries = json.loads(manifest.read_text())
    entries["inputs"].append({"path": f"data/raw/x.csv?token={SECRET}", "sha256": "a" * 64})
    manifest.write_text(json.dumps(entries))
    (folder / "metrics/runtime.json").write_text(
        json.dumps({"source": f"https://h/x?token={SECRET}", "seconds": 3})
    )
    (folder / "_SUCCESS").unlink()
    (folder / "_FAILED").write_text(f"403 for https://h/x?token={SECRET}\n")
    shop.edit_json(folder / "status.json", state="failed")
    (folder / "logs/pipeline.jsonl").write_text(
        json.dumps({"text": f"GET https://h/x?token={SECRET}"}) + "\n"
    )


@pytest.mark.parametrize(
    "command", [("show",), ("show", "--json"), ("list",), ("list", "--json"), ("prov",), ("verify", "--json")]
)
def test_rule_24_secrets_of_a_foreign_record_are_not_shown(job: Workshop, command: tuple[str, ...]) -> None:
    run = record(job)
    leak(job, run)
    done = job.kfm(command[0], *([] if command[0] == "list" else [run]), *command[1:])
    assert done.code == (1 if command[0] == "verify" else 0), done.err
    assert SECRET not in done.out + done.err
    assert "redacted" in done.out or command[0] in ("prov", "verify")
    written = list((job.root / "data/prov").rglob("*.jsonld"))
    assert len(written) == (command[0] == "prov")
    assert not [path for path in written if SECRET in path.read_text()]
    if command == ("show", "--json"):
        assert done.json["variables"]["TZ"] == "UTC"
        assert done.json["metrics"]["seconds"] == 3


def test_a_recorded_run_and_its_replay_are_listed_and_shown(job: Workshop) -> None:
    run = record(job)
    replayed = job.kfm("replay", run)
    assert replayed.code == 0, replayed.err
    original, replay = checked(job, "list")["runs"]
    assert (original["run_id"], original["state"], original["replay_of"]) == (run, "success", None)
    assert (replay["state"], replay["replay_of"]) == ("success", run)
    assert original["duration_s"] > 0
    text = job.kfm("list").out.splitlines()
    assert run in text[1]
    assert text[2].endswith(f"replay of {run}")
    assert text[-1] == "2 runs: 2 success"
    assert [r["run_id"] for r in checked(job, "list", "--no-replays")["runs"]] == [run]

    shown = checked(job, "show", run)
    assert shown["run"] == original
    assert (shown["entrypoint"], shown["inputs"]["count"], shown["outputs"]["count"]) == (
        "pipelines/job.py",
        1,
        1,
    )
    assert shown["outputs"]["files"][0]["records"] == 2
    assert {item["name"]: item["status"] for item in shown["validation"]}["schema_report.json"] != ""
    assert shown["verdicts"] == {replay["run_id"]: "reproducible"}
    assert "report" not in shown


def test_show_of_a_replay_prints_the_report_as_replay_did(job: Workshop) -> None:
    run = record(job)
    replayed = job.kfm("replay", run)
    replay = checked(job, "list", "--replays")["runs"][0]["run_id"]
    done = job.kfm("show", replay)
    assert done.code == 0, done.err
    head, _, report = done.out.partition("\n\n")
    assert f"replay of   {run}" in head
    said = replayed.out.splitlines()
    assert report.splitlines()[:-1] == said[:-1]
    assert said[-1].startswith(report.splitlines()[-1])
    shown = checked(job, "show", replay)
    saved = job.run_dir(replay) / "validation/repro_report.json"
    assert shown["report"] == json.loads(saved.read_text(encoding="utf-8"))
    assert shown["verdict"] == "reproducible"


def test_a_failed_run_shows_its_last_lines(job: Workshop) -> None:
    job.write("data/raw/fail", "")
    done = job.kfm(
        "record",
        "--input",
        "data/raw/*",
        "--output",
        "data/processed/job/**",
        "--",
        plain_python(),
        "pipelines/job.py",
    )
    assert done.code == 2
    (run,) = checked(job, "list", "--state", "failed")["runs"]
    shown = checked(job, "show", run["run_id"])
    assert shown["run"]["state"] == "failed"
    assert {"two rows written", "no more space"} <= set(shown["last_lines"])
    assert "no more space" in job.kfm("show", run["run_id"]).out


def test_a_record_killed_at_work_is_aborted_and_shown(job: Workshop) -> None:
    job.write("pipelines/job.py", JOB + "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n")
    program = Path(sys.executable).with_name("kfm-repro")
    argv = [str(program), "record", "--input", "data/raw/*", "--", plain_python(), "-u", "pipelines/job.py"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KFM_", "GIT_", "PYTHON"))}
    with subprocess.Popen(
        argv,
        cwd=job.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "waiting":
            pass
        assert [run["state"] for run in checked(job, "list")["runs"]] == ["running"]
        os.killpg(process.pid, signal.SIGKILL)
    _end_orphans(job)
    (run,) = checked(job, "list")["runs"]
    assert (run["state"], run["reason"]) == ("aborted", "its process is gone")
    assert checked(job, "show", run["run_id"])["run"]["state"] == "aborted"


def _end_orphans(shop: Workshop) -> None:
    """End the pipeline that outlived its recorder: it runs in the project's folder, in a session of its own."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cwd").resolve().is_relative_to(shop.root) and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                continue


def test_the_hand_written_template_record_is_shown_whole(template: Workshop) -> None:
    shown = checked(template, "show", "latest:import_census")
    assert shown["run"]["started_at"] == "2026-02-03T21:14:08.000Z"
    assert (shown["run"]["duration_s"], shown["host"], shown["invoked_by"]) == (276.0, "devbox-01", "admin")
    assert {item["name"]: item["status"] for item in shown["validation"]} == {
        "geometry_report.json": "pass", "policy_gate.json": "pass", "schema_report.json": "pass",
    }  # fmt: skip
    assert shown["metrics"]["rows_read"] == 105
    assert shown["config"] == ["config/params.json", "config/pipeline.yaml"]
    text = template.kfm("show", "latest:import_census").out
    assert "105 records" in text
    assert "took 4 min 36 s" in text


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    (run / "manifests/outputs.json").write_text("{", encoding="utf-8")
    (run / "validation/schema_report.json").write_text("[", encoding="utf-8")
    (run / "validation/geometry_report.json").write_text('{"checked": []}', encoding="utf-8")
    shown = checked(template, "show", run.name, code=2)
    assert shown["outputs"] is None
    assert shown["inputs"]["count"] == 1
    assert {item["name"]: item["status"] for item in shown["validation"]} == {
        "geometry_report.json": "unknown", "policy_gate.json": "pass", "schema_report.json": "unknown",
    }  # fmt: skip
    assert any("outputs manifest" in problem for problem in shown["problems"])
    text = template.kfm("show", run.name)
    assert text.code == 2
    assert "Traceback" not in text.out + text.err
    assert "is not JSON" in text.out


def test_a_manifest_path_out_of_the_run_is_refused_by_show(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    path = run / "run.yaml"
    text = path.read_text(encoding="utf-8").replace("manifests/inputs.json", "../../../../../secret.json")
    path.write_text(text, encoding="utf-8")
    shown = checked(template, "show", run.name, code=2)
    assert shown["inputs"] is None
    assert any("climbs out" in problem for problem in shown["problems"])


def test_texts_of_a_record_cannot_paint_the_terminal(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    path = run / "run.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("devbox-01", "\\e[31mred\\u202e"), encoding="utf-8"
    )
    evil = run.with_name("2026-02-04T00-00-00Z__\x85\u202e")
    (evil).mkdir()
    (evil / "status.json").write_text('{"state": "failed", "reason": "\\u001b[2J"}', encoding="utf-8")
    for text in (
        template.kfm("show", run.name).out,
        template.kfm("list").out,
        template.kfm("show", evil.name).out,
    ):
        assert not {"\x1b", "\u202e", "\x85"} & set(text)


def test_rule_1_a_name_that_is_no_utf_8_is_listed_and_shown(template: Workshop) -> None:
    folder = template.root / "data/work/runs/import_census" / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "status.json").write_text('{"state": "failed"}', encoding="utf-8")
    assert [run["run_id"] for run in checked(template, "list", "--state", "failed")["runs"]] == ["caf\udce9"]
    assert "caf\\udce9" in template.kfm("list").out
    assert checked(template, "show", "caf")["run"]["partial"] is True


def test_no_runs_is_a_clear_line_and_no_error(workshop: Workshop) -> None:
    done = workshop.kfm("list")
    assert (done.code, done.out) == (0, "no runs under data/work/runs\n")
    assert checked(workshop, "list")["runs"] == []


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["list", "--state", "broken"], "usage"),
        (["list", "--since", "yesterday"], "usage"),
        (["list", "--since", "2026-02-04", "--until", "2026-02-03"], "usage"),
        (["list", "--pipeline", "import_cencus"], "run-not-found"),
        (["prune", "--pipeline", "import_cencus"], "run-not-found"),
        (["prune", "--runs", "nowhere"], "root-not-found"),
        (["list", "--root", "/usr"], "root-not-found"),
        (["prune", "--root", "/usr"], "root-not-found"),
        (["list", "--runs", "nowhere"], "root-not-found"),
        (["show", "nothing"], "run-not-found"),
        (["show"], "usage"),
    ],
)
def test_bad_filters_and_names_are_one_clear_error(template: Workshop, args: list[str], code: str) -> None:
    document = checked(template, *args, code=2)
    assert document["error"]["code"] == code
    assert document["error"]["hint"]
    assert "Traceback" not in template.kfm(*args).err


def test_list_and_show_are_the_same_bytes_whatever_the_surroundings(
    template: Workshop, tmp_path: Path
) -> None:
    for args in (
        ["list", "--json"],
        ["show", "latest:import_census", "--json"],
        ["list"],
        ["show", "latest:import_census"],
    ):
        said = {
            template.kfm(*args, "--root", str(template.root), env=env, cwd=folder).out
            for env, folder in (
                ({"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, tmp_path),
                ({"PYTHONHASHSEED": "2", "TZ": "America/Chicago", "LC_ALL": "C.UTF-8"}, template.root),
            )
        }
        assert len(said) == 1


@pytest.mark.parametrize("command", ["list", "show"])
def test_help_imports_no_heavy_library_and_names_exit_codes_and_an_example(command: str) -> None:
    probe = (
        "import sys; from kfm_repro.cli import main; main(sys.argv[1:]); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, command, "--help"], capture_output=True, text=True, check=True
    )
    assert not {"yaml", "msgspec", "rich", "pyarrow", "numpy", "xxhash"} & set(done.stderr.split())
    assert f"Example: kfm-repro {command}" in done.stdout
    assert "Exit codes: 0" in done.stdout


def test_rule_3_ids_times_and_hosts_of_records_take_no_part_in_a_comparison(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    other = run.with_name("01M82NBQRBEW67MDKBX9NAXD84")
    subprocess.run(["cp", "-r", str(run), str(other)], check=True)
    for name in ("run.yaml", "manifests/outputs.json", "manifests/inputs.json"):
        text = (other / name).read_text(encoding="utf-8")
        text = (
            text.replace(run.name, other.name)
            .replace("2026-02-03T21", "2026-05-06T07")
            .replace("devbox-01", "ci-2")
        )
        (other / name).write_text(text, encoding="utf-8")
    report = checked(template, "diff", run.name, other.name)
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 2)
