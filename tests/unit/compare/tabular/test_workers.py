"""Work on several threads: results in order, errors where they are asked for, and nothing left running."""

from __future__ import annotations

import os
import threading
from itertools import islice

import pytest

from kfm_repro.compare.tabular.workers import in_parallel


def test_results_come_in_the_order_of_the_tasks() -> None:
    assert list(in_parallel(lambda task: task * 2, range(100))) == list(range(0, 200, 2))


def test_tasks_that_have_tasks_do_not_wait_for_each_other_forever() -> None:
    def outer(task: int) -> list[int]:
        return list(in_parallel(lambda inner: task + inner, range(20)))

    assert list(in_parallel(outer, range(20))) == [list(range(task, task + 20)) for task in range(20)]


def test_an_error_is_raised_where_its_result_is_due() -> None:
    found = in_parallel(lambda task: 1 // (3 - task), range(10))
    assert list(islice(found, 3)) == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_nothing_runs_any_more_once_who_asked_has_left() -> None:
    running = 0
    lock = threading.Lock()

    def work(task: int) -> int:
        nonlocal running
        with lock:
            running += 1
        sum(range(100_000))
        with lock:
            running -= 1
        return task

    found = in_parallel(work, range(1000))
    assert next(found) == 0
    found.close()
    assert running == 0


def test_a_forked_process_has_threads_of_its_own() -> None:
    assert list(in_parallel(abs, [-1])) == [1]
    child = os.fork()
    if not child:
        os._exit(0 if list(in_parallel(abs, [-2])) == [2] else 1)
    assert os.waitpid(child, 0)[1] == 0
