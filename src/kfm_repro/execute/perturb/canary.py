"""What a command would see of every axis: run in the very process tree, and compared with what was asked for.

An axis counts as effective only when the canary saw it so, from each place that it looked from: Python, a native
library (SQLite), a child, and a child with an empty environment. An axis that did nothing is no evidence.

The file is also a program, for any Python from 3.10 on and without kfm-repro: ``python canary.py FOLDER [AXIS…]`` makes
and removes a few files in FOLDER and prints JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfm_repro.execute.perturb.agent import AgentSetting

__all__ = ["CANARY", "NO_LOCALE", "SLOW_START_S", "Effect", "Seen", "effective", "parse"]

CANARY = Path(__file__)
"""The program, for a sandbox to show."""

Seen = dict[str, Any]
"""What the program printed: axis to what each place saw."""

NO_LOCALE = "not installed"
"""Stands for the locale that the variables name, where this machine does not have it."""
SLOW_START_S = 0.0005
"""What begins later than this, in the median, was delayed; or the machine is loaded."""
_NAMES = tuple(f"{letter}{number}" for letter in "qbzmak" for number in (2, 10))
_THREADS = 21
_LIBRARY = "libkfm-agent.so"
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE, linux/personality.h
_CHILD_TIMEOUT_S = 60
_LOOK = (
    "echo kfm:clock $(date +%s); echo kfm:entropy $(head -c 8 /dev/urandom | od -An -tx1 | tr -d ' ');"
    " echo kfm:order $(ls -U); echo kfm:host $(uname -n); echo kfm:cpus $(nproc);"
    " echo kfm:agent $(grep -c " + _LIBRARY + " /proc/$$/maps); echo kfm:zone $(date +%z)"
)


@dataclass(frozen=True)
class Effect:
    """Whether an axis took effect in the process tree; when not, ``reason`` says where or why."""

    effective: bool
    reason: str = ""


def parse(text: str) -> Seen:
    """Return what the program printed. Raises ValueError."""
    seen = json.loads(text)
    if not isinstance(seen, dict) or seen.get("canary") != 1:
        raise ValueError("this is not the output of the canary")
    return seen


def effective(
    setting: AgentSetting,
    seen: Seen,
    *,
    again: Seen | None = None,
    expected: Mapping[str, object] | None = None,
) -> dict[str, Effect]:
    """Return what took effect, by axis: those that ``setting`` sets, and those of ``expected`` (axis to value).

    ``again`` is what a second canary saw under the same setting: without it a seeded source is not proved.
    """
    found: dict[str, Effect] = {}
    if setting.clock_frozen_at is not None:
        moment = int(setting.clock_frozen_at.timestamp())
        found["clock"] = _everywhere(seen, "clock", lambda value: int(value) == moment)
    elif setting.clock_shift is not None:
        shift = setting.clock_shift.total_seconds()
        room = min(120.0, abs(shift) / 2)
        found["clock"] = _everywhere(
            seen, "clock", lambda value: abs(value - seen["real_clock"] - shift) <= room
        )
    if setting.entropy_seed is not None:
        found["entropy"] = _same(seen, again, "entropy")
    if setting.order != "natural":
        found["directory-order"] = _ordered(setting, seen, again)
    if setting.host is not None:
        found["hostname"] = _everywhere(seen, "hostname", lambda value: value == setting.host)
    if setting.cpus is not None:
        found["cpu-count"] = _everywhere(seen, "cpu-count", lambda value: value == setting.cpus)
    if setting.thread_seed is not None:
        found["schedule"] = _everywhere(seen, "schedule", lambda value: value > SLOW_START_S)
    for axis, value in (expected or {}).items():
        got = seen.get(axis)
        found[axis] = Effect(got == value, "" if got == value else f"wanted {value!r}, saw {got!r}")
    return dict(sorted(found.items()))


def _everywhere(seen: Seen, axis: str, holds: Callable[[Any], bool]) -> Effect:
    failed = [place for place, value in seen[axis].items() if value is not None and not holds(value)]
    return Effect(not failed, f"not seen by: {', '.join(failed)}" if failed else "")


def _same(seen: Seen, again: Seen | None, axis: str) -> Effect:
    if again is None:
        return Effect(effective=False, reason="not proved: the canary ran once")
    different = [place for place, value in seen[axis].items() if again[axis].get(place) != value]
    return Effect(not different, f"not the same twice in: {', '.join(different)}" if different else "")


def _ordered(setting: AgentSetting, seen: Seen, again: Seen | None) -> Effect:
    if setting.order == "shuffled":
        values = [value for value in seen["directory-order"].values() if value is not None]
        if any(value != values[0] for value in values) or values[0] in (sorted(_NAMES), sorted(_NAMES)[::-1]):
            return Effect(effective=False, reason="the places do not see one shuffled order")
        return _same(seen, again, "directory-order") if again else Effect(effective=True)
    wanted = sorted(_NAMES, reverse=setting.order == "reversed")
    return _everywhere(seen, "directory-order", lambda value: value == wanted)


# The program.


def _child(environ: dict[str, str] | None, folder: Path) -> dict[str, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", _LOOK],
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CHILD_TIMEOUT_S,
        check=False,
    )
    lines = (line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith("kfm:"))
    return {parts[0][4:]: parts[1] if len(parts) > 1 else "" for parts in lines}


def _sqlite(query: str) -> Any:  # noqa: ANN401
    try:
        import sqlite3

        with sqlite3.connect(":memory:") as database:
            return database.execute(query).fetchone()[0]
    except Exception:  # noqa: BLE001 - an interpreter without it
        return None


def _arrow_order(folder: Path) -> list[str] | None:
    try:
        from pyarrow import fs
    except ImportError:
        return None
    found = fs.LocalFileSystem().get_file_info(fs.FileSelector(str(folder)))
    return [info.base_name for info in found]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _locale() -> list[Any]:
    import locale

    try:
        name = locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return [NO_LOCALE, []]
    return [name, sorted("tzväo", key=locale.strxfrm)]


def _zone() -> str:
    return time.strftime("%z", time.localtime(0)) + " " + "/".join(time.tzname)


def _home_user() -> list[str]:
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    return [str(Path("~").expanduser()), user]


def _thread_start() -> float:
    """Return the median seconds from the start of a thread to its first step."""
    waits = []
    for _ in range(_THREADS):
        begun: list[float] = []
        start = time.monotonic()
        thread = threading.Thread(target=lambda begun=begun: begun.append(time.monotonic()))
        thread.start()
        thread.join()
        waits.append(begun[0] - start)
    return sorted(waits)[_THREADS // 2]


def _task_start() -> float:
    """Return the median seconds from the hand-over of a task to a worker that waits for it, to its first step."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # the worker starts with this one
        waits = []
        for _ in range(_THREADS):
            start = time.monotonic()
            waits.append(pool.submit(time.monotonic).result() - start)
    return sorted(waits)[_THREADS // 2]


def _network() -> str:
    """Return whether there is a way out: a datagram socket is connected to a test address, and nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
    except OSError:
        return "off"
    return "on"


def _aslr() -> str:
    try:
        flags = int(Path("/proc/self/personality").read_text(encoding="ascii"), 16)
    except OSError:
        return "unknown"
    return "off" if flags & _NO_RANDOM_ADDRESSES else "on"


def _cpu_features() -> dict[str, Any]:
    names = ("GLIBC_TUNABLES", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_NUM_THREADS")
    seen: dict[str, Any] = {name: os.environ[name] for name in names if name in os.environ}
    try:
        core: Any = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:
        return seen
    # Only those count that it has more than one kernel for.
    seen["numpy"] = sorted(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))
    return seen


def _agent(child: dict[str, str], empty: dict[str, str]) -> dict[str, bool]:
    maps = Path("/proc/self/maps")
    return {
        "self": maps.exists() and _LIBRARY in maps.read_text(errors="replace"),
        "child": child.get("agent", "0") != "0",
        "empty environment": empty.get("agent", "0") != "0",
        "python": "_kfm_agent" in sys.modules,
    }


def _input_times(folder: Path) -> dict[str, float]:
    if not folder.is_dir():
        return {}
    return {path.name: path.stat().st_mtime for path in sorted(folder.iterdir())}


def _umask() -> str:
    current = os.umask(0o077)
    os.umask(current)
    return f"{current:03o}"


def look(folder: Path, axes: frozenset[str] = frozenset()) -> Seen:
    """Return what is seen from here, with the help of files in a new folder below ``folder``.

    Without one of ``axes`` (none: all) libraries that only it takes are not loaded.
    """
    import datetime as dt
    import tempfile
    import uuid

    probe = folder / "kfm-canary"
    probe.mkdir()
    try:
        for name in _NAMES:
            (probe / name).touch()
        child, empty = _child(None, probe), _child({}, probe)
        return {
            "canary": 1,
            "real_clock": (probe / _NAMES[-1]).stat().st_mtime,
            "clock": {
                "time.time": time.time(),
                "datetime.now": dt.datetime.now(dt.timezone.utc).timestamp(),  # noqa: UP017 - Python 3.10
                "sqlite": _sqlite("select cast(strftime('%s', 'now') as integer)"),
                "child": _number(child.get("clock")),
                "empty environment": _number(empty.get("clock")),
            },
            "entropy": {
                "os.urandom": os.urandom(8).hex(),
                "uuid": str(uuid.uuid4()),
                "sqlite": _sqlite("select hex(randomblob(8))"),
                "child": child.get("entropy"),
                "empty environment": empty.get("entropy"),
            },
            "directory-order": {
                "os.listdir": os.listdir(probe),
                "os.scandir": [entry.name for entry in os.scandir(probe)],
                "arrow": _arrow_order(probe) if "directory-order" in axes or not axes else None,
                "child": child.get("order", "").split(),
                "empty environment": empty.get("order", "").split(),
            },
            "hostname": {
                "gethostname": socket.gethostname(),
                "uname": os.uname().nodename,
                "child": child.get("host"),
                "empty environment": empty.get("host"),
            },
            "cpu-count": {
                "os.cpu_count": os.cpu_count(),
                "affinity": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
                "child": _number(child.get("cpus")),
                "empty environment": _number(empty.get("cpus")),
            },
            "schedule": {
                "start of a thread": _thread_start(),
                "task of a pool": _task_start() if "schedule" in axes or not axes else None,
            },
            "timezone": _zone(),
            "locale": _locale(),
            "hash-seed": hash("kfm-repro"),
            "tmp-dir": tempfile.gettempdir(),
            "home-user": _home_user(),
            "build-path": str(Path.cwd()),
            "umask": _umask(),
            "env-order": list(os.environ),
            "pid": os.getpid(),
            "aslr": _aslr(),
            "address": id(object()),
            "cpu-features": _cpu_features() if "cpu-features" in axes or not axes else {},
            "network": _network(),
            "threads": {name: os.environ[name] for name in sorted(os.environ) if name.endswith("_THREADS")},
            "input-mtime": _input_times(folder / "inputs"),
            "agent": _agent(child, empty),
        }
    finally:
        shutil.rmtree(probe, ignore_errors=True)


if __name__ == "__main__":
    json.dump(look(Path(sys.argv[1]), frozenset(sys.argv[2:])), sys.stdout, indent=1)
