"""What isolation costs: the start of each level beside a bare command, and many small opens in it, in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Isolation,
    Limits,
    detect,
    interpreter_places,
    new_place,
    writable,
)
from kfm_repro.execute.process import Process, run_command

_ROUNDS = 9
_OPENS = 20_000
_LIMIT = 1.30
"""Opening many small files may take this many times as long, the start left out."""
_CODE = f"""
import time
for n in range(200):
    with open(f"f{{n}}", "w") as file: file.write("x")
begun = time.perf_counter()
for n in range({_OPENS}):
    with open(f"f{{n % 200}}") as file: file.read()
print(time.perf_counter() - begun)
"""


class _Desk:
    """Runs commands at a level, or bare, in one folder."""

    def __init__(self) -> None:
        self.place = new_place()
        self.work, self.logs = self.place.path / "work", self.place.path / "logs"
        for path in (self.work, self.logs, self.place.path / "scratch"):
            path.mkdir()
        places = (writable(self.work), *interpreter_places(Path(sys.executable)))
        self.cell = Cell(places, self.place.path / "scratch")

    def confined(self, level: Isolation, *argv: str) -> tuple[float, str]:
        """Return seconds from start to end, and the last line of the output."""
        limits = Limits(timeout_s=600, memory_bytes=8 << 30, disk_bytes=8 << 30)
        how = Confinement(self.cell, level, limits, self.place)
        begun = time.perf_counter()
        outcome = run_command(Process(argv, self.work, {"PATH": "/usr/bin:/bin"}, self.logs, confinement=how))
        assert outcome.outcome == "success", outcome
        return time.perf_counter() - begun, "".join(outcome.last_lines[-1:])

    def bare(self, *argv: str) -> tuple[float, str]:
        begun = time.perf_counter()
        done = subprocess.run(
            argv, cwd=self.work, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
        )
        return time.perf_counter() - begun, done.stdout.strip()


@pytest.mark.parametrize("level", [state.level for state in detect() if state.available])
def test_the_start_of_a_level_and_many_small_opens(
    benchmark: Callable[..., Any], capsys: pytest.CaptureFixture[str], level: Isolation
) -> None:
    desk = _Desk()
    program = (sys.executable, "-c", _CODE)
    try:
        starts, ratios = [], []
        for _ in range(_ROUNDS):
            starts.append(desk.confined(level, "/bin/true")[0] - desk.bare("/bin/true")[0])
            ratios.append(float(desk.confined(level, *program)[1]) / float(desk.bare(*program)[1]))
        benchmark(desk.confined, level, "/bin/true")
    finally:
        desk.place.remove()
    ratio = statistics.median(ratios)
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{level}: starts in {statistics.median(starts) * 1000:.0f} ms more than a bare command; "
            f"{_OPENS} small opens take {ratio:.2f} times as long (limit {_LIMIT})"
        )
    assert ratio <= _LIMIT
