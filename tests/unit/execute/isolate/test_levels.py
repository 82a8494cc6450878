"""Levels are found by doing, chosen best first, and refused with the line that would enable them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfm_repro.errors import NotReplayable, UsageError
from kfm_repro.execute.isolate import Isolation, choose, detect, interpreter_places, variable_places
from kfm_repro.execute.isolate import levels as module


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget what was found before and after: these tests change what there is to find."""
    detect.cache_clear()
    yield
    detect.cache_clear()


def fake(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def test_every_level_is_answered_best_first_and_the_lowest_are_always_there() -> None:
    states = detect()
    assert [state.level for state in states] == list(Isolation)
    assert [state.available for state in states[2:]] == [True, True]
    assert all(state.reason for state in states if not state.available)


def test_it_is_found_out_once_per_process() -> None:
    assert detect() is detect()


def test_auto_takes_the_best_that_is_there_and_says_what_is_lost() -> None:
    best = next(state for state in detect() if state.available)
    chosen = choose()
    assert chosen.level == best.level
    assert bool(chosen.lost) == (best.level is not Isolation.NAMESPACE)
    assert choose("agent").lost
    assert choose("none").level is Isolation.NONE


def test_a_word_that_is_no_level_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="chroot"):
        choose("chroot")


@pytest.mark.usefixtures("fresh")
def test_without_bubblewrap_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "apt-get", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReplayable, match="bubblewrap is not installed") as caught:
        choose("namespace")
    assert "sudo apt-get install -y bubblewrap" in caught.value.hint
    assert caught.value.code == "isolation-unavailable"
    chosen = choose("auto")
    assert chosen.level is not Isolation.NAMESPACE
    assert chosen.lost[0] == "namespace: bubblewrap is not installed"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"kernel/unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, "sudo sysctl -w user.max_user_namespaces=15000"),
    ],
)
def test_a_refusal_names_the_one_line_that_lifts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], line: str
) -> None:
    fake(tmp_path, "bwrap", "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n", encoding="ascii")
    monkeypatch.setattr(module, "SETTINGS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReplayable, match="refused: setting up uid map: Permission denied") as caught:
        choose("namespace")
    assert line in caught.value.hint


@pytest.mark.usefixtures("fresh")
def test_a_bubblewrap_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "bwrap", "echo 'bwrap: Unknown option --size' >&2; exit 1")
    monkeypatch.setattr(module, "SETTINGS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReplayable, match="Unknown option --size") as caught:
        choose("namespace")
    assert "0.7 or later" in caught.value.hint


def test_an_interpreter_needs_its_venv_and_the_python_behind_it(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "lib/python3.11").mkdir(parents=True)
    (base / "bin").mkdir()
    (base / "bin/python3.11").write_text("", encoding="utf-8")
    (base / "bin/python3").symlink_to("python3.11")
    venv = tmp_path / "project/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(base / "bin/python3")
    (venv / "pyvenv.cfg").write_text(f"home = {base}/bin\n", encoding="utf-8")
    assert {mount.source for mount in interpreter_places(venv / "bin/python")} == {venv, base}
    real = {mount.source for mount in interpreter_places(Path(sys.executable))}
    assert any(Path(os.path.realpath(sys.executable)).is_relative_to(folder) for folder in real)


def test_variables_show_what_they_name_but_never_a_home_or_the_project(tmp_path: Path) -> None:
    project, tools, proj = tmp_path / "home/project", tmp_path / "tools", tmp_path / "proj"
    for folder in (project, tools, proj):
        folder.mkdir(parents=True)
    environ = {
        "PATH": f"{tools}:{tmp_path}/home:{project}:relative:/nonexistent:/:{tools}/",
        "PROJ_DATA": str(proj), "HOME": str(tmp_path), "OTHER": str(tmp_path),
    }  # fmt: skip
    places = variable_places(environ, [project])
    assert [mount.source for mount in places] == [tools, proj]
    assert not any(mount.writable for mount in places)


def test_of_a_prefix_that_holds_the_project_only_the_parts_of_the_interpreter_are_shown(
    tmp_path: Path,
) -> None:
    for name in ("bin", "lib/python3.11", "data/raw"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text("home = /nonexistent/bin\n", encoding="utf-8")
    (tmp_path / "bin/python").touch()
    (tmp_path / "python").touch()
    shown = {mount.source for mount in interpreter_places(tmp_path / "bin/python", (tmp_path,))}
    assert shown == {tmp_path / name for name in ("bin", "lib", "pyvenv.cfg")}
    assert {mount.source for mount in interpreter_places(tmp_path / "bin/python")} == {tmp_path}
    bare = tmp_path / "tools/kit/python"
    bare.parent.mkdir(parents=True)
    bare.touch()
    assert [mount.source for mount in interpreter_places(bare, (bare.parent / "project",))] == [bare]
