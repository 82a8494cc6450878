"""Where the files of one run lie; the layout of ``docs/run-record.md``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["RunDir", "is_own_file"]

_OWN_FOLDERS = frozenset(("config", "environment", "manifests", "logs", "validation", "metrics", "scratch"))
_OWN_FILES = frozenset(
    ("run.yaml", "status.json", "_SUCCESS", "_FAILED", "repro_times.json", "repro_times.html")
)


def is_own_file(path: str, runs: PurePosixPath, run: PurePosixPath) -> bool:
    """Return whether a file below the folder ``runs`` is of the records themselves, and so never an output.

    In the folder of the ``run`` itself a pipeline may put outputs beside what the layout has there.
    """
    place = PurePosixPath(path)
    if not place.is_relative_to(runs):
        return False
    if place == run or not place.is_relative_to(run):
        return True
    inner = place.relative_to(run).parts
    return inner[0] in (_OWN_FILES if len(inner) == 1 else _OWN_FOLDERS)


@dataclass(frozen=True)
class RunDir:
    """The directory of one run, ``<runs>/<pipeline>/<run_id>``, and the files in it."""

    path: Path

    @property
    def name(self) -> str:
        """The run id, as the directory says it."""
        return self.path.name

    @property
    def pipeline(self) -> str:
        """The pipeline, as the directory above says it."""
        return self.path.parent.name

    @property
    def run_yaml(self) -> Path:
        """Primary metadata."""
        return self.path / "run.yaml"

    @property
    def status(self) -> Path:
        """State of the run."""
        return self.path / "status.json"

    @property
    def config(self) -> Path:
        """Snapshot of the config."""
        return self.path / "config"

    @property
    def inputs(self) -> Path:
        """Manifest of the inputs."""
        return self.path / "manifests" / "inputs.json"

    @property
    def outputs(self) -> Path:
        """Manifest of the outputs."""
        return self.path / "manifests" / "outputs.json"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.path / "logs"

    @property
    def validation(self) -> Path:
        """Folder of the validation reports."""
        return self.path / "validation"

    @property
    def report(self) -> Path:
        """Our own report on a replay."""
        return self.validation / "repro_report.json"

    @property
    def page(self) -> Path:
        """Our own report on a replay, as a page."""
        return self.validation / "repro_report.html"

    @property
    def times_report(self) -> Path:
        """Our report on several replays, this one and those before it."""
        return self.path / "repro_times.json"

    @property
    def metrics(self) -> Path:
        """Folder of runtime and counters."""
        return self.path / "metrics"

    @property
    def scratch(self) -> Path:
        """Ephemeral files: never compared, never required."""
        return self.path / "scratch"

    @property
    def success(self) -> Path:
        """Sentinel of a run that ended well."""
        return self.path / "_SUCCESS"

    @property
    def failed(self) -> Path:
        """Sentinel of a run that failed; holds the reason."""
        return self.path / "_FAILED"
