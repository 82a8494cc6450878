"""From a command line to a recorded entrypoint, and back to what runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kfm_repro.errors import KfmReproError
from kfm_repro.execute.command import Entrypoint, build_command, describe_command
from kfm_repro.model.run import Pipeline


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["python", "p/x.py", "--n", "1"], Entrypoint("p/x.py", ("--n", "1"))),
        (["/opt/venv/bin/python3.12", "x.py"], Entrypoint("x.py")),
        (["python3", "-m", "pkg.mod", "a"], Entrypoint("pkg.mod", ("a",))),
        (["make", "tables"], Entrypoint("make:tables")),
        (["make", "-j4", "tables"], Entrypoint("sh: make -j4 tables")),
        (["python", "-I", "x.py"], Entrypoint("sh: python -I x.py")),
        (["python", "/elsewhere/x.py"], Entrypoint("sh: python /elsewhere/x.py")),
        (["ogr2ogr", "-f", "GPKG", "a b.gpkg"], Entrypoint("sh: ogr2ogr -f GPKG 'a b.gpkg'")),
    ],
)
def test_a_command_line_is_recorded_as_what_it_is(argv: list[str], expected: Entrypoint) -> None:
    assert describe_command(argv, Path("/srv/project")) == expected


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "x.py").write_text("import sys; print('script', sys.argv[1:])\n", encoding="utf-8")
    (tmp_path / "pkg/__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "pkg/mod.py").write_text(
        "import sys\ndef main(): print('function')\nif __name__ == '__main__': print('module', sys.argv[1:])\n",
        encoding="utf-8",
    )
    (tmp_path / "Makefile").write_text("tables:\n\t@echo target\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("entrypoint", "args", "says"),
    [
        ("x.py", ("a b", "{config}/c.yaml"), "script ['a b', '/snap/c.yaml']"),
        ("pkg.mod", ("1",), "module ['1']"),
        ("pkg.mod:main", (), "function"),
        ("make:tables", (), "target"),
        ("sh: echo {run} && echo two", (), "/run/dir\ntwo"),
        ("sh: echo", ("$HOME",), "$HOME"),
    ],
)
def test_every_entrypoint_runs(workspace: Path, entrypoint: str, args: tuple[str, ...], says: str) -> None:
    pipeline = Pipeline(entrypoint=entrypoint, args=args)
    argv = build_command(pipeline, workspace, sys.executable, {"config": "/snap", "run": "/run/dir"})
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(argv, cwd=workspace, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == says


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        (Pipeline(), "no pipeline.entrypoint"),
        (Pipeline(entrypoint="gone.py"), "not in the recorded code"),
        (Pipeline(entrypoint="../x.py"), "climbs out"),
        (Pipeline(entrypoint="/bin/sh"), "is none of"),
        (Pipeline(entrypoint="run the thing"), "is none of"),
        (Pipeline(entrypoint="report.ipynb"), "notebook"),
        (Pipeline(entrypoint="x.py", args=("{inputs.census}",)), "placeholder"),
        (Pipeline(entrypoint="x.py", cwd="nowhere"), "working folder"),
        (Pipeline(entrypoint="x.py", cwd="/tmp"), "absolute"),  # noqa: S108 - a path that is refused
    ],
)
def test_what_cannot_be_replayed_says_why(workspace: Path, pipeline: Pipeline, says: str) -> None:
    with pytest.raises(KfmReproError, match=says) as caught:
        build_command(pipeline, workspace, sys.executable, {})
    assert caught.value.hint
