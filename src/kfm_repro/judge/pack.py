"""Put a run into a pack: its record and, on demand, the bytes of its outputs, its inputs and its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kfm_repro.errors import InconsistentRun, NotDisclosed, NotWritable
from kfm_repro.execute.inputs import resolve_inputs
from kfm_repro.execute.transfer import object_format, write_bundle
from kfm_repro.judge.baseline import recorded_outputs
from kfm_repro.judge.bundled import Bundled, check_bundled
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.pack import PackCode
from kfm_repro.model.provenance import PackReport
from kfm_repro.model.report import RunRef
from kfm_repro.model.run import Run, RunState
from kfm_repro.runs.bundle import CODE, Member, record_members, write_pack
from kfm_repro.runs.discover import held_run
from kfm_repro.runs.labels import Labels, read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state
from kfm_repro.runs.secrets import scan
from kfm_repro.runs.status import mark_retained
from kfm_repro.runs.trouble import way_out

__all__ = ["PackRequest", "pack_run"]

_SHOWN = 8


@dataclass(frozen=True)
class PackRequest:
    """What to pack, and where to. ``output`` None takes ``<pipeline>__<run_id>.zip`` in the current folder."""

    output: Path | None = None
    with_outputs: bool = False
    bundle: bool = False
    restricted: bool = False
    max_bytes: int = 2 << 30


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
    with held_run(project, spec) as run:
        return _pack(project, run, request)


def _pack(project: Project, run: RunDir, request: PackRequest) -> PackReport:
    if read_state(run)[0] is RunState.RUNNING:
        raise InconsistentRun(f"run {run.name} is still running", hint="pack it when it has ended")
    record = read_run(run)
    inputs = read_manifest(run, record.inputs_manifest, "inputs")
    outputs = read_manifest(run, record.outputs_manifest, "outputs")
    labels = read_labels(project, inputs.entries, outputs.entries, run=run)
    bundled = check_bundled(project, run, record, (inputs, outputs), labels) if request.bundle else None
    # What cannot be packed at all is refused with its own reason, before the search stumbles over it.
    record_members(run)
    secrets = _search_secrets(run, partly=request.restricted)
    if not request.restricted:
        _refuse_restricted(run, labels, bundled)
    target = (request.output or Path(f"{run.pipeline}__{run.name}.zip")).absolute()
    with _spool(target) as folder:
        found = _contents(project, run, record, (inputs, outputs), request, bundled, folder)
        packed = write_pack(
            target, run, found.members, contents=found.parts, code=found.code,
            labels={**labels.added, **(bundled.labels if bundled else {})},
            max_bytes=request.max_bytes,
        )  # fmt: skip
        mark_retained(run, "artifact")
    return PackReport(
        run=RunRef(
            run_id=record.run_id, pipeline=run.pipeline, git_commit=record.pipeline.version.git_commit
        ),
        path=str(request.output or target.name),
        sha256=packed.sha256,
        size_bytes=packed.size_bytes,
        members=packed.members,
        contents=tuple(found.parts),
        secrets=_said_of_secrets(secrets, bundled),
        notes=tuple(found.notes),
    )


@contextmanager
def _spool(target: Path) -> Iterator[Path]:
    """Make a folder beside the pack, where there has to be room for it anyway. Raises NotWritable."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=".kfm-repro-pack-", dir=target.parent)
    except OSError as exc:
        raise NotWritable(
            f"the pack cannot be written: {exc.strerror or exc}: {target.parent}",
            hint=f"{way_out(target.parent, exc)}; or name another folder with --output",
        ) from exc
    with folder as path:
        yield Path(path)


