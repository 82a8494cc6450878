"""A workspace is collected when nobody lives who uses it, with the processes that were left, and never before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kfm_repro.errors import NotWritable
from kfm_repro.execute.isolate import Place, collect_leftovers, new_place, places
from kfm_repro.execute.isolate.places import PREFIX
from kfm_repro.runs.read import boot_id, process_started


def abandon(place: Place) -> Path:
    """Give up a place as a killed process does: its descriptors are closed, its files stay."""
    os.close(place.processes)
    os.close(place.lock)
    return place.path


def sleeper(**variables: str) -> subprocess.Popen[bytes]:
    code = "import sys, time; print(flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-S", "-c", code], env=variables, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline()
    child.stdout.close()
    return child


def test_a_place_that_is_used_stays_and_one_that_is_not_goes(tmp_path: Path) -> None:
    living, dead = new_place(tmp_path), abandon(new_place(tmp_path))
    (dead / "work").mkdir()
    (dead / "work/file").write_text("x", encoding="utf-8")
    assert collect_leftovers(tmp_path).removed == (dead,)
    assert living.path.is_dir()
    assert collect_leftovers(tmp_path).removed == ()
    living.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_removal_that_was_cut_off_has_left_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = new_place(tmp_path)
    (place.path / "workspace").mkdir()
    (place.path / "workspace" / "file").touch()

    def cut_off(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(places, "remove_tree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            place.remove()
    assert (place.path / "lock").exists()
    abandon(place)
    assert collect_leftovers(tmp_path).removed == (place.path,)


def test_folders_that_were_made_unreadable_go_as_well(tmp_path: Path) -> None:
    dead = abandon(new_place(tmp_path))
    (dead / "a/b").mkdir(parents=True)
    (dead / "a/b/c").write_text("x", encoding="utf-8")
    (dead / "a/b").chmod(0)
    (dead / "a").chmod(0o400)
    assert collect_leftovers(tmp_path).removed == (dead,)


def test_what_a_link_points_to_stays(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir(mode=0o755)
    (treasure / "file").write_text("x", encoding="utf-8")
    dead = abandon(new_place(tmp_path))
    (dead / "link").symlink_to(treasure)
    (tmp_path / f"{PREFIX}link").symlink_to(treasure)
    collect_leftovers(tmp_path)
    assert not dead.exists()
    assert (treasure / "file").read_text(encoding="utf-8") == "x"
    assert treasure.stat().st_mode & 0o777 == 0o755


def test_folders_of_others_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kfm-repro-other").mkdir()
    (tmp_path / f"{PREFIX}file").write_text("x", encoding="utf-8")
    full = tmp_path / f"{PREFIX}without-lock"
    full.mkdir()
    (full / "x").write_text("x", encoding="utf-8")
    assert collect_leftovers(tmp_path).removed == ()
    assert len(list(tmp_path.iterdir())) == 3


def test_a_recorded_process_is_ended_and_one_that_has_its_number_now_is_not(tmp_path: Path) -> None:
    place, meant, other = new_place(tmp_path), sleeper(), sleeper()
    started = process_started(other.pid)
    assert started is not None
    lines = f"{meant.pid} {process_started(meant.pid)}\n{other.pid} {started + 1}\n"
    os.pwrite(place.processes, lines.encode(), 0)
    assert (place.path / "boot").read_text(encoding="ascii") == (boot_id() or "")
    abandon(place)
    assert collect_leftovers(tmp_path).ended == 1
    assert meant.wait(60) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


def test_processes_of_another_boot_are_not_ours(tmp_path: Path) -> None:
    place, other = new_place(tmp_path), sleeper()
    os.pwrite(place.processes, f"{other.pid} {process_started(other.pid)}\n".encode(), 0)
    (place.path / "boot").write_text("another", encoding="ascii")
    abandon(place)
    assert collect_leftovers(tmp_path).ended == 0
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_whose_variables_point_into_the_place_is_ended(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    inside, beside = sleeper(TMPDIR=f"{place.path}/t"), sleeper(TMPDIR=f"{place.path}-beside/t")
    abandon(place)
    assert collect_leftovers(tmp_path).ended == 1
    assert inside.wait(60) == -signal.SIGKILL
    assert beside.poll() is None
    beside.kill()
    beside.wait()


def test_makers_and_collectors_at_once_never_take_a_living_place(tmp_path: Path) -> None:
    done, kept = threading.Event(), []

    def collect() -> None:
        while not done.is_set():
            collect_leftovers(tmp_path)

    collectors = [threading.Thread(target=collect) for _ in range(2)]
    for thread in collectors:
        thread.start()
    for _ in range(150):
        place = new_place(tmp_path)
        kept.append(place)
        (place.path / "work").mkdir()
    done.set()
    for thread in collectors:
        thread.join()
    assert all((place.path / "work").is_dir() for place in kept)
    assert len({place.path for place in kept}) == 150
    for place in kept:
        place.remove()


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="no workspace can be made"):
        new_place(tmp_path / "gone")
