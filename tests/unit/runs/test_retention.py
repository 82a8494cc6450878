"""Retention (rule 23): what may go, what stays, and in which order things are taken away."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keeping import Shelf, shelf

from kfm_repro.errors import NotWritable
from kfm_repro.model.retention import Action
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.provenance import write_provenance
from kfm_repro.runs.retention import keep_within_cap, plan_prune, prune
from kfm_repro.runs.status import mark_retained
from kfm_repro.runs.trust import mark_foreign


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def actions(shelf: Shelf, keep: int, pipeline: str = "") -> dict[str, str]:
    return {
        f"{item.seen.run.pipeline}/{item.seen.run.name}": str(item.action)
        for item in plan_prune(shelf.project, keep, pipeline)
    }


def test_rule_23_the_newest_of_each_pipeline_are_kept(kept: Shelf) -> None:
    for number in range(4):
        kept.run(number)
        kept.run(number, pipeline="other")
    assert actions(kept, 3) == {
        "job/run000": "delete", "job/run001": "keep", "job/run002": "keep", "job/run003": "keep",
        "other/run000": "delete", "other/run001": "keep", "other/run002": "keep", "other/run003": "keep",
    }  # fmt: skip
    assert actions(kept, 1, "other") == {
        "other/run000": "delete", "other/run001": "delete", "other/run002": "delete", "other/run003": "keep",
    }  # fmt: skip


def test_rule_23_a_plan_deletes_nothing(kept: Shelf) -> None:
    for number in range(4):
        kept.run(number)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in kept.project.root.rglob("*"))
    assert actions(kept, 1)["job/run000"] == "delete"
    assert sorted((str(path), path.stat().st_mtime_ns) for path in kept.project.root.rglob("*")) == before


def test_rule_23_no_run_is_deleted_before_its_provenance_exists(kept: Shelf) -> None:
    kept.run(0, prov=False)
    kept.run(1, prov=False, state="failed")
    kept.run(2, prov=False, of="run000")
    kept.run(3, state="failed")
    kept.run(4)
    kept.run(5)
    kept.run(6, of="run005")
    done = prune(kept.project, 1)
    blocked = {item.seen.run.name: item.reason for item in done.decisions if item.action is Action.BLOCKED}
    assert set(blocked) == {"run000", "run001", "run002"}
    assert blocked["run000"] == "it has no provenance yet: kfm-repro prov job/run000"
    assert kept.names() == [f"job/run00{n}" for n in (0, 1, 2, 3, 5, 6)]


def test_rule_23_an_entity_or_another_pipelines_activity_is_no_provenance(kept: Shelf) -> None:
    kept.run(0, prov=False)
    kept.run(0, pipeline="other")
    kept.run(1)
    folder = kept.project.root / "data/prov"
    entity = {"@graph": [{"@type": "prov:Entity", "kfm:run_id": "run000"}]}
    (folder / "entity.jsonld").write_text(json.dumps(entity))
    assert actions(kept, 1)["job/run000"] == "blocked"
    nameless = {"@graph": [{"@type": "prov:Activity", "kfm:run_id": "run000"}]}
    (folder / "nameless.jsonld").write_text(json.dumps(nameless))
    assert actions(kept, 1)["job/run000"] == "blocked", "two runs have this id: it cannot be told whose it is"


def test_rule_23_missing_provenance_is_written_first_when_asked(kept: Shelf) -> None:
    kept.run(0, prov=False)
    kept.run(1, prov=False)
    prune(kept.project, 1, write_missing=True)
    assert kept.names() == ["job/run001"]
    (written,) = (kept.project.root / "data/prov").rglob("*.jsonld")
    assert '"kfm:run_id": "run000"' in written.read_text(encoding="utf-8")


@pytest.mark.parametrize("mark", ["published", "artifact", "something new"])
def test_rule_23_a_marked_run_is_kept_until_it_is_unmarked(kept: Shelf, mark: str) -> None:
    run = kept.run(0)
    kept.run(1)
    mark_retained(run, mark)
    assert actions(kept, 1)["job/run000"] == "keep"
    document = json.loads(run.status.read_text(encoding="utf-8"))
    del document["retain"]
    run.status.write_text(json.dumps(document), encoding="utf-8")
    assert actions(kept, 1)["job/run000"] == "delete"


def test_rule_23_marking_as_an_artifact_does_not_weaken_published(kept: Shelf) -> None:
    run = kept.run(0)
    mark_retained(run, "published")
    mark_retained(run, "artifact")
    assert json.loads(run.status.read_text(encoding="utf-8"))["retain"] == "published"


def test_rule_23_replays_and_failures_do_not_push_out_originals(kept: Shelf) -> None:
    for number in range(3):
        kept.run(number)
    for number in range(3, 9):
        kept.run(number, of="run002")
    for number in range(9, 14):
        kept.run(number, state="failed")
    plan = actions(kept, 2)
    assert [name for name, action in plan.items() if action == "keep"] == [
        "job/run001", "job/run002", "job/run007", "job/run008", "job/run012", "job/run013",
    ]  # fmt: skip


def test_rule_23_a_replay_that_its_status_does_not_mirror_pushes_out_no_original(kept: Shelf) -> None:
    kept.run(0)
    replay = kept.run(1, of="run000")
    document = json.loads(replay.status.read_text(encoding="utf-8"))
    del document["replay"]
    replay.status.write_text(json.dumps(document), encoding="utf-8")
    assert actions(kept, 1) == {"job/run000": "keep", "job/run001": "keep"}


def test_rule_23_the_time_in_an_id_outweighs_that_of_the_folder(kept: Shelf) -> None:
    times = {
        "2025-01-01T00-00-00Z__job__a1b2c3d": 2_000_000_000,
        "2026-02-03T21-14-08Z__job__a1b2c3d": 1_000_000_000,
    }
    for number, (name, changed) in enumerate(times.items()):
        run = kept.run(number, prov=False)
        path = run.path.rename(run.path.with_name(name))
        (path / "run.yaml").write_text(f'run_id: "{name}"\npipeline: {{name: job}}\n', encoding="utf-8")
        (path / "status.json").write_text('{"state": "success"}', encoding="utf-8")
        write_provenance(kept.project, RunDir(path))
        os.utime(path, (changed, changed))
    assert [actions(kept, 1)[f"job/{name}"] for name in times] == ["delete", "keep"]


def test_rule_23_a_hostile_record_stops_no_prune(kept: Shelf) -> None:
    odd = kept.run(0)
    kept.run(1)
    kept.run(2)
    odd.status.write_text('{"state": "success"}', encoding="utf-8")
    with odd.run_yaml.open("a", encoding="utf-8") as file:
        file.write(f"x: {'[' * 600}{']' * 600}\n")
    assert actions(kept, 1) == {"job/run000": "blocked", "job/run001": "delete", "job/run002": "keep"}


def test_rule_23_a_pipe_for_a_record_is_not_waited_for(kept: Shelf) -> None:
    odd = kept.run(0)
    kept.run(1)
    kept.run(2)
    odd.run_yaml.unlink()
    os.mkfifo(odd.run_yaml)
    assert actions(kept, 1) == {"job/run000": "blocked", "job/run001": "delete", "job/run002": "keep"}


def test_rule_23_a_kept_run_keeps_its_newest_successful_replay(kept: Shelf) -> None:
    kept.run(0)
    kept.run(1)
    kept.run(2, of="run000")
    kept.run(3, of="run000")
    kept.run(4, of="run000", state="failed")
    for number in range(5, 8):
        kept.run(number, of="run001")
    plan = actions(kept, 2)
    assert plan["job/run003"] == "keep"
    assert {plan["job/run002"], plan["job/run004"], plan["job/run005"]} == {"delete"}


def test_rule_23_unpacked_runs_do_not_push_out_our_own(kept: Shelf) -> None:
    kept.run(0)
    mark_foreign(kept.run(1))
    assert actions(kept, 1) == {"job/run000": "keep", "job/run001": "keep"}


def test_rule_23_a_running_run_and_what_it_replays_are_kept(kept: Shelf) -> None:
    kept.run(0)
    kept.run(1)
    kept.run(2, state="running", of="run000")
    plan = actions(kept, 1)
    assert plan == {"job/run000": "keep", "job/run001": "keep", "job/run002": "keep"}


def test_rule_23_a_run_that_another_machine_may_be_running_is_kept(kept: Shelf) -> None:
    run = kept.run(0, state="running", prov=False)
    kept.run(1, state="failed")
    status = json.loads(run.status.read_text(encoding="utf-8"))
    status |= {"boot_id": "elsewhere", "started_at": datetime.now(UTC).isoformat()}
    run.status.write_text(json.dumps(status), encoding="utf-8")
    assert actions(kept, 1)["job/run000"] == "keep"


@pytest.mark.parametrize(
    ("file", "content"),
    [("status.json", "{"), ("status.json", "[]"), ("run.yaml", "run_id: 7"), ("run.yaml", "- : :")],
)
def test_rule_23_a_run_that_cannot_be_read_is_never_deleted(kept: Shelf, file: str, content: str) -> None:
    run = kept.run(0)
    kept.run(1)
    (run.path / file).write_text(content, encoding="utf-8")
    (item,) = [item for item in plan_prune(kept.project, 1) if item.seen.run.name == "run000"]
    assert (item.action, item.reason[:14]) == (Action.BLOCKED, "cannot be read")


def test_rule_23_an_inconsistent_run_is_never_deleted(kept: Shelf) -> None:
    run = kept.run(0)
    kept.run(1, state="failed")
    run.failed.write_text("why", encoding="utf-8")
    assert actions(kept, 1)["job/run000"] == "blocked"


def test_rule_10_objects_go_with_the_last_run_that_names_them(kept: Shelf) -> None:
    old, new = kept.run(0), kept.run(1)
    shared = kept.keep(b"shared")
    for run in (old, new):
        manifest = json.loads(run.outputs.read_text(encoding="utf-8"))
        manifest["outputs"].append(
            {"path": "data/processed/shared.txt", "sha256": f"SHA256:{shared.upper()}"}
        )
        run.outputs.write_text(json.dumps(manifest), encoding="utf-8")
    kept.age()
    done = prune(kept.project, 1)
    assert done.objects is not None
    assert len(done.objects.removed) == 1
    assert kept.sound_digests() >= {shared}
    assert done.objects.left == 2


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text[: text.index("sha256") + 80],
        lambda text: text.replace('"outputs"', "outputs"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["cut off", "not JSON", "UTF-16"],
)
def test_rule_10_a_damaged_manifest_still_keeps_the_objects_that_it_names(
    kept: Shelf, broken: Callable[[str], str | bytes]
) -> None:
    run = kept.run(0)
    content = broken(run.outputs.read_text(encoding="utf-8"))
    run.outputs.write_bytes(content if isinstance(content, bytes) else content.encode())
    kept.age()
    done = prune(kept.project, 1)
    assert done.objects is not None
    assert (done.objects.removed, done.objects.left) == ((), 1)


def test_rule_10_what_a_running_run_has_just_stored_is_kept(kept: Shelf) -> None:
    run = kept.run(0, state="running", prov=False)
    run.outputs.unlink()
    status = json.loads(run.status.read_text(encoding="utf-8"))
    (item,) = kept.store.objects()
    kept.age()
    status["started_at"] = datetime.fromtimestamp(item.added - 86_400, UTC).isoformat()
    run.status.write_text(json.dumps(status), encoding="utf-8")
    done = prune(kept.project, 1)
    assert done.objects is not None
    assert done.objects.removed == ()
    run.status.write_text('{"state": "aborted"}', encoding="utf-8")
    done = prune(kept.project, 1)
    assert done.objects is not None
    assert done.objects.removed == (item.sha256,)


def test_rule_10_the_cap_in_the_settings_holds_but_for_what_runs_name(tmp_path: Path) -> None:
    kept = shelf(tmp_path, objects_max="1 kB")
    kept.run(0, content=b"a" * 900)
    kept.keep(b"b" * 90)
    kept.age()
    assert keep_within_cap(kept.project) is None
    kept.keep(b"c" * 90)
    done = keep_within_cap(kept.project)
    assert done is not None
    assert (len(done.removed), done.left_bytes) == (1, 990)
    kept.run(1, content=b"d" * 900)
    kept.age()
    done = keep_within_cap(kept.project)
    assert done is not None
    assert done.left_bytes == 1_800
    assert "larger than objects-max" in prune(kept.project, 5).notes[0]


def test_rule_23_what_an_interrupted_prune_left_is_finished(kept: Shelf) -> None:
    run = kept.run(0)
    kept.run(1)
    trash = kept.project.runs / ".trash"
    trash.mkdir()
    run.path.rename(trash / "job__run000__x")
    (trash / "job__run000__x/config").chmod(0o500)
    prune(kept.project, 1)
    assert list(trash.iterdir()) == []
    assert kept.names() == ["job/run001"]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder that is nobody's business, with a folder that its owner shares."""
    folder = tmp_path / "outside"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared/thesis.txt").write_text("years of work", encoding="utf-8")
    for path in (folder, folder / "shared"):
        path.chmod(0o755)
    return folder


