"""An object store in another place, as a user sets it: every command that needs bytes finds them there (rule 10)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from workshop import Workshop, plain_python

pytestmark = pytest.mark.slow

JOB = """
import pathlib
text = pathlib.Path("data/raw/in.csv").read_text(encoding="utf-8")
out = pathlib.Path("data/processed"); out.mkdir(parents=True, exist_ok=True)
(out / "out.csv").write_text(text.upper(), encoding="utf-8")
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "big disk/objects"
    store.mkdir(parents=True)
    return store


@pytest.fixture
def job(workshop: Workshop, store: Path) -> Workshop:
    workshop.write("pipelines/job.py", JOB)
    workshop.write(".gitignore", "data/\n")
    workshop.write("kfm-repro.toml", f'objects = "{store}"\n')
    workshop.commit()
    workshop.write("data/raw/in.csv", "id,name\n1,a\n")
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/**")


def objects(store: Path) -> list[Path]:
    return sorted(store.glob("??/*"))


def test_rule_10_replay_verify_pack_and_prune_use_the_store_where_it_is(
    job: Workshop, store: Path, tmp_path: Path
) -> None:
    run = record(job)
    assert len(objects(store)) == 2
    assert not (job.root / "data/work/runs/.objects").exists()
    job.write("data/raw/in.csv", "id,name\n9,z\n")
    shutil.rmtree(job.root / "data/processed")
    done = job.kfm("replay", run, "--json")
    assert (done.code, done.json["verdict"]) == (0, "reproducible"), done.err
    lines = {line["name"]: line["state"] for line in job.kfm("verify", run, "--json").json["lines"]}
    assert lines["outputs"] == "pass"
    packed = job.kfm("pack", run, "--bundle", "--json", "--output", str(tmp_path / "run.zip"))
    assert (packed.code, packed.json["notes"]) == (0, []), packed.err
    stray = "0" * 64
    (store / stray[:2]).mkdir()
    (store / stray[:2] / stray[2:]).write_text("stray")
    for path in objects(store):
        os.utime(path, (1, 1))
    pruned = job.kfm("prune", "--yes", "--json").json
    assert (pruned["objects"]["removed"], pruned["objects"]["left"]) == (1, 2)


def test_rule_10_record_and_replay_keep_the_store_within_its_cap(job: Workshop, store: Path) -> None:
    job.write("kfm-repro.toml", f'objects = "{store}"\nobjects-max = "100 B"\n')
    job.commit()
    stray = store / "00" / ("0" * 62)
    run = ""
    for command in ("record", "replay"):
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(bytes(200))
        os.utime(stray, (1, 1))
        if command == "record":
            run = record(job)
        else:
            assert job.kfm("replay", run).code == 0
        assert not stray.exists()
        assert len(objects(store)) == 2


def test_rule_10_a_store_that_is_not_there_stops_record_and_replay_before_anything_runs(
    job: Workshop, store: Path
) -> None:
    run = record(job)
    shutil.rmtree(store)
    runs = sorted(path.name for path in job.run_dir(run).parent.iterdir())
    (job.root / "data/processed/out.csv").unlink()
    for command in (["replay", run], ["record", "--", plain_python(), "pipelines/job.py"]):
        done = job.kfm(*command)
        assert done.code == 2
        error, hint = done.err.splitlines()[-2:]
        assert (error, hint) == (
            f"error: the folder of the object store does not exist: {store}",
            f"  hint: make it: mkdir -p '{store}'; or correct the setting objects",
        )
    assert not (job.root / "data/processed/out.csv").exists()
    assert sorted(path.name for path in job.run_dir(run).parent.iterdir()) == runs


def test_rule_18_a_pack_brings_no_place_for_objects_with_it(
    job: Workshop, store: Path, tmp_path: Path
) -> None:
    """The settings of a stranger's code would let objects be written anywhere."""
    run = record(job)
    assert job.kfm("pack", run, "--bundle", "--output", str(tmp_path / "run.zip")).code == 0
    before = objects(store)
    for path in before:
        path.unlink()
    there = Workshop(tmp_path)
    done = there.kfm("unpack", "run.zip", "--into", "new")
    assert done.code == 0, done.err
    assert objects(store) == []
    assert len(objects(tmp_path / "new/data/work/runs/.objects")) == 2
    done = there.kfm(
        "replay", run, "--trust", "--json", "--root", "new", env={"KFM_OBJECTS_ROOT": "new/data/work/o"}
    )
    assert done.json["error"]["code"] == "not-writable"
    (tmp_path / "new/data/work/o").mkdir()
    done = there.kfm(
        "replay", run, "--trust", "--json", "--root", "new", env={"KFM_OBJECTS_ROOT": "new/data/work/o"}
    )
    assert (done.code, done.json["verdict"]) == (0, "reproducible")


def test_rule_10_two_projects_share_a_store_and_keep_what_either_needs(
    job: Workshop, store: Path, tmp_path: Path
) -> None:
    mine = record(job)
    other = Workshop(tmp_path / "other")
    shutil.copytree(job.root, other.root, ignore=shutil.ignore_patterns("runs"))
    (other.root / "data/work/runs").mkdir(parents=True)
    other.write("data/raw/in.csv", "id,name\n2,b\n")
    theirs = record(other)
    for path in objects(store):
        os.utime(path, (1, 1))
    shutil.rmtree(job.run_dir(mine))
    pruned = other.kfm("prune", "--yes", "--json").json
    assert (pruned["objects"]["removed"], pruned["objects"]["left"], pruned["notes"]) == (2, 2, [])
    other.root.rename(tmp_path / "moved")
    done = job.kfm("prune", "--yes", "--json")
    (note,) = done.json["notes"]
    assert "no object was removed" in note
    assert str(tmp_path / "other/data/work/runs") in note
    assert len(objects(store)) == 2
    shutil.rmtree(tmp_path / "moved/data/processed")
    done = Workshop(tmp_path / "moved").kfm("replay", theirs, "--json")
    assert (done.code, json.loads(done.out)["verdict"]) == (0, "reproducible")
