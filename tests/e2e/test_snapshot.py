"""The environment snapshot of a record, as a user meets it: what it names, what it guesses, what it never keeps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import Workshop

JOB = """import pathlib
out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)
(out / 'a.csv').write_text('a\\n1\\n')
"""
TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("pipelines/job.py", JOB)
    workshop.commit()
    return workshop


def snapshot(job: Workshop, run_id: str) -> dict:
    return json.loads((job.run_dir(run_id) / "environment/fingerprint.json").read_text(encoding="utf-8"))


def record_id(out: str) -> str:
    return out.strip().splitlines()[-1]


def test_the_lock_of_a_record_has_the_hashes_of_the_projects_own_lock_file(job: Workshop) -> None:
    version = json.loads(
        subprocess.check_output(
            [
                sys.executable,
                "-c",
                "import importlib.metadata as m, json; print(json.dumps(m.version('click')))",
            ]
        )
    )
    job.write("requirements.txt", f"Click=={version} --hash=sha256:{'a' * 64}\n")
    job.commit()
    run = job.run_dir(job.record(python=sys.executable))
    lock = (run / "environment/requirements.lock").read_text(encoding="utf-8")
    assert f"click=={version} \\\n    --hash=sha256:{'a' * 64}\n" in lock
    assert "have hashes, from requirements.txt." in lock


def test_a_command_that_is_no_python_is_named_by_its_file_and_its_interpreter_is_called_a_guess(
    job: Workshop, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")], check=True)
    path = f"{tmp_path}/other/bin:/usr/bin:/bin"
    done = job.kfm(
        "record", "--pipeline", "job", "--", "sh", "-c", "python pipelines/job.py", env={"PATH": path}
    )
    assert done.code == 0, done.err
    known = snapshot(job, record_id(done.out))
    assert Path(known["program"]["path"]).name == "sh"
    assert len(known["program"]["sha256"]) == 64
    assert known["executable"] == f"{tmp_path}/other/bin/python"
    assert known["packages"] == {}
    told = "assumed: the command is sh, and this python is the first on its PATH"
    assert known["interpreter"] == {"chosen": told}
    assert told in done.err


def test_without_any_python_on_its_path_a_command_is_recorded_with_what_the_machine_says(
    job: Workshop, tmp_path: Path
) -> None:
    for name in ("git", "sh", "mkdir", "cp"):
        place = shutil.which(name)
        assert place is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(place)
    script = "mkdir -p data/processed; cp .gitignore data/processed/a.txt"
    done = job.kfm(
        "record", "--pipeline", "job", "--", "sh", "-c", script, env={"PATH": str(tmp_path / "bin")}
    )
    assert done.code == 0, done.err
    run = job.run_dir(record_id(done.out))
    known = snapshot(job, run.name)
    assert "python" not in known
    assert known["cpu"]["flags"]
    assert "there is no python on its PATH" in known["interpreter"]["chosen"]
    assert not (run / "environment/requirements.lock").exists()
    assert job.kfm("replay", run.name).code == 0


def test_the_interpreter_of_another_environment_is_the_one_that_is_recorded_and_replays(
    job: Workshop, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")], check=True)
    python = f"{tmp_path}/other/bin/python"
    done = job.kfm("record", "--", python, "pipelines/job.py")
    known = snapshot(job, record_id(done.out))
    assert (known["executable"], known["interpreter"]) == (python, {"chosen": "named by the command"})
    assert "guess" not in done.err
    replayed = job.kfm("replay", "--json", record_id(done.out))
    assert replayed.json["verdict"] == "reproducible"
    assert replayed.json["environment"]["drift"] == []


def test_rule_24_no_secret_of_the_environment_is_anywhere_in_a_record(job: Workshop, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    for file in (".config/pip/pip.conf", ".netrc", ".pypirc"):
        (home / file).write_text(
            "index-url = https://user:hunter2@pypi.example.org/simple\n", encoding="utf-8"
        )
    site = tmp_path / "site/private-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: private\nVersion: 1.0\n", encoding="utf-8")
    source = {"url": f"https://user:hunter2@x.example/{TOKEN}/x.whl?token=hunter2", "archive_info": {}}
    (site / "direct_url.json").write_text(json.dumps(source), encoding="utf-8")
    names = (
        "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN",
        "GDAL_HTTP_USERPWD", "GDAL_HTTP_HEADERS", "PROJ_NETWORK_ENDPOINT", "OMP_NUM_THREADS", "LC_SECRET",
    )  # fmt: skip
    environ = dict.fromkeys(names, f"https://user:hunter2@x.example/{TOKEN}")
    environ |= {"HOME": str(home), "PYTHONPATH": str(tmp_path / "site")}
    run = job.run_dir(job.record(python=sys.executable, env=environ))
    assert "private" in snapshot(job, run.name)["packages"]
    for path in run.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"hunter2" not in content, path
            assert TOKEN.encode() not in content, path


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("config/pipeline.yaml", "year: 1900\npassword: hunter2-hunter2\n", "config/pipeline.yaml"),
        (
            "config/deep/db.json",
            '{\n"url": "https://user:hunter2-hunter2@db.example/x"}\n',
            "config/deep/db.json",
        ),
        ("pipelines/job.py", f"# {TOKEN}\n{JOB}", "the uncommitted changes, config/dirty.patch, line "),
    ],
)
def test_rule_24_a_secret_in_what_a_record_keeps_as_it_is_is_said_by_kind_file_and_line_never_by_value(
    job: Workshop, file: str, text: str, told: str
) -> None:
    job.write(file, text)
    if not file.endswith(".py"):
        job.commit()
    done = job.kfm("record", "--json", "--", sys.executable, "pipelines/job.py")
    assert done.code == 0, done.err
    (note,) = (note for note in done.json["notes"] if "secret" in note)
    assert told in note
    assert file.endswith(".py") or "line 2 (" in note
    assert "hunter2" not in done.out + done.err
    assert TOKEN not in done.out + done.err


def test_rule_24_many_secrets_are_counted_and_none_means_no_note(job: Workshop) -> None:
    plain = job.kfm("record", "--json", "--", sys.executable, "pipelines/job.py")
    assert not [note for note in plain.json["notes"] if "secret" in note]
    job.write("config/many.yaml", "".join(f"password_{n}: hunter2-{n}-hunter\n" for n in range(9)))
    job.commit()
    done = job.kfm("record", "--json", "--", sys.executable, "pipelines/job.py")
    notes = [note for note in done.json["notes"] if "secret" in note]
    assert len(notes) == 6
    assert notes[-1] == "4 more secrets are in the config snapshot: see kfm-repro verify"


def test_code_of_the_project_on_the_search_path_is_no_drift_and_code_from_elsewhere_is(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.write("pipelines/job.py", f"import own, other\n{JOB}")
    workshop.write("src/own.py", "")
    workshop.commit()
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.py").write_text("", encoding="utf-8")
    run_id = workshop.record(python=sys.executable, env={"PYTHONPATH": f"{workshop.root}/src:{other}"})
    folders = snapshot(workshop, run_id)["folders"]
    assert folders["{root}/src"] == {"kind": "pythonpath"}
    assert folders[str(other)]["commit"] is None
    replayed = workshop.kfm("replay", "--json", run_id).json
    assert (replayed["verdict"], replayed["environment"]["drift"]) == ("reproducible", [])
    Workshop(other).commit()
    drift = workshop.kfm("replay", "--json", run_id).json["environment"]["drift"]
    assert [item["what"] for item in drift] == [f"folder {other}"]
