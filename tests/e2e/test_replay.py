"""``record`` and ``replay`` as a user runs them: the installed command on real projects."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from isolation import at_level
from workshop import REPOSITORY, Workshop, hear_ctrl_c, plain_python

from kfm_repro.execute.isolate import Isolation

CLEAN = """
import csv, pathlib
rows = list(csv.DictReader(open("data/raw/in.csv", encoding="utf-8")))
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
with open(out / "out.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "double"])
    for row in rows:
        writer.writerow([row["id"], int(row["n"]) * 2])
"""


HEAD = """
import os, pathlib
replayed = 'kfm-repro-' in os.environ['KFM_RUN_DIR']
out = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)
"""


def script(body: str) -> str:
    """Return a pipeline that can tell a replay from the recorded run, as a leak would."""
    return HEAD + body


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("data/raw/in.csv", "id,n\n1,10\n2,20\n")
    workshop.write("pipelines/job.py", CLEAN)
    workshop.commit()
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/job/**")


def replay(shop: Workshop, run: str, *args: str, code: int) -> dict:
    done = shop.kfm("replay", run, "--json", *args)
    assert done.code == code, done.out + done.err
    return done.json


def project_digest(shop: Workshop) -> dict[str, str]:
    """Digest every file of the project but the run records, git's own files included."""
    digests = {}
    for path in sorted(shop.root.rglob("*")):
        name = path.relative_to(shop.root).as_posix()
        if path.is_file() and not name.startswith("data/work/runs/"):
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mode)
    return digests


def test_the_hand_written_template_record_replays_and_validates(template: Workshop) -> None:
    schema = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
    report = replay(template, "latest:import_census", code=0)
    jsonschema.validate(report, schema)
    assert report["verdict"] == "reproducible"
    assert report["counts"]["identical"] == 2
    assert {item["name"]: item["state"] for item in report["preconditions"]}["environment"] == "assumed"


def test_a_clean_pipeline_is_reproducible_and_its_fresh_run_is_complete(job: Workshop) -> None:
    run = record(job)
    report = replay(job, run, code=0)
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 1)
    fresh = job.run_dir(report["replays"][0]["run_id"])
    for name in (
        "run.yaml", "status.json", "_SUCCESS", "manifests/inputs.json", "manifests/outputs.json",
        "logs/pipeline.jsonl", "logs/stderr.log", "validation/repro_report.json", "validation/schema_report.json",
        "metrics/runtime.json", "metrics/counters.json", "scratch",
    ):  # fmt: skip
        assert (fresh / name).exists(), name
    assert f'of: "{run}"' in (fresh / "run.yaml").read_text(encoding="utf-8")
    for folder in (fresh, job.run_dir(run)):
        started = json.loads((folder / "status.json").read_text(encoding="utf-8"))["started_at"]
        assert f'started_at: "{started}"' in (folder / "run.yaml").read_text(encoding="utf-8")
    assert json.loads((fresh / "validation/repro_report.json").read_text(encoding="utf-8")) == report
    assert not list((fresh / "scratch").iterdir())


def test_a_replay_leaves_data_working_tree_and_git_untouched(job: Workshop) -> None:
    run = record(job)
    job.write("pipelines/job.py", "raise SystemExit('work in progress')\n")
    job.write("notes.txt", "untracked")
    before = project_digest(job)
    replay(job, run, code=0)
    assert project_digest(job) == before


def test_a_replay_runs_the_recorded_commit_not_the_working_copy(job: Workshop) -> None:
    run = record(job)
    job.write("pipelines/job.py", script("(out / 'out.csv').write_text('changed')"))
    job.commit()
    assert replay(job, run, code=0)["verdict"] == "reproducible"


def test_a_dirty_run_replays_with_its_patch(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        CLEAN.replace("* 2", "* helper.FACTOR").replace("import csv", "import helper, csv"),
    )
    job.write("pipelines/helper.py", "FACTOR = 7\n")
    run = record(job)
    job.git("stash", "-q", "-u")
    report = replay(job, run, code=0)
    assert report["verdict"] == "reproducible"
    assert "patch" in next(i["detail"] for i in report["preconditions"] if i["name"] == "code")


def test_a_dirty_run_that_lists_its_config_folder_finds_its_config_alone(job: Workshop) -> None:
    job.write("config/job.json", "{}")
    job.commit()
    listed = "(out / 'a.txt').write_text(' '.join(sorted(os.listdir(os.environ['KFM_CONFIG_DIR']))))\n"
    job.write("pipelines/job.py", script(listed))
    run = record(job)
    assert (job.root / "data/processed/job/a.txt").read_text(encoding="utf-8") == "job.json"
    assert (job.run_dir(run) / "config/dirty.patch").is_file()
    assert replay(job, run, code=0)["verdict"] == "reproducible"


