"""Comparisons and reports: the documents that presenters render, schema ``kfm-repro.report/1``.

History of the schema: ``/1`` (0.1.0) first version. Keys are only ever added within ``/1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from kfm_repro.model.figures import Window
from kfm_repro.model.finding import Document, Flips, OutputComparison, OutputVerdict
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code, run_verdict
from kfm_repro.model.waiver import WaiverUse

__all__ = [
    "REPORT_SCHEMA",
    "CodedDrift",
    "Comparison",
    "DemoReport",
    "Drift",
    "DriftCode",
    "Environment",
    "ErrorInfo",
    "ErrorReport",
    "Precondition",
    "RebuiltEnvironment",
    "RecordReport",
    "Replay",
    "Report",
    "RunRef",
    "Scope",
    "count_verdicts",
]

REPORT_SCHEMA = "kfm-repro.report/1"


def count_verdicts(outputs: Iterable[OutputComparison]) -> dict[str, int]:
    """Return how many outputs have each verdict, every verdict present, in the order of the contract."""
    counts = {str(verdict): 0 for verdict in OutputVerdict}
    for output in outputs:
        counts[str(output.verdict)] += 1
    return counts


class RunRef(Document, frozen=True, kw_only=True):
    """The run that a report is about: ``source`` is the file of its pipeline, ``window`` when it ran."""

    run_id: str
    pipeline: str = ""
    git_commit: str | None = None
    source: str | msgspec.UnsetType = msgspec.UNSET
    window: Window | msgspec.UnsetType = msgspec.UNSET


class Replay(Document, frozen=True, kw_only=True):
    """One re-execution: where its record lies, under which setting and isolation it ran, how it ended.

    ``window`` is when it ran by the clock that the pipeline was shown.
    """

    run_id: str
    path: str
    setting: dict[str, str] = {}
    isolation: str = "none"
    exit_code: int | None = None
    duration_s: float = 0.0
    outcome: str = "success"
    window: Window | msgspec.UnsetType = msgspec.UNSET


class Scope(Document, frozen=True, kw_only=True):
    """What a verdict covers: axes held, left natural, varied, and not exercised at all.

    ``level`` is how far apart the two sides ran (R1 the same machine image, R2 another Linux machine, R3 another
    architecture), ``shown`` the level at which byte-identity was shown: empty when the bytes were not the same.
    """

    held: dict[str, str] = {}
    natural: tuple[str, ...] = ()
    varied: dict[str, str] = {}
    not_exercised: tuple[str, ...] = ()
    level: str = "R1"
    shown: str = ""
    notes: tuple[str, ...] = ()


class Precondition(Document, frozen=True, kw_only=True):
    """Something that a fair comparison needs. ``state`` is ok, drift, missing, assumed or unknown."""

    name: str
    state: str
    detail: str = ""
    code: str = ""


class Drift(Document, frozen=True, kw_only=True):
    """One thing of the environment that is not as recorded, and what it can affect.

    ``matters`` is geometry, floats, tables, text, unknown, network or cosmetic; ``change`` is version, files (same
    version, other files), added, removed or value.
    """

    what: str
    a: str | None
    b: str | None
    matters: str
    code: str = "ENVIRONMENT_DRIFT"
    change: str = "value"


class DriftCode(StrEnum):
    """What kind of thing is not the same on both sides, in the words of KFM (rule 25)."""

    SOURCE_SNAPSHOT = "SOURCE_SNAPSHOT_DRIFT"
    TRANSFORM_PARAMETERS = "TRANSFORM_PARAMETERS_DRIFT"
    MODEL_IDENTITY = "MODEL_IDENTITY_DRIFT"
    VALIDATOR_SET = "VALIDATOR_SET_DRIFT"
    OUTPUT = "OUTPUT_DRIFT"
    CODE = "CODE_DRIFT"
    ENVIRONMENT = "ENVIRONMENT_DRIFT"


class CodedDrift(Document, frozen=True, kw_only=True):
    """One thing that is not the same on both sides: which, and what it was in A and is in B; null: not there."""

    code: DriftCode
    what: str
    a: str | None = None
    b: str | None = None


class RebuiltEnvironment(Document, frozen=True, kw_only=True):
    """The environment that was made from the record, and in which the replay ran.

    ``environment`` names it by its content; ``proved_by`` counts packages by how they are known to be the recorded
    ones; ``differs`` names packages whose files are not as recorded, ``left_out`` what the replay did without.
    """

    environment: str
    python: str
    packages: int
    cached: bool = False
    proved_by: dict[str, int] = {}
    differs: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Environment(Document, frozen=True, kw_only=True):
    """How the environment differs between the two runs, what can matter first.

    ``affects`` counts all drifts by what they can affect; ``omitted`` are those beyond the bound of ``drift``.
    ``avoided`` is how today's environment differs from the recorded one, where a rebuilt one ran instead.
    """

    drift: tuple[Drift, ...] = ()
    affects: dict[str, int] = {}
    omitted: int = 0
    mode: str = "current"
    rebuilt: RebuiltEnvironment | msgspec.UnsetType = msgspec.UNSET
    avoided: tuple[Drift, ...] | msgspec.UnsetType = msgspec.UNSET


class ErrorInfo(Document, frozen=True, kw_only=True):
    """Why no verdict could be reached. ``code`` is listed in ``docs/errors.md``."""

    code: str
    message: str
    hint: str = ""


NOTHING_COMPARED = ErrorInfo(
    code="nothing-compared", message="there are no files to compare", hint="check both sides"
)
"""Why two sides without any file have no verdict."""


class Comparison(Document, frozen=True, kw_only=True):
    """Two sets of outputs, compared. Sorted by path."""

    outputs: tuple[OutputComparison, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict over all outputs."""
        return run_verdict(self.outputs)

    @property
    def identical(self) -> bool:
        """Whether something was compared and every byte of it is the same."""
        return self.verdict is Verdict.REPRODUCIBLE

    @property
    def equivalent(self) -> bool:
        """Whether the meaning is the same and some bytes are not."""
        return self.verdict is Verdict.EQUIVALENT

    @property
    def counts(self) -> dict[str, int]:
        """How many outputs have each verdict."""
        return count_verdicts(self.outputs)

    def __str__(self) -> str:
        worst = [o for o in self.outputs if o.verdict is not OutputVerdict.IDENTICAL]
        lines = [f"{self.verdict}: {len(self.outputs) - len(worst)} of {len(self.outputs)} outputs identical"]
        for output in worst:
            lines.append(f"  {output.verdict} {output.path}")
            lines += [f"    {f.kind} ({f.rung}) {f.where or ''} {f.count} of {f.of}" for f in output.findings]
        return "\n".join(lines)


