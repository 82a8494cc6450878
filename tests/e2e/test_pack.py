"""``pack`` and ``unpack`` as a user runs them: a run leaves one project and replays in another."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from workshop import REPOSITORY, Workshop

DOUBLE = """
import csv, pathlib
rows = list(csv.DictReader(open("data/raw/in.csv", encoding="utf-8")))
out = pathlib.Path("data/processed"); out.mkdir(parents=True, exist_ok=True)
with open(out / "out.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([["id", "double"], *([row["id"], int(row["n"]) * FACTOR] for row in rows)])
"""
TRUST = ("--trust",)
"""What a replay of a foreign run needs on the command line."""


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    """Return a project whose input git does not have."""
    workshop.write("pipelines/job.py", DOUBLE.replace("FACTOR", "2"))
    workshop.write(".gitignore", "data/\n")
    workshop.commit()
    workshop.write("data/raw/in.csv", "id,n\n1,10\n2,20\n")
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/**")


def pack(shop: Workshop, run: str, *args: str, code: int = 0) -> dict[str, Any]:
    done = shop.kfm("pack", run, "--json", *args)
    assert done.code == code, done.out + done.err
    jsonschema.validate(done.json, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text()))
    return done.json


def unpack(shop: Workshop, file: str | Path, *args: str, code: int = 0) -> dict[str, Any]:
    done = shop.kfm("unpack", str(file), "--json", *args)
    assert done.code == code, done.out + done.err
    jsonschema.validate(done.json, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text()))
    return done.json


def tree(root: Path) -> dict[str, str]:
    """Return every file below ``root`` with its digest, locks and git's own files left out."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.parts and not path.name.endswith("lock")
    }


def test_a_bundled_run_replays_in_a_new_project_with_nothing_else_at_hand(
    job: Workshop, tmp_path: Path
) -> None:
    job.write("pipelines/job.py", DOUBLE.replace("FACTOR", "3"))
    run = record(job)
    answer = pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    assert answer["contents"] == ["record", "outputs", "inputs", "code"]
    shutil.rmtree(job.root)
    there = tmp_path / "elsewhere"
    shop = Workshop(tmp_path)
    assert unpack(shop, tmp_path / "run.zip", "--into", str(there))["objects"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "run.zip"]
    assert (there / "pipelines/job.py").is_file()
    done = shop.kfm("replay", run, "--json", "--root", str(there), *TRUST)
    assert done.code == 0, done.out + done.err
    assert done.json["verdict"] == "reproducible"
    assert done.json["counts"]["identical"] == 1