def test_a_dirty_run_without_patch_is_unknown_with_the_reason(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    text = (run / "run.yaml").read_text(encoding="utf-8")
    (run / "run.yaml").write_text(text.replace("repo_dirty: false", "repo_dirty: true"), encoding="utf-8")
    report = replay(template, run.name, code=2)
    assert report["verdict"] == "unknown"
    assert report["error"]["code"] == "code-unavailable"
    assert "dirty" in report["error"]["message"]


def test_a_patch_that_was_tampered_with_is_refused(job: Workshop) -> None:
    job.write("pipelines/job.py", CLEAN.replace("* 2", "* 3"))
    run = record(job)
    patch = job.run_dir(run) / "config/dirty.patch"
    patch.write_bytes(patch.read_bytes().replace(b"* 3", b"* 4"))
    assert replay(job, run, code=2)["error"]["code"] == "code-unavailable"


def test_rule_13_config_comes_from_the_snapshot(workshop: Workshop) -> None:
    workshop.write("config/job.json", '{"text": "recorded"}')
    workshop.write(
        "pipelines/job.py",
        script("import json\n(out / 'a.txt').write_text(json.load(open('config/job.json'))['text'])\n"),
    )
    workshop.commit()
    run = workshop.record("--output", "data/processed/**")
    snapshot = workshop.run_dir(run) / "config/job.json"
    assert snapshot.is_file()
    workshop.write("config/job.json", '{"text": "changed since"}')
    workshop.commit()
    assert replay(workshop, run, code=0)["verdict"] == "reproducible"
    snapshot.write_text('{"text": "another snapshot"}', encoding="utf-8")
    assert replay(workshop, run, code=1)["verdict"] == "not-reproducible"
    shutil.rmtree(snapshot.parent)
    error, runs = (
        replay(workshop, run, code=2)["error"],
        list((workshop.root / "data/work/runs/job").iterdir()),
    )
    assert (error["code"], len(runs)) == ("record-invalid", 3)
    assert "lacks config/job.json" in error["message"]


def test_rule_12_only_declared_data_exists_in_a_replay(workshop: Workshop) -> None:
    workshop.write("data/raw/in.csv", "a\n")
    workshop.write("data/raw/secret.csv", "b\n")
    workshop.write(
        "pipelines/job.py", script("(out / 'a.txt').write_text(str(sorted(os.listdir('data/raw'))))\n")
    )
    workshop.commit()
    run = workshop.record("--input", "data/raw/in.csv", "--output", "data/processed/**")
    report = replay(workshop, run, code=1)
    assert report["outputs"][0]["findings"][0]["examples"][0]["b"] == "['in.csv']"


def test_rule_11_drifted_inputs_come_from_the_object_store_or_git(job: Workshop) -> None:
    job.write("data/raw/untracked.csv", "id,n\n")
    job.write(".git/info/exclude", "data/raw/untracked.csv\n")
    run = record(job)
    job.write("data/raw/in.csv", "id,n\n9,9\n")
    (job.root / "data/raw/untracked.csv").unlink()
    report = replay(job, run, code=0)
    inputs = next(item for item in report["preconditions"] if item["name"] == "inputs")
    assert (inputs["state"], inputs["code"]) == ("drift", "SOURCE_SNAPSHOT_DRIFT")
    assert "git" in inputs["detail"]
    assert "object store" in inputs["detail"]


def test_an_input_whose_recorded_bytes_are_nowhere_is_an_error(template: Workshop) -> None:
    (source,) = (template.root / "data/raw/census_1900").glob("*.csv")
    template.git("rm", "-q", "--cached", source.relative_to(template.root).as_posix())
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    manifest = run / "manifests/inputs.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    document["inputs"][0]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(document), encoding="utf-8")
    error = replay(template, run.name, code=2)["error"]
    assert error["code"] == "input-changed"
    assert source.name in error["message"]
    assert "--inputs current" in error["hint"]
    report = replay(template, run.name, "--inputs", "current", code=0)
    assert "today" in next(i["detail"] for i in report["preconditions"] if i["name"] == "inputs")


def test_an_input_that_links_out_of_the_root_is_refused(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    outside = tmp_path / "outside.csv"
    outside.write_text("id,n\n", encoding="utf-8")
    (job.root / "data/raw/in.csv").unlink()
    (job.root / "data/raw/in.csv").symlink_to(outside)
    assert replay(job, run, code=2)["error"]["code"] == "path-unsafe"


def test_outputs_of_the_recorded_run_may_be_overwritten_later(job: Workshop) -> None:
    run = record(job)
    job.write("data/processed/job/out.csv", "overwritten")
    job.write("pipelines/job.py", CLEAN.replace("* 2", "* 2 + (row['id'] == '2')"))
    job.commit()
    document = (job.run_dir(run) / "run.yaml").read_text(encoding="utf-8")
    old = job.git("rev-parse", "HEAD~1")
    (job.run_dir(run) / "run.yaml").write_text(
        document.replace(old, job.git("rev-parse", "HEAD")), encoding="utf-8"
    )
    (finding,) = replay(job, run, code=1)["outputs"][0]["findings"]
    assert (finding["kind"], finding["where"], finding["count"]) == ("value", {"column": "double"}, 1)
    assert finding["examples"][0] == {"key": {"id": "2"}, "a": "40", "b": "41"}


def test_rule_10_without_the_recorded_bytes_counts_still_prove_a_difference(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    manifest = run / "manifests/outputs.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    for entry in document["outputs"]:
        entry["sha256"] = "0" * 64
    manifest.write_text(json.dumps(document), encoding="utf-8")
    assert replay(template, run.name, code=2)["verdict"] == "unknown"
    document["outputs"][-1]["row_count"] = 1
    manifest.write_text(json.dumps(document), encoding="utf-8")
    report = replay(template, run.name, code=1)
    assert report["verdict"] == "not-reproducible"
    assert report["counts"]["unknown"] == 1


def test_missing_and_extra_outputs_are_differences(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script("place = 'a.txt' if not replayed else 'b.txt'\n(out / place).write_text('x')\n"),
    )
    job.commit()
    report = replay(job, record(job), code=1)
    kinds = {output["path"].rpartition("/")[2]: output["findings"][0]["kind"] for output in report["outputs"]}
    assert kinds == {"a.txt": "missing-output", "b.txt": "extra-output"}
    assert (report["counts"]["missing"], report["counts"]["extra"]) == (1, 1)


def test_a_pipeline_that_writes_nothing_is_not_reproducible(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script("if not replayed: (out / 'a.txt').write_text('x')\n"),
    )
    job.commit()
    report = replay(job, record(job), code=1)
    assert (report["verdict"], report["counts"]["missing"]) == ("not-reproducible", 1)


def test_a_failing_pipeline_is_unknown_and_shows_its_last_lines(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "(out / 'a.txt').write_text('x')\nif replayed: raise SystemExit('no licence for the geocoder')\n"
        ),
    )
    job.commit()
    report = replay(job, record(job), code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "pipeline-failed")
    assert "no licence for the geocoder" in report["error"]["message"]
    fresh = job.run_dir(report["replays"][0]["run_id"])
    assert (fresh / "_FAILED").is_file()
    assert json.loads((fresh / "status.json").read_text(encoding="utf-8"))["state"] == "failed"


def test_two_runs_that_failed_alike_are_unknown_not_reproducible(job: Workshop) -> None:
    job.write("pipelines/job.py", script("(out / 'a.txt').write_text('half')\nraise SystemExit(3)\n"))
    job.commit()
    done = job.kfm("record", "--output", "data/processed/**", "--", plain_python(), "pipelines/job.py")
    assert done.code == 2
    (run,) = (job.root / "data/work/runs/job").iterdir()
    report = replay(job, run.name, code=2)
    assert report["verdict"] == "unknown"
    assert report["counts"]["identical"] == 1


def test_a_record_without_outputs_compares_nothing_and_says_so(job: Workshop) -> None:
    job.write("pipelines/job.py", "pass\n")
    job.commit()
    assert replay(job, job.record(), code=2)["error"]["code"] == "nothing-compared"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"git_commit": '"89611ff"', "to": "89611ff"}, "record-invalid", "not a text"),
        ({"git_commit": '"89611ff"', "to": '"deadbee"'}, "code-unavailable", "deadbee"),
        (
            {"git_commit": "pipelines/import_census.py", "to": "pipelines/gone.py"},
            "not-replayable",
            "gone.py",
        ),
    ],
)
def test_unusable_records_end_with_one_error(template: Workshop, change: dict, code: str, says: str) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    text = (run / "run.yaml").read_text(encoding="utf-8")
    assert change["git_commit"] in text
    changed = text.replace(change["git_commit"], change["to"])
    if change["to"] == "89611ff":
        changed = text.replace(change["git_commit"], "1234567")
    (run / "run.yaml").write_text(changed, encoding="utf-8")
    error = replay(template, run.name, code=2)["error"]
    assert error["code"] == code
    assert says in error["message"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["replay", "01NOSUCHRUN"], "run-not-found"),
        (["replay"], "usage"),
        (["replay", "x", "--no-such-option"], "usage"),
        (["no-such-command"], "usage"),
        (["diff", "a", "b"], "run-not-found"),
        (["diff", "a.csv", "b.csv"], "usage"),
    ],
)
def test_usage_errors_exit_2_with_one_json_document(job: Workshop, args: list[str], code: str) -> None:
    done = job.kfm(*args, "--json")
    assert done.code == 2
    assert (done.json["verdict"], done.json["error"]["code"]) == ("unknown", code)
    assert "Traceback" not in done.err


