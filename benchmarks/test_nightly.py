"""What a night takes beside the bare commands: replays of a second each, two at once, on two processors.

``waiting`` commands leave the processors to what a replay does around them; ``computing`` ones leave nothing, and every
processor second of a replay lengthens the night. At least two processors have to be free, or the figures say nothing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = str(Path(sys.executable).with_name("kfm-repro"))
_JOBS = 2
_HEAD = """
import hashlib, pathlib, time
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
"""
_WAITING = "time.sleep(1)\n"
_COMPUTING = "hashlib.pbkdf2_hmac('sha256', b'kfm', b'repro', ROUNDS)\n"
_END = '(out / "a.csv").write_text("id,n\\n1,1\\n")\n'
_CASES = {"waiting": (_WAITING, 1.15, 1.3), "computing": (_COMPUTING, 1.5, 1.6)}
"""What the commands do for a second, and how many times half of their sum a night of many, and one of few, may take.

Starting the processes, and the canaries of its axes, are once for a night.
"""
_RUNS, _MANY = 20, 100
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 100_000


def _recorded(root: Path, code: str, runs: int) -> None:
    """Lay out a project with one recorded run, and the others as copies of it under ids of their own."""
    for folder in ("data/work/runs", "pipelines"):
        (root / folder).mkdir(parents=True)
    (root / ".gitignore").write_text("data/\n", encoding="utf-8")
    (root / "pipelines/job.py").write_text(code, encoding="utf-8")
    who = ["-c", "user.name=KFM", "-c", "user.email=kfm@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "code"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    command = (_PROGRAM, "record", "--output", "data/processed/job/**", "--", *_command())
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (first,) = (root / "data/work/runs/job").iterdir()
    for number in range(1, runs):
        name = f"{first.name[:-3]}{number:03}"
        if name == first.name:
            continue
        copy = first.with_name(name)
        shutil.copytree(first, copy)
        text = (copy / "run.yaml").read_text(encoding="utf-8")
        (copy / "run.yaml").write_text(text.replace(first.name, name), encoding="utf-8")


def _command() -> tuple[str, str]:
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable, "pipelines/job.py"


def _rounds(run: Callable[..., float]) -> int:
    """Return how many rounds of hashing take this machine a second of a processor."""
    code = _COMPUTING.replace("ROUNDS", str(_ROUNDS))
    used = _processors()
    run((_command()[0], "-c", f"import hashlib\n{code}"))
    return int(_ROUNDS / (_processors() - used))


def _adopt_orphans() -> None:
    """Become the parent of what a command leaves behind: its workers end a moment after it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_for_orphans() -> None:
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _processors() -> float:
    """Return the processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.skipif((os.cpu_count() or 1) < _JOBS, reason="two jobs at once need two processors")
@pytest.mark.parametrize("case", list(_CASES))
def test_a_night_against_half_of_the_sum_of_its_commands(
    benchmark: Callable[..., Any],
    tmp_path: Path,
    run: Callable[..., float],
    promise: Callable[..., None],
    scale: int,
    case: str,
) -> None:
    body, of_many, of_few = _CASES[case]
    runs = min(_MANY, _RUNS * scale)
    _recorded(tmp_path, _HEAD + body.replace("ROUNDS", str(_rounds(run))) + _END, runs)
    _adopt_orphans()
    used = _processors()
    bare = [run(_command(), cwd=tmp_path) for _ in range(5)]
    alone = (_processors() - used) / len(bare)
    # Two of them at once, as a night has them: what they take from one another is not the night's.
    pair = "; ".join([f"{' '.join(_command())} & {' '.join(_command())} & wait"] * 5)
    beside = run(("sh", "-c", pair), cwd=tmp_path) / 5
    used = _processors()
    night = (_PROGRAM, "nightly", "--jobs", str(_JOBS), "--budget", "5h")
    took = run(night, cwd=tmp_path, stderr=subprocess.DEVNULL)
    _wait_for_orphans()
    each = (_processors() - used) / runs
    benchmark.pedantic(lambda: None, rounds=1)  # type: ignore[attr-defined]
    bare += [run(_command(), cwd=tmp_path) for _ in range(5)]
    half = statistics.mean(bare) * runs / _JOBS
    promise(
        f"night of {runs} {case} commands of a second, --jobs {_JOBS} / half of their sum",
        took / half,
        at_most=of_many if runs == _MANY else of_few,
        detail=f"{took:.1f} s; beside one another the commands alone take {beside * runs / _JOBS / half:.2f}; "
        f"processor seconds of a replay {each:.2f}, of its command {alone:.2f}",
    )
