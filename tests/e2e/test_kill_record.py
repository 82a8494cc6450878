"""Rule 19: ``kill -9`` at any moment of ``record`` leaves no half-success and no damaged object."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from workshop import Workshop, plain_python

from kfm_repro.model.run import RunState
from kfm_repro.runs.discover import iterate_runs
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.read import read_manifest, read_run, read_state

JOB = """
import pathlib
text = open('data/raw/in.csv').read()
out = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)
for n in range(5):
    (out / f'{n}.csv').write_text('id\\n' + text * 2000 + str(n))
    print('wrote', n, flush=True)
"""

STAGES = (
    "status.json", "environment/fingerprint.json", "run.yaml", "logs/pipeline.jsonl", "config/dirty.patch",
    "manifests/inputs.json", "manifests/outputs.json", "metrics/runtime.json", "metrics/counters.json",
    "validation/schema_report.json", "validation/policy_gate.json", "_SUCCESS",
)  # fmt: skip
"""What appears in a run one after the other: kills aim at these moments as well as at any other."""


def runs_of(shop: Workshop) -> dict[str, RunDir]:
    return {run.name: run for run in iterate_runs(shop.root / "data/work/runs")}


def check_complete(run: RunDir, store: ObjectStore) -> None:
    """A run that says success has everything, and every byte of its outputs."""
    record = read_run(run)
    outputs = read_manifest(run, record.outputs_manifest, "outputs").entries
    inputs = read_manifest(run, record.inputs_manifest, "inputs").entries
    assert len(outputs) == 5
    assert [entry.path for entry in inputs] == ["data/raw/in.csv"]
    for entry in (*outputs, *inputs):
        assert store.find(entry.sha256 or "") is not None, entry.path
    for name in STAGES:
        assert (run.path / name).exists(), name


def check_objects(root: Path) -> int:
    """Every object is what its name says; leftovers of a copy that was cut off have other names."""
    objects = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in objects:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name
    return len(objects)


def kill_once(shop: Workshop, dice: random.Random, whole_s: float) -> None:
    """Record, and kill the recorder at a random time, or a random while after a random stage."""
    known = set(runs_of(shop))
    program = Path(sys.executable).with_name("kfm-repro")
    child = subprocess.Popen(
        [program, "record", "--", plain_python(), "pipelines/job.py"],
        cwd=shop.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    limit = time.monotonic() + 60
    if dice.random() < 0.7:  # most kills aim at the writing, which is the shorter part
        stage = dice.choice(STAGES)
        pattern = f"data/work/runs/job/*/{stage}"
        while child.poll() is None and time.monotonic() < limit:
            if any(path.relative_to(shop.root).parts[4] not in known for path in shop.root.glob(pattern)):
                break
        delay = dice.random() * 0.01
    else:
        delay = dice.random() * whole_s
    try:
        child.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    child.wait(timeout=60)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # the command itself outlives its recorder


def campaign(shop: Workshop, kills: int) -> None:
    shop.write("data/raw/in.csv", "1\n2\n")
    shop.write(".gitignore", "data/\n")
    shop.write("pipelines/job.py", "")
    shop.commit()
    shop.write("pipelines/job.py", JOB)
    began = time.monotonic()
    first = shop.record()
    whole_s = time.monotonic() - began
    store, dice = ObjectStore(shop.root / "data/work/runs"), random.Random(kills)  # noqa: S311 - no secret
    check_complete(runs_of(shop)[first], store)
    seen: Counter[str] = Counter()
    for _ in range(kills):
        before = set(runs_of(shop))
        kill_once(shop, dice, whole_s)
        fresh = [run for name, run in runs_of(shop).items() if name not in before]
        assert len(fresh) <= 1
        state = read_state(fresh[0])[0] if fresh else None
        seen[str(state) if state else "no run yet"] += 1
        if state is RunState.SUCCESS:
            check_complete(fresh[0], store)
        else:
            assert state in (None, RunState.ABORTED)
            assert not fresh or not fresh[0].success.exists()
        check_complete(runs_of(shop)[first], store)
        check_objects(shop.root / "data/work/runs/.objects")
    print(f"\n{kills} kills of record: {dict(sorted(seen.items()))}")  # noqa: T201 - the counts are the evidence
    assert seen[str(RunState.ABORTED)] > 0
    last = shop.record()
    check_complete(runs_of(shop)[last], store)
    assert shop.kfm("replay", first).code == 0
    assert shop.kfm("replay", "latest:job").code == 0


def test_rule_19_twenty_kills_of_record_leave_no_half_success(workshop: Workshop) -> None:
    campaign(workshop, 20)


@pytest.mark.full
def test_rule_19_two_hundred_kills_of_record_leave_no_half_success(workshop: Workshop) -> None:
    campaign(workshop, 200)