def test_outside_of_a_repository_the_error_says_so(workshop: Workshop) -> None:
    workshop.write("pipelines/job.py", "pass\n")
    done = workshop.kfm("record", "--json", "--", plain_python(), "pipelines/job.py")
    assert (done.code, done.json["error"]["code"]) == (2, "code-unavailable")
    assert "not a git repository" in done.json["error"]["message"]


def test_an_unwritable_runs_folder_says_how_to_point_elsewhere(job: Workshop, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    done = job.kfm(
        "record", "--json", "--runs", str(blocked / "runs"), "--", plain_python(), "pipelines/job.py"
    )
    assert (done.code, done.json["error"]["code"]) == (2, "not-writable")
    assert "--runs" in done.json["error"]["hint"]


def test_runs_may_lie_elsewhere(job: Workshop, tmp_path: Path) -> None:
    runs = {"KFM_RUNS_ROOT": str(tmp_path / "elsewhere")}
    done = job.kfm(
        "record", "--input", "data/raw/*", "--output", "data/processed/**", "--", plain_python(), "pipelines/job.py",
        env=runs,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert job.kfm("replay", "latest:job", env=runs).code == 0
    assert not list((job.root / "data/work/runs").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_exits_130_and_reads_as_aborted(job: Workshop, number: signal.Signals) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "(out / 'a.txt').write_text('x')\n"
            "if replayed:\n    import time; print('waiting', flush=True); time.sleep(60)\n"
        ),
    )
    job.commit()
    run = record(job)
    program = Path(sys.executable).with_name("kfm-repro")
    child = subprocess.Popen(
        [program, "replay", run],
        cwd=job.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no threads here
    )
    deadline = time.monotonic() + 60
    while not any(
        "waiting" in log.read_text(encoding="utf-8")
        for log in job.root.glob("data/work/runs/job/*/logs/pipeline.jsonl")
    ):
        assert time.monotonic() < deadline, "the replay never began"
        os.sched_yield()
    child.send_signal(number)
    child.communicate(timeout=60)
    assert child.returncode == 130
    (fresh,) = [path for path in (job.root / "data/work/runs/job").iterdir() if path.name != run]
    status = json.loads((fresh / "status.json").read_text(encoding="utf-8"))
    assert (status["state"], status["reason"]) == ("aborted", f"interrupted ({number.name})")
    assert replay(job, fresh.name, code=2)["error"]["code"] == "run-inconsistent"


def test_a_timeout_is_its_own_outcome_never_different(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script("(out / 'a.txt').write_text('x')\nif replayed:\n    import time; time.sleep(60)\n"),
    )
    job.commit()
    report = replay(job, record(job), "--timeout", "1", code=2)
    assert (report["verdict"], report["error"]["code"], report["replays"][0]["outcome"]) == (
        "unknown",
        "timeout",
        "timeout",
    )


def test_equivalent_exits_1_unless_accepted(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "rows = ['1,a', '2,b', '3,c']\n"
            "rows = rows[::-1] if replayed else rows\n"
            "(out / 'a.csv').write_text('id,x\\n' + '\\n'.join(rows) + '\\n')\n"
        ),
    )
    job.commit()
    run = record(job)
    assert replay(job, run, code=1)["verdict"] == "equivalent"
    assert replay(job, run, "--accept", "equivalent", code=0)["verdict"] == "equivalent"
    job.write("kfm-repro.toml", '[outputs."*.csv"]\naccept = "equivalent"\n')
    report = replay(job, run, code=0)
    assert (report["verdict"], report["outputs"][0]["accepted"]) == ("equivalent", True)


