"""What a replay leaves in its record when the pipeline has run: manifests, objects, metrics, logs, validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from kfm_repro.execute.gather import Gathered
from kfm_repro.execute.inputs import InputSource
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.process import Outcome
from kfm_repro.execute.record import write_metrics
from kfm_repro.execute.validation import write_validation
from kfm_repro.model.manifest import Entry
from kfm_repro.model.verification import SecretHit
from kfm_repro.runs.labels import Labels, label_fields, read_labels
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact_folder
from kfm_repro.runs.trust import foreign_labels
from kfm_repro.runs.write import RunWriter

__all__ = ["replay_labels", "write_results"]


def write_results(
    writer: RunWriter,
    project: Project,
    plan: Plan,
    outcome: Outcome,
    sources: tuple[InputSource, ...],
    wrote: Gathered,
) -> tuple[SecretHit, ...]:
    """Write manifests, objects, metrics, logs and what can be validated; return where secrets were in the logs."""
    labels = replay_labels(project, plan, (item.entry for item in wrote.produced.values()))
    recorded = {entry.path: _said_of(entry, plan) for entry in plan.outputs.entries}
    items = [
        replace(item, entry=_with(item.entry, recorded.get(path, {})))
        for path, item in sorted(wrote.produced.items())
    ]
    inputs = tuple(_with(_as_laid(source), _said_of(source.entry, plan)) for source in sources)
    writer.manifest("inputs", inputs, outcome.started)
    others = (_with(item.entry, recorded.get(path, {})) for path, item in sorted(wrote.unrecorded.items()))
    writer.manifest("outputs", (*(item.entry for item in items), *others), outcome.finished)
    ObjectStore.of(project).add_all((item.file, item.entry.sha256 or "") for item in items)
    write_metrics(writer.run, outcome, items)
    printed = redact_folder(writer.run.logs)
    write_validation(project, writer.run, inputs, items, labels=labels)
    return printed


def replay_labels(project: Project, plan: Plan, written: Iterable[Entry]) -> Labels:
    """Return the labels of the recorded run, and of what only the replay wrote (rule 17)."""
    recorded = plan.outputs.entries
    paths = {entry.path for entry in recorded}
    extra = (entry for entry in written if entry.path not in paths)
    return read_labels(project, plan.inputs.entries, (*recorded, *extra), run=plan.original)


def _as_laid(source: InputSource) -> Entry:
    digest = source.digest
    return Entry(path=source.entry.path, sha256=digest.sha256, size_bytes=digest.size_bytes)


def _said_of(entry: Entry, plan: Plan) -> dict[str, Any]:
    """Return the labels and licence of a recorded file, which hold for what a replay makes of it (rule 17)."""
    came = foreign_labels(plan.original).get(entry.path)
    return label_fields(entry.extra) | ({"label": came} if came else {})


def _with(entry: Entry, extra: dict[str, Any]) -> Entry:
    return msgspec.structs.replace(entry, extra=entry.extra | extra) if extra else entry
