"""Reports beside what the terminal shows: ``--html``, ``--junit``, ``--markdown`` and ``--format github``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError, NotWritable, UsageError
from kfm_repro.model.report import ErrorInfo, Report, count_verdicts
from kfm_repro.model.verdict import Verdict

__all__ = ["Reports", "reporting"]


@dataclass(frozen=True)
class Reports:
    """The files that were asked for."""

    html: Path | None
    junit: Path | None
    markdown: Path | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Reports:
        """Return what the options name. Raises UsageError where it cannot be written, before anything runs."""
        made = cls(options["html"], options["junit"], options["markdown"])
        paths = [path.absolute() for path in made.paths]
        if len(set(paths)) < len(paths):
            raise UsageError("two reports would go into one file", hint="give each a file of its own")
        for path in made.paths:
            if not path.parent.is_dir():
                raise UsageError(
                    f"no such folder: {path.parent}", hint=f"make it, then write {path.name} into it"
                )
        if options["style"] == "github" and options["as_json"]:
            raise UsageError("--json and --format github contradict each other", hint="leave one of them out")
        return made

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that were asked for, in a stated order."""
        return tuple(path for path in (self.html, self.junit, self.markdown) if path is not None)

    def write(self, report: Report) -> None:
        """Write each report that was asked for. Raises NotWritable."""
        if self.html:
            from kfm_repro.present.html import render_html

            _write(self.html, render_html(report))
        if self.junit:
            from kfm_repro.present.junit import render_junit

            _write(self.junit, render_junit(report))
        if self.markdown:
            _markdown(self.markdown, report)


@contextmanager
def reporting(options: Mapping[str, Any], command: str) -> Iterator[Reports]:
    """Give the reports to write; when the command ends before its time, they say why instead of what was before."""
    reports = Reports.of(options)
    try:
        yield reports
    except NotWritable:
        raise
    except BaseException as exc:
        if reports.paths:
            reports.write(_failed(exc, command))
        raise


def _failed(exc: BaseException, command: str) -> Report:
    if isinstance(exc, KfmReproError):
        error = ErrorInfo(code=exc.code, message=exc.message, hint=exc.hint)
    elif isinstance(exc, KeyboardInterrupt):
        error = ErrorInfo(code="interrupted", message="interrupted")
    else:
        error = ErrorInfo(code="internal", message=f"{type(exc).__name__}: {exc}")
    return Report(command=command, verdict=Verdict.UNKNOWN, counts=count_verdicts(()), error=error)


def _write(path: Path, text: str, *, append: bool = False) -> None:
    """Write a file whole or not at all; what is no plain file (a pipe, a terminal) is written into."""
    from kfm_repro.runs.write import replace_text

    target = path.resolve()
    try:
        if append or (target.exists() and not target.is_file()):
            with target.open("a" if append else "w", encoding="utf-8") as file:
                file.write(text)
        else:
            replace_text(target, text)
    except OSError as exc:
        raise NotWritable(
            f"cannot write {path}: {exc.strerror or exc}",
            hint="check the folder, its permissions and the disk",
        ) from exc


def _markdown(path: Path, report: Report) -> None:
    from kfm_repro.present.markdown import MAX_BYTES, render_markdown

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary or path.resolve() != Path(summary).resolve():
        _write(path, render_markdown(report))
        return
    taken = path.stat().st_size if path.exists() else 0
    _write(path, render_markdown(report, room=MAX_BYTES - taken), append=True)
