"""What this machine can do for a replay, for people at a terminal."""

from __future__ import annotations

from kfm_repro.model.doctor import DoctorReport
from kfm_repro.present.lines import Line, to_text
from kfm_repro.present.visible import visible

__all__ = ["render_doctor"]

_YES, _NO = ("yes", "green"), ("no", "red")


def render_doctor(report: DoctorReport, *, color: bool = False, quiet: bool = False) -> str:
    """Return levels, axes, tools and what is missing as lines; ``quiet`` leaves the last line."""
    lines: list[Line] = []
    if not quiet:
        lines += [*_levels(report), *_axes(report), *_tools(report)]
        lines += [[("  ", ""), (visible(note, 300), "dim")] for note in report.notes]
    pinned, varied = sum(axis.pinned for axis in report.axes), sum(axis.varied for axis in report.axes)
    total = len(report.axes)
    text = f"replays run at level {report.level}; of {total} axes {pinned} can be pinned and {varied} varied here"
    return to_text([*lines, [(text, "")]], color=color)


def _levels(report: DoctorReport) -> list[Line]:
    lines: list[Line] = [[("isolation", "bold")]]
    for item in report.levels:
        mark = _YES if item.available else _NO
        reason = f"  {visible(item.reason, 200)}" if item.reason else ""
        taken = "  taken" if item.level == report.level else ""
        lines.append([(f"  {item.level:<10} ", ""), mark, (f"{taken}{reason}", "dim")])
        if item.enable:
            lines.append([("             to enable it: ", "dim"), (visible(item.enable, 300), "")])
    why = f"  {visible(report.agent_reason, 200)}" if report.agent_reason else ""
    lines.append([(f"  agent      {report.agent}", ""), (why, "dim")])
    return lines


def _axes(report: DoctorReport) -> list[Line]:
    lines: list[Line] = [[(f"axes at level {report.level}        pin  vary", "bold")]] if report.axes else []
    for axis in report.axes:
        reasons = [text for text in (axis.pin_reason, axis.vary_reason) if text]
        line: Line = [(f"  {axis.axis:<26} ", "")]
        for done in (axis.pinned, axis.varied):
            word, style = _YES if done else _NO
            line.append((f"{word:<5}", style))
        lines.append([*line, (visible("; ".join(dict.fromkeys(reasons)), 200), "dim")])
    return lines


def _tools(report: DoctorReport) -> list[Line]:
    lines: list[Line] = [[("tools", "bold")]]
    for tool in report.tools:
        if tool.found:
            lines.append([(f"  {tool.name:<12} ", ""), _YES, (f"  {visible(tool.found, 200)}", "dim")])
        else:
            lines.append([(f"  {tool.name:<12} ", ""), _NO, (f"   for {tool.used_for}: {tool.get}", "")])
    return lines