class Report(Document, frozen=True, kw_only=True):
    """Everything that a command found out, as one document; the contract is in ``docs/report.md``.

    ``flips`` says in how many of several replays anything differed.
    """

    schema: str = REPORT_SCHEMA
    command: str
    verdict: Verdict
    counts: dict[str, int]
    run: RunRef | msgspec.UnsetType = msgspec.UNSET
    against: RunRef | msgspec.UnsetType = msgspec.UNSET
    replays: tuple[Replay, ...] = ()
    scope: Scope = Scope()
    preconditions: tuple[Precondition, ...] = ()
    environment: Environment = Environment()
    drift: tuple[CodedDrift, ...] = ()
    outputs: tuple[OutputComparison, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()
    flips: Flips | msgspec.UnsetType = msgspec.UNSET
    error: ErrorInfo | msgspec.UnsetType = msgspec.UNSET

    @property
    def passed(self) -> bool:
        """Whether the command line would exit 0: reproduced, or no worse than what is accepted."""
        return exit_code(self.verdict, self.outputs) is ExitCode.OK


class RecordReport(Document, frozen=True, kw_only=True):
    """What ``record --json`` prints: the new run, and where its record lies relative to the root."""

    schema: str = REPORT_SCHEMA
    command: str = "record"
    run: RunRef
    path: str
    notes: tuple[str, ...] = ()


class DemoReport(Document, frozen=True, kw_only=True):
    """What ``demo --json`` prints: the report of each pipeline's replay, by pipeline."""

    schema: str = REPORT_SCHEMA
    command: str = "demo"
    reports: dict[str, Report]


class ErrorReport(Document, frozen=True, kw_only=True):
    """The document that ``--json`` prints when a command ends before there is anything to report."""

    schema: str = REPORT_SCHEMA
    command: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    error: ErrorInfo
