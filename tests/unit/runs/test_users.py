"""An object store that several projects use (rule 10): none of them loses what its runs name."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from keeping import Shelf, shelf

from kfm_repro.errors import NotWritable, UsageError
from kfm_repro.runs.objects import Collected, ObjectStore
from kfm_repro.runs.project import Project, Settings, find_project
from kfm_repro.runs.retention import keep_within_cap, prune


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "shared store"
    place.mkdir()
    return place


@pytest.fixture
def pair(tmp_path: Path, place: Path) -> tuple[Shelf, Shelf]:
    """Return two projects whose objects lie in one place."""
    first, second = (
        shelf(tmp_path / name, objects=str(place), objects_max="1 kB") for name in ("first", "second")
    )
    return first, second


def moved(kept: Shelf, target: Path) -> Shelf:
    kept.project.root.rename(target)
    return Shelf(Project(target, target / "data/work/runs", kept.project.settings))


def collect(kept: Shelf) -> tuple[Collected | None, tuple[str, ...]]:
    done = prune(kept.project, 5)
    return done.objects, done.notes


def test_rule_10_objects_lie_where_the_setting_says(tmp_path: Path, place: Path) -> None:
    kept = shelf(tmp_path / "project", objects=str(place))
    sha256 = kept.keep(b"bytes")
    assert (place / sha256[:2] / sha256[2:]).read_bytes() == b"bytes"
    assert not (kept.project.runs / ".objects").exists()
    assert kept.store.find(sha256) == place / sha256[:2] / sha256[2:]


def test_rule_10_no_project_collects_what_another_one_names(pair: tuple[Shelf, Shelf]) -> None:
    first, second = pair
    first.run(0, content=b"first")
    second.run(0, content=b"second")
    same = first.run(1, content=b"both")
    second.run(1, content=b"both")
    stray = second.keep(b"named by nobody")
    second.age()
    shutil.rmtree(same.path)
    objects, notes = collect(first)
    assert objects is not None
    assert (objects.removed, objects.left, notes) == ((stray,), 3, ())
    assert len(first.sound_digests()) == 3


def test_rule_10_the_cap_spares_what_other_projects_name(pair: tuple[Shelf, Shelf]) -> None:
    first, second = pair
    second.run(0, content=b"s" * 2_000)
    stray = first.keep(b"f" * 2_000)
    first.age()
    done = keep_within_cap(first.project)
    assert done is not None
    assert (done.removed, done.left) == ((stray,), 1)


def test_rule_10_what_a_run_of_another_project_is_still_adding_is_spared(pair: tuple[Shelf, Shelf]) -> None:
    first, second = pair
    second.keep(b"not yet named")
    second.age()
    running = second.run(0, state="running")
    status = json.loads(running.status.read_text())
    started = "2001-01-01T00:00:00Z"
    running.status.write_text(json.dumps(status | {"started_at": started}))
    objects, _ = collect(first)
    assert objects is not None
    assert objects.removed == ()


@pytest.mark.parametrize("how", ["moved", "another machine", "unreadable note"])
def test_rule_10_nothing_is_collected_while_a_user_of_the_store_cannot_be_looked_at(
    pair: tuple[Shelf, Shelf], place: Path, tmp_path: Path, how: str
) -> None:
    first, second = pair
    first.run(0)
    second.run(0, content=b"needed")
    stray = first.keep(b"stray")
    first.age()
    (note,) = [path for path in place.glob("users/*.json") if "/second/" in path.read_text()]
    if how == "moved":
        moved(second, tmp_path / "elsewhere")
    elif how == "another machine":
        (second.project.runs / ".objects-user").write_text("0" * 32 + "\n")
    else:
        note.write_text("{")
    objects, (said,) = collect(first)
    assert objects is None
    assert str(note) in said
    assert (
        keep_within_cap(replace(first.project, settings=Settings(objects=str(place), objects_max="1")))
        is None
    )
    assert stray in first.sound_digests()
    note.unlink()
    objects, notes = collect(first)
    assert objects is not None
    assert (len(objects.removed), notes) == (2, ())


def test_a_project_that_moved_is_known_again_when_it_next_adds_something(
    pair: tuple[Shelf, Shelf], place: Path, tmp_path: Path
) -> None:
    first, second = pair
    first.run(0)
    second.run(0, content=b"needed")
    (old,) = [path for path in place.glob("users/*.json") if "/second/" in path.read_text()]
    second = moved(second, tmp_path / "elsewhere")
    second.keep(b"more")
    old.unlink()
    first.age()
    collect(first)
    assert first.store.find(second.keep(b"needed"))
    assert len(list(place.glob("users/*.json"))) == 2


def test_a_copied_project_is_a_user_of_its_own(pair: tuple[Shelf, Shelf], tmp_path: Path) -> None:
    first, second = pair
    first.run(0)
    second.run(0, content=b"needed by both")
    shutil.copytree(second.project.root, tmp_path / "copy")
    copy = Shelf(Project(tmp_path / "copy", tmp_path / "copy/data/work/runs", second.project.settings))
    copy.run(1, content=b"needed by the copy")
    first.age()
    objects, notes = collect(first)
    assert objects is not None
    assert (objects.removed, objects.left, notes) == ((), 3, ())


def test_a_store_in_the_runs_folder_of_another_project_spares_that_project(tmp_path: Path) -> None:
    host = shelf(tmp_path / "host")
    guest = shelf(tmp_path / "guest", objects=str(host.project.runs / ".objects"))
    host.run(0, content=b"of the host")
    guest.run(0, content=b"of the guest")
    guest.age()
    for kept in (guest, host):
        objects, notes = collect(kept)
        assert objects is not None
        assert (objects.removed, objects.left, notes) == ((), 2, ())


def test_what_lies_in_the_runs_folder_is_found_healed_and_collected_after_the_setting_changed(
    tmp_path: Path, place: Path
) -> None:
    before = shelf(tmp_path / "project")
    before.run(0, content=b"old output")
    damaged, stray = before.keep(b"to be damaged"), before.keep(b"stray")
    path = before.object_path(damaged)
    path.chmod(0o644)
    path.write_bytes(b"others")
    before.age()
    kept = Shelf(replace(before.project, settings=Settings(objects=str(place))))
    assert kept.store.find(damaged) is None
    assert kept.store.is_damaged(damaged)
    assert kept.store.damaged() == (damaged,)
    assert kept.store.has(stray)
    objects, _ = collect(kept)
    assert objects is not None
    assert (objects.removed, objects.left) == ((stray,), 1)
    assert kept.keep(b"to be damaged") == damaged
    assert kept.store.damaged() == ()
    found = kept.store.find(damaged)
    assert found is not None
    assert found.is_relative_to(place)


def test_a_store_apart_must_exist_so_that_a_wrong_setting_makes_no_folders(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "runs", tmp_path / "not there")
    with pytest.raises(NotWritable, match="not there") as error:
        store.prepare()
    assert f"mkdir -p '{tmp_path}/not there'" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_preparing_leaves_nothing_but_the_note(tmp_path: Path, place: Path) -> None:
    store = ObjectStore(tmp_path / "runs", place)
    store.prepare()
    store.prepare()
    assert [path.suffix for path in place.rglob("*") if path.is_file() and path.name != ".lock"] == [".json"]
    assert store.collect(set(), before=time.time()).removed == ()


@pytest.mark.parametrize(("objects", "good"), [
    ("data/work/objects", True), ("data/work/runs/.objects", True), ("../objects", True), ("data/objects", False),
    ("objects", False), (".", False), ("data/work/../raw", False), ("~/objects", False),
])  # fmt: skip
def test_a_store_inside_the_project_lies_where_nothing_takes_it_for_data(
    tmp_path: Path, objects: str, *, good: bool
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "kfm-repro.toml").write_text(f'objects = "{objects}"\n')
    if good:
        assert find_project(root, environ={}).objects == root / objects
        return
    with pytest.raises(UsageError, match="data or code") as error:
        find_project(root, environ={})
    assert "data/work/" in error.value.hint


def test_the_environment_wins_over_the_setting(tmp_path: Path) -> None:
    (tmp_path / "kfm-repro.toml").write_text('objects = "/one"\n')
    project = find_project(tmp_path, environ={"KFM_OBJECTS_ROOT": "/two"})
    assert project.objects == Path("/two")
    assert find_project(tmp_path, environ={"KFM_OBJECTS_ROOT": ""}).objects == Path("/one")
