"""Provenance (rules 22 and 23): whose it is, where it is kept, and that it outlives its run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from keeping import Shelf, shelf

from kfm_repro.errors import UnsafePath
from kfm_repro.model.retention import Action
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.provenance import write_provenance
from kfm_repro.runs.retention import plan_prune, prune


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def edit(run: RunDir, old: str, new: str) -> None:
    text = run.run_yaml.read_text(encoding="utf-8")
    assert old in text
    run.run_yaml.write_text(text.replace(old, new), encoding="utf-8")


def aim(run: RunDir, target: str) -> None:
    """Name ``target`` as the place of the run's PROV record."""
    with run.run_yaml.open("a", encoding="utf-8") as file:
        file.write(f"prov: {{target_path: {json.dumps(target)}}}\n")


def twin(run: RunDir, name: str) -> RunDir:
    """Copy a run into another folder of its pipeline; its record keeps the id."""
    path = run.path.with_name(name)
    shutil.copytree(run.path, path)
    return RunDir(path)


def activity(path: Path, run_id: str, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"@type": "prov:Activity", "kfm:run_id": run_id} | more), encoding="utf-8")
    return path


def action(kept: Shelf, name: str, keep: int = 1) -> str:
    found = {f"{i.seen.run.pipeline}/{i.seen.run.name}": i for i in plan_prune(kept.project, keep)}
    return str(found[name].action)


def test_rule_23_provenance_inside_the_run_that_would_go_is_none(kept: Shelf) -> None:
    run = kept.run(0, prov=False)
    kept.run(1)
    aim(run, "data/work/runs/job/run000/prov.jsonld")
    activity(run.path / "prov.jsonld", "run000")
    done = prune(kept.project, 1)
    assert [item.action for item in done.decisions] == [Action.BLOCKED, Action.KEEP]
    assert run.run_yaml.is_file()


def test_rule_23_a_link_to_a_record_among_the_runs_is_no_provenance(kept: Shelf) -> None:
    run = kept.run(0, prov=False)
    kept.run(1)
    inner = activity(run.path / "prov.jsonld", "run000")
    folder = kept.project.root / "data/prov"
    (folder / "run000.jsonld").symlink_to(inner)
    assert action(kept, "job/run000") == "blocked"
    activity(folder / "job/real.jsonld", "run000")
    assert action(kept, "job/run000") == "delete"


def test_rule_23_a_linked_folder_of_provenance_among_the_runs_is_none(kept: Shelf) -> None:
    run = kept.run(0, prov=False)
    kept.run(1, prov=False)
    activity(run.path / "prov.jsonld", "run000")
    (kept.project.root / "data/prov").symlink_to(run.path)
    assert action(kept, "job/run000") == "blocked"


@pytest.mark.parametrize(
    "target",
    [".vscode/tasks.json", "data/processed/a.json", "data/work/runs/job/run000/prov.jsonld", "data/prov"],
)
def test_rule_22_a_record_is_written_only_where_provenance_is_kept(kept: Shelf, target: str) -> None:
    run = kept.run(0, prov=False)
    aim(run, target)
    with pytest.raises(UnsafePath) as caught:
        write_provenance(kept.project, run)
    assert caught.value.hint
    assert not list(kept.project.root.rglob("tasks.json"))
    assert not list(kept.project.root.rglob("*.jsonld"))


def test_rule_22_two_folders_of_one_id_need_a_record_each(kept: Shelf) -> None:
    first = kept.run(0, prov=False)
    second = twin(first, "second")
    kept.run(1)
    made = write_provenance(kept.project, second)
    assert action(kept, "job/second") == "delete"
    assert action(kept, "job/run000") == "blocked", "the record is about the other folder"
    other = write_provenance(kept.project, first)
    assert other.written
    assert other.path != made.path
    assert action(kept, "job/run000") == "delete"


def test_rule_22_a_strangers_record_for_the_id_is_not_the_twins(kept: Shelf) -> None:
    first = kept.run(0, prov=False)
    twin(first, "second")
    kept.run(1)
    activity(kept.project.root / "data/prov/x.jsonld", "run000", **{"kfm:pipeline": "job"})
    assert action(kept, "job/second") == "blocked"


def test_rule_22_prov_and_prune_agree_on_an_id_of_two_pipelines(kept: Shelf) -> None:
    run = kept.run(0, prov=False)
    kept.run(0, prov=False, pipeline="other")
    kept.run(1)
    activity(kept.project.root / "data/prov/nameless.jsonld", "run000")
    assert action(kept, "job/run000") == "blocked"
    assert write_provenance(kept.project, run).written
    assert action(kept, "job/run000") == "delete"


def test_rule_22_the_nameless_record_of_a_shared_id_at_the_target_is_left_alone(kept: Shelf) -> None:
    run = kept.run(0, prov=False)
    kept.run(0, prov=False, pipeline="other")
    aim(run, "data/prov/taken.jsonld")
    taken = activity(kept.project.root / "data/prov/taken.jsonld", "run000")
    before = taken.read_bytes()
    made = write_provenance(kept.project, run)
    assert (made.written, made.path.name) == (True, "taken__run000.jsonld")
    assert taken.read_bytes() == before
    assert write_provenance(kept.project, run).written is False


def test_rule_22_the_longest_names_have_a_place_for_their_record(kept: Shelf) -> None:
    pipeline, name = "é" * 80, "ü" * 100
    run = kept.run(0, prov=False, pipeline=pipeline)
    long = run.path.rename(run.path.with_name(name))
    edit(RunDir(long), "run000", name)
    kept.run(1, pipeline=pipeline)
    assert action(kept, f"{pipeline}/{name}") == "blocked"
    made = write_provenance(kept.project, RunDir(long))
    assert made.path.name.startswith("é" * 80 + "__ü")
    assert len(made.path.name.encode()) <= 255
    prune(kept.project, 1)
    assert not long.exists()
