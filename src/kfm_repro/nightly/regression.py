"""When an output that used to be reproducible no longer is: the rule, and how often it can be wrong.

A *trial* is one replay of one run of a pipeline; of one output it says whether it differed. The trials of an output
are a stream, in the order of nights and, in one night, of recording. A stream is *clean* as long as nothing differed.
When something differs for the first time after ``n`` clean trials, the run is replayed plainly ``confirmations(n)``
times more, at once:

- all differ: a **regression**. Nothing is said of a regression before `LEAST_CLEAN` clean trials;
- none differs, and the first replay had varied axes: it is **sensitive** to one of them, and the trial does not count;
- else it is **flaky**.

For an output that differs by chance, with the same probability p in every replay, the rule is wrong with probability

    sum over n of r(n)·p·p^m(n) / (1 - p·(1-p)^m(n)),    r(n) = product over i < n of (1-p) / (1 - p·(1-p)^m(i))

which is at most `FALSE_ALARMS` for every p; a test computes it. It holds for the life of a stream, however many nights:
the first difference comes once. A stream begins anew only after a regression that ended, or when an output that was
flaky has been clean for so long that the same p explains it in less than one of a hundred cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import comb

__all__ = ["FALSE_ALARMS", "LEAST_CLEAN", "Seen", "State", "Status", "advance", "confirmations"]

FALSE_ALARMS = 0.01
"""Of a hundred outputs that differ by chance, at most one is ever called a regression."""
_CONFIRMED_BY = ((10, 3), (6, 4), (4, 5), (3, 6), (2, 8))
"""After how many clean trials how many further replays decide."""
LEAST_CLEAN = _CONFIRMED_BY[-1][0]
_FEWEST = 3
_OTHER_P = 0.01


class Status(StrEnum):
    """What a trial says of one output, with what was known before."""

    CLEAN = "clean"
    REGRESSION = "regression"
    REGRESSED = "regressed"
    SENSITIVE = "sensitive"
    FLAKY = "flaky"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


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
    """What is known of one output: clean and differing trials, clean ones since it differed last, and the last clean.

    ``nights`` counts the nights of the clean trials. ``regressed`` is the trial since which it is not reproducible.
    """

    clean: int = 0
    differed: int = 0
    streak: int = 0
    nights: int = 0
    last_clean: Seen | None = None
    regressed: Seen | None = None


def confirmations(state: State) -> int:
    """Return how many plain replays have to follow one that differed; none where it is known to differ."""
    if state.differed or state.regressed:
        return 0
    return next((more for clean, more in _CONFIRMED_BY if state.clean >= clean), _FEWEST)


def advance(
    state: State, seen: Seen, *, differed: bool | None, confirmed: Sequence[bool] = (), varied: bool = False
) -> tuple[State, Status]:
    """Return what is known after a trial, and what it says; ``differed`` None: it could not tell.

    ``confirmed`` says of each plain replay after it whether that differed; ``varied`` that the first one had varied
    axes. While an output has regressed, older runs say nothing of it.
    """
    if differed is None:
        return state, Status.UNKNOWN
    if state.regressed is not None and seen.recorded < state.regressed.recorded:
        return state, Status.DIFFERS if differed else Status.CLEAN
    if not differed:
        return _clean(state, seen), Status.CLEAN
    if state.regressed is not None:
        return state, Status.REGRESSED
    if state.differed:
        return _bad(state), Status.FLAKY if state.clean else Status.DIFFERS
    return _first(state, seen, confirmed, varied=varied)


def _first(state: State, seen: Seen, confirmed: Sequence[bool], *, varied: bool) -> tuple[State, Status]:
    """Decide on the first trial that differed."""
    enough = len(confirmed) >= confirmations(state)
    if varied and enough and not any(confirmed):
        return state, Status.SENSITIVE
    if enough and all(confirmed) and state.clean >= LEAST_CLEAN:
        return replace(state, regressed=seen), Status.REGRESSION
    flaky = not all(confirmed)
    return _bad(state), Status.FLAKY if flaky else Status.DIFFERS


def _clean(state: State, seen: Seen) -> State:
    if state.regressed is not None:
        return State(clean=1, streak=1, nights=1, last_clean=seen)
    last = state.last_clean
    nights = state.nights + (last is None or last.night != seen.night)
    state = replace(
        state, clean=state.clean + 1, streak=state.streak + 1, nights=nights, last_clean=seen
    )
    return _forgotten(state) if state.differed else state


def _bad(state: State) -> State:
    return replace(state, differed=state.differed + 1, streak=0)


def _forgotten(state: State) -> State:
    """Begin anew when the same probability hardly explains that nothing differed for so long (hypergeometric)."""
    before, bad = state.clean - state.streak + state.differed, state.differed
    if comb(before, bad) > _OTHER_P * comb(before + state.streak, bad):
        return state
    return replace(state, clean=state.streak, differed=0, nights=min(state.nights, state.streak))
