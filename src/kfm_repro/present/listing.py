"""Runs in brief as a table for people at a terminal."""

from __future__ import annotations

from kfm_repro.model.listing import ListedRun, ListReport
from kfm_repro.model.run import RunState
from kfm_repro.present.lines import Line, to_text
from kfm_repro.present.visible import visible

__all__ = ["STATE_STYLES", "render_listing", "seconds_text"]

STATE_STYLES = {
    RunState.SUCCESS: "green",
    RunState.FAILED: "red",
    RunState.ABORTED: "magenta",
    RunState.RUNNING: "cyan",
    RunState.INCONSISTENT: "bold red",
}
_HEADS = ("started (UTC)", "pipeline", "run", "state", "took")
_NARROW = 40
_MINUTE, _HOUR = 60, 3600


def render_listing(report: ListReport, where: str, *, color: bool = False, quiet: bool = False) -> str:
    """Return the runs as lines of a table and their number as the last line; ``quiet`` leaves only that."""
    lines: list[Line] = []
    if report.runs and not quiet:
        rows = [_cells(run) for run in report.runs]
        widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
        lines.append([("  ".join(_pad(_HEADS, widths)).rstrip(), "bold")])
        for run, cells in zip(report.runs, rows, strict=True):
            padded = _pad(cells, widths)
            lines.append(
                [
                    ("  ".join(padded[:3]) + "  ", ""),
                    (padded[3], STATE_STYLES[run.state]),
                    ("  " + padded[4], ""),
                    (_remark(run), "dim"),
                ]
            )
    lines.append([(_summary(report, where), "")])
    return to_text(lines, color=color)


def seconds_text(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def _cells(run: ListedRun) -> tuple[str, ...]:
    started = run.started_at[:19].replace("T", " ") if run.started_at else "unknown"
    return (
        started,
        visible(run.pipeline, _NARROW),
        visible(run.run_id, 200),
        str(run.state),
        seconds_text(run.duration_s),
    )


def _pad(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]


def _remark(run: ListedRun) -> str:
    parts = [f"replay of {visible(run.replay_of, 200)}"] if run.replay_of else []
    if run.partial:
        parts.append("partial: no run.yaml")
    if run.reason:
        parts.append(visible(run.reason.splitlines()[0], 100))
    return "  " + "; ".join(parts) if parts else ""


def _summary(report: ListReport, where: str) -> str:
    count, total = len(report.runs), report.total
    if not total:
        return f"no runs under {visible(where, 300)}"
    if not count:
        return f"none of {total} run{'s' if total != 1 else ''} fits"
    states = ", ".join(f"{number} {state}" for state, number in report.counts.items() if number)
    of = f" of {total}" if total != count else ""
    return f"{count}{of} run{'s' if total != 1 else ''}: {states}"