def test_a_run_is_brought_into_a_project_that_has_other_code(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    other = Workshop(tmp_path / "other")
    other.write("pipelines/job.py", "raise SystemExit('not this one')\n")
    other.write(".gitignore", "data/\n")
    head = other.commit()
    (other.root / "data/work/runs").mkdir(parents=True)
    assert unpack(other, tmp_path / "run.zip")["path"] == f"data/work/runs/job/{run}"
    assert other.git("rev-parse", "HEAD") == head
    assert other.git("status", "--porcelain") == ""
    other.git("gc", "-q", "--prune=now")
    done = other.kfm("replay", run, "--json", *TRUST)
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.err


def test_the_same_run_gives_the_same_bytes(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    pack(job, run, "--bundle", "--output", str(first))
    for path in job.run_dir(run).rglob("*"):
        os.utime(path, (1, 1))
    job.git("gc", "-q")
    done = job.kfm(
        "pack", run, "--bundle", "--output", str(second), "--root", str(job.root), cwd=tmp_path,
        env={"PYTHONHASHSEED": "7", "TZ": "America/Chicago", "LC_ALL": "C"},
    )  # fmt: skip
    assert done.code == 0, done.err
    assert first.read_bytes() == second.read_bytes()


def test_a_pack_is_a_plain_zip_of_the_record_without_scratch(job: Workshop) -> None:
    run = record(job)
    (job.run_dir(run) / "scratch/big.tmp").write_text("x")
    answer = pack(job, run)
    assert answer["path"] == f"job__{run}.zip"
    with zipfile.ZipFile(job.root / answer["path"]) as archive:
        names = archive.namelist()
        assert names[1:] == sorted(names[1:])
        assert archive.testzip() is None
        listed = json.loads(archive.read("kfm-repro-pack.json"))
        assert {*names} == {"kfm-repro-pack.json", *listed["files"]}
        assert {"run/run.yaml", "run/manifests/outputs.json", "run/_SUCCESS"} < {*names}
        assert not [name for name in names if "scratch" in name or name.startswith("objects")]
        record_files = {name.removeprefix("run/"): archive.read(name) for name in names if name[:4] == "run/"}
    assert record_files == {
        path.relative_to(job.run_dir(run)).as_posix(): path.read_bytes()
        for path in job.run_dir(run).rglob("*")
        if path.is_file() and "scratch" not in path.parts
    }


def test_rule_23_packing_marks_the_run_and_prune_keeps_it(job: Workshop) -> None:
    first, _ = record(job), record(job)
    assert job.kfm("prov", first).code == 0
    assert job.kfm("prune", "--keep", "1", "--json").json["counts"]["delete"] == 1
    pack(job, first)
    assert json.loads((job.run_dir(first) / "status.json").read_text())["retain"] == "artifact"
    plan = job.kfm("prune", "--keep", "1", "--json").json
    assert {run["run_id"]: run["reason"] for run in plan["runs"]}[first] == "marked artifact"


@pytest.mark.parametrize(
    ("labels", "refused"),
    [
        ({}, False),
        ({"out.csv": "public"}, False),
        ({"out.csv": "restricted"}, True),
        ({"out.csv": "our own word"}, True),
        ({"out.csv": "public", "new.csv": None}, True),
    ],
)
def test_rule_17_a_pack_of_restricted_outputs_needs_a_flag(
    job: Workshop, labels: dict[str, str | None], *, refused: bool
) -> None:
    run = record(job)
    manifest = job.run_dir(run) / "manifests/outputs.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    for name, label in labels.items():
        path = f"data/processed/{name}"
        entry = next((item for item in document["outputs"] if item["path"] == path), None)
        if entry is None:
            document["outputs"].append(entry := {"path": path, "sha256": "0" * 64})
        if label:
            entry["classification"] = label
    manifest.write_text(json.dumps(document), encoding="utf-8")
    if refused:
        assert pack(job, run, code=2)["error"]["code"] == "not-disclosed"
        assert not list(job.root.glob("*.zip"))
        assert "retain" not in json.loads((job.run_dir(run) / "status.json").read_text())
    pack(job, run, *(["--restricted"] if refused else []))


def test_a_pack_above_its_limit_is_refused_and_not_begun(job: Workshop) -> None:
    run = record(job)
    error = pack(job, run, "--max-size", "1 kB", code=2)["error"]
    assert error["code"] == "limit-exceeded"
    assert sorted(path.name for path in job.root.iterdir() if "zip" in path.name or "part" in path.name) == []


def test_another_file_in_the_way_is_left_alone(job: Workshop) -> None:
    run = record(job)
    target = job.write("mine.zip", "not a pack")
    assert pack(job, run, "--output", "mine.zip", code=2)["error"]["code"] == "not-writable"
    assert target.read_text() == "not a pack"


def test_a_link_in_the_record_is_not_followed_into_a_pack(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    (tmp_path / "private.txt").write_text("private")
    (job.run_dir(run) / "config/link.txt").symlink_to(tmp_path / "private.txt")
    assert pack(job, run, code=2)["error"]["code"] == "record-invalid"


def test_rule_18_an_unpacked_run_is_marked_and_the_mark_does_not_travel(
    job: Workshop, tmp_path: Path
) -> None:
    run = record(job)
    before = pack(job, run)
    packed = job.root / before["path"]
    own = tree(job.run_dir(run))
    there = Workshop(tmp_path / "there")
    answer = unpack(Workshop(tmp_path), packed, "--into", str(there.root))
    assert answer["foreign"] is True
    brought = tree(there.run_dir(run))
    mark = brought.pop("foreign.json")
    assert mark
    assert brought == own
    again = pack(there, run)
    assert again["sha256"] == before["sha256"]
    error = there.kfm("replay", run, "--json", *TRUST).json["error"]
    assert error["code"] == "code-unavailable"
    assert "brought no code" in error["message"]
    assert "pack --bundle" in error["hint"]


def test_a_run_that_is_here_already_is_left_alone(job: Workshop) -> None:
    run = record(job)
    packed = pack(job, run)["path"]
    before = tree(job.root)
    again = unpack(job, packed)
    assert (again["already"], again["foreign"]) == (True, False)
    assert tree(job.root) == before
    assert "here already, as the pack has it" in job.kfm("unpack", packed).out
    outside = Workshop(job.root.parent)
    assert "--into DIR" in unpack(outside, job.root / packed, code=2)["error"]["hint"]
    assert pack(job, run, "--max-size", "9", code=2)["error"]["hint"] == 'allow it: --max-size "1 MiB"'


def test_unpacking_twice_is_once_and_brings_back_what_was_lost(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    there = Workshop(tmp_path / "there")
    assert unpack(job, tmp_path / "run.zip", "--into", str(there.root))["already"] is False
    whole = tree(there.run_dir(run))
    lost = next(path for path in (there.root / "data/work/runs/.objects").glob("??/*"))
    lost.unlink()
    assert unpack(there, tmp_path / "run.zip")["already"] is True
    assert lost.is_file()
    assert tree(there.run_dir(run)) == whole
    assert there.kfm("replay", run, "--json", *TRUST).json["verdict"] == "reproducible"
    assert unpack(there, tmp_path / "run.zip")["foreign"] is True


@pytest.mark.parametrize("change", ["other", "gone", "link"])
def test_another_run_of_that_id_is_never_taken_for_the_one_in_the_pack(
    job: Workshop, tmp_path: Path, change: str
) -> None:
    run = record(job)
    packed = pack(job, run)["path"]
    file = job.run_dir(run) / "manifests/outputs.json"
    text = file.read_bytes()
    file.unlink()
    if change == "other":
        file.write_bytes(text.replace(b'"row_count": 3', b'"row_count": 4') + b"\n")
    elif change == "link":
        (tmp_path / "elsewhere.json").write_bytes(text)
        file.symlink_to(tmp_path / "elsewhere.json")
    before = tree(job.root)
    error = unpack(job, packed, code=2)["error"]
    assert error["code"] == "not-writable"
    assert "manifests/outputs.json is not as in the pack" in error["message"]
    assert tree(job.root) == before


def test_rule_18_hooks_and_filters_do_not_run_while_a_pack_is_opened(job: Workshop, tmp_path: Path) -> None:
    job.write(".gitattributes", "*.py filter=trap\n")
    job.commit()
    run = record(job)
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    sprung = tmp_path / "sprung"
    settings = tmp_path / "home/.gitconfig"
    settings.parent.mkdir()
    hooks = tmp_path / "home/hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {sprung}\n")
        (hooks / name).chmod(0o755)
    settings.write_text(
        f'[filter "trap"]\n\tsmudge = touch {sprung}; cat\n\trequired = true\n[core]\n\thooksPath = {hooks}\n'
    )
    done = Workshop(tmp_path).kfm(
        "unpack",
        "run.zip",
        "--into",
        "there",
        env={"HOME": str(settings.parent), "XDG_CONFIG_HOME": str(hooks)},
    )
    assert done.code == 0, done.err
    assert (tmp_path / "there/pipelines/job.py").read_text() == DOUBLE.replace("FACTOR", "2")
    assert not sprung.exists()


def test_code_with_a_link_out_of_it_is_refused_and_nothing_is_left(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    (job.root / "out").symlink_to(tmp_path)
    job.commit()
    text = job.run_dir(run).joinpath("run.yaml").read_text(encoding="utf-8")
    old, new = job.git("rev-parse", "HEAD^"), job.git("rev-parse", "HEAD")
    job.run_dir(run).joinpath("run.yaml").write_text(text.replace(old, new), encoding="utf-8")
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    error = unpack(Workshop(tmp_path), "run.zip", "--into", "there", code=2)["error"]
    assert error["code"] == "path-unsafe"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "run.zip"]


@pytest.mark.parametrize(
    ("name", "target", "code"),
    [
        ("hooks", ".git/hooks", "path-unsafe"),
        ("data/work/runs/job", "../../../.git", "path-unsafe"),
        ("data/work/runs/job", "../../../pipelines", "not-writable"),
        ("data/work/runs/.objects", "../../../pipelines", "not-writable"),
        ("data/work/runs", "../../pipelines", "path-unsafe"),
    ],
)
def test_rule_18_no_link_in_the_packs_code_leads_what_is_unpacked_elsewhere(
    name: str, target: str, code: str, job: Workshop, tmp_path: Path
) -> None:
    run = record(job)
    (tmp_path / "target").write_text(target, encoding="utf-8")
    blob = job.git("hash-object", "-w", str(tmp_path / "target"))
    job.git("update-index", "--add", "--cacheinfo", f"120000,{blob},{name}")
    job.git("commit", "-q", "-m", "a link")
    text = job.run_dir(run).joinpath("run.yaml").read_text(encoding="utf-8")
    old, new = job.git("rev-parse", "HEAD^"), job.git("rev-parse", "HEAD")
    job.run_dir(run).joinpath("run.yaml").write_text(text.replace(old, new), encoding="utf-8")
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    error = unpack(Workshop(tmp_path), "run.zip", "--into", "there", code=2)["error"]
    assert error["code"] == code, error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "run.zip", "target"]


def test_code_needs_a_repository_or_a_new_folder(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    pack(job, run, "--bundle", "--output", str(tmp_path / "run.zip"))
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "notes.txt").write_text("mine")
    error = unpack(Workshop(tmp_path), "run.zip", "--into", "plain", code=2)["error"]
    assert error["code"] == "code-unavailable"
    assert not list(plain.rglob("run.yaml"))


def test_rule_10_a_damaged_copy_of_an_output_is_named_and_not_compared_with(job: Workshop) -> None:
    run = record(job)
    output = job.root / "data/processed/out.csv"
    sha256 = hashlib.sha256(output.read_bytes()).hexdigest()
    stored = job.root / "data/work/runs/.objects" / sha256[:2] / sha256[2:]
    stored.chmod(0o644)
    stored.write_text("id,double\n1,99\n2,40\n")
    output.unlink()
    answer = pack(job, run, "--with-outputs")
    assert answer["notes"] == [
        (
            "without the bytes of output data/processed/out.csv: the stored copy of the recorded bytes is damaged, "
            "and they are neither in the working tree nor in git"
        )
    ]
    done = job.kfm("replay", run, "--json")
    assert done.json["verdict"] == "reproducible"
    assert stored.read_text() == "id,double\n1,20\n2,40\n"


def track(shop: Workshop, path: str, text: str) -> None:
    """Commit a file that git is told to ignore."""
    shop.write(path, text)
    shop.git("add", "-f", path)
    shop.commit()


def test_rule_17_a_bundle_of_tracked_data_that_is_no_part_of_the_run_needs_the_flag(
    job: Workshop, tmp_path: Path
) -> None:
    track(job, "data/raw/sites.csv", "site,lat,lon\nhidden,38.1,-98.1\n")
    track(job, "data/other/.gitkeep", "")
    job.write("kfm-repro.toml", '[inputs."data/raw/sites.csv"]\nlabel = "sensitive"\n')
    run = job.record("--input", "data/raw/in.csv", "--output", "data/processed/**")
    error = pack(job, run, "--bundle", code=2)["error"]
    assert error["code"] == "not-disclosed"
    assert "data/raw/sites.csv" in error["message"]
    assert ".gitkeep" not in error["message"]
    pack(job, run, "--with-outputs")
    target = tmp_path / "run.zip"
    pack(job, run, "--bundle", "--restricted", "--output", str(target))
    with zipfile.ZipFile(target) as archive:
        assert json.loads(archive.read("kfm-repro-pack.json"))["labels"] == {
            "data/raw/sites.csv": "sensitive"
        }


def test_rule_17_tracked_data_without_a_label_is_not_open_where_labels_are_in_use(job: Workshop) -> None:
    track(job, "data/raw/other.csv", "id\n1\n")
    job.write(
        "kfm-repro.toml", '[inputs."data/raw/in.csv"]\nlabel = "public"\n[outputs."**"]\nlabel = "public"\n'
    )
    run = job.record("--input", "data/raw/in.csv", "--output", "data/processed/**")
    pack(job, run, "--with-outputs", "--output", "outputs.zip")
    pack(job, run, "--bundle", "--output", "code.zip")
    job.write(
        "kfm-repro.toml",
        '[inputs."data/raw/in.csv"]\nlabel = "public"\n[outputs."*.csv"]\nlabel = "public"\n',
    )
    pack(job, run, "--bundle", "--output", "code.zip")
    job.write(
        "kfm-repro.toml",
        '[inputs."data/raw/in.csv"]\nlabel = "public"\n[outputs."data/processed/*"]\nlabel = "public"\n',
    )
    error = pack(job, run, "--bundle", code=2)["error"]
    assert (error["code"], "data/raw/other.csv" in error["message"]) == ("not-disclosed", True)


def test_rule_24_a_bundle_of_code_with_secrets_needs_the_flag(job: Workshop) -> None:
    job.write("settings.env", "HOST=db\nDB_PASSWORD=Zq8Lw3Rt9Kd7\n")
    job.commit()
    run = record(job)
    error = pack(job, run, "--bundle", code=2)["error"]
    assert error["code"] == "secrets-found"
    assert "settings.env:2: secret-keyword" in error["message"]
    assert "Zq8Lw3" not in json.dumps(error)
    assert pack(job, run, "--output", "record.zip")["secrets"] == "none"
    answer = pack(job, run, "--bundle", "--restricted")
    assert answer["secrets"] == "found"
    assert "settings.env:2" in answer["notes"][0]
    job.git("rm", "-q", "settings.env")
    job.commit()
    later = pack(job, record(job), "--bundle")
    assert later["secrets"] == "partial"
    assert "not the history before it" in later["notes"][-1]


def test_rule_24_a_bundle_of_a_single_commit_was_searched_to_its_end(job: Workshop) -> None:
    answer = pack(job, record(job), "--bundle")
    assert (answer["secrets"], answer["notes"]) == ("none", [])
