"""``nightly --scheduler``: the same night on a cluster of processes, one of which dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from nights import STABLE, UNSTABLE, WEEKDAY, Nights
from workshop import Workshop, user_environ

PROGRAM = Path(sys.executable).with_name("kfm-repro")
SLOW = "import time; time.sleep(3)\n" + STABLE
PATIENCE_S = 120


@contextmanager
def process(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of a cluster for as long as it is needed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + args[0], *args[1:]],
        env=user_environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Return the address of a cluster, and its two workers."""
    told = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        ports = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        stack.enter_context(process("dask_scheduler", *ports, "--scheduler-file", str(told)))
        wait_until(told.exists)
        workers = [
            stack.enter_context(
                process(
                    "dask_worker", "--scheduler-file", str(told), "--no-nanny", "--nthreads", "1", "--no-dashboard",
                    "--local-directory", str(tmp_path / f"worker-{number}"), "--name", str(number),
                )
            )
            for number in range(2)
        ]  # fmt: skip
        address = json.loads(told.read_text(encoding="utf-8"))["address"]
        wait_until(lambda: len(threads(address)) == 2)
        yield address, workers


def threads(address: str) -> dict[str, int]:
    from distributed import Client

    with Client(address, timeout=PATIENCE_S, set_as_default=False) as client:
        return dict(client.nthreads())


def wait_until(ready: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.fixture
def nights(workshop: Workshop) -> Nights:
    """Return a project of three pipelines; one of them differs."""
    made = Nights(workshop)
    for name, body in (("a", SLOW), ("b", UNSTABLE), ("c", STABLE)):
        made.script(name, body)
    workshop.commit()
    for name in "abc":
        made.record(name)
    return made


def told(report: dict[str, Any]) -> Any:
    """Return what a night says, without what no two executions share."""
    runs = [
        (
            run["run"], run["status"], run["report"]["verdict"], run["report"]["counts"], run["reasons"],
            [(trial["ordinal"], trial["axes"], trial["verdict"]) for trial in run["trials"]],
        )
        for run in report["runs"]
    ]  # fmt: skip
    return runs, report["verdict"], report["plan"], report["alarms"], report["left_out"]


@pytest.mark.slow
def test_a_worker_that_dies_midway_changes_nothing(
    nights: Nights, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    local = nights.night("--jobs", "2", "--vary", "none", code=1)
    runs = nights.shop.root / "data/work/runs"
    (runs / ".ledger/ledger.sqlite3").unlink()
    before = {path.parent for path in runs.glob("*/*/status.json")}
    child = subprocess.Popen(
        [PROGRAM, "nightly", "--json", "--night", WEEKDAY, "--vary", "none", "--scheduler", address],
        cwd=nights.shop.root, env=user_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    def slow() -> list[int]:
        """Return the process of the replay that takes long, once it has begun."""
        new = [path for path in runs.glob("a/*/logs") if path.parent not in before]
        return [json.loads((path.parent / "status.json").read_text())["pid"] for path in new]

    wait_until(lambda: slow() or child.poll() is not None)
    assert child.poll() is None, child.communicate()
    (pid,) = slow()
    assert pid in [worker.pid for worker in workers]
    os.kill(pid, signal.SIGKILL)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 1, err
    report = json.loads(out)
    assert told(report) == told(local)
    assert len([path for path in runs.glob("a/*/status.json") if path.parent not in before]) == 2
    assert nights.shop.kfm("ledger", "export", "--json").json["entries"][0]["n"] == 1


@pytest.mark.slow
def test_no_scheduler_is_said(nights: Nights) -> None:
    done = nights.shop.kfm("nightly", "--json", "--scheduler", "tcp://127.0.0.1:1")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "no Dask scheduler answers" in done.json["error"]["message"]
