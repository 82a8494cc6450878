"""Provenance, packs and retention as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kfm_repro.model.provenance import PackReport, ProvReport, UnpackReport
from kfm_repro.model.retention import Action, EnvironmentsReport, PrunedRun, PruneReport
from kfm_repro.present.lines import plural
from kfm_repro.present.visible import visible

__all__ = ["render_pack", "render_prov", "render_prune", "render_unpack", "size_text"]

_STEP = 1024
_SHOWN = 20


def size_text(size: int) -> str:
    """Return a size in bytes as people read it."""
    if size < _STEP:
        return f"{size} B"
    number = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        number /= _STEP
        if number < _STEP:
            return f"{number:.1f} {unit}"
    return f"{number / _STEP:.1f} TiB"


def render_prov(report: ProvReport, *, quiet: bool = False) -> str:
    """Return where the PROV record lies, and whether it is new."""
    path = visible(report.path, 400)
    if quiet:
        return f"{path}\n"
    done = "written" if report.written else "there already (a record is never rewritten)"
    counts = f"{plural(report.used, 'input')}, {plural(report.generated, 'output')}"
    lines = [f"{visible(report.run.pipeline)}   {visible(report.run.run_id)}   {counts}"]
    lines += _notes(report.notes)
    return "".join(f"{line}\n" for line in [*lines, f"provenance {done}: {path}"])


def render_pack(report: PackReport, *, quiet: bool = False) -> str:
    """Return what was packed, and where to."""
    path = visible(report.path, 400)
    if quiet:
        return f"{path}\n"
    lines = [
        f"{visible(report.run.pipeline)}   {visible(report.run.run_id)}   {', '.join(report.contents)}",
        f"  {plural(report.members, 'member')}, {size_text(report.size_bytes)}, sha256 {report.sha256}",
    ]
    if report.secrets != "none":
        known = report.secrets == "found"
        lines.append(f"  !  secrets: {'found in the code' if known else 'not all of it was searched'}")
    lines += _notes(report.notes)
    return "".join(f"{line}\n" for line in [*lines, f"packed: {path}"])


def render_unpack(report: UnpackReport, *, quiet: bool = False) -> str:
    """Return what was brought in, and that it is foreign."""
    path = visible(report.path, 400)
    if quiet:
        return f"{visible(report.run.run_id, 200)}\n"
    what = f"{', '.join(report.contents)}   {plural(report.objects, 'stored object')}"
    lines = [
        f"{visible(report.run.pipeline)}   {visible(report.run.run_id)}   {what}",
    ]
    if report.foreign:
        lines.append(
            "  !  foreign: its command is a stranger's; it replays at isolation level namespace only, or with --trust"
        )
    lines += _notes(report.notes)
    done = "here already, as the pack has it" if report.already else "unpacked"
    return "".join(f"{line}\n" for line in [*lines, f"{done}: {path}"])


def render_prune(report: PruneReport, *, quiet: bool = False) -> str:
    """Return what goes and what stays and why; the last line says what was done."""
    lines: list[str] = []
    if not quiet:
        lines += _pruned(report)
        lines += _objects(report)
        lines += _environments(report.environments)
        lines += _notes(report.notes)
    gone, blocked, failed = (report.counts.get(name, 0) for name in ("delete", "blocked", "failed"))
    done = f"{plural(gone, 'run')} would be deleted" if report.dry_run else f"{plural(gone, 'run')} deleted"
    last = f"{done}, {report.counts.get('keep', 0)} kept"
    last += f", {blocked} blocked" if blocked else ""
    last += f", {failed} not deletable" if failed else ""
    if report.dry_run and gone:
        last += ".  Nothing was deleted: add --yes"
    return "".join(f"{line}\n" for line in [*lines, last])


def _pruned(report: PruneReport) -> Iterator[str]:
    marks = {Action.DELETE: "-", Action.BLOCKED: "!", Action.FAILED: "?"}
    runs = [run for run in report.runs if run.action is not Action.KEEP]
    for run in runs[:_SHOWN]:
        yield f"  {marks[run.action]}  {_name(run)}   {run.state}   {visible(run.reason, 200)}"
    if len(runs) > _SHOWN:
        yield f"  … {len(runs) - _SHOWN} more: see --json"
    marked = [run for run in report.runs if run.action is Action.KEEP and run.reason.startswith("marked")]
    yield from (f"  =  {_name(run)}   {visible(run.reason, 200)}" for run in marked[:_SHOWN])


def _objects(report: PruneReport) -> Iterator[str]:
    objects = report.objects
    if objects.removed:
        yield f"  objects: {objects.removed} removed, {size_text(objects.freed_bytes)} freed"
    yield f"  objects: {objects.left} kept, {size_text(objects.left_bytes)}"
    for name in objects.damaged[:_SHOWN]:
        yield f"  !  damaged object, moved aside: {name}"


def _environments(found: EnvironmentsReport | msgspec.UnsetType) -> Iterator[str]:
    if isinstance(found, msgspec.UnsetType):
        return
    if found.removed:
        yield f"  environments: {len(found.removed)} unused, {size_text(found.freed_bytes)}"
    yield f"  environments: {found.left} kept, {size_text(found.left_bytes)} in {visible(found.path, 400)}"


def _name(run: PrunedRun) -> str:
    return f"{visible(run.pipeline)}/{visible(run.run_id, 100)}"


def _notes(notes: tuple[str, ...]) -> Iterator[str]:
    return (f"  !  {visible(note, 400)}" for note in notes)
