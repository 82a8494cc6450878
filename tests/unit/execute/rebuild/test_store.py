"""Environments by content: whole or not there, untouched or built anew, deleted only when nobody uses them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.errors import NotWritable
from kfm_repro.execute.rebuild.store import Held, environments_root, hold, list_environments, prune, state_of
from kfm_repro.runs.locks import locked

KEY = "ab" * 16


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("KFM_CACHE_ROOT", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "environments"
    for folder, _, _ in os.walk(tmp_path):
        Path(folder).chmod(0o700)


class Builder:
    """Builds a small environment and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, place: Path, lock: int) -> dict[str, Any]:
        os.fstat(lock)
        self.count += 1
        site = place / "venv" / "lib" / "python3.11" / "site-packages"
        site.mkdir(parents=True)
        (place / "venv" / "bin").mkdir()
        (place / "venv" / "bin" / "python").symlink_to(sys.executable)
        (site / "x.py").write_text(f"X = {self.count}\n", encoding="utf-8")
        return {"python": "3.11.7"}


def module_of(held: Held) -> Path:
    return held.venv / "lib" / "python3.11" / "site-packages" / "x.py"


def test_the_second_taker_gets_what_the_first_built(root: Path) -> None:
    build = Builder()
    first, second = hold(KEY, build), hold(KEY, build)
    assert (build.count, first.cached, second.cached) == (1, False, True)
    assert first.path == second.path == root / KEY
    assert first.state["python"] == "3.11.7"
    assert first.intact()


def test_nothing_in_it_can_be_written(root: Path) -> None:
    held = hold(KEY, Builder())
    assert held.path.parent == root
    for folder, names, files in os.walk(held.venv):
        for name in [".", *names, *files]:
            path = Path(folder, name)
            assert path.is_symlink() or not stat.S_IMODE(path.stat().st_mode) & 0o222, path


def test_what_was_touched_is_built_anew_even_when_size_and_time_are_put_back(root: Path) -> None:
    build = Builder()
    held = hold(KEY, build)
    path = module_of(held)
    before = path.stat()
    path.chmod(0o644)
    path.write_text("X = 9\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(stat.S_IMODE(before.st_mode))
    assert not held.intact()
    held.release()
    again = hold(KEY, build)
    assert (again.cached, build.count, module_of(again).read_text(encoding="utf-8")) == (False, 2, "X = 2\n")
    assert [path.name for path in root.glob("[!.]*")] == [KEY]


def test_a_fresh_one_takes_the_place_of_the_cached(root: Path) -> None:
    build = Builder()
    hold(KEY, build).release()
    fresh = hold(KEY, build, fresh=True)
    assert (fresh.cached, build.count) == (False, 2)
    assert len(list_environments()) == 1
    assert root.is_dir()


def test_a_build_that_fails_leaves_nothing(root: Path) -> None:
    def fails(place: Path, lock: int) -> dict[str, Any]:
        Builder()(place, lock)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hold(KEY, fails)
    assert [path.name for path in root.iterdir()] == [f".lock-{KEY}"]
    assert hold(KEY, Builder()).cached is False


def test_what_is_in_use_is_never_deleted_and_what_is_not_goes_the_oldest_first(root: Path) -> None:
    names = [letter * 32 for letter in "abcd"]
    used = [hold(name, Builder()) for name in names]
    for number, name in enumerate(names):
        os.utime(root / f".lock-{name}", (1e9 + number, 1e9 + number))
    for held in used[1:]:
        held.release()
    size = list_environments()[0].size_bytes
    assert [item.key for item in prune(2 * size, days=1e6, dry_run=True)] == names[:2]
    assert [item.key for item in prune(2 * size, days=1e6)] == names[1:3]
    assert used[0].intact()
    assert [item.key for item in prune(10 * size)] == [names[3]]
    assert [item.key for item in list_environments()] == [names[0]]
    used[0].release()
    assert [item.key for item in prune(0)] == [names[0]]
    assert list(root.iterdir()) == []


def test_leftovers_of_a_killed_builder_are_swept_and_those_of_a_living_one_are_not(
    root: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from kfm_repro.execute.rebuild.store import hold\n"
        "def build(place, lock):\n"
        "    (place / 'venv').mkdir()\n"
        "    print('building', flush=True)\n"
        "    sys.stdin.read()\n"
        f"hold({KEY!r}, build)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"building\n"
        assert prune(0) == ()
        assert len(list(root.glob(".building-*"))) == 1
        builder.kill()
    prune(0)
    assert list(root.glob(".building-*")) == []
    assert hold(KEY, Builder()).cached is False


def test_four_takers_at_once_build_it_once(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from kfm_repro.execute.rebuild.store import hold\n"
        "def build(place, lock):\n"
        "    (place / 'venv' / 'bin').mkdir(parents=True)\n"
        "    (place / 'venv' / 'bin' / 'python').symlink_to(sys.executable)\n"
        "    return {}\n"
        f"held = hold({KEY!r}, build)\n"
        "assert held.intact()\n"
        "print(held.cached)\n"
    )
    root.mkdir(parents=True)
    with locked(root / f".lock-{KEY}", shared=True):
        # All four see that nothing is there, and wait to be alone.
        takers = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
            for _ in range(4)
        ]
        deadline = time.monotonic() + 120
        while waiting({taker.pid for taker in takers}) < len(takers):
            assert time.monotonic() < deadline, "they do not wait for the lock"
    said = sorted(taker.communicate()[0].strip() for taker in takers)
    assert said == [b"False", b"True", b"True", b"True"]
    assert (root / KEY / "state.json").is_file()


def waiting(pids: set[int]) -> int:
    """Return how many of the processes wait for a lock."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return sum(line.split()[1] == "->" and int(line.split()[5]) in pids for line in lines)


def test_twenty_kills_at_any_moment_leave_whole_environments_or_none(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from kfm_repro.execute.rebuild.store import hold, prune\n"
        "def build(place, lock):\n"
        "    (place / 'venv' / 'bin').mkdir(parents=True)\n"
        "    (place / 'venv' / 'bin' / 'python').symlink_to(sys.executable)\n"
        "    for number in range(200):\n"
        "        (place / 'venv' / f'{number}.py').write_text('x')\n"
        "    return {}\n"
        "print('go', flush=True)\n"
        "while True:\n"
        f"    hold({KEY!r}, build, fresh=True).release()\n"
        "    prune(0)\n"
    )
    for number in range(20):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path) as process:
            assert process.stdout is not None
            process.stdout.readline()
            deadline = time.monotonic() + 0.002 * number
            while time.monotonic() < deadline:
                pass
            process.kill()
        if (root / KEY).exists():
            noted = json.loads((root / KEY / "state.json").read_bytes())
            assert state_of(root / KEY / "venv")[0] == noted["files_sha256"]
        held = hold(KEY, Builder())
        assert held.intact()
        held.release()
    prune(0)
    assert list(root.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_an_error_that_says_where_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("KFM_CACHE_ROOT", str(tmp_path / "file"))
    with pytest.raises(NotWritable, match="cannot be kept") as caught:
        hold(KEY, Builder())
    assert "KFM_CACHE_ROOT" in caught.value.hint


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KFM_CACHE_ROOT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    assert environments_root() == Path("/x/cache/kfm-repro/environments")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/k")
    assert environments_root() == Path("/home/k/.cache/kfm-repro/environments")
    monkeypatch.setenv("KFM_CACHE_ROOT", "/elsewhere")
    assert environments_root() == Path("/elsewhere/environments")