def test_the_scope_says_what_a_plain_replay_does_not_exercise(job: Workshop) -> None:
    scope = replay(
        job,
        job.record("--input", "data/raw/*", "--output", "data/processed/**", env={"PYTHONHASHSEED": "0"}),
        code=0,
    )["scope"]
    assert scope["held"]["hash-seed"] == "0"
    assert {"hash-seed", "directory-order", "schedule"} <= set(scope["not_exercised"])
    assert {"entropy", "build-path"} <= set(scope["natural"])
    assert int(scope["varied"]["clock"]) >= 90_000


def test_rule_20_a_variable_that_was_not_recorded_stays_unset(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "names = [n for n in ('AWS_SECRET', 'OMP_NUM_THREADS', 'TZ') if n in os.environ]\n"
            "(out / 'env.txt').write_text(str(names))\n"
        ),
    )
    job.commit()
    run = job.record("--output", "data/processed/**", env={"OMP_NUM_THREADS": "2"})
    done = job.kfm("replay", run, "--json", env={"TZ": "Asia/Tokyo", "AWS_SECRET": "x"})
    assert done.code == 0, done.out


def test_the_recorded_start_is_the_same_for_both_runs(job: Workshop) -> None:
    job.write(
        "pipelines/job.py", script("(out / 'start.txt').write_text(os.environ['KFM_RUN_STARTED_AT'])\n")
    )
    job.commit()
    assert replay(job, record(job), code=0)["verdict"] == "reproducible"


def test_rule_3_an_output_inside_the_runs_own_folder_is_compared_with_its_counterpart(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        "import os, pathlib\npathlib.Path(os.environ['KFM_RUN_DIR'], 'table.csv').write_text('a\\n1\\n')\n",
    )
    job.commit()
    run = job.record("--output", "data/work/runs/job/*/table.csv")
    report = replay(job, run, code=0)
    assert report["counts"]["identical"] == 1


def test_a_replay_of_a_project_below_the_top_of_its_repository(workshop: Workshop) -> None:
    inner = Workshop(workshop.root / "maps" / "kansas")
    inner.write("data/raw/in.csv", "id,n\n1,10\n")
    inner.write("pipelines/job.py", CLEAN)
    (inner.root / "data/work/runs").mkdir(parents=True)
    workshop.commit()
    run = record(inner)
    assert replay(inner, run, code=0)["verdict"] == "reproducible"


def test_git_describe_in_a_replay_says_what_it_said_when_it_was_recorded(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import subprocess\n"
            "said = subprocess.run(['git', 'describe', '--always', '--dirty'], capture_output=True, text=True).stdout\n"
            "(out / 'version.txt').write_text(said)\n"
        ),
    )
    job.commit()
    assert replay(job, record(job), code=0)["verdict"] == "reproducible"


def test_tags_that_the_recorded_run_made_are_not_there_for_a_replay(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import random, subprocess\n"
            "def git(*args): return subprocess.run(['git', *args], capture_output=True, text=True).stdout\n"
            "if not git('tag', '-l', 'result-*'): git('tag', f'result-{random.random()}')\n"
            "(out / 'result.txt').write_text(git('tag', '-l', 'result-*'))\n"
            "(out / 'branch.txt').write_text(git('rev-parse', '--abbrev-ref', 'HEAD'))\n"
        ),
    )
    job.commit()
    report = replay(job, record(job), "--isolation", "agent", code=1)
    assert {item["path"]: item["verdict"] for item in report["outputs"]} == {
        "data/processed/job/branch.txt": "identical",
        "data/processed/job/result.txt": "different",
    }


def test_a_committed_copy_of_an_output_is_never_taken_for_the_replays(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script("if not replayed: pathlib.Path('out/a.csv').write_text('id\\n1\\n')\n"),
    )
    job.write("out/a.csv", "id\n1\n")
    job.commit()
    run = job.record("--output", "out/*.csv")
    report = replay(job, run, code=1)
    assert (report["verdict"], report["counts"]["missing"]) == ("not-reproducible", 1)


def test_extra_outputs_are_found_where_the_recorded_patterns_point(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "pathlib.Path('out').mkdir(exist_ok=True)\npathlib.Path('out/a.csv').write_text('id\\n')\n"
            "if replayed:\n    pathlib.Path('out/b.csv').write_text('id\\n')\n"
            "    pathlib.Path('out/b.log').write_text('x')\n"
        ),
    )
    job.commit()
    report = replay(job, job.record("--output", "out/*.csv"), code=1)
    assert {o["path"]: o["verdict"] for o in report["outputs"]} == {
        "out/a.csv": "identical",
        "out/b.csv": "extra",
    }


