"""Code of today never runs in a replay under the name of the recorded commit, wherever it is found from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workshop import Workshop


def test_a_tool_of_the_project_that_path_finds_is_the_recorded_one(workshop: Workshop) -> None:
    tool = workshop.write("scripts/mytool", "#!/bin/sh\necho recorded > data/processed/x.txt\n")
    tool.chmod(0o755)
    workshop.write("data/processed/.keep", "")
    workshop.commit()
    env = {"PATH": f"{workshop.root}/scripts{os.pathsep}{os.environ['PATH']}"}
    done = workshop.kfm("record", "--pipeline", "job", "--", "sh", "-c", "mytool", env=env)
    assert done.code == 0, done.err
    tool.write_text("#!/bin/sh\necho today > data/processed/x.txt\n", encoding="utf-8")
    done = workshop.kfm("replay", "latest:job", "--json", "--isolation", "agent", env=env)
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.out


def test_what_a_monorepo_lends_to_a_project_below_its_top_is_the_recorded_one(tmp_path: Path) -> None:
    mono = Workshop(tmp_path / "mono")
    job = Workshop(mono.root / "pipe")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "monolib.pth").write_text(f"{mono.root}/src\n", encoding="utf-8")
    for path in ("data/work/runs", "data/processed"):
        (job.root / path).mkdir(parents=True)
    mono.write(".gitignore", "data/\n__pycache__/\n")
    code = "WORD = 'recorded'\n"
    (library, helper) = (mono.write("src/monolib.py", code), mono.write("shared/helper.py", code))
    body = "import helper, monolib\nopen('data/processed/x.txt', 'w').write(monolib.WORD + helper.WORD)\n"
    job.write("run.py", body)
    job.write("kfm-repro.toml", "")
    mono.commit()
    python, env = str(tmp_path / "venv/bin/python"), {"PYTHONPATH": f"{mono.root}/shared"}
    run = job.record(script="run.py", python=python, env=env)
    for file in (library, helper):
        file.write_text("WORD = 'today'\n", encoding="utf-8")
    mono.commit()
    done = job.kfm("replay", run, "--json", "--isolation", "agent", env=env)
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.out
    assert not [drift for drift in done.json["environment"]["drift"] if "folder" in drift["what"]]


def test_a_program_beside_the_project_in_its_repository_is_the_recorded_one(tmp_path: Path) -> None:
    mono, job = Workshop(tmp_path / "mono"), Workshop(tmp_path / "mono/pipe")
    for path in ("data/work/runs", "data/processed"):
        (job.root / path).mkdir(parents=True)
    mono.write(".gitignore", "data/\n")
    tool = mono.write("tools/make", "#!/bin/sh\necho recorded > data/processed/x.txt\n")
    tool.chmod(0o755)
    job.write("kfm-repro.toml", "")
    mono.commit()
    done = job.kfm("record", "--pipeline", "job", "--", str(tool))
    assert done.code == 0, done.err
    tool.write_text("#!/bin/sh\necho today > data/processed/x.txt\n", encoding="utf-8")
    done = job.kfm("replay", "latest:job", "--json")
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.out


def test_a_program_outside_of_the_repository_that_is_another_one_now_allows_no_verdict(
    workshop: Workshop, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nod -An -N4 -tu4 /dev/urandom > data/processed/x.txt\n", encoding="utf-8")
    tool.chmod(0o755)
    workshop.write("data/processed/.keep", "")
    workshop.commit()
    done = workshop.kfm("record", "--pipeline", "job", "--", str(tool))
    assert done.code == 0, done.err
    value = (workshop.root / "data/processed/x.txt").read_text(encoding="utf-8").rstrip("\n")
    tool.write_text(f"#!/bin/sh\necho '{value}' > data/processed/x.txt\n", encoding="utf-8")
    done = workshop.kfm("replay", "latest:job", "--json", "--isolation", "agent")
    assert (done.code, done.json["verdict"]) == (2, "unknown"), done.out
    assert done.json["error"]["code"] == "code-unavailable"
    assert "other code ran" in done.json["error"]["message"]
    assert [drift["what"] for drift in done.json["environment"]["drift"]] == ["program (its file)"]
