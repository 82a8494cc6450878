"""Put a run into a pack: its record and, on demand, the bytes of its outputs, its inputs and its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kfm_repro.errors import CodeNotAvailable, InconsistentRun, NotDisclosed, NotWritable
from kfm_repro.execute.checkout import Code, check_code
from kfm_repro.execute.inputs import resolve_inputs
from kfm_repro.execute.submodules import find_submodules
from kfm_repro.execute.transfer import object_format, pointers_in, write_bundle
from kfm_repro.judge.baseline import recorded_outputs
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
_WITHOUT_CODE = "pack it without --bundle (--with-outputs packs the outputs)"


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
    if not request.restricted:
        _refuse_restricted(run, labels, with_inputs=request.bundle)
    secrets = _search_secrets(run)
    target = (request.output or Path(f"{run.pipeline}__{run.name}.zip")).absolute()
    with _spool(target) as folder:
        found = _contents(project, run, record, (inputs, outputs), request, folder)
        packed = write_pack(
            target, run, found.members, contents=found.parts, code=found.code, labels=labels.added,
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
        secrets=secrets,
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
        checked = _check_code(project, run, record)
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
        notes += _pointer_notes(checked, {entry.path for entry in (*inputs.entries, *outputs.entries)})
    return _Contents([*members, *objects.values()], parts, code, notes)


def _check_code(project: Project, run: RunDir, record: Run) -> Code:
    """Return the recorded code; refuse what would not replay from a pack. Raises CodeNotAvailable."""
    code = check_code(project.root, run, record.pipeline.version)
    if code.uncaptured:
        raise CodeNotAvailable(
            f"a bundle of run {run.name} would not replay anywhere: {code.uncaptured}",
            hint=_WITHOUT_CODE,
        )
    submodules = find_submodules(code.repository, code.commit, code.absent)
    if submodules:
        raise CodeNotAvailable(
            f"a bundle of run {run.name} would not replay anywhere: it cannot hold the submodule {submodules[0][0]}",
            hint=_WITHOUT_CODE,
        )
    return code


def _pointer_notes(code: Code, data: set[str]) -> list[str]:
    """Say which files of the code are pointers of Git LFS, unless they are data that is packed by its bytes."""
    prefix = code.repository.prefix
    names = [path.removeprefix(prefix) for path in pointers_in(code.repository, code.commit)]
    left = [name for name in names if name not in data]
    if not left:
        return []
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    named = f"{', '.join(left[:_SHOWN])}{more}"
    told = f"the code has pointers of Git LFS, whose data is not in the pack: {named}"
    return [f"{told}; what a replay reads of them has to be a declared input"]


def _refuse_restricted(run: RunDir, labels: Labels, *, with_inputs: bool) -> None:
    """Refuse a pack of data that is not open to all (rule 17).

    No label is open only where no label is in use; a label that is not known is not open.
    """
    names = labels.closed(with_inputs=with_inputs)
    if names:
        shown = "".join(f"\n  {name}" for name in names[:_SHOWN])
        more = f"\n  … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise NotDisclosed(
            f"run {run.name} is about data that is not open to all:{shown}{more}",
            hint="if the pack may hold it all the same, say so with --restricted",
        )


def _search_secrets(run: RunDir) -> str:
    """Return ``none`` when the record was searched and holds no secret, ``partial`` when not all was read.

    Raises NotDisclosed naming file, line and kind of each, never the value (rule 24).
    """
    found = scan(run.path)
    if found.hits:
        shown = "".join(f"\n  {hit.file}:{hit.line}: {hit.kind}" for hit in found.hits[:_SHOWN])
        more = f"\n  … and {len(found.hits) - _SHOWN} more" if len(found.hits) > _SHOWN else ""
        raise NotDisclosed(
            f"the record of run {run.name} holds what looks like secrets:{shown}{more}",
            hint="take them out of what the pipeline reads and writes, renew them, and record again",
            code="secrets-found",
        )
    return "partial" if found.unread else "none"