def test_an_output_pattern_leaves_out_what_the_command_did_not_write(job: Workshop) -> None:
    job.write("data/processed/other/old.csv", "of another pipeline\n")
    done = job.kfm(
        "record",
        "--input",
        "data/raw/*",
        "--output",
        "data/processed/**",
        "--",
        plain_python(),
        "pipelines/job.py",
    )
    assert (
        "1 files fit --output but were not written by the command, data/processed/other/old.csv" in done.err
    )
    assert replay(job, done.out.strip().splitlines()[-1], code=0)["counts"]["identical"] == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--output", "/elsewhere/zz"], "not inside the project"),
        (["--input", "../zz"], "not inside the project"),
        (["--params", "/elsewhere/p.json"], "not inside the project"),
        (["--input", "data/raw/nothing*"], "names no file"),
        (["--params", "pipelines/job.py"], "is not JSON"),
        (["--config", "pipelines"], "is a folder"),
        (["--pipeline", ".trash"], "cannot be called"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_runs(
    job: Workshop, args: list[str], says: str
) -> None:
    done = job.kfm("record", "--json", *args, "--", plain_python(), "-c", "open('ran', 'w')")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert says in done.json["error"]["message"]
    assert not (job.root / "ran").exists()
    assert not list((job.root / "data/work/runs").iterdir())


def test_a_new_git_project_can_be_recorded_from_anywhere_in_it(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.write("pipelines/job.py", "print('hello')\n")
    shop.commit()
    done = shop.kfm("record", "--", plain_python(), "pipelines/job.py", cwd=tmp_path / "pipelines")
    assert done.code == 0, done.err
    assert (tmp_path / "data/work/runs/job").is_dir()
    assert "add data/work/ to .gitignore" in done.err


def test_an_output_pattern_that_covers_the_records_names_none_of_their_files(job: Workshop) -> None:
    """What a pipeline prints lands in logs/ of its run, and earlier runs lie beside it; ``data/**`` fits both."""
    body = script(
        "print(os.environ['KFM_RUN_DIR'])\n(out / 'a.csv').write_text('id\\n1\\n')\n"
        "run = pathlib.Path(os.environ['KFM_RUN_DIR'])\n(run / 'mine.txt').write_text('x')\n"
        "(run / 'metrics/mine.json').write_text(str(replayed))\n"
    )
    job.write("pipelines/job.py", body)
    job.commit()
    record(job)
    done = job.kfm(
        "record", "--json", "--input", "data/raw/*", "--output", "data/p*/**", "--output", "data/work/**",
        "--", plain_python(), "pipelines/job.py",
    )  # fmt: skip
    assert not [note for note in done.json["notes"] if "fit --output" in note]
    report = replay(job, done.json["run"]["run_id"], code=0)
    names = [output["path"].rpartition("/")[2] for output in report["outputs"]]
    assert (sorted(names), report["counts"]["identical"]) == (["a.csv", "mine.txt"], 2)


def test_a_pipeline_may_write_into_its_own_run_folder(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "run = pathlib.Path(os.environ['KFM_RUN_DIR'])\n"
            "(run / 'validation/schema_report.json').write_text('{\"status\": \"pass\"}')\n"
            "(run / 'metrics/counters.json').write_text('{\"rows\": 3}')\n(out / 'a.txt').write_text('x')\n"
        ),
    )
    job.commit()
    run = record(job)
    report = replay(job, run, code=0)
    for name in (run, report["replays"][0]["run_id"]):
        folder = job.run_dir(name)
        assert (
            json.loads((folder / "validation/schema_report.json").read_text(encoding="utf-8"))["status"]
            == "pass"
        )
        assert json.loads((folder / "metrics/counters.json").read_text(encoding="utf-8")) == {"rows": 3}


@pytest.mark.parametrize("stamp", ["strftime('%Y-%m-%d %H:%M:%S')", "time().__int__()", "ctime()"])
def test_a_time_to_the_second_shows_even_when_the_replay_follows_at_once(job: Workshop, stamp: str) -> None:
    body = (
        f"import time\nmade = time.{stamp}\n(out / 'a.csv').write_text('id,made\\n1,' + str(made) + '\\n')\n"
    )
    job.write("pipelines/job.py", script(body))
    job.commit()
    (finding,) = replay(job, record(job), code=1)["outputs"][0]["findings"]
    assert finding["kind"] == "timestamp"


def test_the_python_api_replays_and_compares(job: Workshop) -> None:
    import kfm_repro as kr

    run = record(job)
    report = kr.replay(run, root=job.root)
    assert report.passed
    other = report.replays[0].run_id
    assert kr.diff(run, other, root=job.root).identical
    data = job.root / "data/raw/in.csv"
    assert kr.diff(data, data).identical


@pytest.mark.parametrize("level", list(Isolation))
def test_a_pipeline_that_changes_its_input_is_caught_and_the_original_is_unharmed(
    job: Workshop, level: str
) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "if replayed: pathlib.Path('data/raw/in.csv').write_text('gone')\n(out / 'a.txt').write_text('x')\n"
        ),
    )
    job.commit()
    before = (job.root / "data/raw/in.csv").read_bytes()
    run = record(job)
    contained = at_level(level) in ("namespace", "landlock")
    report = replay(job, run, "--isolation", level, code=2)
    assert report["replays"][0]["isolation"] == level
    if contained:
        refusal = {"namespace": "Read-only file system", "landlock": "Permission denied"}[level]
        assert report["error"]["code"] == "pipeline-failed"
        assert f"{refusal}: 'data/raw/in.csv'" in report["error"]["message"]
    else:
        assert (report["verdict"], report["error"]["code"]) == ("unknown", "input-changed")
        (said,) = (i for i in report["preconditions"] if i["name"] == "inputs-after")
        assert said["state"] == "missing"
        assert "changed 1 file (data/raw/in.csv), which the recorded run left alone" in said["detail"]
    assert (job.root / "data/raw/in.csv").read_bytes() == before


