"""What watching from outside sees, and that each thing which it cannot see is stated in the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from workshop import Workshop

OUT = "import os, pathlib\nout = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"


def pipeline(shop: Workshop, body: str) -> Workshop:
    shop.write("pipelines/job.py", OUT + body)
    shop.commit()
    return shop


def inputs(run: Path) -> dict[str, str]:
    document = json.loads((run / "manifests/inputs.json").read_text(encoding="utf-8"))
    return {item["path"]: item["found"] for item in document["inputs"]}


def observation(run: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))["observation"])


def record(shop: Workshop) -> Path:
    return shop.run_dir(shop.record())


def limited(shop: Workshop, limit: str, given: bytes) -> tuple[Path, str]:
    """Record in a user namespace of its own, in which the kernel gives no more than ``limit`` of inotify."""
    program = Path(sys.executable).with_name("kfm-repro")
    name, number = limit.split("=")
    setting = f"echo {number} > /proc/sys/user/{name}"
    probe = subprocess.run(["unshare", "-U", "-r", "sh", "-c", setting], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no user namespace with a limit of its own here: {probe.stderr.decode().strip()}")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KFM_", "GIT_", "PYTHON"))}
    command = f'{setting} && exec "$0" record --json -- "$1" pipelines/job.py'
    done = subprocess.run(
        ["unshare", "-U", "-r", "sh", "-c", command, program, sys.executable],
        cwd=shop.root, env=environ, input=given, capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    return shop.run_dir(document["run"]["run_id"]), "\n".join(document["notes"])


def test_without_inotify_everything_that_could_be_read_is_offered_and_that_is_said(
    workshop: Workshop,
) -> None:
    for name in ("a.csv", "b.csv"):
        workshop.write(f"data/raw/{name}", name)
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/a.csv').read())\n")
    run, notes = limited(workshop, "max_inotify_instances=0", b"text")
    assert inputs(run) == {"data/raw/a.csv": "offered", "data/raw/b.csv": "offered"}
    said = observation(run)
    assert (said["method"], said["inputs"], said["stdin"]) == ("none", "offered", "unknown")
    assert any("inotify is not available" in gap for gap in said["gaps"])
    assert "inotify is not available" in notes
    assert "may have read its standard input" in notes
    done = workshop.kfm("replay", run.name, "--json")
    assert done.code == 0, done.out
    states = {item["name"]: item["state"] for item in done.json["preconditions"]}
    assert states["stdin"] == "unknown"


def test_with_too_few_watches_the_rest_is_offered_and_that_is_said(workshop: Workshop) -> None:
    for number in range(20):
        workshop.write(f"data/raw/{number:02}/a.csv", "a")
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/19/a.csv').read())\n")
    run, notes = limited(workshop, "max_inotify_watches=10", b"")
    assert len(inputs(run)) == 20
    assert "max_user_watches" in notes
    assert any("max_user_watches" in gap for gap in observation(run)["gaps"])
    assert workshop.kfm("replay", run.name).code == 0


def test_files_opened_through_links_below_the_data_roots_are_there_in_a_replay_by_that_name(
    workshop: Workshop,
) -> None:
    workshop.write("data/raw/2024/a.csv", "a")
    workshop.write("store/b.csv", "b")
    (workshop.root / "data/raw/newest").symlink_to("2024")
    (workshop.root / "data/raw/current").symlink_to("newest")
    (workshop.root / "data/raw/b.csv").symlink_to("../../store/b.csv")
    pipeline(
        workshop,
        "names = ('current/a.csv', 'b.csv')\n"
        "(out / 'a.txt').write_text(''.join(open(f'data/raw/{n}').read() for n in names))\n",
    )
    run = record(workshop)
    assert {"data/raw/current/a.csv", "data/raw/2024/a.csv", "data/raw/b.csv"} <= inputs(run).keys()
    done = workshop.kfm("replay", run.name, "--json")
    assert done.code == 0, done.out


def test_a_data_root_that_is_a_link_within_the_project_is_watched_behind_it(workshop: Workshop) -> None:
    workshop.write("store/raw/a.csv", "a")
    workshop.write(".gitignore", "store/\nfiles\n")
    workshop.write("kfm-repro.toml", 'data-roots = ["files"]\n')
    (workshop.root / "files").symlink_to("store")
    body = "(out / 'a.txt').write_text(open('files/raw/a.csv').read())\n"
    workshop.write("pipelines/job.py", OUT.replace("data/processed", "files/processed") + body)
    workshop.commit()
    run = record(workshop)
    assert inputs(run)["files/raw/a.csv"] == "opened"
    done = workshop.kfm("replay", run.name, "--json")
    assert done.code == 0, done.out
    assert done.json["counts"]["identical"] == 1


def test_a_data_root_that_leads_out_of_the_project_is_a_gap(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/a.csv").write_text("a", encoding="utf-8")
    (workshop.root / "data/raw").symlink_to(tmp_path / "archive")
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/a.csv').read())\n")
    run = record(workshop)
    assert inputs(run) == {}
    assert "a symbolic link out of the project: data/raw" in observation(run)["gaps"]


def test_of_a_file_with_two_names_the_one_that_was_opened_is_the_input(workshop: Workshop) -> None:
    first = workshop.write("data/raw/a.csv", "a")
    (workshop.root / "data/other").mkdir()
    os.link(first, workshop.root / "data/other/b.csv")
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/other/b.csv').read())\n")
    run = record(workshop)
    assert inputs(run) == {"data/other/b.csv": "opened"}
    assert workshop.kfm("replay", run.name).code == 0


def test_what_is_never_seen_or_never_taken_is_stated_in_every_record(
    workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "outside.csv").write_text("x", encoding="utf-8")
    workshop.write("data/raw/.hidden.csv", "h")
    workshop.write("data/.cache/c.csv", "c")
    workshop.write("data/raw/only-asked.csv", "s")
    pipeline(
        workshop,
        f"names = ('data/raw/.hidden.csv', 'data/.cache/c.csv', {str(tmp_path / 'outside.csv')!r})\n"
        "text = ''.join(open(n).read() for n in names if os.path.exists(n))\n"
        "(out / 'a.txt').write_text(text + str(os.path.getsize('data/raw/only-asked.csv')))\n",
    )
    run = record(workshop)
    assert inputs(run) == {}
    gaps = "\n".join(observation(run)["gaps"])
    for said in (
        "hidden files, locks and caches are never taken: data/raw/.hidden.csv",
        "hidden folders, caches and virtual environments are not watched",
        "files outside of the project are not seen",
        "only the name, the size or the time",
        "had open before, or opened on another machine",
    ):
        assert said in gaps, said
