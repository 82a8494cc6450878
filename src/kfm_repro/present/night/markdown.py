"""A night as Markdown for the summary of a CI job: verdict, alarms, what fails it, the rest folded; under 1 MiB."""

from __future__ import annotations

from collections.abc import Iterator

from kfm_repro.model.nightly import Alarm, NightReport, NightRun
from kfm_repro.model.report import ErrorInfo
from kfm_repro.present.lines import plural
from kfm_repro.present.markdown import MAX_BYTES, SIGNS, escaped, fitted, rows_of, table
from kfm_repro.present.night.words import (
    MARKS,
    TITLES,
    left_out_by_reason,
    passes,
    sentence,
    told_outputs,
    worst_first,
)
from kfm_repro.present.words import LABELS

__all__ = ["render_night_markdown"]

_HEAD = ("", "Run", "Verdict", "Output", "Status", "What")
_ALARMS, _OUTPUTS, _WAIVERS, _LEFT_OUT, _COMMIT = 50, 20, 50, 5, 12


def render_night_markdown(report: NightReport, *, room: int = MAX_BYTES) -> str:
    """Return the night as Markdown of at most ``room`` bytes; rows that do not fit are counted."""
    return fitted(lambda most: _render(report, most), LABELS[report.verdict], room)


def _render(report: NightReport, most: int) -> str:
    part = f", part {escaped(report.shard)}" if report.shard else ""
    lines = [
        f"### {SIGNS[report.verdict]} night {escaped(report.night)}{part}: {LABELS[report.verdict].lower()}",
        "",
        escaped(sentence(report), 1_000),
        "",
    ]
    if isinstance(report.error, ErrorInfo) and report.error.hint:
        lines += [f"What to do: {escaped(report.error.hint, 1_000)}", ""]
    lines += table(
        ("", "Alarm", "Output", "What", "Run", "Commit"), [_alarm(a) for a in report.alarms[:_ALARMS]]
    )
    if len(report.alarms) > _ALARMS:
        lines += [f"{len(report.alarms) - _ALARMS} more alarms are in the JSON report.", ""]
    runs = worst_first(report)
    lines += rows_of(_HEAD, [row for run in runs if not passes(run) for row in _rows(run)], most)
    well = [row for run in runs if passes(run) for row in _rows(run)]
    if well and most:
        told = plural(sum(map(passes, runs)), "run")
        lines += [f"<details><summary>{told} pass{'es' * (told[:2] == '1 ')}</summary>", ""]
        lines += [*table(_HEAD, well[:most]), *_more(len(well) - most, "rows"), "</details>", ""]
    lines += _left_out(report) if most else []
    lines += _waivers(report)
    return "\n".join(lines) + "\n"


def _alarm(alarm: Alarm) -> tuple[str, ...]:
    return (
        "🔔",
        TITLES.get(alarm.kind, escaped(alarm.kind)),
        _code(alarm.output),
        escaped(alarm.message, 500),
        _code(f"{alarm.pipeline}/{alarm.run_id}") if alarm.run_id else escaped(alarm.pipeline),
        _code(alarm.commit[:_COMMIT]),
    )


def _rows(run: NightRun) -> Iterator[tuple[str, ...]]:
    """Yield a row for each output that is not as recorded, or one for the run."""
    head = (
        escaped(MARKS[run.report.verdict]),
        _code(f"{run.run.pipeline}/{run.run.run_id}"),
        str(run.report.verdict),
    )
    outputs = [*told_outputs(run)]
    if isinstance(run.report.error, ErrorInfo) or not outputs:
        message = run.report.error.message if isinstance(run.report.error, ErrorInfo) else ""
        yield (*head, "", "", escaped(message.partition("\n")[0]))
    for path, status, kinds in outputs[:_OUTPUTS]:
        yield (*head, _code(path), escaped(status), escaped(kinds))
    if len(outputs) > _OUTPUTS:
        yield (*head, "", "", f"{len(outputs) - _OUTPUTS} more outputs")


def _left_out(report: NightReport) -> Iterator[str]:
    if not report.left_out:
        return
    yield f"<details><summary>{plural(len(report.left_out), 'run')} left out</summary>"
    yield ""
    for reason, items in left_out_by_reason(report):
        yield f"- {escaped(reason)}: {plural(len(items), 'run')}"
        for item in items[:_LEFT_OUT]:
            yield f"  - {_code(f'{item.pipeline}/{item.run_id}')} {escaped(item.detail)}"
        yield from (f"  - {text}" for text in _more(len(items) - _LEFT_OUT, "runs") if text)
    yield from ("", "</details>", "")


def _waivers(report: NightReport) -> Iterator[str]:
    for use in report.waivers[:_WAIVERS]:
        yield (
            f"- waiver {use.state}: {_code(use.output)} {escaped(use.kind)}, until {escaped(use.expires)}: "
            f"{escaped(use.reason, 600)}"
        )
    if report.waivers:
        yield ""


def _more(count: int, what: str) -> list[str]:
    return [f"{count} more {what} are in the JSON report.", ""] if count > 0 else []


def _code(text: str) -> str:
    return f"<code>{escaped(text)}</code>" if text else ""