@pytest.mark.parametrize("level", list(Isolation))
def test_what_the_recorded_run_did_to_its_input_a_replay_may_do_to_its_copy(
    job: Workshop, level: str
) -> None:
    job.write(
        "pipelines/job.py",
        script("pathlib.Path('data/raw/in.csv').write_text('gone')\n(out / 'a.txt').write_text('x')\n"),
    )
    job.commit()
    before = (job.root / "data/raw/in.csv").read_bytes()
    run = record(job)
    (job.root / "data/raw/in.csv").write_bytes(before)
    report = replay(job, run, "--isolation", at_level(level), code=0)
    (said,) = (item for item in report["preconditions"] if item["name"] == "inputs-after")
    assert (said["state"], said["code"]) == ("drift", "SOURCE_SNAPSHOT_DRIFT")
    told = "changed its own inputs: data/raw/in.csv (the originals are untouched), as it did when it was recorded"
    assert told in said["detail"]
    assert (job.root / "data/raw/in.csv").read_bytes() == before


@pytest.mark.parametrize("zone", ["UTC", "America/Chicago", "Asia/Kolkata"])
def test_a_local_time_is_a_clock_reading_in_every_time_zone(job: Workshop, zone: str) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import datetime, time\n"
            "rows = [f'{n},{datetime.datetime.now()},{time.ctime()}' for n in range(3)]\n"
            "(out / 'a.csv').write_text('id,made,said\\n' + '\\n'.join(rows) + '\\n')\n"
        ),
    )
    job.commit()
    run = job.record("--output", "data/processed/**", env={"TZ": zone})
    done = job.kfm("replay", run, "--json", env={"TZ": "UTC"})
    kinds = {item["where"]["column"]: item["kind"] for item in done.json["outputs"][0]["findings"]}
    assert kinds["made"] == "timestamp"
    assert set(kinds.values()) == {"timestamp"}


def test_swapped_lines_of_a_program_are_no_mere_order(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "lines = ['a = 1', 'a = 2']\n"
            "lines = lines[::-1] if replayed else lines\n"
            "for name in ('made.py', 'list.txt', 'broken.json'):\n"
            "    (out / name).write_text('\\n'.join(lines) + '\\n')\n"
        ),
    )
    job.commit()
    report = replay(job, record(job), code=1)
    verdicts = {output["path"].rpartition("/")[2]: output["verdict"] for output in report["outputs"]}
    assert verdicts == {"made.py": "different", "list.txt": "equivalent", "broken.json": "different"}


@pytest.mark.parametrize("place", ["data/raw/out.csv", "config/out.csv"])
def test_what_lay_there_before_is_no_output_of_the_replay(job: Workshop, place: str) -> None:
    job.write("pipelines/job.py", script(f"if not replayed: pathlib.Path({place!r}).write_text('7')\n"))
    job.write(place, "6")
    job.commit()
    run = job.record("--input", "data/raw/*", "--output", place)
    report = replay(job, run, code=1)
    assert report["counts"]["identical"] == 0
    assert report["counts"]["missing"] == 1


def test_what_the_run_wrote_into_its_config_folder_is_no_input_of_the_replay(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import random\nnote = pathlib.Path(os.environ['KFM_CONFIG_DIR']) / 'resolved.json'\n"
            "if not note.exists(): note.write_text(str(random.random()))\n"
            "(out / 'a.txt').write_text(note.read_text())\n"
        ),
    )
    job.commit()
    assert replay(job, record(job), code=1)["verdict"] == "not-reproducible"


def test_an_output_behind_a_link_is_compared_by_its_content(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import random\nstaging = pathlib.Path('data/work/staging'); staging.mkdir(parents=True, exist_ok=True)\n"
            "(staging / 'big.csv').write_text(f'v\\n{random.random()}\\n')\nlink = out / 'big.csv'\n"
            "link.unlink(missing_ok=True); link.symlink_to('../../work/staging/big.csv')\n"
        ),
    )
    job.commit()
    (output,) = replay(job, record(job), code=1)["outputs"]
    assert (output["path"], output["verdict"]) == ("data/processed/job/big.csv", "different")


def test_an_absolute_script_and_absolute_arguments_stay_inside_the_replay(job: Workshop) -> None:
    job.write("pipelines/job.py", "import pathlib, sys\npathlib.Path(sys.argv[1]).write_text('out')\n")
    (job.root / "data/processed").mkdir()
    job.commit()
    out = job.root / "data/processed/out.txt"
    done = job.kfm(
        "record",
        "--output",
        "data/processed/**",
        "--",
        plain_python(),
        str(job.root / "pipelines/job.py"),
        str(out),
    )
    assert done.code == 0, done.err
    out.write_text("precious", encoding="utf-8")
    job.write("pipelines/job.py", "raise SystemExit('today')\n")
    assert replay(job, "latest:job", code=0)["counts"]["identical"] == 1
    assert out.read_text(encoding="utf-8") == "precious"


