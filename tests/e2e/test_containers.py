"""Trouble that containers bring: each is one clear error with its cause and what mends it, never a traceback.

What needs no writing and no git goes on working.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import POWERLESS, STRANGER, UID, Yard, build_yard, mounted, open_folder, require
from workshop import Workshop

pytestmark = pytest.mark.slow

READING = {"list": 0, "show": 0, "diff": 0, "verify": 1}
"""Commands that only read, and how they end here (no run is published)."""
WRITING = ("replay", "pack", "unpack", "record")


@pytest.fixture(scope="module")
def built() -> Iterator[Yard]:
    with open_folder() as folder:
        yield build_yard(folder)


@pytest.fixture
def yard(built: Yard) -> Iterator[Yard]:
    """Return a fresh copy of the yard."""
    with open_folder() as folder:
        shutil.copytree(built.shop.root.parent, folder, symlinks=True, dirs_exist_ok=True)
        yield Yard(Workshop(folder / "project"), built.runs, folder / "third.zip")


def refused(yard: Yard, command: str, prefix: tuple[str, ...], code: str, **how: object) -> tuple[str, str]:
    """Start a command that is to be refused; return message and hint, each a line."""
    done = yard.run(command, prefix, **how)  # type: ignore[arg-type]
    assert done.code == 2, (command, done.out, done.err)
    error = done.json["error"]
    assert error["code"] == code, (command, error)
    assert "\n" not in error["message"] + error["hint"]
    assert error["hint"]
    return error["message"], error["hint"]


def works(yard: Yard, prefix: tuple[str, ...], commands: dict[str, int], **how: object) -> None:
    for command, code in commands.items():
        done = yard.run(command, prefix, **how)  # type: ignore[arg-type]
        assert done.code == code, (command, done.out, done.err)


def folders_left(yard: Yard) -> list[str]:
    """Return what a refused command may have left among the runs."""
    runs = yard.shop.root / "data/work/runs"
    return sorted(path.name for path in (*runs.glob(".unpack-*"), *runs.glob("job/*"), *runs.glob("sh/*")))


def test_a_repository_of_another_user_is_told_with_the_command_that_makes_git_trust_it(yard: Yard) -> None:
    require(STRANGER)
    yard.own(UID)
    before = folders_left(yard)
    home = yard.shop.root.parent / "home of mine"
    home.mkdir()
    env = {"HOME": str(home)}
    works(yard, (), READING, env=env)
    for command in WRITING:
        message, hint = refused(yard, command, (), "code-unavailable", env=env)
        assert f"uid {UID}, you are uid 0" in message
        assert hint == f"if you trust it: git config --global --add safe.directory {yard.shop.root}"
    assert folders_left(yard) == before
    subprocess.run(hint.removeprefix("if you trust it: "), shell=True, check=True, env=os.environ | env)  # noqa: S602
    works(yard, (), dict.fromkeys(WRITING, 0), env=env)


def test_a_repository_of_another_user_that_is_only_asked_for_bytes_is_named_as_the_reason(yard: Yard) -> None:
    require(STRANGER)
    for run in yard.runs:
        manifest = yard.shop.run_dir(run) / "manifests/outputs.json"
        manifest.write_text(
            '{"outputs": [{"path": "lost.csv", "sha256": "' + run[-1].encode().hex() * 32 + '"}]}'
        )
    yard.own(UID)
    done = yard.run("diff", (), {"HOME": str(yard.shop.root.parent)})
    assert "git does not trust the repository" in done.out


def test_without_a_home_the_command_makes_one(yard: Yard) -> None:
    require(STRANGER)
    yard.own(UID)
    _, hint = refused(yard, "replay", (), "code-unavailable", unset=("HOME",))
    assert 'export HOME="$(mktemp -d)" && git config --global' in hint


def test_a_user_without_home_and_name_can_do_everything_with_what_is_his(yard: Yard) -> None:
    require(STRANGER)
    yard.own(UID)
    yard.own(UID, "../out")
    unset = ("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    works(yard, STRANGER, READING | dict.fromkeys(WRITING, 0), unset=unset)


def test_a_runs_folder_of_another_user_is_told_with_its_owner_and_the_way_out(yard: Yard) -> None:
    require(POWERLESS)
    require(STRANGER)
    yard.own(UID, "data/work")
    works(yard, POWERLESS, READING)
    before = folders_left(yard)
    for command in WRITING:
        message, hint = refused(yard, command, POWERLESS, "not-writable")
        assert message.startswith("the runs folder cannot be written: Permission denied: ")
        assert str(yard.shop.root / "data/work/runs") in message
        assert f"as root: chown -R 0 {yard.shop.root}/data/work/runs" in hint
        assert "KFM_RUNS_ROOT" in hint
    assert folders_left(yard) == before
    assert list((yard.shop.root.parent / "out").iterdir()) == []


def test_a_file_system_that_cannot_be_written_is_told(yard: Yard) -> None:
    root = yard.shop.root
    prefix = mounted(f"mount --bind '{root}' '{root}'; mount -o remount,bind,ro '{root}'")
    require(prefix)
    works(yard, prefix, READING)
    for command in WRITING:
        message, hint = refused(yard, command, prefix, "not-writable")
        assert message.startswith("the runs folder cannot be written: Read-only file system: ")
        assert hint.startswith("mount it writable")


def test_runs_elsewhere_mend_a_project_that_cannot_be_written(yard: Yard) -> None:
    root = yard.shop.root
    prefix = mounted(f"mount --bind '{root}' '{root}'; mount -o remount,bind,ro '{root}'")
    require(prefix)
    runs = root.parent / "runs"
    shutil.copytree(root / "data/work/runs", runs)
    works(yard, prefix, {"replay": 0, "pack": 0, "list": 0}, env={"KFM_RUNS_ROOT": str(runs)})
    message, _ = refused(yard, "unpack", prefix, "not-writable", env={"KFM_RUNS_ROOT": str(runs)})
    assert "git update-ref was refused by the file system" in message
    assert not list(runs.glob(".unpack-*"))


def test_a_record_of_another_user_that_may_not_be_read_is_told_as_that(yard: Yard) -> None:
    require(POWERLESS)
    require(STRANGER)
    path = yard.shop.run_dir(yard.runs[0])
    (path / "run.yaml").chmod(0o600)
    yard.own(UID, str(path.relative_to(yard.shop.root) / "run.yaml"))
    for command in ("diff", "replay", "pack"):
        message, hint = refused(yard, command, POWERLESS, "record-invalid")
        assert f"run.yaml may not be read: Permission denied: {path}/run.yaml" in message
        assert hint == f"make it yours, as root: chown -R 0 {path}/run.yaml"
    assert "may not be read" in yard.run("show", POWERLESS).out
    assert yard.run("list", POWERLESS).code == 0


@pytest.mark.parametrize("pages", [1, 4, 6, 8])
def test_a_temporary_folder_without_room_is_told_and_the_replay_reads_as_failed(
    yard: Yard, pages: int
) -> None:
    """Wherever the room ends: not every tool that finds none says so."""
    tiny = yard.shop.root.parent / "tiny"
    tiny.mkdir()
    size = pages * os.sysconf("SC_PAGE_SIZE")
    prefix = mounted(f"mount -t tmpfs -o size={size} tmpfs '{tiny}'")
    require(prefix)
    message, hint = refused(yard, "replay", prefix, "not-writable", env={"TMPDIR": str(tiny)})
    assert "no space left" in message.casefold()
    assert str(tiny) in message or message.startswith("git ")
    assert "TMPDIR=/folder kfm-repro" in hint
    listed = yard.run("list", ()).json
    assert listed["counts"] | {"success": 2, "failed": 1} == listed["counts"]
    assert "no space left" in str([run["reason"] for run in listed["runs"]]).casefold()
    assert yard.run("replay", prefix).code == 0


def test_a_temporary_folder_that_cannot_be_written_is_passed_over(yard: Yard) -> None:
    require(POWERLESS)
    require(STRANGER)
    closed = yard.shop.root.parent / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    works(yard, POWERLESS, {"replay": 0, "record": 0}, env={"TMPDIR": str(closed)})


def test_no_temporary_folder_at_all_is_told_and_none_is_made_in_the_project(yard: Yard) -> None:
    """Python would take the current folder: the project, where a workspace would find the original data."""
    base = yard.shop.root.parent
    tops = {f"/{base.parts[1]}", "/tmp", "/var/tmp", "/usr/tmp"}  # noqa: S108 - these are what is meant
    closed = " ".join(sorted(top for top in tops if Path(top).is_dir()))
    prefix = mounted(
        f"mount --bind '{base}' '{base}'; for top in {closed}; do mount --rbind $top $top; "
        "mount -o remount,bind,ro $top; done"
    )
    require(prefix)
    for command in ("replay", "record"):
        message, hint = refused(yard, command, prefix, "not-writable")
        assert message.startswith("there is no folder for temporary files")
        assert hint == "name one that you may write to: TMPDIR=/folder kfm-repro …"
    works(yard, prefix, {"replay": 0}, env={"TMPDIR": str(base / "out")})


def test_a_temporary_folder_in_the_project_is_refused(yard: Yard) -> None:
    inside = yard.shop.root / "data/tmp"
    inside.mkdir()
    for command in ("replay", "record"):
        message, _ = refused(yard, command, (), "not-writable", env={"TMPDIR": str(inside)})
        assert message == f"TMPDIR lies in the project: {inside}"


@pytest.fixture
def tools(yard: Yard) -> Path:
    """Return a folder for PATH with what the pipeline needs, and no git."""
    folder = yard.shop.root.parent / "bin"
    folder.mkdir()
    for name in ("sh", "tr", "mkdir", "env"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def test_without_git_reading_works_and_the_rest_says_how_to_install_it(yard: Yard, tools: Path) -> None:
    env = {"PATH": str(tools)}
    works(yard, (), READING, env=env)
    before = folders_left(yard)
    for command in WRITING:
        message, hint = refused(yard, command, (), "code-unavailable", env=env)
        assert message == "git cannot be run: there is none on PATH"
        assert "apt-get install git" in hint
    assert folders_left(yard) == before


def test_a_git_that_is_too_old_is_named_with_its_version(yard: Yard, tools: Path) -> None:
    git = tools / "git"
    git.write_text('#!/bin/sh\n[ "$1" = --version ] || case " $* " in *" --version "*) ;; *) exit 129;; esac\n'
                   "echo git version 2.25.1\n")  # fmt: skip
    git.chmod(0o755)
    for command in WRITING:
        message, hint = refused(yard, command, (), "code-unavailable", env={"PATH": str(tools)})
        assert message == "git 2.25.1 is too old: 2.32 or later is needed"
        assert "git --version" in hint


def test_a_git_that_cannot_be_started_is_told(yard: Yard, tools: Path) -> None:
    (tools / "git").write_bytes(b"\x7fELF of another machine")
    (tools / "git").chmod(0o755)
    message, _ = refused(yard, "replay", (), "code-unavailable", env={"PATH": str(tools)})
    assert message == "git cannot be run: Exec format error"


def test_a_worktree_whose_repository_is_not_mounted_is_told(yard: Yard) -> None:
    (yard.shop.root / ".git").rename(yard.shop.root.parent / "the repository")
    yard.shop.write(".git", "gitdir: /host/repository/.git/worktrees/project\n")
    for command in WRITING:
        message, hint = refused(yard, command, (), "code-unavailable")
        assert "/host/repository/.git/worktrees/project, which is not here" in message
        assert "mount" in hint


def test_a_dirty_tree_is_kept_and_replayed_where_the_repository_cannot_be_written(yard: Yard) -> None:
    require(POWERLESS)
    require(STRANGER)
    yard.shop.write("new.sh", "echo new\n")
    yard.own(UID, ".git/objects")
    done = yard.run("record", POWERLESS)
    assert done.code == 0, (done.out, done.err)
    run = done.json["run"]["run_id"]
    assert "new.sh" in (yard.shop.run_dir(run) / "config/dirty.patch").read_text()
    replayed = Yard(yard.shop, (run, run), yard.pack).run("replay", POWERLESS)
    assert replayed.json["verdict"] == "reproducible", replayed.out
