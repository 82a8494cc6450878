"""The Python agent: what Python itself reads, observed, pinned and varied, where no library can be preloaded.

It reads the configuration of the library and writes its log. What it cannot change is left alone: datetime.now() reads
the clock past it (a replaced datetime class breaks pandas), and native libraries and other programs know nothing of it.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_MASK = (1 << 64) - 1
_SPIN_READS, _SPIN_STEP, _SPIN_DOUBLINGS = 20_000, 5_000, 20
_LONGEST_DELAY_US, _LONGEST_TASK_US, _EVERY_TASK = 4000, 2000, 1024
_USUAL_INTERVAL_S, _INTERVAL_S = 0.005, 0.00001
_TAKERS = (("concurrent.futures._base", "Future", "set_running_or_notify_cancel"), ("queue", "Queue", "get"))
_DELAYED = "_kfm_delayed"
_TEXT_MAX, _TABLE_MAX, _DEPTH = 2048, 4096, 64
_LETTERS = ((os.O_CREAT, "c"), (os.O_TRUNC, "t"), (os.O_APPEND, "a"), (os.O_EXCL, "x"))
_real_stat, _real_open, _real_write, _real_getpid = os.stat, os.open, os.write, os.getpid
_real_monotonic_ns = time.monotonic_ns


def _mix(a: int, b: int) -> int:
    """Return a hash of two 64-bit numbers: the finaliser of splitmix64."""
    z = (a + 0x9E3779B97F4A7C15 * (b + 1)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _hash(data: bytes, seed: int = 0) -> int:
    value = seed ^ 0xCBF29CE484222325
    for start in range(0, len(data), 8):
        value = ((value ^ int.from_bytes(data[start : start + 8], "little")) * 0x9E3779B97F4A7C15) & _MASK
        value ^= value >> 32
    return _mix(value, len(data))


class _Log:
    """The log of the library, line by line; see log.c."""

    def __init__(self, folder: Path, limit: int, frames: bool) -> None:  # noqa: FBT001
        self._path = str(folder / "log" / "events")
        self._limit, self._frames = limit, frames
        self._busy = threading.local()
        self.fresh()

    def fresh(self) -> None:
        """Begin anew in a child."""
        self._counts: dict[int, list[int]] = {}
        self._process = f"{_mix(_real_monotonic_ns(), _real_getpid()):x}"

    def note(self, kind: str, how: str, text: object = "", error: int = 0) -> None:
        """Write one event, or count it."""
        if getattr(self._busy, "on", False):
            return
        self._busy.on = True
        try:
            at, own, imported = self._place() if self._frames else ("", "", False)
            fields = (kind, str(error), how, _escaped(text), at, own, "1" if imported else "0")
            body = "\t".join(fields)
            key = _hash(body.encode())
            entry = self._counts.get(key)
            if entry is None:
                if len(self._counts) < _TABLE_MAX:
                    self._counts[key] = [1, 1]
                self._put(f"E\t{_real_getpid()}\t{self._process}\t{key:x}\t{body}\n")
            else:
                entry[0] += 1
                if entry[0] & (entry[0] - 1) == 0:
                    self._put_count(key, entry)
        except Exception:  # noqa: BLE001, S110 - nothing here may fail the command
            pass
        finally:
            self._busy.on = False

    def flush(self) -> None:
        """Write the counts that are not written yet."""
        self._busy.on = True
        try:
            for key, entry in list(self._counts.items()):
                if entry[0] > entry[1]:
                    self._put_count(key, entry)
        finally:
            self._busy.on = False

    def _put_count(self, key: int, entry: list[int]) -> None:
        entry[1] = entry[0]
        self._put(f"C\t{_real_getpid()}\t{self._process}\t{key:x}\t{entry[0]}\n")

    def _put(self, line: str) -> None:
        handle = _real_open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            if os.fstat(handle).st_size + len(line) <= self._limit:
                _real_write(handle, line.encode())
            elif self._limit:
                self._limit = 0
                _real_write(handle, f"X\t{_real_getpid()}\t{self._process}\tfull\n".encode())
        finally:
            os.close(handle)

    @staticmethod
    def _place() -> tuple[str, str, bool]:
        at = own = ""
        frame: Any = sys._getframe(2)  # noqa: SLF001
        for _ in range(_DEPTH):
            if frame is None:
                break
            file = frame.f_code.co_filename
            if file.startswith("<frozen importlib"):
                return at, own, True
            if file != __file__:
                library = file.startswith("<frozen ") or any(
                    part in file for part in ("/site-packages/", "/dist-packages/", "/lib/python3")
                )
                place = _escaped(f"{file[-300:]}:{frame.f_lineno}")
                at = at or place
                own = own or ("" if library else place)
            frame = frame.f_back
        return at, own, False


def _escaped(text: object) -> str:
    raw = text if isinstance(text, bytes) else os.fsencode(str(text))
    out = "".join(chr(c) if 0x20 <= c < 0x7F and c != 0x5C else f"\\x{c:02x}" for c in raw[:_TEXT_MAX])  # noqa: PLR2004
    return out + ("\\~" if len(raw) > _TEXT_MAX else "")


class _Entropy:
    """A stream for this process alone, keyed by seed, command line and place among the forks."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._seed, self._drawn, self._children, self._ordinal = seed, 0, 0, 0
        self._key = self._claim(
            folder, _hash(os.fsencode("\0".join(sys.orig_argv).replace(str(folder.parent), "")))
        )
        os.register_at_fork(before=self._before_fork, after_in_child=self._in_child)

    @staticmethod
    def _claim(folder: Path, key: int) -> int:
        for _ in range(1000):
            try:
                os.close(
                    _real_open(f"{folder}/log/key-{key:016x}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                )
            except FileExistsError:
                key = _mix(key, 0x6B66)
            except OSError:
                break
            else:
                break
        return key

    def _before_fork(self) -> None:
        self._children += 1
        self._ordinal = self._children

    def _in_child(self) -> None:
        self._key, self._drawn, self._children = _mix(self._key, self._ordinal), 0, 0

    def draw(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        if size < 0:
            raise ValueError("negative argument not allowed")
        stream = _mix(_mix(self._seed, self._key), self._drawn)
        self._drawn += 1
        blocks = (_mix(stream, block).to_bytes(8, "little") for block in range((size + 7) // 8))
        return b"".join(blocks)[:size]


class _Clock:
    """The wall clock in nanoseconds: standing still (but for spinning threads, see clock.c), or moved."""

    def __init__(self, mode: str, amount: int) -> None:
        self._frozen, self._amount, self._thread = mode == "frozen", amount, threading.local()
        self._real = time.time_ns

    def now(self) -> int:
        """Return what the command is told."""
        if not self._frozen:
            return self._real() + self._amount
        mine = self._thread.__dict__
        reads = mine["reads"] = mine.get("reads", 0) + 1
        if reads > _SPIN_READS:
            doublings = min((reads - _SPIN_READS) // _SPIN_STEP, _SPIN_DOUBLINGS)
            mine["moved"] = mine.get("moved", 0) + (1_000_000 << doublings)
        return self._amount + int(mine.get("moved", 0))


class _Scan:
    """What os.scandir returns, in another order."""

    def __init__(self, entries: list[os.DirEntry[Any]]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[os.DirEntry[Any]]:
        return self._entries

    def __next__(self) -> os.DirEntry[Any]:
        return next(self._entries)

    def __enter__(self) -> _Scan:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give no more entries."""
        self._entries = iter(())


def _split(value: str) -> tuple[str, int]:
    word, _, amount = value.partition(":")
    return word, int(amount or 0)


def _sorter(order: str, seed: int) -> Callable[[list[Any], Callable[[Any], Any]], list[Any]]:
    def arrange(entries: list[Any], name: Callable[[Any], Any]) -> list[Any]:
        def raw(entry: Any) -> bytes:
            return os.fsencode(name(entry))

        if order == "shuffled":
            return sorted(entries, key=lambda entry: (_hash(raw(entry), seed), raw(entry)))
        return sorted(entries, key=raw, reverse=order == "reversed")

    return arrange


def _set_order(order: str, seed: int) -> None:
    arrange = _sorter(order, seed)
    listdir, scandir = os.listdir, os.scandir

    def ordered_listdir(*args: Any, **kwargs: Any) -> list[Any]:
        return arrange(listdir(*args, **kwargs), lambda name: name)

    def ordered_scandir(*args: Any, **kwargs: Any) -> _Scan:
        with scandir(*args, **kwargs) as found:
            return _Scan(arrange(list(found), lambda entry: entry.name))

    os.listdir, os.scandir = ordered_listdir, ordered_scandir  # type: ignore[assignment]
    # shutil.rmtree chooses its safe way by what it finds here.
    for known in (os.supports_fd, os.supports_follow_symlinks):
        for real, ours in ((listdir, ordered_listdir), (scandir, ordered_scandir)):
            if real in known:
                known.add(ours)


def _set_entropy(entropy: _Entropy, log: _Log | None) -> None:
    def urandom(size: int, /) -> bytes:
        if log:
            log.note("entropy", "os.urandom")
        return entropy.draw(size)

    def getrandom(size: int, flags: int = 0) -> bytes:
        del flags
        return urandom(size)

    os.urandom = urandom
    if hasattr(os, "getrandom"):
        os.getrandom = getrandom
    import random

    real_seed = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        real_seed(self, int.from_bytes(urandom(32), "little") if a is None else a, version)

    # Python seeds by itself, past os.urandom.
    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = random._inst.seed  # noqa: SLF001 - bound before
    random.seed()


def _set_clock(clock: _Clock, log: _Log | None) -> None:
    def now_ns() -> int:
        if log:
            log.note("clock", "time.time")
        return clock.now()

    real_gettime, real_gettime_ns = time.clock_gettime, time.clock_gettime_ns
    time.time_ns = now_ns
    time.time = lambda: now_ns() / 1e9
    time.clock_gettime = lambda c: now_ns() / 1e9 if c == time.CLOCK_REALTIME else real_gettime(c)
    time.clock_gettime_ns = lambda c: now_ns() if c == time.CLOCK_REALTIME else real_gettime_ns(c)
    localtime, gmtime, ctime, strftime, asctime = (
        time.localtime,
        time.gmtime,
        time.ctime,
        time.strftime,
        time.asctime,
    )
    time.localtime = lambda secs=None: localtime(time.time() if secs is None else secs)
    time.gmtime = lambda secs=None: gmtime(time.time() if secs is None else secs)
    time.ctime = lambda secs=None: ctime(time.time() if secs is None else secs)
    time.asctime = lambda t=None: asctime(time.localtime() if t is None else t)
    time.strftime = lambda form, t=None: strftime(form, time.localtime() if t is None else t)


def _set_host(host: str) -> None:
    import socket

    real = os.uname

    def uname() -> os.uname_result:
        parts = list(real())
        parts[1] = host
        return os.uname_result(parts)

    os.uname = uname
    socket.gethostname = lambda: host


def _set_cpus(cpus: int) -> None:
    os.cpu_count = lambda: cpus
    if hasattr(os, "process_cpu_count"):
        os.process_cpu_count = lambda: cpus
    if hasattr(os, "sched_getaffinity"):
        os.sched_getaffinity = lambda _pid: set(range(cpus))


def _delay_tasks(pause: Callable[[], None]) -> None:
    """Wrap what workers call between taking a task and doing it, in modules that are loaded; see tasks.c."""
    for module, kind, name in _TAKERS:
        owner = getattr(sys.modules.get(module), kind, None)
        real = getattr(owner, name, None)
        if real is None or hasattr(real, _DELAYED):
            continue

        def take(*args: Any, _real: Callable[..., Any] = real, **kwargs: Any) -> Any:
            taken = _real(*args, **kwargs)
            pause()
            return taken

        setattr(take, _DELAYED, True)
        setattr(owner, name, take)


def _set_delays(seed: int) -> None:
    started, taken, sleep = itertools.count(1), itertools.count(), time.sleep

    def pause() -> None:
        number = next(taken)
        drawn = _mix(~seed & _MASK, number)
        if (drawn >> 32) % (number // _EVERY_TASK + 1) == 0:
            sleep(drawn % _LONGEST_TASK_US / 1e6)

    def delaying(real: Callable[..., Any]) -> Callable[..., Any]:
        def start(function: Callable[..., Any], *rest: Any, **options: Any) -> Any:
            wait = _mix(seed, next(started)) % _LONGEST_DELAY_US / 1e6

            def delayed(*given: Any, **named: Any) -> None:
                sleep(wait)
                function(*given, **named)

            with contextlib.suppress(Exception):  # none from here shall reach the command
                if abs(sys.getswitchinterval() - _USUAL_INTERVAL_S) < _INTERVAL_S:
                    sys.setswitchinterval(_INTERVAL_S)
                _delay_tasks(pause)
            return real(delayed, *rest, **options)

        return start

    for name in ("_start_new_thread", "_start_joinable_thread"):  # before Python 3.13, and since
        if hasattr(threading, name):
            setattr(threading, name, delaying(getattr(threading, name)))


def _opened(log: _Log, args: tuple[Any, ...]) -> None:
    path, flags = args[0], args[2] if isinstance(args[2], int) else 0
    if not isinstance(path, (str, bytes)):
        return
    mode = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}.get(flags & 3, "r")
    error = 0
    if not flags & os.O_CREAT:
        try:
            _real_stat(path)
        except (OSError, ValueError) as exc:
            error = getattr(exc, "errno", 0) or 0
    log.note("open", mode + "".join(letter for flag, letter in _LETTERS if flags & flag), path, error)


def _watch(log: _Log) -> None:
    def connected(args: tuple[Any, ...]) -> None:
        address = args[1]
        text = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else f"unix:{address}"
        log.note("connect", "connect", text)

    known: dict[str, Callable[[tuple[Any, ...]], None]] = {
        "open": lambda args: _opened(log, args),
        "os.listdir": lambda args: log.note("listing", "os.listdir", args[0] or "."),
        "os.scandir": lambda args: log.note("listing", "os.scandir", args[0] or "."),
        "socket.connect": connected,
        "socket.getaddrinfo": lambda args: log.note("resolve", "getaddrinfo", f"{args[0]}:{args[1]}"),
        "socket.gethostname": lambda _: log.note("hostname", "gethostname"),
        "subprocess.Popen": lambda args: log.note("exec", "subprocess.Popen", args[0]),
        "os.exec": lambda args: log.note("exec", "os.exec", args[0]),
        "os.posix_spawn": lambda args: log.note("exec", "os.posix_spawn", args[0]),
        "os.system": lambda args: log.note("exec", "os.system", args[0]),
    }

    def hook(event: str, args: tuple[Any, ...]) -> None:
        seen = known.get(event)
        if seen is not None:
            with contextlib.suppress(Exception):  # one from here would stop what the command does
                seen(args)

    sys.addaudithook(hook)
    atexit.register(log.flush)
    os.register_at_fork(after_in_child=log.fresh)


def start(folder: Path) -> None:
    """Set up what the configuration in ``folder`` asks for; nothing when it cannot be read."""
    try:
        lines = (folder / "config").read_text(encoding="ascii").splitlines()
        asked = dict(line.split("=", 1) for line in lines)
    except (OSError, ValueError):
        return
    log = _Log(folder, int(asked["log_bytes"]), asked["frames"] == "1") if asked["observe"] == "1" else None
    if log:
        _watch(log)
    order, order_seed = _split(asked["order"])
    if order != "natural":
        _set_order(order, order_seed)
    entropy, seed = _split(asked["entropy"])
    if entropy == "seeded":
        _set_entropy(_Entropy(seed, folder), log)
    clock, amount = _split(asked["clock"])
    if clock != "real":
        _set_clock(_Clock(clock, amount), log)
    if asked["host"]:
        _set_host(asked["host"])
    if int(asked["cpus"]):
        _set_cpus(int(asked["cpus"]))
    delays, delay_seed = _split(asked["threads"])
    if delays == "delayed":
        _set_delays(delay_seed)
