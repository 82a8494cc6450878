"""A night for people at a terminal, and for the summary of a CI job: what differs first, the verdict last."""

from __future__ import annotations

from collections.abc import Iterator

from kfm_repro.model.nightly import LedgerReport, NightReport, NightRun
from kfm_repro.model.report import ErrorInfo
from kfm_repro.model.verdict import Verdict
from kfm_repro.present.lines import Line, plural, to_text
from kfm_repro.present.night.words import (
    MARKS,
    left_out_by_reason,
    passes,
    run_name,
    sentence,
    told_alarm,
    told_outputs,
    unchecked,
)
from kfm_repro.present.terminal import VERDICTS
from kfm_repro.present.visible import visible

__all__ = ["render_ledger", "render_night"]

_STYLES = {
    Verdict.REPRODUCIBLE: "green",
    Verdict.WAIVED: "yellow",
    Verdict.EQUIVALENT: "yellow",
    Verdict.NOT_REPRODUCIBLE: "red",
    Verdict.UNKNOWN: "magenta",
}
_SHOWN_OUTPUTS = 6


def render_night(report: NightReport, *, color: bool = False, quiet: bool = False) -> str:
    """Return the night as text; ``quiet`` leaves only alarms and verdict."""
    lines: list[Line] = []
    if not quiet:
        lines.append([(_head(report), "bold")])
        for run in report.runs:
            lines += _run(run)
        lines += _left_out(report)
        lines += _not_checked(report)
    for alarm in report.alarms:
        lines.append([("  ALARM  ", "bold red"), (told_alarm(alarm), "")])
    lines.append([])
    lines.append(_verdict(report))
    return to_text(lines, color=color)


def render_ledger(report: LedgerReport, *, color: bool = False) -> str:
    """Return what is known of each output as a line, what differs most first."""
    lines: list[Line] = []
    whole = [entry for entry in report.entries if not entry.kind]
    for entry in sorted(whole, key=lambda item: (item.mean, item.pipeline, item.path)):
        bounds = entry.reproducible
        text = f"differed in {entry.k} of {entry.n}, reproducible {bounds.low:.0%} to {bounds.high:.0%}"
        style = "red" if entry.k else "green"
        lines.append(
            [(f"  {visible(entry.status):<10} ", style), (f"{visible(entry.pipeline)}  {visible(entry.path, 200)}", ""),
             (f"   {text}", "dim")]
        )  # fmt: skip
    lines.append([(f"{plural(len(whole), 'output')}, {plural(len(report.trials), 'replay')}", "")])
    return to_text(lines, color=color)


def _head(report: NightReport) -> str:
    shard = f", part {visible(report.shard)}" if report.shard else ""
    varied = f"; varied: {', '.join(map(visible, report.vary))}" if report.vary else ""
    return f"night {visible(report.night)}{shard}: {plural(len(report.runs), 'run')} replayed{varied}"


def _run(run: NightRun) -> Iterator[Line]:
    style = _STYLES[run.report.verdict]
    why = ", ".join(map(visible, run.reasons))
    replays = len(run.trials)
    yield [
        (f"  {MARKS[run.report.verdict]}  {run.report.verdict!s:<16} ", style),
        (run_name(run), ""),
        (f"   {why}{f'; {replays} replays' if replays > 1 else ''}", "dim"),
    ]
    if isinstance(run.report.error, ErrorInfo):
        message = run.report.error.message.partition("\n")[0]
        yield [(f"       {visible(message, 300)}", "dim")]
    worse = [told for told in told_outputs(run) if told[1] not in ("", "clean")]
    for path, status, kinds in worse[:_SHOWN_OUTPUTS]:
        yield [(f"       {status:<10} ", style), (f"{visible(path, 200)}   {kinds}", "")]
    if len(worse) > _SHOWN_OUTPUTS:
        yield [(f"       … {len(worse) - _SHOWN_OUTPUTS} more outputs: --json shows them all", "dim")]
    seen = next((trial.replay_id for trial in run.trials if trial.replay_id), "")
    if seen and not passes(run):
        yield [(f"       see        kfm-repro show {visible(seen, 200)}", "dim")]


def _left_out(report: NightReport) -> Iterator[Line]:
    for reason, items in left_out_by_reason(report):
        first = items[0]
        name = f"{visible(first.pipeline)}/{visible(first.run_id)}: {visible(first.detail, 160)}"
        yield [(f"  left out: {plural(len(items), 'run')}, {visible(reason)}", "dim"), (f"   {name}", "dim")]
    for note in report.notes:
        yield [("  !  ", "yellow"), (visible(note, 300), "")]


def _not_checked(report: NightReport) -> Iterator[Line]:
    for use in unchecked(report):
        told = (
            f"{visible(use.output, 200)}   {visible(use.kind)}: no replay of this night compared that output"
        )
        yield [("  waiver not checked: ", "yellow"), (told, "")]


def _verdict(report: NightReport) -> Line:
    label, style = VERDICTS[report.verdict]
    return [(label, style), (f": {sentence(report)}", "")]
