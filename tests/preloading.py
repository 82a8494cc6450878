"""A real agent around real processes: for the tests of the preloaded library and of the Python agent."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfm_repro.execute.perturb.agent import AgentSetting, Built, Event, Mechanism, Prepared, prepare

STOP_S = 240  # only to end what hangs


@dataclass(frozen=True)
class Ran:
    """What a command said under an agent, and what was seen of it."""

    out: str
    events: tuple[Event, ...]
    prepared: Prepared

    @property
    def values(self) -> dict[str, str]:
        return dict(line.split(" ", 1) for line in self.out.splitlines() if " " in line)


class Run(Protocol):
    """Runs a command under an agent, each time in a fresh agent folder."""

    def __call__(
        self,
        setting: AgentSetting,
        *argv: object,
        env: dict[str, str] | None = None,
        built: Built | None = None,
    ) -> Ran: ...


def run_under(
    setting: AgentSetting, built: Built, place: Path, argv: tuple[object, ...], env: dict[str, str]
) -> Ran:
    prepared = prepare(place, setting, built=built)
    wanted = Mechanism.PYTHON if built.library is None else Mechanism.LIBRARY
    assert prepared.mechanism is wanted, prepared.reason
    done = subprocess.run(
        [str(word) for word in argv],
        env={**os.environ, **env, **prepared.variables},
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Ran(done.stdout, prepared.events(), prepared)
