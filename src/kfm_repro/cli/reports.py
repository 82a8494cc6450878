"""Reports beside what the terminal shows: ``--html``, ``--junit``, ``--markdown`` and ``--format github``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kfm_repro.errors import KfmReproError, NotWritable, UsageError
from kfm_repro.model.report import ErrorInfo, Report, count_verdicts
from kfm_repro.model.verdict import Verdict

__all__ = ["Forms", "Reports", "reporting"]


class Forms(Protocol):
    """The forms that a document is written in; what makes each is imported when it is asked for."""

    def html(self, document: Any, path: Path) -> str:  # noqa: ANN401 - one kind of document for each of us
        """Return it as one page that will lie at ``path``."""

    def junit(self, document: Any) -> str:  # noqa: ANN401
        """Return it as JUnit XML."""

    def markdown(self, document: Any, room: int) -> str:  # noqa: ANN401
        """Return it as Markdown of at most ``room`` bytes."""

    def failed(self, error: ErrorInfo, command: str) -> Any:  # noqa: ANN401
        """Return the document that says why there is none."""


class _OfReport:
    """The forms of a report."""

    def html(self, document: Report, path: Path) -> str:  # noqa: ARG002 - it links to nothing
        from kfm_repro.present.html import render_html

        return render_html(document)

    def junit(self, document: Report) -> str:
        from kfm_repro.present.junit import render_junit

        return render_junit(document)

    def markdown(self, document: Report, room: int) -> str:
        from kfm_repro.present.markdown import render_markdown

        return render_markdown(document, room=room)

    def failed(self, error: ErrorInfo, command: str) -> Report:
        return Report(command=command, verdict=Verdict.UNKNOWN, counts=count_verdicts(()), error=error)


_REPORT = _OfReport()


@dataclass(frozen=True)
class Reports:
    """The files that were asked for."""

    html: Path | None
    junit: Path | None
    markdown: Path | None
    forms: Forms = field(default=_REPORT)

    @classmethod
    def of(cls, options: Mapping[str, Any], forms: Forms = _REPORT) -> Reports:
        """Return what the options name. Raises UsageError where it cannot be written, before anything runs."""
        made = cls(options["html"], options["junit"], options["markdown"], forms)
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

    def write(self, document: Any) -> None:  # noqa: ANN401 - what the forms are of
        """Write each report that was asked for. Raises NotWritable."""
        for write in self._writers(document):
            write()

    def fail(self, error: ErrorInfo, command: str) -> None:
        """Write into each report why there is none, as far as they can be written: an old verdict is no longer true."""
        for write in self._writers(self.forms.failed(error, command)):
            with suppress(NotWritable):
                write()

    def _writers(self, document: Any) -> Iterator[Callable[[], None]]:  # noqa: ANN401
        if html := self.html:
            yield lambda: _write(html, self.forms.html(document, html))
        if junit := self.junit:
            yield lambda: _write(junit, self.forms.junit(document))
        if markdown := self.markdown:
            yield lambda: _markdown(markdown, self.forms, document)


@contextmanager
def reporting(options: Mapping[str, Any], command: str, forms: Forms = _REPORT) -> Iterator[Reports]:
    """Give the reports to write; when the command ends before its time, they say why instead of what was before."""
    reports = Reports.of(options, forms)
    try:
        yield reports
    except BaseException as exc:
        reports.fail(_error(exc), command)
        raise


def _error(exc: BaseException) -> ErrorInfo:
    if isinstance(exc, KfmReproError):
        return ErrorInfo(code=exc.code, message=exc.message, hint=exc.hint)
    if isinstance(exc, KeyboardInterrupt):
        return ErrorInfo(code="interrupted", message="interrupted")
    return ErrorInfo(code="internal", message=f"{type(exc).__name__}: {exc}")


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


def _markdown(path: Path, forms: Forms, document: Any) -> None:  # noqa: ANN401 - what the forms are of
    from kfm_repro.present.markdown import MAX_BYTES

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary or path.resolve() != Path(summary).resolve():
        _write(path, forms.markdown(document, MAX_BYTES))
        return
    taken = path.stat().st_size if path.exists() else 0
    _write(path, forms.markdown(document, MAX_BYTES - taken), append=True)
