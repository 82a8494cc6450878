"""The library under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer (``make sanitize``).

Not in these runs: forks among threads (the sanitizers' own allocator hangs in the child) and programs with an empty
environment (the sanitizer's options would be lost); test_library.py has both without sanitizers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from preloading import STOP_S

from kfm_repro.execute.perturb.agent import AgentSetting, Built, Order, prepare
from kfm_repro.execute.perturb.agent.build import PREBUILT, compiler

SOURCES = PREBUILT.parent
MODES = ("clocks", "entropy", "listings", "machine", "waits", "spin", "forks", "close", "limit", "threads")
SETTING = AgentSetting(
    clock_frozen_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    entropy_seed=11,
    order=Order.REVERSED,
    host="box",
    cpus=7,
    memory_pages=1000,
    thread_seed=3,
)
FLAGS = ["-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-pthread", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def gcc() -> str:
    found = shutil.which("gcc")
    if found is None or compiler(os.environ) is None:
        pytest.skip("no gcc: the sanitizers are not tried")
    return found


def runtime(gcc: str, name: str) -> str:
    path = subprocess.run(
        [gcc, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(path).is_absolute():
        pytest.skip(f"{name} is not installed")
    return path


def sanitized(gcc: str, place: Path, sanitizers: str) -> Path:
    library = place / "sanitized.so"
    flags = [*FLAGS, f"-fsanitize={sanitizers}", "-fPIC", "-shared", "-fvisibility=hidden"]
    subprocess.run([gcc, *flags, "-o", library, *sorted(SOURCES.glob("*.c")), "-ldl"], check=True)
    return library


def run_driver(argv: list[object], env: dict[str, str], cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        env={**os.environ, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "runtime error" not in done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return done.stdout


def test_addresses_and_undefined_behaviour(gcc: str, driver: Path, tmp_path: Path, folder: Path) -> None:
    preloads = [runtime(gcc, "libasan.so"), runtime(gcc, "libubsan.so")]
    library = sanitized(gcc, tmp_path, "address,undefined")
    for mode in MODES:
        prepared = prepare(tmp_path, SETTING, built=Built(library))
        env = {
            "LD_PRELOAD": " ".join([*preloads, prepared.variables["LD_PRELOAD"]]),
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0:disable_coredump=0",
        }
        assert run_driver([driver, mode, folder], env, tmp_path)
        assert prepared.events() or mode == "limit", mode


def test_delayed_tasks_of_python(gcc: str, python: str, tmp_path: Path) -> None:
    prepared = prepare(tmp_path, SETTING, built=Built(sanitized(gcc, tmp_path, "address,undefined")))
    # Ours first: called by the sanitizer's pthread_create it would not know that Python starts the thread.
    preloads = [prepared.variables["LD_PRELOAD"], runtime(gcc, "libasan.so"), runtime(gcc, "libubsan.so")]
    env = {
        "LD_PRELOAD": " ".join(preloads),
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
    }
    program = (
        "import queue, sys\nfrom concurrent.futures import ThreadPoolExecutor\ntasks = queue.Queue()\n"
        "def work(n):\n    tasks.put(n)\n    return tasks.get()\n"
        "with ThreadPoolExecutor(4) as pool: print(sum(pool.map(work, range(100))), sys.getswitchinterval() < 1e-4)"
    )
    assert run_driver([python, "-c", program], env, tmp_path) == "4950 True\n"


def test_threads_do_not_race(gcc: str, driver: Path, tmp_path: Path, folder: Path) -> None:
    setarch = shutil.which("setarch")
    if setarch is None or subprocess.run([setarch, "-R", "true"], check=False).returncode != 0:
        pytest.skip("addresses cannot be fixed, as ThreadSanitizer needs them")
    preload = runtime(gcc, "libtsan.so")
    library = sanitized(gcc, tmp_path, "thread")
    # Without delays: our start of a thread would run before ThreadSanitizer knows the thread.
    prepared = prepare(tmp_path, replace(SETTING, thread_seed=None), built=Built(library))
    settings = [
        f"LD_PRELOAD={preload} {prepared.variables['LD_PRELOAD']}",
        # It would call sysconf and setrlimit, which are ours, before it is set up itself.
        "TSAN_OPTIONS=use_sigaltstack=0:disable_coredump=0",
    ]
    assert (
        run_driver([setarch, "-R", "env", *settings, driver, "threads", folder], {}, tmp_path)
        == "threads 8\n"
    )
    assert prepared.events()
