"""The program of a command, and whether it is the one that was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfm_repro.execute.program import program_precondition, program_today
from kfm_repro.model.run import Pipeline


def made(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("entrypoint", ["sh: tool -x 1", "sh: ./bin/tool", "sh: {root}/bin/tool"])
def test_the_program_is_looked_for_as_the_command_would(tmp_path: Path, entrypoint: str) -> None:
    tool = made(tmp_path / "bin/tool")
    found = program_today(Pipeline(entrypoint=entrypoint), tmp_path, f"/nowhere:{tmp_path}/bin")
    assert Path(found["path"]).resolve() == tool.resolve()


@pytest.mark.parametrize("entrypoint", [None, "x.py", "pkg.mod", "sh: 'open", "sh: ./gone", "sh:"])
def test_where_there_is_no_program_nothing_is_said(tmp_path: Path, entrypoint: str | None) -> None:
    assert program_today(Pipeline(entrypoint=entrypoint), tmp_path, "") == {}


def test_another_program_is_other_code_unless_it_was_installed(tmp_path: Path) -> None:
    then = {"program": {"path": "/x/tool", "sha256": "a" * 64}}

    def states(path: str, digest: str) -> list[str]:
        now = {"program": {"path": path, "sha256": digest * 64}}
        return [item.state for item in program_precondition(then, now)]

    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    assert states(str(tmp_path / "tool"), "b") == ["missing"]
    assert states(str(tmp_path / "tool"), "a") == []
    assert states("/usr/bin/make", "b") == []
    assert states(str(tmp_path / "venv/bin/tool"), "b") == []
    assert program_precondition({}, then) == program_precondition(then, {}) == ()
