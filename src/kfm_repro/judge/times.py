"""Several replays of one run as one report: the worst verdict, and how often each thing differed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from kfm_repro.execute.drift import MATTERS, affects, bounded, by_weight
from kfm_repro.model.finding import Finding, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.flips import count_flips
from kfm_repro.model.report import Environment, ErrorInfo, Report, Scope, count_verdicts
from kfm_repro.model.verdict import Verdict, worst_output, worst_verdict
from kfm_repro.model.waiver import merge_uses

__all__ = ["merge_replays"]

_T = TypeVar("_T")
_Key = tuple[str, str, tuple[tuple[str, str | int], ...], bool, int]


def merge_replays(reports: Sequence[Report]) -> Report:
    """Return one report over the replays of one run, in their order; of a single one that report itself.

    A replay without a verdict of its own (it failed, or took too long) makes the whole unknown unless another
    one differs; its outputs are not counted.
    """
    if len(reports) == 1:
        return reports[0]
    told = [report for report in reports if not isinstance(report.error, ErrorInfo)]
    counted = told or list(reports)
    verdict = worst_verdict(report.verdict for report in reports)
    outputs = _merge_outputs(counted)
    known = [report for report in reports if report.verdict is not Verdict.UNKNOWN]
    differed = sum(report.verdict is not Verdict.REPRODUCIBLE for report in known)
    base = next(report for report in reports if report.verdict is verdict)
    return msgspec.structs.replace(
        base,
        verdict=verdict,
        counts=count_verdicts(outputs),
        replays=tuple(replay for report in reports for replay in report.replays),
        scope=_merge_scopes(base.scope, reports),
        preconditions=_unique(item for report in reports for item in report.preconditions),
        environment=_merge_environments(base.environment, reports),
        drift=_unique(item for report in reports for item in report.drift),
        outputs=outputs,
        waivers=merge_uses(report.waivers for report in reports),
        flips=count_flips(differed, len(known)),
        error=_error(reports) if verdict is Verdict.UNKNOWN else msgspec.UNSET,
    )


def _merge_environments(base: Environment, reports: Sequence[Report]) -> Environment:
    """Return every drift once; all replays of one plan ran in the same environment, rebuilt or not."""
    found = [report.environment for report in reports]
    drift = by_weight(_unique(item for one in found for item in one.drift))
    shown, beyond = bounded(drift)
    counts = [affects(drift), *(one.affects for one in found)]
    avoided = _unique(item for one in found for item in one.avoided or ())
    return msgspec.structs.replace(
        base,
        drift=shown,
        affects={name: most for name in MATTERS if (most := max(count.get(name, 0) for count in counts))},
        omitted=max(beyond, *(one.omitted for one in found)),
        avoided=msgspec.UNSET if base.avoided is msgspec.UNSET else bounded(by_weight(avoided))[0],
    )


def _merge_outputs(reports: Sequence[Report]) -> tuple[OutputComparison, ...]:
    seen: dict[str, list[OutputComparison]] = {}
    for report in reports:
        for output in report.outputs:
            seen.setdefault(output.path, []).append(output)
    return tuple(_merge_output(found, len(reports)) for _, found in sorted(seen.items()))


def _merge_output(found: Sequence[OutputComparison], replays: int) -> OutputComparison:
    """Return one output over all replays; where it is not mentioned, nobody expected and nobody wrote it."""
    verdict = worst_output(output.verdict for output in found)
    worst = next(output for output in found if output.verdict is verdict)
    unknown = sum(output.verdict is OutputVerdict.UNKNOWN for output in found)
    differed = sum(output.verdict not in (OutputVerdict.IDENTICAL, OutputVerdict.UNKNOWN) for output in found)
    of = replays - unknown
    alike = [output for output in found if output.verdict is OutputVerdict.EQUIVALENT]
    return msgspec.structs.replace(
        worst,
        findings=_merge_findings(found, of),
        accepted=verdict is OutputVerdict.EQUIVALENT and all(output.accepted for output in alike),
        flips=count_flips(differed, of) if of else msgspec.UNSET,
    )


def _merge_findings(found: Sequence[OutputComparison], of: int) -> tuple[Finding, ...]:
    """Return every finding once, as the first replay that had it tells it, and in how many replays it was.

    Only replays that could compare the output count, so that a finding of another replay has no count.
    """
    first: dict[_Key, Finding] = {}
    times: dict[_Key, int] = {}
    for output in found:
        keys: dict[_Key, Finding] = {}
        for finding in output.findings:
            number = 0
            while (key := _key(finding, number)) in keys:
                number += 1
            keys[key] = finding
        for key, finding in keys.items():
            first.setdefault(key, finding)
            times[key] = times.get(key, 0) + (output.verdict is not OutputVerdict.UNKNOWN)
    return tuple(
        msgspec.structs.replace(finding, flips=count_flips(times[key], of))
        if of and finding.rung is not Rung.UNKNOWN and times[key]
        else finding
        for key, finding in first.items()
    )


def _key(finding: Finding, number: int) -> _Key:
    where = tuple(sorted(finding.where.items()))
    return str(finding.kind), str(finding.rung), where, finding.latent, number


def _merge_scopes(scope: Scope, reports: Sequence[Report]) -> Scope:
    """Return what all replays covered together: an axis whose level changed between them was varied."""
    levels = [replay.setting for report in reports for replay in report.replays]
    axes = sorted({axis for setting in levels for axis in setting})
    varied = {axis: "; ".join(sorted({setting.get(axis, "plain") for setting in levels})) for axis in axes}
    notes = _unique(note for report in reports for note in report.scope.notes)
    failed = tuple(
        f"replay {number} ({report.replays[0].run_id}) reached no verdict and is not counted: {_why(report)}"
        for number, report in enumerate(reports, 1)
        if isinstance(report.error, ErrorInfo) and report.replays
    )
    return msgspec.structs.replace(
        scope,
        varied=scope.varied | varied,
        natural=tuple(axis for axis in scope.natural if axis not in varied),
        notes=(*notes, *failed),
    )


def _why(report: Report) -> str:
    return report.error.message.splitlines()[0] if isinstance(report.error, ErrorInfo) else ""


def _error(reports: Sequence[Report]) -> ErrorInfo | msgspec.UnsetType:
    """Return the first reason why there is no verdict, and of which replay."""
    for number, report in enumerate(reports, 1):
        if isinstance(report.error, ErrorInfo):
            message = f"replay {number} of {len(reports)}: {report.error.message}"
            return ErrorInfo(code=report.error.code, message=message, hint=report.error.hint)
    return msgspec.UNSET


def _unique(items: Iterable[_T]) -> tuple[_T, ...]:
    found: list[_T] = []
    for item in items:
        if item not in found:
            found.append(item)
    return tuple(found)
