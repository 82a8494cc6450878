"""Put a run into a pack: its record and, on demand, the bytes of its outputs, its inputs and its code."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfm_repro.errors import InconsistentRun, NotDisclosed
from kfm_repro.execute.checkout import check_code
from kfm_repro.execute.inputs import resolve_inputs
from kfm_repro.execute.transfer import object_format, write_bundle
from kfm_repro.judge.baseline import recorded_outputs
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.pack import PackCode
from kfm_repro.model.provenance import PackReport
from kfm_repro.model.report import RunRef
from kfm_repro.model.run import Run, RunState
from kfm_repro.runs.bundle import CODE, Member, record_members, write_pack
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.locks import runs_lock
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state
from kfm_repro.runs.status import mark_retained

__all__ = ["PackRequest", "pack_run"]

_OPEN = frozenset({"public", "open"})
_LABELS = ("classification", "sensitivity", "label", "kfm:classification", "kfm:sensitivity", "kfm:label")
_SHOWN = 8


@dataclass(frozen=True)
class PackRequest:
    """What to pack, and where to. ``output`` None takes ``<pipeline>__<run_id>.zip`` in the current folder."""

    output: Path | None = None
    with_outputs: bool = False
    bundle: bool = False
    restricted: bool = False
    max_bytes: int = 2 << 30


class _Hit(Protocol):
    file: str
    line: int
    kind: str


@dataclass(frozen=True)
class _Contents:
    members: list[Member]
    parts: list[str]
    code: PackCode | None
    notes: list[str]


def pack_run(project: Project, spec: str, request: PackRequest) -> PackReport:
    """Write the pack of the run that ``spec`` names, and mark the run as an artifact, which prune keeps.

    Raises NotDisclosed for secrets in the record, and for restricted data unless the request allows it;
    InconsistentRun for a run that is still running; and what reading, resolving and writing raise.
    """
    run = resolve_run(project, spec)
    if read_state(run)[0] is RunState.RUNNING:
        raise InconsistentRun(f"run {run.name} is still running", hint="pack it when it has ended")
    record = read_run(run)
    inputs = read_manifest(run, record.inputs_manifest, "inputs")
    outputs = read_manifest(run, record.outputs_manifest, "outputs")
    if not request.restricted:
        _refuse_restricted(project, run, inputs if request.bundle else Manifest(), outputs)
    secrets = _search_secrets(run)
    target = request.output or Path(f"{run.pipeline}__{run.name}.zip")
    with (
        runs_lock(project.runs, shared=True),
        tempfile.TemporaryDirectory(prefix="kfm-repro-pack-") as folder,
    ):
        found = _contents(project, run, record, (inputs, outputs), request, Path(folder))
        packed = write_pack(
            target.absolute(), run, found.members, contents=found.parts, code=found.code, max_bytes=request.max_bytes
        )  # fmt: skip
        mark_retained(run, "artifact")
    return PackReport(
        run=RunRef(
            run_id=record.run_id, pipeline=run.pipeline, git_commit=record.pipeline.version.git_commit
        ),
        path=str(target),
        sha256=packed.sha256,
        size_bytes=packed.size_bytes,
        members=packed.members,
        contents=tuple(found.parts),
        secrets=secrets,
        notes=tuple(found.notes),
    )


def _contents(
    project: Project,
    run: RunDir,
    record: Run,
    manifests: tuple[Manifest, Manifest],
    request: PackRequest,
    spool: Path,
) -> _Contents:
    inputs, outputs = manifests
    objects: dict[str, Member] = {}
    parts, notes, code = ["record"], [], None
    members = record_members(run)
    if request.with_outputs or request.bundle:
        parts.append("outputs")
        known = recorded_outputs(project, record, outputs, spool / "outputs")
        for entry in outputs.entries:
            file = known[entry.path].file
            if file is None or entry.sha256 is None:
                notes.append(f"without the bytes of output {entry.path}: {known[entry.path].reason}")
            else:
                objects[entry.sha256] = Member(f"objects/{entry.sha256}", file)
    if request.bundle:
        parts += ["inputs", "code"]
        checked = check_code(project.root, run, record.pipeline.version)
        sources = resolve_inputs(
            project.root, inputs, ObjectStore(project.runs), (checked.repository, checked.commit),
            current=False, spool=spool / "inputs",
        )  # fmt: skip
        for source in sources:
            sha256 = source.digest.sha256
            objects[sha256] = Member(f"objects/{sha256}", source.file)
            if source.entry.sha256 is None:
                notes.append(f"input {source.entry.path} has no recorded digest: today's file was packed")
        write_bundle(checked.repository, checked.commit, spool / CODE)
        code = PackCode(
            commit=checked.commit,
            prefix=checked.repository.prefix,
            object_format=object_format(checked.repository),
        )
        members.append(Member(CODE, spool / CODE))
        if checked.uncaptured:
            notes.append(checked.uncaptured)
    return _Contents([*members, *objects.values()], parts, code, notes)


def _refuse_restricted(project: Project, run: RunDir, inputs: Manifest, outputs: Manifest) -> None:
    """Refuse a pack of data that is not open to all (rule 17).

    No label is open only where no label is in use; a label that is not known is not open.
    """
    names = _restricted_paths(project, inputs, outputs)
    if names:
        shown = "".join(f"\n  {name}" for name in names[:_SHOWN])
        more = f"\n  … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise NotDisclosed(
            f"run {run.name} is about data that is not open to all:{shown}{more}",
            hint="if the pack may hold it all the same, say so with --restricted",
        )


def _restricted_paths(project: Project, inputs: Manifest, outputs: Manifest) -> list[str]:
    entries = (*inputs.entries, *outputs.entries)
    if importlib.util.find_spec("kfm_repro.runs.labels") is not None:
        labels = importlib.import_module("kfm_repro.runs.labels")
        read = labels.read_labels(project, (), entries)
        return sorted({entry.path for entry in entries if not read.may_show(entry.path)})
    found = {entry.path: _labels(entry) for entry in entries}
    in_use = any(found.values())
    return sorted(path for path, own in found.items() if own - _OPEN or (in_use and not own))


def _labels(entry: Entry) -> frozenset[str]:
    values = [entry.extra[name] for name in _LABELS if entry.extra.get(name) is not None]
    return frozenset(str(value).strip().casefold() for value in values)


def _search_secrets(run: RunDir) -> str:
    """Return ``none`` when the record was searched and holds no secret, ``not-run`` when nothing can search it.

    Raises NotDisclosed naming file, line and kind of each, never the value (rule 24).
    """
    if importlib.util.find_spec("kfm_repro.runs.secrets") is None:
        return "not-run"
    scan = importlib.import_module("kfm_repro.runs.secrets").scan(run.path)
    hits: tuple[_Hit, ...] = tuple(scan.hits)
    if hits:
        shown = "".join(f"\n  {hit.file}:{hit.line}: {hit.kind}" for hit in hits[:_SHOWN])
        more = f"\n  … and {len(hits) - _SHOWN} more" if len(hits) > _SHOWN else ""
        raise NotDisclosed(
            f"the record of run {run.name} holds what looks like secrets:{shown}{more}",
            hint="take them out of what the pipeline reads and writes, renew them, and record again",
            code="secrets-found",
        )
    return "partial" if scan.unread else "none"
