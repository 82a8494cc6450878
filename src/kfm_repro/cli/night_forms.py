"""The forms in which a night is written, and where the reports of its replays lie as seen from its page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kfm_repro.model.nightly import NightReport
from kfm_repro.model.report import ErrorInfo
from kfm_repro.model.verdict import Verdict
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project

__all__ = ["NightForms"]

_LONGEST = 200


@dataclass
class NightForms:
    """The forms of a night. Pages of replays are linked where they lie in the runs of ``project``."""

    night: str
    project: Project | None = None

    def html(self, document: NightReport, path: Path) -> str:
        """Return the night as one page."""
        from kfm_repro.present.night.html import render_night_html

        return render_night_html(document, dict(self._links(document, path.resolve().parent)))

    def junit(self, document: NightReport) -> str:
        """Return the night as JUnit XML."""
        from kfm_repro.present.night.junit import render_night_junit

        return render_night_junit(document)

    def markdown(self, document: NightReport, room: int) -> str:
        """Return the night as Markdown."""
        from kfm_repro.present.night.markdown import render_night_markdown

        return render_night_markdown(document, room=room)

    def failed(self, error: ErrorInfo, command: str) -> NightReport:
        """Return a night that came to nothing."""
        return NightReport(
            command=command, verdict=Verdict.UNKNOWN, counts={}, verdicts={}, night=self.night, error=error
        )

    def _links(self, report: NightReport, here: Path) -> Iterator[tuple[str, str]]:
        """Yield by the id of a replay where its page lies, seen from the folder ``here``."""
        if self.project is None:
            return
        runs = self.project.runs.resolve()
        for run in report.runs:
            for trial in run.trials:
                folder = _folder(runs, run.run.pipeline, trial.replay_id)
                if (
                    folder is not None
                    and folder.resolve() == folder
                    and (page := RunDir(folder).page).is_file()
                ):
                    yield trial.replay_id, quote(os.path.relpath(page, here), errors="surrogateescape")


def _folder(runs: Path, *names: str) -> Path | None:
    """Return the folder of a run; None where a part of a night says what is no name of one."""
    plain = all(
        0 < len(name) < _LONGEST and name.isprintable() and Path(name).parts == (name,) for name in names
    )
    return None if ".." in names or not plain else runs.joinpath(*names)
