"""Rule 19: ``kill -9`` at any moment of ``replay`` leaves no half-success, no process, and nothing in the way."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from workshop import Workshop, user_environ

from kfm_repro.execute.isolate import Isolation, detect
from kfm_repro.model.run import RunState
from kfm_repro.runs.discover import iterate_runs
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.read import read_manifest, read_run, read_state

JOB = """
import pathlib, subprocess, sys, time, uuid
# A session of its own and no variables: found by this argument, or not at all.
child = subprocess.Popen(
    [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)', 'MARK'], env={}, start_new_session=True
)
out = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)
text = open('data/raw/in.csv').read()
for n in range(3):
    (out / f'{n}.csv').write_text('id\\n' + text * 2000 + str(n))
    print('wrote', n, flush=True)
    time.sleep(0.07)
(out / 'other.txt').write_text(uuid.uuid4().hex)
child.kill(); child.wait()
"""

STAGES = (
    "status.json", "run.yaml", "logs/pipeline.jsonl", "manifests/inputs.json", "manifests/outputs.json",
    "metrics/runtime.json", "validation/policy_gate.json", "environment/fingerprint.json",
    "validation/repro_report.json", "_SUCCESS",
)  # fmt: skip
"""What appears in the run of a replay one after the other: kills aim at these moments as well as at any other."""

WORKSPACE, NO_WORKSPACE = "a workspace", "no workspace any more"
COUNTS = {"identical": 3, "different": 1}
GONE_S = 1.0
EVERY = 10
"""A later replay follows so many kills."""


@dataclass
class Bench:
    """A recorded run, a temporary folder that only its replays use, and what was seen of them."""

    shop: Workshop
    temporary: Path
    mark: str
    run_id: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    places_left: int = 0
    original: dict[str, tuple[str, int]] = field(default_factory=dict)
    contained: bool = field(
        default_factory=lambda: any(
            state.available and state.level is Isolation.NAMESPACE for state in detect()
        )
    )

    @property
    def job(self) -> Path:
        return self.shop.root / "data/work/runs/job"

    @property
    def runs(self) -> dict[str, RunDir]:
        return {run.name: run for run in iterate_runs(self.shop.root / "data/work/runs")}

    def start(self) -> subprocess.Popen[bytes]:
        """Start a replay of the run, as a process of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("kfm-repro")), "replay", "latest:job", "--json"],
            cwd=self.shop.root, env=user_environ() | {"TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def places(self) -> list[Path]:
        """Return what lies in the temporary folder: workspaces, and whatever else a kill leaves."""
        return sorted(self.temporary.iterdir())


def set_up(shop: Workshop, temporary: Path) -> Bench:
    temporary.mkdir()
    bench = Bench(shop, temporary, f"kfm-mark-{uuid4().hex}")
    shop.write("data/raw/in.csv", "1\n2\n")
    shop.write("pipelines/job.py", JOB.replace("MARK", bench.mark))
    shop.commit()
    bench.run_id = shop.record()
    bench.original = snapshot(shop.run_dir(bench.run_id))
    return bench


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the digest and the time of every file of a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_complete(bench: Bench, run: RunDir) -> None:
    """A replay that says success has everything: its report, and every byte of its outputs."""
    assert read_state(run) == (RunState.SUCCESS, "")
    record = read_run(run)
    store = ObjectStore(bench.shop.root / "data/work/runs")
    for name in STAGES:
        assert (run.path / name).exists(), name
    outputs = read_manifest(run, record.outputs_manifest, "outputs").entries
    assert len(outputs) == 4
    for entry in outputs:
        assert store.find(entry.sha256 or "") is not None, entry.path
    check_verdict(json.loads(run.report.read_bytes()))


def check_verdict(report: dict) -> None:
    """Three outputs are the same and one never is, whatever was killed before."""
    assert report["verdict"] == "not-reproducible", report
    assert {name: count for name, count in report["counts"].items() if count} == COUNTS


def check_objects(root: Path) -> None:
    """Every object is what its name says; leftovers of a copy that was cut off have other names."""
    for path in root.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name


def left(bench: Bench) -> list[str]:
    """Return the processes of replays: known by what they were told, by where they are, and by what they hold open."""
    marks = (bench.mark.encode(), os.fsencode(bench.temporary))
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        known = b"\0".join(traces(folder))
        if any(mark in known for mark in marks):
            found.append(f"{folder.name} {known[:400]!r}")
    return found


def traces(process: Path) -> Iterator[bytes]:
    """Yield what a process was told, its folder and its open files, as far as it still is there."""
    for name in ("cmdline", "environ"):
        with suppress(OSError):
            yield (process / name).read_bytes()
    links = [process / "cwd"]
    with suppress(OSError):
        links += (process / "fd").iterdir()
    for link in links:
        with suppress(OSError):
            yield os.fsencode(link.readlink())


def check_gone(bench: Bench) -> None:
    """Nothing that the killed replay started is there a second later."""
    killed = time.monotonic()
    while remaining := left(bench):
        assert time.monotonic() - killed <= GONE_S, remaining
        time.sleep(0.01)
    bench.slowest_s = max(bench.slowest_s, time.monotonic() - killed)


def await_stage(bench: Bench, child: subprocess.Popen[bytes], stage: str, known: set[str]) -> None:
    """Wait until the replay comes to a stage, or to its end."""
    had, limit = False, time.monotonic() + 60
    while child.poll() is None and time.monotonic() < limit:
        if stage in (WORKSPACE, NO_WORKSPACE):
            now = any(bench.temporary.iterdir())
            had |= now
            if had and now == (stage == WORKSPACE):
                return
        elif any(path.parents[stage.count("/")].name not in known for path in bench.job.glob(f"*/{stage}")):
            return


def kill_once(bench: Bench, dice: random.Random, after_s: float) -> None:
    """Replay, and kill it ``after_s`` after its start, or, every other time, a while after a random stage."""
    known, child = set(bench.runs), bench.start()
    if dice.random() < 0.5:
        await_stage(bench, child, dice.choice((WORKSPACE, NO_WORKSPACE, *STAGES)), known)
        after_s = dice.random() * 0.02
    try:
        child.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    if bench.contained:
        check_gone(bench)
    check_run(bench, known)


def check_run(bench: Bench, known: set[str]) -> None:
    """Check what a kill has left in the project."""
    fresh = [run for name, run in bench.runs.items() if name not in known]
    assert len(fresh) <= 1
    state, why = read_state(fresh[0]) if fresh else (None, "")
    bench.seen[str(state) if state else "no run yet"] += 1
    bench.places_left += len(bench.places())
    if state is RunState.SUCCESS:
        check_complete(bench, fresh[0])
    else:
        assert state in (None, RunState.ABORTED), why
        assert not fresh or not fresh[0].success.exists()
    assert snapshot(bench.runs[bench.run_id].path) == bench.original
    check_objects(bench.shop.root / "data/work/runs/.objects")


def replay_again(bench: Bench, *, at_once: int = 1) -> float:
    """Replay to the end, ``at_once`` at a time; return seconds. Each is judged alike, and nothing is left over."""
    known, began = set(bench.runs), time.monotonic()
    children = [bench.start() for _ in range(at_once)]
    said = [child.communicate(timeout=120)[0] for child in children]
    took = time.monotonic() - began
    for report in map(json.loads, said):
        check_verdict(report)
        assert report["run"]["run_id"] == bench.run_id
    fresh = [run for name, run in bench.runs.items() if name not in known]
    assert len(fresh) == at_once
    for run in fresh:
        check_complete(bench, run)
    assert bench.places() == []
    return took


def campaign(shop: Workshop, temporary: Path, kills: int) -> None:
    bench = set_up(shop, temporary)
    whole_s = replay_again(bench)
    dice = random.Random(kills)  # noqa: S311 - no secret
    # One kill in each slice of its life, in any order.
    moments = [(number + dice.random()) * whole_s / kills for number in range(kills)]
    dice.shuffle(moments)
    for number, after_s in enumerate(moments, 1):
        kill_once(bench, dice, after_s)
        if number % EVERY == 0:
            replay_again(bench)
    replay_again(bench, at_once=2)
    assert snapshot(bench.runs[bench.run_id].path) == bench.original
    if bench.contained:
        check_gone(bench)
    print(  # noqa: T201 - the counts are the evidence
        f"\n{kills} kills of replay, which takes {whole_s:.1f} s: {dict(sorted(bench.seen.items()))}; "
        f"{bench.places_left} workspaces left and collected; no process after {bench.slowest_s:.2f} s at most"
    )
    assert bench.seen[str(RunState.ABORTED)] > 0
    assert bench.places_left > 0


def test_rule_19_twenty_kills_of_replay_leave_nothing_in_the_way(workshop: Workshop, tmp_path: Path) -> None:
    campaign(workshop, tmp_path / "temporary", 20)


@pytest.mark.full
def test_rule_19_two_hundred_kills_of_replay_leave_nothing_in_the_way(
    workshop: Workshop, tmp_path: Path
) -> None:
    campaign(workshop, tmp_path / "temporary", 200)
