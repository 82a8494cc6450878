"""The ledger as a document: for every output, and every place in it that ever differed, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kfm_repro.model.finding import Flips
from kfm_repro.model.flips import count_flips
from kfm_repro.model.nightly import LedgerEntry, LedgerReport, LedgerTrial, Outcome
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.history import History
from kfm_repro.nightly.regression import State

__all__ = ["export", "posterior"]

_DIGITS = 6


def posterior(n: int, k: int) -> tuple[float, Flips]:
    """Return mean and bounds of the probability that a replay does not differ, after ``k`` of ``n`` did.

    The prior is uniform, so that it is Beta(n - k + 1, k + 1). Its distribution at p is the binomial tail
    P(at least n - k + 1 of n + 1), which makes each of its 95 % bounds one of Clopper and Pearson's.
    """
    good = n - k
    low, high = count_flips(good + 1, n + 1).low, count_flips(good, n + 1).high
    return round((good + 1) / (n + 2), _DIGITS), Flips(differed=good, of=n, low=low, high=high)


def export(trials: Sequence[LedgerTrial]) -> LedgerReport:
    """Return everything that the ledger has, as one document."""
    history = History.of(trials)
    entries = [
        _entry(key, tally, history.state(key[0], key[1])) for key, tally in sorted(_tallies(trials).items())
    ]
    return LedgerReport(entries=tuple(entries), trials=tuple(trials))


@dataclass
class _Tally:
    n: int = 0
    k: int = 0
    unknown: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    axes: Counter[str] = field(default_factory=Counter)
    environments: Counter[str] = field(default_factory=Counter)
    runs: set[str] = field(default_factory=set)
    nights: list[str] = field(default_factory=list)

    def add(self, item: LedgerTrial, *, differed: bool | None, verdict: str) -> None:
        self.verdicts[verdict] += 1
        self.unknown += differed is None
        self.n += differed is not None
        self.k += bool(differed)
        self.axes.update(item.trial.axes or ["none"])
        self.environments[item.trial.environment] += 1
        self.runs.add(item.run_id)
        self.nights.append(item.night)


_Key = tuple[str, str, str, str]


def _tallies(trials: Sequence[LedgerTrial]) -> dict[_Key, _Tally]:
    known = _places(trials)
    tallies: dict[_Key, _Tally] = {}
    for item in trials:
        if item.trial.verdict is Verdict.UNKNOWN and not item.trial.outcomes:
            continue
        for outcome in item.trial.outcomes:
            whole = (item.pipeline, outcome.path, "", "")
            tallies.setdefault(whole, _Tally()).add(item, differed=outcome.differed, verdict=outcome.verdict)
            there = {(aspect.where, aspect.kind) for aspect in outcome.aspects}
            for place in known.get(whole[:2], ()):
                # What is not mentioned did not differ, in an output that could be compared.
                differed = True if place in there else None if outcome.differed is None else False
                verdict = "unknown" if differed is None else "different" if differed else "identical"
                tallies.setdefault((*whole[:2], *place), _Tally()).add(
                    item, differed=differed, verdict=verdict
                )
    return tallies


def _places(trials: Iterable[LedgerTrial]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return by output every place and kind that ever differed in it."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for item, outcome in _outcomes(trials):
        places = found.setdefault((item.pipeline, outcome.path), set())
        places |= {(aspect.where, aspect.kind) for aspect in outcome.aspects}
    return {key: sorted(places) for key, places in found.items()}


def _outcomes(trials: Iterable[LedgerTrial]) -> Iterator[tuple[LedgerTrial, Outcome]]:
    for item in trials:
        for outcome in item.trial.outcomes:
            yield item, outcome


def _entry(key: _Key, tally: _Tally, state: State) -> LedgerEntry:
    mean, bounds = posterior(tally.n, tally.k)
    return LedgerEntry(
        pipeline=key[0],
        path=key[1],
        where=key[2],
        kind=key[3],
        n=tally.n,
        k=tally.k,
        unknown=tally.unknown,
        mean=mean,
        reproducible=bounds,
        verdicts=dict(sorted(tally.verdicts.items())),
        axes=dict(sorted(tally.axes.items())),
        environments=dict(sorted(tally.environments.items())),
        runs=len(tally.runs),
        first_night=min(tally.nights),
        last_night=max(tally.nights),
        status="" if key[3] else _status(state, tally),
    )


def _status(state: State, tally: _Tally) -> str:
    if state.regressed is not None:
        return "regressed"
    if state.differed:
        return "flaky" if state.clean else "differs"
    return "clean" if tally.n else "unknown"
