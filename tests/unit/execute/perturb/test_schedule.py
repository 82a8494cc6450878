"""A varied schedule: tasks of workers begin late, and nothing else of a Python program changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from preloading import Run

from kfm_repro.execute.perturb.agent import AgentSetting, Built

LATE = AgentSetting(thread_seed=5, clock_frozen_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))
AT_ONCE = replace(LATE, thread_seed=None)
ATTEMPTS = 5
MECHANISMS = pytest.mark.parametrize("built", [None, Built(None, "for this test")], ids=["library", "python"])
POOL = (
    "from concurrent.futures import ThreadPoolExecutor\nresults = []\n"
    "with ThreadPoolExecutor(4) as pool: list(pool.map(results.append, range(40)))\n"
)
QUEUE = (
    "import queue, threading\nresults, tasks = [], queue.Queue()\nfor n in range(40): tasks.put(n)\n"
    "def work():\n"
    "    while True:\n"
    "        try: results.append(tasks.get_nowait())\n"
    "        except queue.Empty: return\n"
    "workers = [threading.Thread(target=work) for _ in range(4)]\n"
    "for worker in workers: worker.start()\n"
    "for worker in workers: worker.join()\n"
)
SHOW = "print('order', *results)\n"
TRACES = (
    "import queue, sys, threading, time, traceback\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "loaded = set(sys.modules)\n"
    "def fail():\n    traceback.print_stack(file=sys.stdout)\n    raise ValueError\n"
    "def attempt(function, *args):\n"
    "    try: function(*args)\n"
    "    except Exception: traceback.print_exc(file=sys.stdout)\n"
    # Once it has ended: another line of result() raises while it has not.
    "with ThreadPoolExecutor(2) as pool: future = pool.submit(fail)\n"
    "attempt(future.result)\n"
    "attempt(queue.Queue().get, False)\nattempt(queue.Queue().get, 1, 2, 3)\nattempt(queue.Queue.get)\n"
    "print(sorted(set(sys.modules) - loaded), time.time())\n"
)


@MECHANISMS
@pytest.mark.parametrize("program", [POOL, QUEUE], ids=["pool", "queue"])
def test_a_race_among_workers_that_have_started_is_lost(
    run: Run, python: str, program: str, built: Built | None
) -> None:
    in_order = " ".join(map(str, range(40)))
    orders = [run(LATE, python, "-c", program + SHOW, built=built).values["order"] for _ in range(ATTEMPTS)]
    assert all(sorted(map(int, order.split())) == list(range(40)) for order in orders)
    assert any(order != in_order for order in orders)


@MECHANISMS
def test_what_is_no_race_comes_out_the_same(run: Run, python: str, built: Built | None) -> None:
    program = POOL + "print('sum', sum(pool_results), *pool_results)\n"
    program = program.replace("list(pool.map(results.append", "pool_results = list(pool.map(abs")
    assert (
        run(LATE, python, "-c", program, built=built).out
        == run(AT_ONCE, python, "-c", program, built=built).out
    )


def test_no_trace_of_a_delay_is_seen_where_something_fails(run: Run, python: str) -> None:
    late = run(LATE, python, "-c", TRACES).out
    assert late == run(AT_ONCE, python, "-c", TRACES).out
    assert late.count("Traceback") == 4
    assert late.endswith("1700000000.0\n")


@MECHANISMS
def test_threads_change_places_more_often_unless_the_command_has_its_own_interval(
    run: Run, python: str, built: Built | None
) -> None:
    line = (
        "import sys, threading\nif len(sys.argv) > 1: sys.setswitchinterval(float(sys.argv[1]))\n"
        "t = threading.Thread(target=int); t.start(); t.join()\nprint('seconds', sys.getswitchinterval())"
    )
    seconds = [
        float(run(setting, python, "-c", line, *own, built=built).values["seconds"])
        for setting, own in ((LATE, ()), (LATE, ("0.25",)), (AT_ONCE, ()))
    ]
    assert seconds == pytest.approx([0.00001, 0.25, 0.005])


@MECHANISMS
def test_forks_among_pools_and_pools_of_processes_come_to_their_end(
    run: Run, python: str, built: Built | None
) -> None:
    program = (
        "import multiprocessing, os, warnings\nwarnings.simplefilter('ignore')\n"
        "from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor\n"
        "def work(_):\n    with ThreadPoolExecutor(3) as pool: return sum(pool.map(abs, range(50)))\n"
        "children = []\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    sums = pool.map(work, range(10))\n"
        "    for _ in range(10):\n"
        "        children.append(os.fork())\n"
        "        if not children[-1]: os._exit(work(0) != 1225)\n"
        "    print('threads', sum(sums))\n"
        "print('children', sum(os.waitpid(child, 0)[1] for child in children))\n"
        "with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn')) as pool:\n"
        "    print('processes', sum(pool.map(abs, range(20))))\n"
    )
    values = run(LATE, python, "-c", program, built=built).values
    assert values == {"threads": "12250", "children": "0", "processes": "190"}