def test_a_pipeline_that_reaches_into_the_project_gets_no_verdict(job: Workshop) -> None:
    job.write("elsewhere.txt", str(job.root / "data/processed/job/a.txt"))
    job.git("init", "-q", "-b", "main")
    job.write(
        "pipelines/job.py",
        f"import pathlib\np = pathlib.Path('{job.root.parent}') / 'project/data/processed/job/a.txt'\n"
        "p.parent.mkdir(parents=True, exist_ok=True)\np.write_text('x')\n",
    )
    job.commit()
    run = record(job)
    report = replay(job, run, "--isolation", "none", code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "project-changed")
    before = project_digest(job)
    for level in ("landlock", "namespace"):
        report = replay(job, run, "--isolation", at_level(level), code={"landlock": 2, "namespace": 1}[level])
        assert report["verdict"] == {"landlock": "unknown", "namespace": "not-reproducible"}[level]
        assert project_digest(job) == before


@pytest.mark.parametrize("level", list(Isolation))
def test_a_clean_pipeline_is_reproducible_at_every_level_and_leaves_no_workspace(
    job: Workshop, level: str, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    run = record(job)
    done = job.kfm("replay", run, "--json", "--isolation", at_level(level), env={"TMPDIR": str(room)})
    assert done.code == 0, done.out + done.err
    assert done.json["replays"][0]["isolation"] == level
    assert any(f"isolation {level}:" in note for note in done.json["scope"]["notes"]) == (
        level != "namespace"
    )
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("level", "said"), [("namespace", "No such file or directory"), ("landlock", "Permission denied")]
)
def test_an_input_that_nobody_declared_is_not_there(job: Workshop, level: str, said: str) -> None:
    secret = job.root.parent / "secret.csv"
    secret.write_text("x", encoding="utf-8")
    job.write("pipelines/job.py", script(f"(out / 'a.txt').write_text(open('{secret}').read())\n"))
    job.commit()
    report = replay(job, record(job), "--isolation", at_level(level), code=2)
    assert f"{said}: '{secret}'" in report["error"]["message"]


