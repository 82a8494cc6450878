"""``kill -9`` of us at any moment: nobody lives on who was supervised, and the next start cleans up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfm_repro.execute.isolate import Isolation, collect_leftovers, detect

KILLS = 20
DEADLINE_S = 60
TESTS = Path(__file__).resolve().parents[3]
SUPERVISE = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from misbehaving import Arena
from kfm_repro.execute.isolate import Isolation, Limits, new_place
base = pathlib.Path(sys.argv[2]); logs = base / "logs"; logs.mkdir()
CODE = '''
import os, subprocess, sys, time
stay = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
for n in range(3):
    subprocess.Popen(stay, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        os.execv(stay[0], stay)
time.sleep(600)
'''
place = new_place(base)
print(place.path, flush=True)
Arena(base / "arena").command(place, Isolation(sys.argv[3]), CODE, Limits(), logs)
"""


def below(folder: Path) -> dict[int, str]:
    """Return the living processes with a variable that points into a folder."""
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                state = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
                if state not in "ZX" and os.fsencode(folder) in (process / "environ").read_bytes():
                    found[int(process.name)] = (process / "cmdline").read_text(encoding="utf-8")
            except OSError:
                continue
    return found


def start(base: Path, level: str) -> tuple[subprocess.Popen[str], Path]:
    base.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(TESTS), str(base), level], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    place = Path(child.stdout.readline().strip())
    child.stdout.close()
    return child, place


def seconds_until_gone(place: Path) -> float:
    begun = time.monotonic()
    while left := below(place):
        assert time.monotonic() - begun < DEADLINE_S, left
        os.sched_yield()
    return time.monotonic() - begun


def collect_until_gone(place: Path) -> int:
    """Start again and again, as users do; a supervisor that is still dying holds its place for a moment."""
    deadline, ended = time.monotonic() + DEADLINE_S, 0
    while place.exists():
        assert time.monotonic() < deadline
        ended += collect_leftovers(place.parent).ended
    return ended


@pytest.mark.parametrize("level", [Isolation.NAMESPACE, Isolation.LANDLOCK])
def test_no_orphan_is_left_when_we_are_killed_at_random_moments(
    tmp_path: Path, level: Isolation, capsys: pytest.CaptureFixture[str]
) -> None:
    (state,) = (state for state in detect() if state.level is level)
    if not state.available:
        pytest.skip(state.reason)
    moments, slowest = random.Random(4), 0.0  # noqa: S311 - where to strike
    for number in range(KILLS):
        child, place = start(tmp_path / str(number), level)
        try:
            child.wait(moments.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            child.kill()
        assert child.wait() == -signal.SIGKILL
        slowest = max(slowest, seconds_until_gone(place))
        collect_until_gone(place)
    with capsys.disabled():
        print(f"\n{KILLS} kill -9 at {level}: no orphan, the last one gone after {slowest:.2f} s", end="")  # noqa: T201 - the counts


@pytest.mark.parametrize("level", [Isolation.LANDLOCK, Isolation.AGENT, Isolation.NONE])
def test_what_got_away_when_the_supervisor_was_killed_too_is_ended_at_the_next_start(
    tmp_path: Path, level: Isolation
) -> None:
    (state,) = (state for state in detect() if state.level is level)
    if not state.available:
        pytest.skip(state.reason)
    child, place = start(tmp_path / "base", level)
    deadline = time.monotonic() + DEADLINE_S
    while len(below(place)) < 7:
        assert time.monotonic() < deadline
        os.sched_yield()
    supervisor = int((place / "processes").read_text(encoding="ascii").split()[0])
    os.kill(supervisor, signal.SIGSTOP)
    child.kill()
    child.wait()
    os.kill(supervisor, signal.SIGKILL)
    assert collect_until_gone(place) >= 6
    assert below(place) == {}
