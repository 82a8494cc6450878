"""Where the replays of a night run: processes of this machine, or the workers of a Dask cluster.

Both are executors of the standard library, and both lose workers: what such a one had begun is done again, a few
times. The order in which results come plays no part: they are known by their task.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from threading import Thread
from types import FrameType
from typing import Any, Protocol

from kfm_repro.errors import UsageError
from kfm_repro.model.report import ErrorInfo
from kfm_repro.nightly.task import Done, Task, failed, fill_turns, lost, replay_task

__all__ = ["Workers", "local_workers", "on_cluster", "run_tasks"]

_ATTEMPTS = 3
_PATIENCE_S = 10


class Workers(Protocol):
    """Who replays: ``size`` at once."""

    size: int

    def executor(self) -> Executor:
        """Return the executor that is in use, a new one when the last has broken."""

    def broken(self) -> None:
        """Hear that the executor lost a worker and takes no more tasks."""


def run_tasks(
    workers: Workers,
    tasks: Sequence[Task],
    *,
    may_begin: Callable[[Task], bool] = lambda _: True,
    done: Callable[[Done], None] = lambda _: None,
) -> dict[tuple[str, str, int], Done]:
    """Return what came of each task, by its key; those that ``may_begin`` refuses when their turn comes are missing.

    ``done`` hears of each as it ends.
    """
    waiting, running = [*reversed(tasks)], dict[Future[Done], Task]()
    attempts: dict[tuple[str, str, int], int] = {}
    results: dict[tuple[str, str, int], Done] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers.size:
                task = waiting.pop()
                if not task.ordinal and task.key not in attempts and not may_begin(task):
                    continue
                running[_submit(workers, task)] = task
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                result = _result(workers, future, task)
                attempts[task.key] = attempts.get(task.key, 0) + 1
                if result is None and attempts[task.key] < _ATTEMPTS:
                    waiting.append(task)
                    continue
                results[task.key] = result or lost(task, f"{_ATTEMPTS} times")
                done(results[task.key])
    except BaseException:
        for future in running:
            future.cancel()
        raise
    return results


def _submit(workers: Workers, task: Task) -> Future[Done]:
    try:
        return workers.executor().submit(replay_task, task)
    except BrokenProcessPool:
        workers.broken()
        return workers.executor().submit(replay_task, task)


def _result(workers: Workers, future: Future[Done], task: Task) -> Done | None:
    """Return the result, None when the worker was lost."""
    try:
        return future.result()
    except BrokenProcessPool:
        workers.broken()
        return None
    except Exception as exc:  # noqa: BLE001 - whatever a worker raises is no verdict, and never ends the night
        if type(exc).__name__ == "KilledWorker":
            return lost(task, str(exc))
        message = f"{type(exc).__name__}: {exc}"
        hint = "this is a fault of kfm-repro: replay the run by itself with --debug"
        return failed(task, ErrorInfo(code="internal", message=message, hint=hint))


class _Local:
    """Processes of this machine that have everything imported; as many prepare or compare as run pipelines."""

    def __init__(self, jobs: int) -> None:
        self._jobs, self.size = jobs, 2 * jobs if jobs > 1 else 1
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["kfm_repro.nightly.preloaded"])
        self._executor: ProcessPoolExecutor | None = None

    def executor(self) -> Executor:
        if self._executor is None:
            turns = self._context.BoundedSemaphore(self._jobs) if self._jobs > 1 else None
            self._executor = ProcessPoolExecutor(
                self.size,
                mp_context=self._context,
                initializer=_begin_worker,
                initargs=(turns, frozenset(os.environ)),
            )
        return self._executor

    def broken(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = None

    def end(self, *, now: bool) -> None:
        """End the workers; ``now`` interrupts what they do, as Ctrl-C would."""
        if self._executor is None:
            return
        processes = [*(self._executor._processes or {}).values()] if now else []  # noqa: SLF001 - nothing else names them
        for process in processes:
            process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _begin_worker(turns: AbstractContextManager[Any] | None, variables: frozenset[str]) -> None:
    """Make a process one that replays.

    ``variables`` are the user's: what we set for our libraries is kept from what a replay takes for the user's.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    Thread(target=_end_with_parent, daemon=True).start()
    for name in set(os.environ) - variables:
        value = os.environ.pop(name)
        os.putenv(name, value)
    if turns is not None:
        fill_turns(partial(_same, turns))
    else:
        fill_turns(nullcontext)


def _end_with_parent() -> None:
    """Interrupt this process when the night is gone: one that was killed (no memory left) can end no worker itself."""
    if (parent := parent_process()) is not None:
        wait_for([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE_S)
        os._exit(1)  # a lock that died with the night can hold it up for ever


def _same(turns: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    return turns


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def local_workers(jobs: int) -> Iterator[Workers]:
    """Have processes that run ``jobs`` pipelines at once; they are gone at the end, whatever it is."""
    workers = _Local(jobs)
    try:
        yield workers
    except BaseException:
        workers.end(now=True)
        raise
    workers.end(now=False)


class _Cluster:
    """The workers of a cluster. It starts anew by itself what a lost worker had begun."""

    def __init__(self, executor: Executor, size: int) -> None:
        self._executor, self.size = executor, size

    def executor(self) -> Executor:
        return self._executor

    def broken(self) -> None:
        """Do nothing: a cluster does not break with a worker."""


@contextmanager
def on_cluster(address: str) -> Iterator[Workers]:
    """Have the workers of the Dask cluster at ``address``: one pipeline for each of their threads.

    They need the project and its runs under the same paths, and the same kfm-repro. Raises UsageError.
    """
    try:
        from distributed import Client
    except ImportError as exc:
        raise UsageError(
            "--scheduler needs Dask, which is not installed", hint="pip install 'kfm-repro[cluster]'"
        ) from exc
    try:
        client = Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as exc:
        raise UsageError(
            f"no Dask scheduler answers at {address}: {exc}",
            hint="start one with: dask scheduler; and name its address, such as tcp://10.0.0.1:8786",
        ) from exc
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise UsageError(
                f"the Dask cluster at {address} has no workers", hint=f"start some: dask worker {address}"
            )
        with client.get_executor(pure=False) as executor:
            yield _Cluster(executor, threads)
