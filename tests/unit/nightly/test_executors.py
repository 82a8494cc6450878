"""Workers that go away: what they had begun is done again, a few times."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from kfm_repro.nightly.executors import run_tasks
from kfm_repro.nightly.task import Done, Task, failed, lost

NIGHT = """
import os, time
from kfm_repro.nightly.executors import local_workers
with local_workers(1) as workers:
    print(workers.executor().submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


class Losing(Executor):
    """An executor that breaks as often as it is told for a run, and answers else."""

    def __init__(self, losses: dict[str, int]) -> None:
        self.losses, self.begun, self.size = Counter(losses), Counter[str](), 3

    def executor(self) -> Executor:
        return self

    def broken(self) -> None:
        """Take tasks again."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        del fn, kwargs
        (task,) = args
        self.begun[task.run_id] += 1
        future: Future[Any] = Future()
        if self.losses[task.run_id] > 0:
            self.losses[task.run_id] -= 1
            future.set_exception(BrokenProcessPool("gone"))
        elif self.losses[task.run_id] < 0:
            future.set_exception(ValueError("a defect"))
        else:
            future.set_result(lost(task, "stands for a result"))
        return future


def tasks(*names: str) -> list[Task]:
    return [
        Task(root="/r", runs="/r/runs", pipeline="p", run_id=name, commit="c", environment="e")
        for name in names
    ]


def code(done: Done) -> str:
    return done.report.error.code


def test_what_a_lost_worker_had_begun_is_done_again_and_in_the_end_it_is_said() -> None:
    workers = Losing({"b": 2, "c": 99, "d": -1})
    heard: list[str] = []
    results = run_tasks(workers, tasks(*"abcd"), done=lambda done: heard.append(done.task.run_id))
    assert dict(workers.begun) == {"a": 1, "b": 3, "c": 3, "d": 1}
    assert sorted(heard) == sorted(key[1] for key in results) == [*"abcd"]
    assert code(results["p", "c", 0]) == "worker-lost"
    assert code(results["p", "d", 0]) == "internal"


def test_what_may_not_begin_is_missing_and_confirmations_always_may() -> None:
    workers = Losing({})
    first, second = tasks("a", "b")
    results = run_tasks(
        workers, [first, second, second.confirming(1)], may_begin=lambda task: task.run_id == "a"
    )
    assert sorted(results) == [("p", "a", 0), ("p", "b", 1)]


def test_an_interruption_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kfm_repro.nightly.executors.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(Losing({}), tasks("a"))


def test_a_failure_is_a_report_without_a_verdict() -> None:
    (task,) = tasks("a")
    done = lost(task, "x")
    assert (done.trial.replay_id, done.trial.outcomes, str(done.report.verdict)) == ("", (), "unknown")
    assert failed(task, done.report.error).report.run.run_id == "a"


def test_workers_end_when_the_night_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", NIGHT], stdout=subprocess.PIPE, text=True) as night:
        assert night.stdout is not None
        worker = os.pidfd_open(int(night.stdout.readline()))
        night.kill()
        night.wait(timeout=60)
        gone, _, _ = select.select([worker], [], [], 20)
        if not gone:
            signal.pidfd_send_signal(worker, signal.SIGKILL)
        os.close(worker)
    assert gone
