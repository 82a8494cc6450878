"""Watching what is opened: every open of a real process, and an honest gap where that cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kfm_repro.execute.found import find_inputs
from kfm_repro.execute.observe import Observation, Watch, remote_systems
from kfm_repro.runs.project import Project, Settings


def watch(root: Path, code: str, *, on: bool = True) -> Observation:
    """Watch a Python process that runs ``code`` in ``root``."""
    with Watch(root, root / "runs", on=on) as seen:
        subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
        return seen.finish()


def lay(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")


def test_opens_listings_and_writes_are_told_apart(tmp_path: Path) -> None:
    lay(tmp_path, "a/read", "a/unread", "a/replaced", "b/other")
    seen = watch(
        tmp_path,
        "import os; open('a/read').read(); os.listdir('a'); open('new', 'w').write('x'); os.stat('b/other')\n"
        "open('part', 'w').write('y'); os.replace('part', 'a/replaced')",
    )
    assert seen.gap == ""
    assert sorted(seen.before) == ["a/read", "a/replaced", "a/unread", "b/other"]
    assert "a/read" in seen.opened
    assert not {"a/unread", "b/other"} & set(seen.opened)
    assert (seen.listed, seen.read_first) == (("a",), ())
    assert {"new", "a/replaced"} <= set(seen.written)


def test_our_own_look_at_the_folders_is_not_taken_for_the_commands(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{n}/file" for n in range(300)))
    seen = watch(tmp_path, "pass")
    assert (seen.opened, seen.listed, seen.written) == ((), (), ())
    assert len(seen.before) == 300


def test_read_before_write_is_told_from_write_before_read(tmp_path: Path) -> None:
    lay(tmp_path, "state", "result")
    seen = watch(
        tmp_path,
        "n = open('state').read(); open('state', 'w').write('2')\n"
        "open('result', 'w').write('3'); open('result').read()",
    )
    assert seen.read_first == ("state",)


def test_environments_caches_hidden_folders_and_runs_are_passed_over(tmp_path: Path) -> None:
    names = ["env/pyvenv.cfg", "env/lib/a", ".cache/a", "x/__pycache__/a", "runs/p/a", "kept/a"]
    lay(tmp_path, *names)
    opened = "".join(f"open({name!r}).read();" for name in names)
    seen = watch(tmp_path, opened)
    assert sorted(seen.before) == ["kept/a"]
    assert set(seen.opened) & set(seen.before) == {"kept/a"}


def test_names_with_spaces_line_ends_and_no_utf8_come_through(tmp_path: Path) -> None:
    (tmp_path / "two words\n").mkdir()
    lay(tmp_path, "two words\n/caf\udce9")
    seen = watch(tmp_path, "import os; open(os.path.join(b'two words\\n', b'caf\\xe9')).read()")
    assert seen.opened == ("two words\n/caf\udce9",)


def test_links_that_lead_out_are_named_and_those_that_stay_are_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    lay(root, "a")
    lay(tmp_path, "outside")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "in").symlink_to(root / "a")
    assert watch(root, "pass").links == ("out",)


@pytest.mark.parametrize("on", [True, False])
def test_a_watch_that_is_off_or_lost_events_has_a_gap(tmp_path: Path, on: bool) -> None:  # noqa: FBT001 - pytest passes it
    lay(tmp_path, "a")
    watch_of = Watch(tmp_path, tmp_path / "runs", on=on)
    with watch_of:
        if on:
            watch_of._take(-1, 0x4000, "")
        seen = watch_of.finish()
    assert seen.gap
    assert sorted(seen.before) == ["a"]


def test_ten_thousand_opens_are_all_seen(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{n % 50}/{n}" for n in range(10_000)))
    seen = watch(tmp_path, "for n in range(10_000): open(f'{n % 50}/{n}').close()")
    assert (seen.gap, len(seen.opened)) == ("", 10_000)


MOUNTS = (
    "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
    "30 22 0:40 / /home/me/my\\040maps rw shared:1 - nfs4 server:/maps rw\n"
    "31 30 0:41 / /home/me/my\\040maps/data/raw rw - fuse.sshfs other:/raw rw\n"
    "32 22 0:42 / /elsewhere rw - cifs //server/x rw\n"
    "broken line\n"
)


@pytest.mark.parametrize(
    ("root", "systems"),
    [
        ("/home/me/my maps", ("nfs4", "sshfs")),
        ("/home/me/my maps/data", ("nfs4", "sshfs")),
        ("/home/me", ("nfs4", "sshfs")),
        ("/home/other", ()),
        ("/elsewhere/deep", ("cifs",)),
    ],
)
def test_file_systems_of_other_machines_are_told(root: str, systems: tuple[str, ...]) -> None:
    assert remote_systems(Path(root), MOUNTS) == systems


def test_a_change_in_place_that_restores_size_and_time_is_a_change_and_a_mode_is_none(tmp_path: Path) -> None:
    lay(tmp_path, "data/rewritten", "data/mode")
    seen = watch(
        tmp_path,
        "import os; place = 'data/rewritten'; old = os.stat(place); open(place).read(); open('data/mode').read()\n"
        "with open(place, 'r+') as file: file.write('y')\n"
        "os.utime(place, ns=(old.st_atime_ns, old.st_mtime_ns)); os.chmod('data/mode', 0o600)",
    )
    found = find_inputs(Project(tmp_path, tmp_path / "runs", Settings()), seen, ())
    assert found.how == {"data/mode": "opened"}
    assert found.lost == ("data/rewritten",)
