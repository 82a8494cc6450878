"""Annotations of GitHub Actions: at most ten, each at the line of the pipeline where the report knows one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

from kfm_repro.model.finding import OutputComparison, OutputVerdict
from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.model.verdict import ExitCode, exit_code
from kfm_repro.present.terminal import verdict_line
from kfm_repro.present.visible import visible
from kfm_repro.present.words import LABELS, advice, counted, how_many, place_of, title_of, worst_first

__all__ = ["MAX_ANNOTATIONS", "annotation", "fenced", "render_github"]

MAX_ANNOTATIONS = 10
"""GitHub shows ten errors of a step and drops the others without a word."""
_FINDINGS = 5
_SOURCE = re.compile(r"(?P<file>[^:]+?)(?::(?P<line>\d{1,7}))?")


def render_github(report: Report) -> str:
    """Return one workflow command per output that does not pass, the worst first; empty when all is well."""
    if exit_code(report.verdict, report.outputs) is ExitCode.OK:
        return ""
    outputs = [output for output in worst_first(report) if _is_told(output)]
    lines: list[str] = []
    if isinstance(report.error, ErrorInfo) or not outputs:
        hint = report.error.hint if isinstance(report.error, ErrorInfo) else ""
        message = ". ".join(filter(None, (verdict_line(report).rstrip("."), visible(hint, 500))))
        lines.append(
            annotation("error", f"kfm-repro: {LABELS[report.verdict].lower()}", message, *_pipeline(report))
        )
    room = MAX_ANNOTATIONS - len(lines)
    shown = outputs if len(outputs) <= room else outputs[: room - 1]
    lines += [_annotation(output, report) for output in shown]
    if len(shown) < len(outputs):
        more = f"{len(outputs) - len(shown)} more outputs do not pass: the report has them all"
        lines.append(annotation("warning", "kfm-repro", more, *_pipeline(report)))
    return "".join(f"{line}\n" for line in lines)


def fenced(text: str) -> str:
    """Return text of which GitHub takes no line for a command; the fence is named after what it encloses."""
    token = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _is_told(output: OutputComparison) -> bool:
    return output.verdict is not OutputVerdict.IDENTICAL and not output.accepted


def _annotation(output: OutputComparison, report: Report) -> str:
    found = counted(output)
    told = [
        ", ".join(filter(None, (place_of(f), title_of(f, replay=bool(report.replays)), how_many(f))))
        + (f". {advice(f)}" if advice(f) else "")
        for f in found[:_FINDINGS]
    ]
    if len(found) > _FINDINGS:
        told.append(f"{len(found) - _FINDINGS} more findings")
    level = "warning" if output.verdict in (OutputVerdict.EQUIVALENT, OutputVerdict.UNKNOWN) else "error"
    causes = [cause.source for finding in found for cause in finding.causes]
    places = (place for source in causes if (place := _place(source))[0])
    file, line = next(places, _pipeline(report))
    title = f"{output.verdict}: {visible(output.path, 200)}"
    return annotation(level, title, "\n".join(visible(text, 600) for text in told), file, line)


def _pipeline(report: Report) -> tuple[str, str]:
    if isinstance(report.run, msgspec.UnsetType) or isinstance(report.run.source, msgspec.UnsetType):
        return "", ""
    return _place(report.run.source)


def _place(source: str) -> tuple[str, str]:
    """Return file and line of ``pipelines/x.py:88``; nothing for what is no file below the root."""
    match = _SOURCE.fullmatch(source)
    if not match or match["file"].startswith("/") or ".." in match["file"].split("/"):
        return "", ""
    return visible(match["file"], 400), match["line"] or ""


def annotation(level: str, title: str, message: str, file: str = "", line: str = "") -> str:
    """Return one workflow command, an ``error`` or a ``warning``.

    GitHub reads ``%``, line ends and, in properties, ``:`` and ``,`` as escapes.
    """
    properties = ",".join(_properties(file=file, line=line if file else "", title=title))
    return f"::{level} {properties}::{_data(message)}"


def _properties(**values: str) -> Iterator[str]:
    for name, value in values.items():
        if value:
            yield f"{name}={_data(value).replace(':', '%3A').replace(',', '%2C')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
