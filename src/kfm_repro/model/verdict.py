"""The algebra of verdicts: the one place where findings become a verdict and a verdict an exit code.

The rules are those of ``docs/findings.md``. A proven difference outweighs everything; what could not be
compared is never called reproducible; latent findings do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum

from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung

__all__ = [
    "Accept",
    "ExitCode",
    "Verdict",
    "exit_code",
    "output_verdict",
    "run_verdict",
    "worst_exit_code",
    "worst_output",
    "worst_verdict",
]


class Verdict(StrEnum):
    """What is said of a whole run or comparison."""

    REPRODUCIBLE = "reproducible"
    EQUIVALENT = "equivalent"
    NOT_REPRODUCIBLE = "not-reproducible"
    UNKNOWN = "unknown"
    WAIVED = "waived"


class Accept(StrEnum):
    """The worst that still passes for an output: same bytes, or same meaning."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    DIFFERS = 1
    NO_VERDICT = 2
    INTERRUPTED = 130


def output_verdict(findings: Iterable[Finding]) -> OutputVerdict:
    """Return what the findings of one output add up to.

    A ``value`` finding proves a difference even beside parts that could not be compared.
    """
    counted = [finding for finding in findings if not finding.latent]
    kinds = {finding.kind for finding in counted if finding.rung is not Rung.UNKNOWN}
    rungs = {finding.rung for finding in counted}
    if Kind.MISSING_OUTPUT in kinds:
        return OutputVerdict.MISSING
    if Kind.EXTRA_OUTPUT in kinds:
        return OutputVerdict.EXTRA
    if Rung.VALUE in rungs:
        return OutputVerdict.DIFFERENT
    if Rung.UNKNOWN in rungs:
        return OutputVerdict.UNKNOWN
    if rungs - {Rung.IDENTICAL}:
        return OutputVerdict.EQUIVALENT
    return OutputVerdict.IDENTICAL


def run_verdict(outputs: Iterable[OutputComparison], *, inconclusive: bool = False) -> Verdict:
    """Return the verdict over all outputs of a run.

    ``inconclusive`` caps it at unknown: the pipeline failed, or it was not the recorded code that ran.
    """
    verdicts = [output.verdict for output in outputs]
    if inconclusive or not verdicts:
        return Verdict.UNKNOWN
    if any(v in (OutputVerdict.DIFFERENT, OutputVerdict.MISSING, OutputVerdict.EXTRA) for v in verdicts):
        return Verdict.NOT_REPRODUCIBLE
    if OutputVerdict.UNKNOWN in verdicts:
        return Verdict.UNKNOWN
    if OutputVerdict.EQUIVALENT in verdicts:
        return Verdict.EQUIVALENT
    return Verdict.REPRODUCIBLE


_WORSE = (
    Verdict.REPRODUCIBLE,
    Verdict.WAIVED,
    Verdict.EQUIVALENT,
    Verdict.UNKNOWN,
    Verdict.NOT_REPRODUCIBLE,
)
_WORSE_OUTPUT = (
    OutputVerdict.IDENTICAL,
    OutputVerdict.EQUIVALENT,
    OutputVerdict.UNKNOWN,
    OutputVerdict.DIFFERENT,
    OutputVerdict.EXTRA,
    OutputVerdict.MISSING,
)


def worst_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict over several replays of one run: a proven difference wins, then what is not known."""
    return max(verdicts, key=_WORSE.index, default=Verdict.UNKNOWN)


def worst_output(verdicts: Iterable[OutputVerdict]) -> OutputVerdict:
    """Return the verdict over one output of several replays, by the same order."""
    return max(verdicts, key=_WORSE_OUTPUT.index, default=OutputVerdict.UNKNOWN)


def exit_code(verdict: Verdict, outputs: Iterable[OutputComparison]) -> ExitCode:
    """Return the exit code: an equivalent run passes only when every equivalent output is accepted."""
    if verdict in (Verdict.REPRODUCIBLE, Verdict.WAIVED):
        return ExitCode.OK
    if verdict is Verdict.UNKNOWN:
        return ExitCode.NO_VERDICT
    if verdict is Verdict.EQUIVALENT and all(
        output.accepted for output in outputs if output.verdict is OutputVerdict.EQUIVALENT
    ):
        return ExitCode.OK
    return ExitCode.DIFFERS


def worst_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code for several runs: 1 wins when any differs, else 2 when any is unknown."""
    seen = set(codes)
    for code in (ExitCode.INTERRUPTED, ExitCode.DIFFERS, ExitCode.NO_VERDICT):
        if code in seen:
            return code
    return ExitCode.OK if seen else ExitCode.NO_VERDICT