def test_a_level_that_cannot_be_had_is_refused_before_anything_is_written(
    job: Workshop, tmp_path: Path
) -> None:
    run = record(job)
    runs = sorted((job.root / "data/work/runs").rglob("*"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = job.kfm("replay", run, "--json", "--isolation", "namespace", env={"PATH": str(tools)})
    assert (done.code, done.json["error"]["code"]) == (2, "isolation-unavailable")
    assert "bubblewrap" in done.json["error"]["hint"]
    assert sorted((job.root / "data/work/runs").rglob("*")) == runs


def test_code_from_an_editable_install_is_the_recorded_one(job: Workshop) -> None:
    venv = job.root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "job.pth").write_text(f"{job.root}/src\n", encoding="utf-8")
    job.write(".gitignore", ".venv\ndata/work/\ndata/processed/\n")
    job.write("src/mypkg.py", "WORD = 'recorded'\n")
    job.write("pipelines/job.py", script("import mypkg\n(out / 'a.txt').write_text(mypkg.WORD)\n"))
    job.commit()
    done = job.kfm(
        "record", "--output", "data/processed/**", "--", str(venv / "bin/python"), "pipelines/job.py"
    )
    assert done.code == 0, done.err
    job.write("src/mypkg.py", "WORD = 'today'\n")
    assert replay(job, "latest:job", code=0)["counts"]["identical"] == 1


def test_an_old_copy_with_its_old_time_is_still_an_output(job: Workshop) -> None:
    job.write(
        "pipelines/job.py", script("import shutil\nshutil.copy2('data/raw/in.csv', out / 'copy.csv')\n")
    )
    job.commit()
    record(job)
    assert replay(job, record(job), code=0)["counts"]["identical"] == 1


def test_files_written_where_nobody_looks_are_named(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        script(
            "import random\npathlib.Path('summary.txt').write_text(str(random.random()))\n"
            "(out / 'a.txt').write_text('x')\n"
            "for place in (pathlib.Path('data/work/stage'), pathlib.Path(os.environ['KFM_RUN_DIR'], 'artifacts')):\n"
            "    place.mkdir(parents=True)\n    (place / 'result.csv').write_text('x')\n"
        ),
    )
    job.commit()
    run = job.record()
    (job.root / "summary.txt").unlink()
    report = replay(job, run, code=0)
    (note,) = (note for note in report["scope"]["notes"] if note.startswith("not compared: "))
    fresh = report["replays"][0]["path"]
    assert note.endswith(f": {fresh}/artifacts/result.csv, data/work/stage/result.csv, summary.txt")


def test_placeholders_in_a_command_line_stay_what_they_were(job: Workshop) -> None:
    job.write("pipelines/job.py", script("import sys\n(out / 'a.txt').write_text(' '.join(sys.argv[1:]))\n"))
    job.commit()
    done = job.kfm(
        "record",
        "--output",
        "data/processed/**",
        "--",
        plain_python(),
        "pipelines/job.py",
        "{run}",
        "{inputs.year}",
    )
    assert done.code == 0, done.err
    assert replay(job, "latest:job", code=0)["counts"]["identical"] == 1


@pytest.mark.parametrize("pattern", ["/usr/**", "../../**", "**/" * 14 + "x"])
def test_hostile_output_patterns_of_a_record_are_refused_or_harmless(job: Workshop, pattern: str) -> None:
    run = record(job)
    yaml = job.run_dir(run) / "run.yaml"
    yaml.write_text(
        yaml.read_text(encoding="utf-8").replace("data/processed/job/**", pattern), encoding="utf-8"
    )
    done = job.kfm("replay", run, "--json")
    assert done.json.get("error", {"code": "path-unsafe"})["code"] == "path-unsafe"
    assert done.code == (0 if pattern.startswith("**") else 2)


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">/dev/full", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_never_exits_1(job: Workshop, closing: str) -> None:
    program = Path(sys.executable).with_name("kfm-repro")
    for args in ("diff data/raw/in.csv data/raw/in.csv", "diff nothing.csv data/raw/in.csv", "--help"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{program} {args} {closing}"], cwd=job.root, capture_output=True, check=False
        )
        assert done.returncode in (0, 2), (args, done)


def test_a_pipe_in_place_of_a_record_file_does_not_hang(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    (run / "run.yaml").unlink()
    os.mkfifo(run / "run.yaml")
    done = template.kfm("replay", run.name, "--json")
    assert done.code == 2


def test_a_tag_that_the_pipeline_describes_is_there_in_the_replay(job: Workshop) -> None:
    job.git("tag", "v1.0")
    job.write(
        "pipelines/job.py",
        script(
            "import subprocess\nargs = ['git', 'describe', '--tags', '--dirty']\n"
            "said = subprocess.run(args, capture_output=True, text=True)\n"
            "(out / 'version.txt').write_text(said.stdout)\n"
        ),
    )
    assert replay(job, record(job), code=0)["verdict"] == "reproducible"


def test_code_in_submodules_is_replayed_from_this_machine_or_named(job: Workshop, tmp_path: Path) -> None:
    other = Workshop(tmp_path / "other")
    other.write("lib.py", "x = 1\n")
    other.commit()
    job.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "lib")
    job.write(
        "pipelines/job.py",
        script("import sys; sys.path.insert(0, 'lib')\nimport lib\n(out / 'a.txt').write_text(str(lib.x))\n"),
    )
    job.commit()
    run = record(job)
    Workshop(job.root / "lib").write("lib.py", "x = 2\n")
    assert replay(job, run, code=0)["verdict"] == "reproducible"
    job.git("submodule", "--quiet", "deinit", "--force", "lib")
    assert replay(job, run, code=0)["verdict"] == "reproducible"
    shutil.rmtree(job.root / ".git/modules/lib")
    report = replay(job, run, code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "code-unavailable")
    assert "submodule lib is not on this machine" in report["error"]["message"]
    assert len(list((job.root / "data/work/runs/job").iterdir())) == 3


def test_rule_17_values_of_restricted_outputs_stay_out_of_the_report(job: Workshop) -> None:
    job.write("kfm-repro.toml", '[outputs."*.csv"]\nlabel = "restricted"\n[inputs."*"]\nlabel = "public"\n')
    job.write(
        "pipelines/job.py",
        script("(out / 'a.csv').write_text(f'id,site\\n1,{\"burial\" if replayed else \"mound\"}\\n')\n"),
    )
    job.commit()
    run = record(job)
    report = replay(job, run, code=1)
    (finding,) = report["outputs"][0]["findings"]
    assert (finding["kind"], finding["count"], finding["examples"]) == ("value", 1, [])
    assert "withheld" in finding["evidence"]
    assert "mound" not in json.dumps(report)
    done = job.kfm("diff", run, report["replays"][0]["run_id"], "--json")
    assert "mound" not in done.out


def test_rule_24_a_secret_in_the_command_line_is_not_kept_and_the_run_says_it_cannot_replay(
    job: Workshop,
) -> None:
    job.write("pipelines/job.py", script("(out / 'a.txt').write_text('x')\n"))
    job.commit()
    secret = "hunter2-Zq81xTnW9"  # noqa: S105 - that is what must not be kept
    done = job.kfm(
        "record",
        "--output",
        "data/processed/**",
        "--",
        plain_python(),
        "pipelines/job.py",
        "--password",
        secret,
    )
    assert done.code == 0, done.err
    assert "note: the command line held a secret (command-line)" in done.err
    assert "this run cannot be replayed" in done.err
    assert secret not in done.err
    run = job.run_dir(done.out.strip().splitlines()[-1])
    assert not [p for p in run.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert "secret" in replay(job, run.name, code=2)["error"]["message"]


def test_rule_24_a_secret_that_is_printed_is_redacted_and_said_where(job: Workshop) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6" * 3
    job.write("pipelines/job.py", script(f"print('ok')\nprint('ghp_' + {'a1B2c3D4e5F6'!r} * 3)\n"))
    job.commit()
    done = job.kfm(
        "record", "--json", "--input", "data/raw/*", "--output", "data/processed/**", "--",
        plain_python(), "pipelines/job.py",
    )  # fmt: skip
    (note,) = [note for note in done.json["notes"] if "secret" in note]
    assert "logs/pipeline.jsonl, line 2 (" in note
    found = replay(job, done.json["run"]["run_id"], code=2)["preconditions"]
    assert [item["detail"] for item in found if item["name"] == "secrets"] == [note]
    assert secret not in done.out + json.dumps(found)


@pytest.mark.parametrize("level", ["namespace", "landlock"])
def test_a_venv_made_in_the_project_root_shows_no_data_of_the_project(job: Workshop, level: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", job.root], check=True)
    job.write(
        ".gitignore", "bin\ninclude\nlib*\npyvenv.cfg\ndata/work/\ndata/processed/\ndata/raw/secret.csv\n"
    )
    job.write("data/raw/secret.csv", "x")
    job.write(
        "pipelines/job.py",
        script("import sys\n(out / 'a.txt').write_text(open(sys.prefix + '/data/raw/secret.csv').read())\n"),
    )
    job.commit()
    python = str(job.root / "bin/python")
    run = job.record("--input", "data/raw/in.csv", python=python)
    report = replay(job, run, "--isolation", at_level(level), code=2)
    assert "data/raw/secret.csv" in report["error"]["message"]
