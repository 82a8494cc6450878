"""What ``nightly --json`` and ``ledger export`` print: one night, and all that is known from the nights before."""

from __future__ import annotations

import msgspec

from kfm_repro.model.finding import Document, Flips
from kfm_repro.model.report import REPORT_SCHEMA, ErrorInfo, Report, RunRef
from kfm_repro.model.verdict import Verdict
from kfm_repro.model.waiver import WaiverUse

__all__ = [
    "Alarm",
    "Aspect",
    "LedgerEntry",
    "LedgerReport",
    "LedgerTrial",
    "LeftOut",
    "NightOptions",
    "NightReport",
    "NightRun",
    "Outcome",
    "Trial",
]


class Aspect(Document, frozen=True, kw_only=True):
    """One thing that differed in an output: where (a column, a pointer …, empty: the whole), which kind and rung."""

    where: str
    kind: str
    rung: str
    count: int = 1


class Outcome(Document, frozen=True, kw_only=True):
    """What one replay said of one output. ``differed`` is null where it could not be compared.

    What is accepted or waived did not differ.
    """

    path: str
    verdict: str
    differed: bool | None
    aspects: tuple[Aspect, ...] = ()


class Trial(Document, frozen=True, kw_only=True):
    """One replay as the ledger keeps it. ``ordinal`` 0 is the first of its run in this night, 1… confirm it.

    ``environment`` names machine, interpreter and packages by a digest; ``seconds`` is how long all of it took.
    """

    replay_id: str
    ordinal: int
    axes: tuple[str, ...] = ()
    environment: str = ""
    verdict: Verdict
    seconds: float = 0.0
    outcomes: tuple[Outcome, ...] = ()


class NightRun(Document, frozen=True, kw_only=True):
    """One run of the night. ``reasons`` say why it was chosen, ``bits`` how much its replay was expected to tell.

    ``status`` says by output what the night means with those before it; ``report`` is over all its replays.
    """

    run: RunRef
    started_at: str = ""
    reasons: tuple[str, ...] = ()
    bits: float = 0.0
    estimate_s: float = 0.0
    status: dict[str, str] = {}
    trials: tuple[Trial, ...] = ()
    report: Report


class LeftOut(Document, frozen=True, kw_only=True):
    """One run that was not replayed, and why: ``budget``, ``not-selected``, ``not-tonight`` or ``no-baseline``.

    ``estimate_s`` is there where it was chosen all the same and its turn did not come.
    """

    run_id: str
    pipeline: str
    reason: str
    detail: str = ""
    estimate_s: float | msgspec.UnsetType = msgspec.UNSET


class NightOptions(Document, frozen=True, kw_only=True):
    """What the verdicts of a night hang on besides the runs: parts of one night have all of it alike.

    ``settings`` is a digest of the settings, waivers among them; ``ledger`` one of the trials before this night.
    """

    select: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    vary: str = ""
    accept: str = ""
    isolation: str = ""
    trust: bool = False
    timeout_s: float | None = None
    jobs: int = 1
    settings: str = ""
    ledger: str = ""
    version: str = ""


class Alarm(Document, frozen=True, kw_only=True):
    """What fails the night besides a verdict: ``regression``, or what is wrong with a waiver."""

    kind: str
    message: str
    pipeline: str = ""
    output: str = ""
    run_id: str = ""
    commit: str = ""
    clean_nights: int = 0
    aspects: tuple[Aspect, ...] = ()


class NightReport(Document, frozen=True, kw_only=True):
    """One night. ``counts`` are of outputs, ``verdicts`` of runs; ``plan`` is the digest of what was chosen.

    ``shard`` is ``I/N``, empty for a whole night. Runs are sorted by pipeline, start and id.
    """

    schema: str = REPORT_SCHEMA
    command: str = "nightly"
    verdict: Verdict
    counts: dict[str, int]
    verdicts: dict[str, int]
    night: str
    vary: tuple[str, ...] = ()
    budget_s: float = 0.0
    options: NightOptions | msgspec.UnsetType = msgspec.UNSET
    shard: str = ""
    plan: str = ""
    runs: tuple[NightRun, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()
    notes: tuple[str, ...] = ()
    error: ErrorInfo | msgspec.UnsetType = msgspec.UNSET


class LedgerEntry(Document, frozen=True, kw_only=True):
    """All trials of one output, or of one place and kind in it: it differed in ``k`` of ``n``.

    ``reproducible`` bounds the probability that a replay does not differ: the posterior from a uniform prior, Beta(n -
    k + 1, k + 1), each bound at 95 %. ``axes`` counts trials by what they varied, ``environments`` by environment.
    """

    pipeline: str
    path: str
    where: str = ""
    kind: str = ""
    n: int
    k: int
    unknown: int = 0
    mean: float
    reproducible: Flips
    verdicts: dict[str, int] = {}
    axes: dict[str, int] = {}
    environments: dict[str, int] = {}
    runs: int = 0
    first_night: str = ""
    last_night: str = ""
    status: str = ""


class LedgerReport(Document, frozen=True, kw_only=True):
    """The ledger: ``entries`` sorted by pipeline, path, place and kind; ``trials`` as they were kept, oldest first."""

    schema: str = REPORT_SCHEMA
    command: str = "ledger"
    entries: tuple[LedgerEntry, ...]
    trials: tuple[LedgerTrial, ...]


class LedgerTrial(Document, frozen=True, kw_only=True):
    """One replay with what it belongs to."""

    night: str
    pipeline: str
    run_id: str
    started_at: str
    git_commit: str
    trial: Trial
