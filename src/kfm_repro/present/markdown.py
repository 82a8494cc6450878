"""A report as Markdown for the summary of a CI job: verdict, one table, the rest folded; under 1 MiB always."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from kfm_repro.model.finding import Finding, OutputComparison, OutputVerdict
from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.model.verdict import Verdict
from kfm_repro.present.lines import plural
from kfm_repro.present.terminal import told_waiver, verdict_line
from kfm_repro.present.visible import visible
from kfm_repro.present.words import LABELS, MARKS, advice, counted, how_many, place_of, title_of, worst_first

__all__ = ["MAX_BYTES", "SIGNS", "escaped", "fitted", "render_markdown", "rows_of", "table"]

MAX_BYTES = (1 << 20) - 4_096
"""GitHub drops a summary of more than 1 MiB whole; some room for whoever writes beside us."""
_ROWS, _FOLDED, _TEXT = 20, 400, 300
_HEAD = ("", "Output", "Where", "What", "How many", "What to do")
_SPECIAL = re.compile(r"[^0-9A-Za-z ,;%\u0080-\U0010ffff.-]")
SIGNS = {
    Verdict.REPRODUCIBLE: "✅", Verdict.EQUIVALENT: "🟡", Verdict.NOT_REPRODUCIBLE: "❌",
    Verdict.UNKNOWN: "❔", Verdict.WAIVED: "🟡",
}  # fmt: skip


def render_markdown(report: Report, *, room: int = MAX_BYTES) -> str:
    """Return the report as Markdown of at most ``room`` bytes; rows that do not fit are counted."""
    return fitted(lambda most: _render(report, most), LABELS[report.verdict], room)


def fitted(render: Callable[[int], str], label: str, room: int) -> str:
    """Return what ``render`` makes of as many folded rows as fit into ``room`` bytes; else the label, else nothing."""
    most = _FOLDED
    while True:
        text = render(most)
        if len(text.encode("utf-8")) <= room:
            return text
        if not most:
            break
        most //= 2
    short = f"### {label}\n\nThe report is too long for this summary.\n\n"
    return short if len(short.encode("utf-8")) <= room else ""


def escaped(value: object, limit: int = _TEXT) -> str:
    """Return a text that no Markdown and no HTML takes for anything but text: its signs become references."""
    text = visible(value, limit)
    text = _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", text)
    return text.replace("www.", "www&#46;")


def _render(report: Report, most: int) -> str:
    name = "files" if isinstance(report.run, msgspec.UnsetType) else escaped(report.run.pipeline)
    lines = [
        f"### {SIGNS[report.verdict]} {name}: {LABELS[report.verdict].lower()}",
        "",
        escaped(verdict_line(report).partition(": ")[2], 1_000),
        "",
    ]
    if isinstance(report.error, ErrorInfo) and report.error.hint:
        lines += [f"What to do: {escaped(report.error.hint, 1_000)}", ""]
    rows = [row for output in worst_first(report) for row in _rows(output, replay=bool(report.replays))]
    lines += rows_of(_HEAD, rows, most)
    waivers = [f"- waiver {use.state}: {escaped(told_waiver(use), 600)}" for use in report.waivers[:50]]
    lines += [*waivers, ""] if waivers else []
    notes = [f"- {escaped(item.name)}: {escaped(item.detail, 600)}" for item in report.preconditions[:50]
             if item.state not in ("ok", "assumed")]  # fmt: skip
    if notes:
        told = plural(len(notes), "precondition")
        lines += [f"<details><summary>{told} to look at</summary>", "", *notes, "", "</details>", ""]
    return "\n".join(lines) + "\n"


def rows_of(head: Sequence[str], rows: Sequence[tuple[str, ...]], most: int) -> list[str]:
    """Return rows as a table, those after the first few folded; at most ``most`` of them, the others counted."""
    folded = rows[_ROWS : _ROWS + most]
    lines = table(head, rows[:_ROWS])
    if folded:
        lines += [
            f"<details><summary>{len(folded)} more</summary>",
            "",
            *table(head, folded),
            "</details>",
            "",
        ]
    left = len(rows) - len(rows[:_ROWS]) - len(folded)
    return [*lines, f"{left} more rows are in the JSON report.", ""] if left else lines


def table(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, and an empty one; of no rows, nothing."""
    if not rows:
        return []
    return [f"| {' | '.join(cells)} |" for cells in (tuple(head), ("---",) * len(head), *rows)] + [""]


def _rows(output: OutputComparison, *, replay: bool) -> list[tuple[str, ...]]:
    if output.verdict is OutputVerdict.IDENTICAL:
        return []
    mark = escaped(MARKS[output.verdict])
    path = f"<code>{escaped(output.path, 200)}</code>"
    found = counted(output)
    if not found:
        return [(mark, path, "", str(output.verdict), "", "")]
    return [(mark, path, *_cells(finding, replay=replay)) for finding in found[:50]]


def _cells(finding: Finding, *, replay: bool) -> tuple[str, ...]:
    place = place_of(finding)
    causes = [
        f"<code>{escaped(cause.source or cause.axis)}</code> {escaped(cause.call)}".rstrip()
        for cause in finding.causes[:2]
    ]
    return (
        f"<code>{escaped(place)}</code>" if place else "",
        escaped(title_of(finding, replay=replay)),
        how_many(finding),
        "<br>".join([*causes, *filter(None, [escaped(advice(finding))])]),
    )
