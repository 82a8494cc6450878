"""What every presenter of a night says alike: marks, the worst first, what an output came to, the sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from kfm_repro.model.finding import OutputVerdict
from kfm_repro.model.nightly import Alarm, LeftOut, NightReport, NightRun
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code
from kfm_repro.model.waiver import WaiverState, WaiverUse
from kfm_repro.present.lines import plural
from kfm_repro.present.visible import visible

__all__ = [
    "MARKS",
    "TITLES",
    "counted_verdicts",
    "left_out_by_reason",
    "passes",
    "run_name",
    "sentence",
    "told_alarm",
    "told_outputs",
    "unchecked",
    "worst_first",
]

MARKS: Mapping[Verdict, str] = {
    Verdict.REPRODUCIBLE: "=",
    Verdict.WAIVED: "w",
    Verdict.EQUIVALENT: "~",
    Verdict.NOT_REPRODUCIBLE: "≠",
    Verdict.UNKNOWN: "?",
}
TITLES: Mapping[str, str] = {
    "regression": "Regression",
    "waiver-expired": "Waiver expired",
    "waiver-outgrown": "Waiver outgrown",
    "waiver-unmatched": "Waiver covers nothing",
}
"""Alarms in words."""
_ORDER = (
    Verdict.NOT_REPRODUCIBLE, Verdict.UNKNOWN, Verdict.EQUIVALENT, Verdict.WAIVED, Verdict.REPRODUCIBLE,
)  # fmt: skip
_NAME = 200


def run_name(run: NightRun) -> str:
    """Return pipeline and id of a run."""
    return f"{visible(run.run.pipeline, _NAME)}/{visible(run.run.run_id, _NAME)}"


def passes(run: NightRun) -> bool:
    """Return whether a run does not fail the night."""
    return exit_code(run.report.verdict, run.report.outputs) is ExitCode.OK


def worst_first(report: NightReport) -> list[NightRun]:
    """Return the runs, those that fail the night first, then the worst verdict, else as they stand."""
    return sorted(report.runs, key=lambda run: (passes(run), _ORDER.index(run.report.verdict)))


def told_outputs(run: NightRun) -> Iterator[tuple[str, str, str]]:
    """Yield path, status and kinds of each output that is not as recorded, by path; status may be empty."""
    outputs = {output.path: output for output in run.report.outputs}
    for path in sorted({*outputs, *run.status}):
        status, output = run.status.get(path, ""), outputs.get(path)
        as_recorded = output is None or output.verdict is OutputVerdict.IDENTICAL
        if as_recorded and status in ("", "clean"):
            continue
        kinds = dict.fromkeys(
            str(found.kind) for found in (output.findings if output else ()) if not found.latent
        )
        yield path, visible(status, 40), ", ".join(kinds) or (str(output.verdict) if output else "")


def told_alarm(alarm: Alarm) -> str:
    """Return an alarm as one line."""
    where = f"{visible(alarm.pipeline)}: " if alarm.pipeline else ""
    return f"{where}{visible(alarm.message, 500)}"


def left_out_by_reason(report: NightReport) -> list[tuple[str, list[LeftOut]]]:
    """Return the runs that were not replayed, by reason."""
    found: dict[str, list[LeftOut]] = {}
    for item in report.left_out:
        found.setdefault(item.reason, []).append(item)
    return sorted(found.items())


def unchecked(report: NightReport) -> list[WaiverUse]:
    """Return the waivers that were not asked: where the path is misspelt, nothing else would show it."""
    return [use for use in report.waivers if use.state is WaiverState.NOT_CHECKED]


def counted_verdicts(report: NightReport) -> str:
    """Return how many runs came to which verdict."""
    return ", ".join(f"{count} {name}" for name, count in report.verdicts.items() if count)


def sentence(report: NightReport) -> str:
    """Return the verdict's sentence, without the verdict."""
    text = counted_verdicts(report) or "no run replayed"
    if not isinstance(report.error, msgspec.UnsetType):
        message = visible(report.error.message.partition("\n")[0], 300)
        compared = report.counts.get("unknown", 0) < sum(report.counts.values())
        text = f"{text}; {message}" if compared else message
    alarms = f"  {plural(len(report.alarms), 'alarm')}." if report.alarms else ""
    return f"{text}.{alarms}"
