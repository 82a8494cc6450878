"""A packed run on another machine: another home, another folder, another repository, and the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop

TRUST = "--trust"
JOB = """
import csv, json, os, pathlib
factor = json.load(open("config/job.json", encoding="utf-8"))["factor"]
rows = list(csv.DictReader(open("data/raw/Größe der Felder.csv", encoding="utf-8")))
out = pathlib.Path("data/processed/über alles"); out.mkdir(parents=True, exist_ok=True)
with open(out / "out put.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([["id", "n"], *([row["id"], int(row["n"]) * factor] for row in rows)])
"""


def fill(shop: Workshop) -> Workshop:
    """Lay out a project with spaces and umlauts, a config, and an input that git does not have."""
    shop.write("pipelines/job.py", JOB)
    shop.write("config/job.json", '{"factor": 2}')
    shop.write(".gitignore", "data/\n")
    (shop.root / "data/work/runs").mkdir(parents=True, exist_ok=True)
    shop.commit()
    shop.write("data/raw/Größe der Felder.csv", "id,n\n1,10\n2,20\n")
    return shop


@pytest.fixture
def job(tmp_path: Path) -> Workshop:
    root = tmp_path / "my project ü"
    root.mkdir()
    return fill(Workshop(root))


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/**")


def pack(shop: Workshop, run: str, file: Path, *args: str, code: int = 0) -> Any:
    done = shop.kfm("pack", run, "--bundle", "--json", "--output", str(file), *args)
    assert done.code == code, done.out + done.err
    return done.json


def machine(tmp_path: Path) -> tuple[Workshop, dict[str, str]]:
    """Return another user's home, which is all that the other machine has, and its environment."""
    home = tmp_path / "another machine" / "home" / "müller"
    home.mkdir(parents=True)
    return Workshop(home), {
        "HOME": str(home),
        "USER": "müller",
        "LOGNAME": "müller",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
    }


def replayed(shop: Workshop, root: Path, run: str, env: dict[str, str] | None = None) -> Any:
    done = shop.kfm("replay", run, "--json", "--root", str(root), TRUST, env=env)
    assert done.code == 0, done.out + done.err
    assert done.json["verdict"] == "reproducible"
    return done.json


def test_a_bundle_replays_in_another_home_with_byte_identical_outputs(job: Workshop, tmp_path: Path) -> None:
    job.write("pipelines/job.py", JOB.replace("* factor", "* factor + 1"))
    job.write("config/job.json", '{"factor": 3}')
    run = record(job)
    job.write("config/job.json", '{"factor": 99}')
    pack(job, run, tmp_path / "run.zip")
    made = (job.root / "data/processed/über alles/out put.csv").read_bytes()
    assert made == b"id,n\r\n1,31\r\n2,61\r\n"
    job.root.rename(tmp_path / "gone")
    there, env = machine(tmp_path)
    done = there.kfm("unpack", str(tmp_path / "run.zip"), "--into", "bei mir/ein Projekt", env=env)
    assert done.code == 0, done.err
    root = there.root / "bei mir/ein Projekt"
    report = replayed(there, root, run, env)
    assert report["counts"]["identical"] == 1
    states = {item["name"]: item for item in report["preconditions"]}
    assert states["code"]["detail"].endswith("with the recorded patch")
    fresh = next((root / "data/work/runs/job").glob(report["replays"][0]["run_id"]))
    output = json.loads((fresh / "manifests/outputs.json").read_text())["outputs"][0]
    stored = root / "data/work/runs/.objects" / output["sha256"][:2] / output["sha256"][2:]
    assert stored.read_bytes() == made


def test_what_was_unpacked_packs_to_the_same_bytes_again(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    first = pack(job, run, tmp_path / "first.zip")
    there, env = machine(tmp_path)
    assert there.kfm("unpack", str(tmp_path / "first.zip"), "--into", "new", env=env).code == 0
    done = there.kfm("pack", run, "--bundle", "--json", "--root", "new", "--output", "again.zip", env=env)
    assert done.json["sha256"] == first["sha256"], done.err


def test_tags_settings_and_how_git_keeps_its_objects_do_not_change_a_bundle(
    job: Workshop, tmp_path: Path
) -> None:
    for number in range(12):
        job.write("pipelines/helper.py", "# line\n" * (200 + number))
        job.commit()
    run = record(job)
    first = pack(job, run, tmp_path / "0.zip")
    settings = tmp_path / "home/.gitconfig"
    settings.parent.mkdir()
    settings.write_text(
        "[pack]\n\twindow = 1\n\tdepth = 1\n\tcompression = 0\n\tthreads = 4\n[core]\n\tcompression = 9\n"
    )
    changes = [
        ("tag", "-a", "-m", "old", "old", "HEAD~9"),
        ("gc", "-q", "--aggressive"),
        ("repack", "-adfq", "--window=50"),
        ("branch", "other", "HEAD~3"),
        ("commit-graph", "write", "--reachable"),
    ]
    for number, change in enumerate(changes, 1):
        job.git(*change)
        done = job.kfm(
            "pack", run, "--bundle", "--json", "--output", str(tmp_path / f"{number}.zip"),
            env={"HOME": str(settings.parent), "PYTHONHASHSEED": str(number)},
        )  # fmt: skip
        assert done.json["sha256"] == first["sha256"], change


def test_a_run_is_replayed_in_an_unrelated_repository_that_has_the_same_paths(
    job: Workshop, tmp_path: Path
) -> None:
    run = record(job)
    pack(job, run, tmp_path / "run.zip")
    other = Workshop(tmp_path / "other")
    fill(other)
    other.write("config/job.json", '{"factor": 1000}')
    other.write("pipelines/extra.py", "")
    other.commit()
    other.write("data/raw/Größe der Felder.csv", "id,n\n7,7\n")
    assert other.kfm("unpack", str(tmp_path / "run.zip")).code == 0
    report = replayed(other, other.root, run)
    inputs = next(item for item in report["preconditions"] if item["name"] == "inputs")
    assert (inputs["state"], inputs["code"]) == ("drift", "SOURCE_SNAPSHOT_DRIFT")
    assert other.git("status", "--porcelain") == ""
    assert (other.root / "data/raw/Größe der Felder.csv").read_text() == "id,n\n7,7\n"


def test_a_project_below_the_top_of_its_repository_travels_and_fits_only_there(tmp_path: Path) -> None:
    top = Workshop(tmp_path / "mono repo")
    top.root.mkdir()
    shop = Workshop(top.root / "teams/kansas ü")
    shop.root.mkdir(parents=True)
    top.write("shared.txt", "at the top")
    top.git("init", "-q", "-b", "main")
    (shop.root / "data/work/runs").mkdir(parents=True)
    shop.write("pipelines/job.py", JOB)
    shop.write("config/job.json", '{"factor": 2}')
    shop.write(".gitignore", "data/\n")
    top.commit()
    shop.write("data/raw/Größe der Felder.csv", "id,n\n1,10\n")
    run = record(shop)
    pack(shop, run, tmp_path / "run.zip")
    there, env = machine(tmp_path)
    assert there.kfm("unpack", str(tmp_path / "run.zip"), "--into", "new", env=env).code == 0
    assert (there.root / "new/shared.txt").is_file()
    replayed(there, there.root / "new/teams/kansas ü", run, env)
    plain = fill(Workshop(tmp_path / "plain"))
    done = plain.kfm("unpack", str(tmp_path / "run.zip"), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "code-unavailable")
    assert "'teams/kansas ü/'" in done.json["error"]["message"]
    assert not list((plain.root / "data/work/runs").glob("[!.]*"))


@pytest.mark.parametrize("where", ["branch", "detached", "nowhere"])
def test_a_commit_that_no_main_branch_has_is_bundled(job: Workshop, tmp_path: Path, where: str) -> None:
    job.git("checkout", "-q", *(["-b", "side"] if where == "branch" else ["--detach"]))
    job.write("pipelines/job.py", JOB.replace("* factor", "* factor * 5"))
    job.commit()
    run = record(job)
    job.git("checkout", "-q", "main")
    if where == "nowhere":
        job.git("reflog", "expire", "--expire=now", "--all")
    pack(job, run, tmp_path / "run.zip")
    there, env = machine(tmp_path)
    assert there.kfm("unpack", str(tmp_path / "run.zip"), "--into", "new", env=env).code == 0
    replayed(there, there.root / "new", run, env)


@pytest.mark.parametrize(
    ("option", "said"), [("--depth=1", "shallow"), ("--filter=blob:none", "partial clone")]
)
def test_half_a_history_is_refused_with_the_command_that_fetches_the_rest(
    job: Workshop, tmp_path: Path, option: str, said: str
) -> None:
    job.commit()
    job.git("config", "uploadpack.allowFilter", "true")
    half = Workshop(tmp_path / "half")
    Workshop(tmp_path).git("clone", "-q", option, f"file://{job.root}", str(half.root))
    (half.root / "data/work/runs").mkdir(parents=True)
    half.write("data/raw/Größe der Felder.csv", "id,n\n1,10\n")
    run = record(half)
    error = pack(half, run, tmp_path / "run.zip", code=2)["error"]
    assert error["code"] == "code-unavailable"
    assert said in error["message"]
    assert "git fetch" in error["hint"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", job.root.name]


def test_code_with_submodules_is_refused_and_packs_without_it(job: Workshop, tmp_path: Path) -> None:
    library = Workshop(tmp_path / "library")
    library.root.mkdir()
    library.write("tool.py", "")
    library.commit()
    job.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "vendor/tool")
    job.commit()
    run = record(job)
    error = pack(job, run, tmp_path / "run.zip", code=2)["error"]
    assert error["code"] == "code-unavailable"
    assert "vendor/tool" in error["message"]
    assert "--with-outputs" in error["hint"]
    assert not (tmp_path / "run.zip").exists()
    assert job.kfm("pack", run, "--with-outputs").code == 0


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"


def test_pointers_of_git_lfs_in_the_code_are_named_and_data_goes_by_its_bytes(
    job: Workshop, tmp_path: Path
) -> None:
    job.write("models/weights.bin", POINTER.format("1" * 64))
    job.write("models/not one.txt", "version https://example.org\n")
    job.write(".gitignore", "data/work/\ndata/processed/\n")
    job.write("data/raw/Größe der Felder.csv", POINTER.format("2" * 64))
    job.commit()
    job.write("data/raw/Größe der Felder.csv", "id,n\n1,10\n")
    run = record(job)
    (note,) = [text for text in pack(job, run, tmp_path / "run.zip")["notes"] if "Git LFS" in text]
    assert "models/weights.bin" in note
    assert "not one" not in note
    assert "Felder" not in note
    there, env = machine(tmp_path)
    assert there.kfm("unpack", str(tmp_path / "run.zip"), "--into", "new", env=env).code == 0
    replayed(there, there.root / "new", run, env)


def test_an_input_from_the_object_store_goes_along_when_the_working_tree_has_moved_on(
    job: Workshop, tmp_path: Path
) -> None:
    run = record(job)
    job.write("data/raw/Größe der Felder.csv", "id,n\n5,5\n")
    pack(job, run, tmp_path / "run.zip")
    there, env = machine(tmp_path)
    assert there.kfm("unpack", str(tmp_path / "run.zip"), "--into", "new", env=env).code == 0
    replayed(there, there.root / "new", run, env)


def test_a_bundle_above_its_limit_is_refused_and_nothing_is_left(job: Workshop, tmp_path: Path) -> None:
    (job.root / "pipelines/large.bin").write_bytes(os.urandom(300_000))
    job.commit()
    run = record(job)
    error = pack(job, run, tmp_path / "run.zip", "--max-size", "200 kB", code=2)["error"]
    assert error["code"] == "limit-exceeded"
    assert "code.bundle" in error["message"]
    assert "--max-size" in error["hint"]
    assert [path.name for path in tmp_path.iterdir()] == [job.root.name]
    assert pack(job, run, tmp_path / "run.zip", "--max-size", "1 MB")["contents"][-1] == "code"


def test_code_that_is_not_whole_never_reaches_the_repository(job: Workshop, tmp_path: Path) -> None:
    """A bundle without its oldest commit: index-pack takes it where the rest is, and so we ask elsewhere."""
    import hashlib
    import zipfile

    job.commit()
    run = record(job)
    pack(job, run, tmp_path / "run.zip")
    commit = job.git("rev-parse", "HEAD")
    thin = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q"],
        cwd=job.root, input=f"{commit}\n^{commit}~1\n".encode(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = members["code.bundle"][: members["code.bundle"].index(b"\n\n") + 2]
    members["code.bundle"] = head + thin
    listed = json.loads(members["kfm-repro-pack.json"])
    listed["files"]["code.bundle"] = {
        "sha256": hashlib.sha256(head + thin).hexdigest(), "size_bytes": len(head + thin),
    }  # fmt: skip
    members["kfm-repro-pack.json"] = json.dumps(listed).encode()
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    other = fill(Workshop(tmp_path / "other"))
    before = sorted(str(path) for path in (other.root / ".git").rglob("*"))
    done = other.kfm("unpack", str(tmp_path / "half.zip"), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "pack-invalid")
    assert sorted(str(path) for path in (other.root / ".git").rglob("*")) == before
