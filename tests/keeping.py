"""Run records written as kfm-repro writes them, without running anything: for tests of what is kept."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kfm_repro.model.manifest import Entry
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project, Settings
from kfm_repro.runs.provenance import write_provenance
from kfm_repro.runs.write import RunWriter, stamp

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shelf:
    """A project with run records and stored objects."""

    project: Project

    @property
    def store(self) -> ObjectStore:
        """The object store of the project."""
        return ObjectStore.of(self.project)

    def run(
        self,
        number: int,
        *,
        pipeline: str = "job",
        state: str = "success",
        of: str = "",
        prov: bool = True,
        content: bytes | None = None,
    ) -> RunDir:
        """Write run ``number``, a day after the one before; its only output is ``content``, stored."""
        started = START + timedelta(days=number)
        writer = RunWriter(self.project.runs, pipeline, f"run{number:03}", started, of=of)
        document = {
            "run_id": writer.run.name,
            "pipeline": {"name": pipeline, "version": {"git_commit": "a" * 40}},
            "runtime": {"started_at": stamp(started), "finished_at": stamp(started + timedelta(seconds=9))},
            "inputs_manifest": "manifests/inputs.json",
            "outputs_manifest": "manifests/outputs.json",
        }
        writer.yaml(document | ({"replay": {"of": of}} if of else {}))
        sha256 = self.keep(f"output of {number}".encode() if content is None else content)
        writer.manifest("inputs", (), started)
        writer.manifest("outputs", (Entry(path="data/processed/out.txt", sha256=sha256),), started)
        if state != "running":
            writer.finish(state, started + timedelta(seconds=9), reason="" if state == "success" else "why")
        if prov and state != "running":
            write_provenance(self.project, writer.run)
        return writer.run

    def keep(self, content: bytes) -> str:
        """Store ``content`` as an object and return its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        source = self.project.root / "source.bin"
        source.write_bytes(content)
        assert self.store.add(source, sha256)
        return sha256

    def object_path(self, sha256: str) -> Path:
        """Return where an object lies."""
        return self.project.objects / sha256[:2] / sha256[2:]

    def age(self) -> None:
        """Make every stored object a day old."""
        for item in self.store.objects():
            path = self.object_path(item.sha256)
            os.utime(path, (item.added - 86_400, item.added - 86_400))

    def names(self) -> list[str]:
        """Return the runs that are there, as ``pipeline/id``."""
        found = self.project.runs.glob("[!.]*/*/status.json")
        return sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in found)

    def sound_digests(self) -> set[str]:
        """Return every object whose bytes are what its name says."""
        found = {item.sha256 for item in self.store.objects()}
        return {n for n in found if hashlib.sha256(self.object_path(n).read_bytes()).hexdigest() == n}


def shelf(root: Path, **settings: object) -> Shelf:
    """Return an empty project in ``root``."""
    runs = root / "data/work/runs"
    runs.mkdir(parents=True)
    return Shelf(Project(root, runs, Settings(**settings)))
