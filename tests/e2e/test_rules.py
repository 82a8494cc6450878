"""Rules of the run record that no other test holds to their words; real projects, records of any writer."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import venv
from pathlib import Path
from typing import Any

import pytest
from kit import KIT
from workshop import REPOSITORY, Workshop

from kfm_repro.execute.isolate import Isolation, detect
from kfm_repro.runs.ids import id_time

INPUT = "data/raw/census_1900/census_1900.csv"
RUNS = "data/work/runs/import_census"


def laid_out(case: str, tmp_path: Path) -> Workshop:
    """Return the project of a case of the conformance kit."""
    return Workshop(KIT.build(case, tmp_path / "project"))


@pytest.fixture
def census(tmp_path: Path) -> Workshop:
    """Return a project with one run that another tool recorded; it names no interpreter and no variables."""
    return laid_out("identical", tmp_path)


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    """Return an empty project with an interpreter of its own that has no packages."""
    venv.create(workshop.root / ".venv", with_pip=False, symlinks=True)
    workshop.write(".gitignore", ".venv/\ndata/work/\ndata/processed/\n")
    return workshop


def record(shop: Workshop, *options: str) -> str:
    done = shop.kfm(
        "record", *options, "--output", "data/processed/**", "--", ".venv/bin/python", "pipelines/job.py"
    )
    assert done.code == 0, done.err
    return done.out.strip().splitlines()[-1]


def replay(
    shop: Workshop, run: str, *args: str, code: int = 0, env: dict[str, str] | None = None
) -> dict[str, Any]:
    done = shop.kfm("replay", run, "--json", *args, env=env)
    assert done.code == code, done.out + done.err
    document: dict[str, Any] = done.json
    return document


def precondition(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [item for item in report["preconditions"] if item["name"] == name]
    return dict(found)


def only_run(shop: Workshop) -> Path:
    (run,) = [path for path in (shop.root / RUNS).iterdir() if "__" in path.name]
    return run


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pipeline(body: str) -> str:
    return (
        "import json, os, pathlib, sys\nout = pathlib.Path('data/processed'); out.mkdir(exist_ok=True)\n"
        + body
    )


def test_rule_1_a_replay_gets_an_id_of_its_own_and_never_writes_into_the_run_it_replays(
    census: Workshop,
) -> None:
    run = only_run(census)
    before = digests(run)
    fresh = replay(census, run.name)["replays"][0]["run_id"]
    assert id_time(fresh) is not None
    assert fresh != run.name
    assert digests(run) == before


def test_rule_3_two_records_that_differ_in_id_time_and_host_alone_do_not_differ(census: Workshop) -> None:
    run = only_run(census)
    other = run.with_name("another-id")
    shutil.copytree(run, other)
    for path in (other / "run.yaml", *other.glob("manifests/*.json")):
        text = path.read_text(encoding="utf-8").replace(run.name, other.name)
        path.write_text(
            text.replace("2026-02-03", "2027-11-30").replace("devbox-01", "elsewhere"), encoding="utf-8"
        )
    done = census.kfm("diff", run.name, other.name, "--json")
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.out


def test_rule_5_an_aborted_run_whose_last_line_is_half_a_line_is_shown_verified_and_has_provenance(
    tmp_path: Path,
) -> None:
    shop = laid_out("running-with-a-dead-process", tmp_path)
    run = only_run(shop)
    shown = shop.kfm("show", run.name, "--json")
    assert (shown.code, shown.json["problems"]) == (0, [])
    assert shown.json["last_lines"][-1].endswith("counties rea")
    verified = shop.kfm("verify", run.name, "--json")
    assert verified.json["secrets"]["state"] == "pass"
    assert verified.json["lines"][0]["state"] == "fail"
    assert shop.kfm("prov", run.name).code == 0


@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_rule_8_whatever_spelling_was_read_what_is_written_is_bare_lower_case_hex(
    which: str, tmp_path: Path
) -> None:
    shop = laid_out("hash-spellings", tmp_path)
    run = "2026-02-03T20"
    folder = shop.run_dir(replay(shop, run)["replays"][0]["run_id"])
    text = (folder / f"manifests/{which}.json").read_text(encoding="utf-8")
    found = [entry["sha256"] for entry in json.loads(text)[which]]
    assert len(found) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in found)
    assert shop.kfm("prov", run).code == 0
    (prov,) = (shop.root / "data/prov").rglob("*.jsonld")
    stated = re.findall(r'"sha256": "([^"]*)"', prov.read_text(encoding="utf-8"))
    assert set(found) <= set(stated)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in stated)


def test_rule_11_inputs_come_from_the_working_tree_then_the_object_store_then_git(census: Workshop) -> None:
    run, source = only_run(census).name, census.root / INPUT
    recorded = source.read_bytes()
    sha256 = hashlib.sha256(recorded).hexdigest()
    stored = census.root / "data/work/runs/.objects" / sha256[:2] / sha256[2:]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(recorded)
    assert precondition(replay(census, run), "inputs")["state"] == "ok"
    source.write_bytes(recorded + b"20011,Bourbon,-94.849,37.855,24712\n")
    drifted = precondition(replay(census, run), "inputs")
    assert (drifted["state"], drifted["code"]) == ("drift", "SOURCE_SNAPSHOT_DRIFT")
    assert "taken from object store" in drifted["detail"]
    stored.chmod(0o644)
    stored.unlink()
    assert "taken from git" in precondition(replay(census, run), "inputs")["detail"]
    census.git("update-index", "--skip-worktree", INPUT)
    manifest = only_run(census) / "manifests/inputs.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(sha256, "0" * 64), encoding="utf-8")
    error = replay(census, run, code=2)["error"]
    assert (error["code"], INPUT in error["message"]) == ("input-changed", True)


def test_rule_12_data_roots_of_the_settings_hold_data_and_not_code(job: Workshop) -> None:
    job.write("kfm-repro.toml", 'data-roots = ["data", "cache"]\n')
    job.write("cache/answers.json", "{}")
    job.write("cache/declared.json", "{}")
    job.write("tables/codes.csv", "a\n")
    job.write(
        "pipelines/job.py",
        pipeline(
            "seen = [str(p) for d in ('cache', 'tables') for p in sorted(pathlib.Path(d).glob('*'))]\n"
            "(out / 'seen.txt').write_text('\\n'.join(seen) + '\\n')\n"
        ),
    )
    job.commit()
    run = record(job, "--input", "cache/declared.json")
    report = replay(job, run, code=1)
    fresh = next(o["b"]["sha256"] for o in report["outputs"])
    stored = job.root / "data/work/runs/.objects" / fresh[:2] / fresh[2:]
    assert stored.read_text(encoding="utf-8").split() == ["cache/declared.json", "tables/codes.csv"]


def test_rule_12_a_recorded_output_that_is_committed_does_not_exist_in_a_replay(job: Workshop) -> None:
    job.write("out/a.txt", "committed")
    job.write(
        "pipelines/job.py", "import pathlib\np = pathlib.Path('out/a.txt')\np.write_text(str(p.exists()))\n"
    )
    job.commit()
    done = job.kfm("record", "--output", "out/*", "--", ".venv/bin/python", "pipelines/job.py")
    assert done.code == 0, done.err
    (output,) = replay(job, "latest:job", code=1)["outputs"]
    (example,) = output["findings"][0]["examples"]
    assert (example["a"], example["b"]) == ("True", "False")


def test_rule_13_the_variables_point_at_the_snapshot_and_a_file_goes_back_to_where_it_came_from(
    job: Workshop,
) -> None:
    job.write("config/job.yaml", "recorded config")
    job.write("settings/p.json", '"recorded params"')
    job.write(
        "pipelines/job.py",
        pipeline(
            "texts = [pathlib.Path(os.environ['KFM_CONFIG_DIR'], 'job.yaml').read_text(),\n"
            "         pathlib.Path(os.environ['KFM_PARAMS']).read_text(),\n"
            "         pathlib.Path('config/job.yaml').read_text(), pathlib.Path('settings/p.json').read_text()]\n"
            "(out / 'a.json').write_text(json.dumps(texts))\n"
        ),
    )
    job.commit()
    run = record(job, "--params", "settings/p.json")
    job.write("config/job.yaml", "today's config")
    job.write("settings/p.json", '"today\'s params"')
    job.commit()
    assert replay(job, run)["verdict"] == "reproducible"
    assert "settings/p.json" in (job.run_dir(run) / "run.yaml").read_text(encoding="utf-8")


def test_rule_14_the_interpreter_is_the_recorded_one_the_setting_the_venv_and_then_ours(
    job: Workshop,
) -> None:
    for name in ("recorded", "set"):
        venv.create(job.root / name, with_pip=False, symlinks=True)
    job.write(".gitignore", ".venv/\nrecorded/\nset/\ndata/work/\ndata/processed/\n")
    job.write("pipelines/job.py", pipeline("print('runs in', sys.prefix)\n(out / 'a.txt').write_text('x')\n"))
    job.write("kfm-repro.toml", 'python = "set/bin/python"\n')
    job.commit()
    run = record(job)
    yaml = job.run_dir(run) / "run.yaml"
    text = re.sub('executable: ".*"', 'executable: "recorded/bin/python"', yaml.read_text(encoding="utf-8"))
    yaml.write_text(text, encoding="utf-8")

    def ran(prefix: Path | None) -> tuple[str, str]:
        report = replay(job, run)
        log = job.run_dir(report["replays"][0]["run_id"]) / "logs/pipeline.jsonl"
        said = "".join(json.loads(line)["text"] for line in log.read_text(encoding="utf-8").splitlines())
        assert prefix is None or said.strip() == f"runs in {prefix}"
        found = precondition(report, "interpreter")
        return found["state"], found["detail"]

    assert ran(job.root / "recorded") == ("ok", "the interpreter that the record names")
    shutil.rmtree(job.root / "recorded")
    assert ran(job.root / "set") == ("drift", "the setting python (the recorded one is not on this machine)")
    yaml.write_text(re.sub(" *executable: .*\n", "", text), encoding="utf-8")
    assert ran(job.root / "set") == ("assumed", "the setting python")
    shutil.rmtree(job.root / "set")
    error = replay(job, run, code=2)["error"]
    assert (error["code"], "set/bin/python" in error["message"]) == ("not-replayable", True)
    (job.root / "kfm-repro.toml").unlink()
    assert ran(job.root / ".venv") == ("assumed", "the project's .venv")
    shutil.rmtree(job.root / ".venv")
    assert ran(None) == ("assumed", "the interpreter that runs kfm-repro")


def test_rule_18_no_hook_of_git_and_no_remote_is_reached_by_a_replay(
    census: Workshop, tmp_path: Path
) -> None:
    sprung, home = tmp_path / "sprung", tmp_path / "home"
    trap = f"#!/bin/sh\ntouch {sprung}\n"
    for hooks in (census.root / ".git/hooks", home / "hooks"):
        hooks.mkdir(parents=True, exist_ok=True)
        for name in ("post-checkout", "post-index-change", "reference-transaction"):
            (hooks / name).write_text(trap, encoding="utf-8")
            (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {home / 'hooks'}\n\tfsmonitor = {home / 'hooks/post-checkout'}\n"
        f'[init]\n\ttemplateDir = {census.root / ".git"}\n[protocol "ext"]\n\tallow = always\n',
        encoding="utf-8",
    )
    census.git("config", "remote.origin.url", f"ext::sh -c touch% {sprung}")
    census.git("config", "remote.origin.promisor", "true")
    env = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    assert replay(census, only_run(census).name, env=env)["verdict"] == "reproducible"
    assert not sprung.exists()


def test_rule_18_a_foreign_run_is_not_replayed_unless_it_is_trusted_and_runs_nothing(tmp_path: Path) -> None:
    shop = laid_out("unpacked", tmp_path)
    run = only_run(shop)
    text = (run / "run.yaml").read_text(encoding="utf-8")
    command = f"sh: touch {tmp_path / 'sprung'}"
    (run / "run.yaml").write_text(text.replace("pipelines/import_census.py", command), encoding="utf-8")
    for _ in range(2):
        refused = replay(shop, run.name, "--isolation", "none", code=2)
        assert refused["error"]["code"] == "not-trusted"
    assert not (tmp_path / "sprung").exists()
    assert not [path for path in (shop.root / RUNS).iterdir() if path != run], (
        "a refused replay leaves no run"
    )
    replay(shop, run.name, "--isolation", "none", "--trust", code=1)
    assert (tmp_path / "sprung").exists()


def test_rule_18_in_a_namespace_a_foreign_run_replays_and_reaches_nothing(tmp_path: Path) -> None:
    shop = laid_out("unpacked", tmp_path)
    run = only_run(shop)
    if not any(level.available for level in detect() if level.level is Isolation.NAMESPACE):
        pytest.skip("this machine has no namespaces for an unprivileged sandbox")
    assert replay(shop, run.name, "--isolation", "namespace")["verdict"] == "reproducible"
    text = (run / "run.yaml").read_text(encoding="utf-8")
    command = f"sh: touch {tmp_path / 'sprung'}; true"
    (run / "run.yaml").write_text(text.replace("pipelines/import_census.py", command), encoding="utf-8")
    assert replay(shop, run.name, "--isolation", "namespace", code=1)["verdict"] == "not-reproducible"
    assert not (tmp_path / "sprung").exists()


def test_rule_20_a_record_without_a_block_runs_with_kfms_variables_and_no_others(job: Workshop) -> None:
    job.write(
        "pipelines/job.py",
        pipeline("(out / 'env.json').write_text(json.dumps(dict(os.environ), sort_keys=True))\n"),
    )
    job.commit()
    run = job.run_dir(record(job))
    text = (run / "run.yaml").read_text(encoding="utf-8")
    (run / "run.yaml").write_text(re.sub(r"(?m)^environment:\n(?:  .*\n)+", "", text), encoding="utf-8")
    report = replay(
        job, run.name, code=1,
        env={"SOURCE_DATE_EPOCH": "1", "EDITOR": "vi", "PYTHONPATH": "/nowhere", "LD_LIBRARY_PATH": "/nowhere",
             "TZ": "Asia/Tokyo", "KFM_RUN_STARTED_AT": "yesterday"},
    )  # fmt: skip
    assert precondition(report, "environment")["state"] == "assumed"
    (output,) = report["outputs"]
    sha256 = output["b"]["sha256"]
    seen = json.loads(
        (job.root / "data/work/runs/.objects" / sha256[:2] / sha256[2:]).read_text(encoding="utf-8")
    )
    assumed = {
        "KFM_NO_NETWORK": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
        "TZ": "UTC", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    given = {"KFM_RUN_ID", "KFM_RUN_DIR", "KFM_CONFIG_DIR", "KFM_RUN_STARTED_AT"}
    assert seen.items() >= assumed.items()
    assert set(seen) == {*assumed, *given, "PATH", "HOME", "TMPDIR"}
    assert f'started_at: "{seen["KFM_RUN_STARTED_AT"]}"' in text
    assert seen["KFM_RUN_ID"] == report["replays"][0]["run_id"]


def test_rule_25_drift_has_kfms_words_and_a_verdict_the_level_that_was_exercised(job: Workshop) -> None:
    job.write("data/raw/in.csv", "id\n1\n")
    job.write("pipelines/job.py", pipeline("(out / 'a.csv').write_text(open('data/raw/in.csv').read())\n"))
    job.commit()
    run = record(job, "--input", "data/raw/*")
    assert replay(job, run)["scope"]["level"] == "R1"
    job.write("data/raw/in.csv", "id\n2\n")
    assert precondition(replay(job, run), "inputs")["code"] == "SOURCE_SNAPSHOT_DRIFT"
    yaml = job.run_dir(run) / "run.yaml"
    yaml.write_text(
        yaml.read_text(encoding="utf-8").replace("repo_dirty: false", "repo_dirty: true"), encoding="utf-8"
    )
    assert precondition(replay(job, run, code=2), "code")["code"] == "CODE_DRIFT"


def test_rule_25_no_other_words_are_used_for_drift_and_levels() -> None:
    codes = {
        "SOURCE_SNAPSHOT_DRIFT", "TRANSFORM_PARAMETERS_DRIFT", "MODEL_IDENTITY_DRIFT", "VALIDATOR_SET_DRIFT",
        "OUTPUT_DRIFT", "CODE_DRIFT", "ENVIRONMENT_DRIFT",
    }  # fmt: skip
    said = "".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "src").rglob("*.py")))
    found = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)*_DRIFT)"', said))
    assert {"SOURCE_SNAPSHOT_DRIFT", "CODE_DRIFT"} <= found <= codes
    assert {*re.findall(r'"(R\d)"', said)} <= {"R1", "R2", "R3"}
