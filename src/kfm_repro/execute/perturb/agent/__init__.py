"""The agent: what is put into a command and its children to observe, pin and vary what they read.

Two mechanisms speak the same configuration and write the same log: a library that the loader preloads, and, where
nothing can be preloaded, a Python start-up file that covers what Python itself reads. Both find their configuration
beside themselves, so that no variable of the environment differs between two settings.
"""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from kfm_repro.errors import UsageError
from kfm_repro.execute.perturb.agent.build import LIBRARY_NAME, Built, build_agent
from kfm_repro.execute.perturb.agent.events import Event, Kind, Place, read_events

__all__ = [
    "AgentSetting",
    "Built",
    "Event",
    "Kind",
    "Mechanism",
    "Order",
    "Place",
    "Prepared",
    "build_agent",
    "prepare",
    "read_events",
]

_LOG_BYTES = 64 << 20
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
_MOST_CPUS = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPLITS_PRELOAD = re.compile(r"[\s:;$]")


class Order(StrEnum):
    """The order in which a folder is listed. SHUFFLED is drawn from ``AgentSetting.order_seed`` and the names."""

    NATURAL = "natural"
    SORTED = "sorted"
    REVERSED = "reversed"
    SHUFFLED = "shuffled"


class Mechanism(StrEnum):
    """How the agent gets into a command: preloaded, as a Python start-up file, or not at all."""

    LIBRARY = "library"
    PYTHON = "python"
    NONE = "none"


@dataclass(frozen=True)
class AgentSetting:
    """What a command is told. What is None, or NATURAL, stays real.

    The wall clock stands still at ``clock_frozen_at`` (aware), or goes on ``clock_shift`` away; monotonic clocks and
    the times of files are real. ``entropy_seed`` and ``thread_seed`` are 0 … 2**63 - 1. Raises UsageError.
    """

    clock_frozen_at: datetime | None = None
    clock_shift: timedelta | None = None
    entropy_seed: int | None = None
    order: Order = Order.NATURAL
    order_seed: int = 0
    host: str | None = None
    cpus: int | None = None
    memory_pages: int | None = None
    thread_seed: int | None = None
    observe: bool = True
    frames: bool = True
    log_bytes: int = _LOG_BYTES

    def __post_init__(self) -> None:
        if self.clock_frozen_at is not None and self.clock_shift is not None:
            raise UsageError("a clock is frozen or shifted, not both", hint="give one of the two")
        if self.clock_frozen_at is not None and self.clock_frozen_at.tzinfo is None:
            raise UsageError("the time of a frozen clock has no time zone", hint="give one, such as UTC")
        if self.host is not None and not _HOST.fullmatch(self.host):
            raise UsageError(f"this is no host name: {self.host!r}", hint="use letters, digits, . and -")
        if self.cpus is not None and not 1 <= self.cpus <= _MOST_CPUS:
            raise UsageError(f"this is no number of processors: {self.cpus}", hint=f"use 1 to {_MOST_CPUS}")
        for name in ("entropy_seed", "order_seed", "thread_seed", "memory_pages", "log_bytes"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**63:
                raise UsageError(f"{name} is out of range: {value}", hint="use 0 to 2**63 - 1")

    def config(self) -> str:
        """Return the configuration file, every setting on a line of its own."""
        seed = _worded("seeded", self.entropy_seed)
        return "".join(
            f"{name}={value}\n"
            for name, value in (
                ("clock", self._clock()),
                ("entropy", seed),
                (
                    "order",
                    _worded("shuffled", self.order_seed) if self.order is Order.SHUFFLED else self.order,
                ),
                ("host", self.host or ""),
                ("cpus", self.cpus or 0),
                ("pages", self.memory_pages or 0),
                ("threads", _worded("delayed", self.thread_seed)),
                ("observe", int(self.observe)),
                ("frames", int(self.frames)),
                ("log_bytes", self.log_bytes),
            )
        )

    def _clock(self) -> str:
        if self.clock_frozen_at is not None:
            return f"frozen:{_nanoseconds(self.clock_frozen_at - _EPOCH)}"
        if self.clock_shift is not None:
            return f"shifted:{_nanoseconds(self.clock_shift)}"
        return "real"


def _worded(word: str, seed: int | None) -> str:
    return "real" if seed is None else f"{word}:{seed}"


def _nanoseconds(span: timedelta) -> int:
    return (span // timedelta(microseconds=1)) * 1000


@dataclass(frozen=True)
class Prepared:
    """An agent that is ready for one replay.

    ``variables`` belong into the environment of the command; a sandbox must show ``folder`` at ``seen_at``, read-only
    but for ``writable`` (below ``folder``). ``reason`` says why it is no better mechanism.
    """

    folder: Path
    seen_at: Path
    mechanism: Mechanism
    variables: dict[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()
    reason: str = ""

    def events(self) -> tuple[Event, ...]:
        """Return what was observed."""
        return read_events(self.folder)


def prepare(
    parent: Path,
    setting: AgentSetting,
    *,
    seen_at: Path | None = None,
    built: Built | None = None,
    python_path: str = "",
) -> Prepared:
    """Lay out an agent in a new folder below ``parent``, for one replay only: two would share their log and entropy.

    The folder's name has a constant length. ``seen_at`` is where the command sees it, when that is elsewhere;
    ``built`` the library, when it is at hand; ``python_path`` the PYTHONPATH that the command would have.
    """
    folder = parent.resolve() / f"agent-{secrets.token_hex(8)}"
    seen = folder if seen_at is None else seen_at
    log = folder / "log"
    log.mkdir(parents=True)
    (folder / "config").write_text(setting.config(), encoding="ascii")
    (log / "events").touch()
    # A sandbox may run the command as another user; `parent` keeps others out.
    log.chmod(0o777)
    (log / "events").chmod(0o666)
    built = build_agent() if built is None else built
    reason = built.reason
    if built.library is not None and _SPLITS_PRELOAD.search(str(seen)):
        reason = f"the loader cannot preload from a folder with a space or a colon in its name: {seen}"
    if not reason and built.library is not None:
        shutil.copyfile(built.library, folder / LIBRARY_NAME)
        (folder / LIBRARY_NAME).chmod(0o755)
        variables = {"LD_PRELOAD": str(seen / LIBRARY_NAME)}
        return Prepared(folder, seen, Mechanism.LIBRARY, variables, (log,))
    shutil.copytree(
        Path(__file__).parent / "python_agent", folder / "python", ignore=shutil.ignore_patterns("__*")
    )
    path = ":".join(part for part in (str(seen / "python"), python_path) if part)
    return Prepared(folder, seen, Mechanism.PYTHON, {"PYTHONPATH": path}, (log,), reason)