def untouched(outside: Path) -> bool:
    modes = [path.stat().st_mode & 0o777 for path in (outside, outside / "shared")]
    return modes == [0o755, 0o755] and (outside / "shared/thesis.txt").is_file()


def test_a_trash_that_is_a_link_is_refused_and_nothing_behind_it_deleted(kept: Shelf, outside: Path) -> None:
    kept.run(0)
    kept.run(1)
    (kept.project.runs / ".trash").symlink_to(outside)
    with pytest.raises(NotWritable, match="symbolic link") as caught:
        prune(kept.project, 1)
    assert "rm " in caught.value.hint
    assert kept.names() == ["job/run000", "job/run001"]
    assert untouched(outside)


def test_links_and_files_in_the_trash_go_and_what_they_lead_to_stays(kept: Shelf, outside: Path) -> None:
    trash = kept.project.runs / ".trash"
    trash.mkdir()
    (trash / "link").symlink_to(outside)
    (trash / "file").write_text("left over", encoding="utf-8")
    (trash / "run").mkdir()
    (trash / "run/inner").symlink_to(outside)
    assert prune(kept.project, 1).notes == ()
    assert list(trash.iterdir()) == []
    assert untouched(outside)


def test_only_a_real_folder_is_what_a_killed_unpack_left(kept: Shelf, outside: Path) -> None:
    kept.run(0)
    kept.run(1)
    names = {".unpack-link": outside, ".unpack-nowhere": outside / "missing"}
    for name, target in names.items():
        (kept.project.runs / name).symlink_to(target)
    (kept.project.runs / ".unpack-file").write_text("", encoding="utf-8")
    (kept.project.runs / ".unpack-real/job").mkdir(parents=True)
    done = prune(kept.project, 1)
    assert done.objects is not None
    assert kept.names() == ["job/run001"]
    left = sorted(path.name for path in kept.project.runs.glob(".unpack-*"))
    assert left == [".unpack-file", ".unpack-link", ".unpack-nowhere"]
    assert untouched(outside)


def prune_here(root: Path) -> None:
    runs = root / "data/work/runs"
    from kfm_repro.runs.project import Project, Settings

    prune(Project(root, runs, Settings()), 2)


def test_rule_23_two_prunes_at_once_are_as_good_as_one(kept: Shelf) -> None:
    for number in range(12):
        kept.run(number)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=prune_here, args=(kept.project.root,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert kept.names() == ["job/run010", "job/run011"]
    assert list((kept.project.runs / ".trash").iterdir()) == []


def test_a_run_that_cannot_be_moved_is_named_and_whole(kept: Shelf) -> None:
    kept.run(0)
    kept.run(1)
    (kept.project.runs / ".trash").write_text("in the way", encoding="utf-8")
    done = prune(kept.project, 1)
    assert [item.action for item in done.decisions] == [Action.FAILED, Action.KEEP]
    assert kept.names() == ["job/run000", "job/run001"]
