"""Programs that the agent cannot be in are known from their files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kfm_repro.execute.perturb.agent import Event, Kind
from kfm_repro.execute.uncovered import programs_without_agent, why_uncovered


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    (folder / "day.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    program = folder / "day"
    done = subprocess.run(
        ["cc", "-static", "-o", program, folder / "day.c"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no static program can be built here: {done.stderr.splitlines()[-1]}")
    return program


def started(text: str, how: str = "execve", error: int = 0) -> Event:
    return Event(7, "1", Kind.EXEC, how, text, error)


def test_a_static_program_is_uncovered_however_it_was_found(static: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{static} -x\n", encoding="utf-8")
    events = [
        started("day", "execvp"),
        started("./script"),
        started("bin/gone", "static"),
        started("/usr/bin/env"),
    ]
    assert programs_without_agent(events, tmp_path, f"/nowhere:{static.parent}") == (
        "day is linked statically",
        "gone is linked statically",
        "script is linked statically",
    )


def test_what_was_not_there_or_is_linked_dynamically_is_no_gap(static: Path, tmp_path: Path) -> None:
    assert programs_without_agent([started(str(static), error=2)], tmp_path, "") == ()
    assert why_uncovered(Path(sys.executable).resolve()) == ""
    assert why_uncovered(tmp_path) == ""