def _contents(
    project: Project,
    run: RunDir,
    record: Run,
    manifests: tuple[Manifest, Manifest],
    request: PackRequest,
    bundled: Bundled | None,
    spool: Path,
) -> _Contents:
    inputs, outputs = manifests
    objects: dict[str, Member] = {}
    parts, notes, code = ["record"], [], None
    members = record_members(run)
    if request.with_outputs or bundled:
        parts.append("outputs")
        known = recorded_outputs(project, record, outputs, spool / "outputs")
        for entry in outputs.entries:
            file = known[entry.path].file
            if file is None or entry.sha256 is None:
                notes.append(f"without the bytes of output {entry.path}: {known[entry.path].reason}")
            else:
                objects[entry.sha256] = Member(f"objects/{entry.sha256}", file)
    if bundled:
        parts += ["inputs", "code"]
        checked = bundled.code
        sources = resolve_inputs(
            project.root, inputs, ObjectStore.of(project), (checked.repository, checked.commit),
            current=False, spool=spool / "inputs",
        )  # fmt: skip
        for source in sources:
            sha256 = source.digest.sha256
            objects[sha256] = Member(f"objects/{sha256}", source.file)
            if source.entry.sha256 is None:
                notes.append(
                    f"input {source.entry.path} has no recorded digest: today's file was packed, "
                    "and a replay elsewhere needs it put in its place"
                )
        write_bundle(checked.repository, checked.commit, spool / CODE)
        code = PackCode(
            commit=checked.commit,
            prefix=checked.repository.prefix,
            object_format=object_format(checked.repository),
        )
        members.append(Member(CODE, spool / CODE))
        notes += bundled.notes({entry.path for entry in (*inputs.entries, *outputs.entries)})
    return _Contents([*members, *objects.values()], parts, code, notes)


def _refuse_restricted(run: RunDir, labels: Labels, bundled: Bundled | None) -> None:
    """Refuse a pack of what is not open to all (rule 17), and code with what looks like secrets (rule 24).

    No label is open only where no label is in use; a label that is not known is not open. Secrets in code need
    only the flag: a commit cannot be changed any more, and a test may well have a password that opens nothing.
    """
    names = sorted({*labels.closed(with_inputs=bundled is not None), *(bundled.closed if bundled else ())})
    if names:
        raise NotDisclosed(
            f"run {run.name} is about data that is not open to all:{_listed(names)}",
            hint="if the pack may hold it all the same, say so with --restricted",
        )
    if bundled and not bundled.scan.clean:
        unread = [f"{path}: not read to its end" for path in bundled.scan.unread]
        raise NotDisclosed(
            f"the code of run {run.name} holds, or may hold, what looks like secrets:"
            f"{_listed([*bundled.secrets(), *unread])}",
            hint="pack it without --bundle; or, if none of them opens anything, say so with --restricted",
            code="secrets-found",
        )


def _listed(names: list[str]) -> str:
    more = f"\n  … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "".join(f"\n  {name}" for name in names[:_SHOWN]) + more


def _said_of_secrets(record: str, bundled: Bundled | None) -> str:
    """Return what is known of secrets in the whole pack: what was not searched is never called free of them."""
    if bundled and bundled.scan.hits:
        return "found"
    return "partial" if bundled and (bundled.older or bundled.scan.unread) else record


def _search_secrets(run: RunDir, *, partly: bool) -> str:
    """Return ``none`` when the record was searched and holds no secret, ``partial`` when not all was read.

    Raises NotDisclosed naming file, line and kind of each, never the value (rule 24), and unless ``partly`` for a
    record that was not searched to its end.
    """
    found = scan(run.path)
    if found.hits:
        shown = _listed([f"{hit.file}:{hit.line}: {hit.kind}" for hit in found.hits])
        raise NotDisclosed(
            f"the record of run {run.name} holds what looks like secrets:{shown}",
            hint="take them out of what the pipeline reads and writes, renew them, and record again",
            code="secrets-found",
        )
    if found.unread and not partly:
        raise NotDisclosed(
            f"the record of run {run.name} was not searched to its end for secrets:{_listed(list(found.unread))}",
            hint="take out what is too much of it; or, if it holds none, say so with --restricted",
        )
    return "partial" if found.unread else "none"
