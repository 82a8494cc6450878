"""When an output that used to be reproducible no longer is: the rule, and how often it can be wrong.

A *trial* is the first replay of one run of a pipeline in one night; of one output it says whether it differed. The
trials of an output are a stream, in the order of nights and, in one night, of recording. When one differs, the run is
replayed plainly so many times more, at once, as `confirmations` says:

- all differ: a **regression**, if enough of them were wanted and done;
- none differs, the first replay had varied axes, and plain ones never differed before: the output is **sensitive** to
  one of the axes, and the trial does not count;
- else it is **flaky**.

A difference that was there in the last clean trial too, where it was accepted or waived, is none of these: what changed
is what is accepted. The clean trials before it say nothing of this output, since it was not the same in them.

How many it takes depends on what is known. For an output that differs by chance, with the same probability in every
replay, so many differences in a row are unlikely after ``clean`` trials without one and ``differed`` with one. Where it
never differed, fewer are asked for, since the first difference comes once. Over `NIGHTS` nights such an output is
called a regression with a probability of at most `FALSE_ALARMS`, whatever its own probability is; a test computes it
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import lgamma, log

__all__ = [
    "FALSE_ALARMS",
    "LEAST_CLEAN",
    "NIGHTS",
    "Place",
    "Seen",
    "State",
    "Status",
    "advance",
    "confirmations",
]

FALSE_ALARMS = 0.01
"""Of a hundred outputs that differ by chance, at most one is ever called a regression in so many nights."""
NIGHTS = 300
_CONFIRMED_BY = ((10, 3), (6, 4), (4, 5), (3, 6), (2, 8))
"""After how many clean trials how many further replays decide, where nothing ever differed."""
LEAST_CLEAN = _CONFIRMED_BY[-1][0]
_FEWEST, _MOST = 3, 8
_BY_CHANCE = 0.002
"""How unlikely differences in a row have to be where there were others before; the more of them, the more unlikely."""


class Status(StrEnum):
    """What a trial says of one output, with what was known before."""

    CLEAN = "clean"
    REGRESSION = "regression"
    REGRESSED = "regressed"
    SENSITIVE = "sensitive"
    FLAKY = "flaky"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


Place = tuple[str, str, str]
"""What differed in an output: where, which kind, which rung."""


@dataclass(frozen=True)
class Seen:
    """One trial: the night, the run with when it started, its commit, and the environment that replayed it."""

    night: str
    run_id: str
    started: str = ""
    commit: str = ""
    environment: str = ""

    @property
    def recorded(self) -> tuple[str, str]:
        """By what runs are older or newer."""
        return self.started, self.run_id


@dataclass(frozen=True)
class State:
    """What is known of one output: how many trials were clean, how many differed, and the last clean one.

    ``nights`` counts the nights of the clean trials. ``regressed`` is the trial since which it is not reproducible.
    ``covered`` is what differed in the last clean trial all the same, accepted or waived.
    """

    clean: int = 0
    differed: int = 0
    nights: int = 0
    last_clean: Seen | None = None
    regressed: Seen | None = None
    covered: frozenset[Place] = frozenset()


def confirmations(state: State) -> int:
    """Return how many plain replays have to follow one that differed; none where they could not decide anything."""
    if state.regressed is not None:
        return 0
    if not state.differed:
        return next((more for clean, more in _CONFIRMED_BY if state.clean >= clean), _FEWEST)
    enough = log(_BY_CHANCE / (state.differed + 1) ** 2)
    return next((more for more in range(_FEWEST, _MOST + 1) if _log_chance(state, more + 1) <= enough), 0)


def advance(
    state: State,
    seen: Seen,
    *,
    differed: bool | None,
    confirmed: Sequence[bool] = (),
    varied: bool = False,
    places: frozenset[Place] = frozenset(),
) -> tuple[State, Status]:
    """Return what is known after a trial, and what it says; ``differed`` None: it could not tell.

    ``confirmed`` says of each plain replay after it whether that differed; ``varied`` that the first one had varied
    axes. ``places`` is what differed, also where that is accepted or waived. While an output has regressed, older runs
    say nothing of it.
    """
    if differed is None:
        return state, Status.UNKNOWN
    older = state.regressed is not None and seen.recorded < state.regressed.recorded
    if not differed:
        return (state if older else _clean(state, seen, places)), Status.CLEAN
    if state.regressed is not None:
        return state, Status.DIFFERS if older else Status.REGRESSED
    if places and places <= state.covered:
        return State(differed=state.differed + 1), Status.DIFFERS
    return _differing(state, seen, confirmed, varied=varied)


def _differing(state: State, seen: Seen, confirmed: Sequence[bool], *, varied: bool) -> tuple[State, Status]:
    """Decide what a trial is that differed in what had not regressed."""
    wanted = confirmations(state)
    done = len(confirmed) >= wanted > 0
    if done and varied and not state.differed and not any(confirmed):
        return state, Status.SENSITIVE
    if done and all(confirmed) and (state.differed or state.clean >= LEAST_CLEAN):
        return replace(state, regressed=seen), Status.REGRESSION
    flaky = bool(state.clean and state.differed) or not all(confirmed)
    return replace(state, differed=state.differed + 1), Status.FLAKY if flaky else Status.DIFFERS


def _clean(state: State, seen: Seen, places: frozenset[Place]) -> State:
    if state.regressed is not None:
        return State(clean=1, nights=1, last_clean=seen, covered=places)
    last = state.last_clean
    nights = state.nights + (last is None or last.night != seen.night)
    return replace(state, clean=state.clean + 1, nights=nights, last_clean=seen, covered=places)


def _log_chance(state: State, row: int) -> float:
    """Return the logarithm of how likely the last ``row`` trials are those that differ, as many as did (Fisher)."""
    bad, of = state.differed + row, state.clean + state.differed + row
    return _log_ways(bad, row) - _log_ways(of, row)


def _log_ways(of: int, chosen: int) -> float:
    """Return the logarithm of the number of ways to choose so many of so many."""
    return lgamma(of + 1) - lgamma(chosen + 1) - lgamma(of - chosen + 1)
