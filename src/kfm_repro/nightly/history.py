"""What is known of every output of every pipeline, trial by trial, and what the trials of tonight say with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kfm_repro.model.nightly import LedgerTrial, Outcome, Trial
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.regression import Place, Seen, State, Status, advance, confirmations

__all__ = ["History", "seen_of"]

Trials = Sequence[Trial]
"""The trials of one run in one night: the first, and those that confirm it."""


class History:
    """The state of each output, by pipeline and path. An output that a trial does not mention did not differ in it.

    So it is for what is written in some replays only: where it was not written, all was as recorded.
    """

    def __init__(self) -> None:
        self._states: dict[str, dict[str, State]] = {}
        self._fresh: dict[str, State] = {}

    @classmethod
    def of(cls, trials: Iterable[LedgerTrial]) -> History:
        """Return what the trials of a ledger say; they come in its order."""
        history = cls()
        for _, group in groupby(trials, key=lambda item: (item.pipeline, item.night, item.run_id)):
            for items in _by_first([*group]):
                history.take(items[0].pipeline, seen_of(items[0]), [item.trial for item in items])
        return history

    def state(self, pipeline: str, path: str) -> State:
        """Return what is known of one output."""
        return self._states.get(pipeline, {}).get(path) or self._fresh.get(pipeline, State())

    def regressed(self) -> Iterator[tuple[str, str, State, Seen]]:
        """Yield pipeline, path and state of every output that has regressed, with the trial since which, sorted."""
        for pipeline, states in sorted(self._states.items()):
            for path, state in sorted(states.items()):
                if state.regressed is not None:
                    yield pipeline, path, state, state.regressed

    def wanted(self, pipeline: str, first: Trial) -> int:
        """Return how many plain replays have to confirm ``first``: what the output that needs most of them needs."""
        return max(
            (confirmations(self.state(pipeline, item.path)) for item in first.outcomes if item.differed),
            default=0,
        )

    def take(self, pipeline: str, seen: Seen, trials: Trials) -> dict[str, tuple[State, Status]]:
        """Learn from the trials of one run in one night; return by path what was known before, and what they say."""
        first, confirming = trials[0], trials[1:]
        if first.verdict is Verdict.UNKNOWN and not first.outcomes:
            return {}
        told = {item.path: item.differed for item in first.outcomes}
        places = {item.path: _places(item) for item in first.outcomes}
        states = self._states.setdefault(pipeline, {})
        said = {}
        for path in sorted({*told, *states}):
            before = self.state(pipeline, path)
            confirmed = [*_confirmed(path, confirming)]
            states[path], status = advance(
                before,
                seen,
                differed=told.get(path, False),
                confirmed=confirmed,
                varied=bool(first.axes),
                places=places.get(path, frozenset()),
            )
            said[path] = (before, status)
        fresh = self._fresh.get(pipeline, State())
        self._fresh[pipeline] = advance(fresh, seen, differed=False)[0]
        return said


def seen_of(item: LedgerTrial) -> Seen:
    """Return which trial that was."""
    return Seen(item.night, item.run_id, item.started_at, item.git_commit, item.trial.environment)


def _by_first(items: Sequence[LedgerTrial]) -> list[list[LedgerTrial]]:
    """Return each first replay of a run in a night with those that confirm it.

    A night may have been done twice, one after the other or at the same time, and ids of replays follow a clock that
    may be set back: by their order alone it cannot be told which first replay they confirm. The n-th replay of an
    ordinal belongs to the n-th first replay that had something to confirm; those that have none left count for nothing.
    """
    together = [[item] for item in items if not item.trial.ordinal]
    doubtful = [group for group in together if any(told.differed for told in group[0].trial.outcomes)]
    taken: Counter[int] = Counter()
    for item in items:
        ordinal = item.trial.ordinal
        if ordinal and taken[ordinal] < len(doubtful):
            doubtful[taken[ordinal]].append(item)
        taken[ordinal] += 1
    return together


def _places(outcome: Outcome) -> frozenset[Place]:
    return frozenset((aspect.where, aspect.kind, aspect.rung) for aspect in outcome.aspects)


def _confirmed(path: str, trials: Trials) -> Iterator[bool]:
    """Yield whether each plain replay that had a verdict differed."""
    for trial in trials:
        if trial.verdict is Verdict.UNKNOWN and not trial.outcomes:
            continue
        differed = next((item.differed for item in trial.outcomes if item.path == path), False)
        if differed is not None:
            yield differed
