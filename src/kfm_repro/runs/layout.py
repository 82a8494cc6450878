"""Where the files of one run lie; the layout of ``docs/run-record.md``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["RunDir"]


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
