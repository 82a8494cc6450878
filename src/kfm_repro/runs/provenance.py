"""Write PROV records (rule 22): each once, into a new file; a file that is there is never touched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from kfm_repro.errors import InconsistentRun, NotWritable, UnsafePath
from kfm_repro.model.run import Run, RunState
from kfm_repro.runs.activities import FOLDERS, Activities, Shared, activities_of, is_kept, read_activities
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, safe_relative
from kfm_repro.runs.project import Project
from kfm_repro.runs.prov_document import provenance_document, started_at
from kfm_repro.runs.read import read_run, read_state
from kfm_repro.runs.write import json_text

__all__ = [
    "Provenance",
    "carries",
    "has_provenance",
    "provenance_target",
    "read_record",
    "shared_id",
    "write_provenance",
]

_SUFFIXES = (".jsonld", ".json")
_LONGEST = 255
"""Bytes of a file name."""


@dataclass(frozen=True)
class Provenance:
    """The PROV record of a run: its file, whether it was ``written`` just now, and what it would say today."""

    path: Path
    written: bool
    record: Run
    document: dict[str, Any]


def write_provenance(project: Project, run: RunDir, known: Activities | None = None) -> Provenance:
    """Write the PROV record of ``run`` unless it has one.

    ``known`` are the Activities of the project, read when not given. Raises InconsistentRun for a run that is
    still running, NotWritable, and what reading raises.
    """
    state, _ = read_state(run)
    if state is RunState.RUNNING:
        raise InconsistentRun(
            f"run {run.name} is still running: it has no end yet", hint="try again when it has ended"
        )
    record = read_record(run)
    document = provenance_document(project, run, record, state)
    target = provenance_target(project, run, record)
    known = known if known is not None else read_activities(project)
    there = has_provenance(project, run, record, known)
    if there is not None:
        return Provenance(there, written=False, record=record, document=document)
    path, written = _place(project, run, target, record, document)
    return Provenance(path, written=written, record=record, document=document)


def has_provenance(project: Project, run: RunDir, record: Run, known: Activities) -> Path | None:
    """Return the file whose Activity carries this run, None when there is none (rule 22).

    Looked for at ``prov.target_path`` and in ``known``.
    """
    try:
        target = project.root / provenance_target(project, run, record)
    except UnsafePath:
        target = None
    if target is not None and carries(project, run, record, target):
        return target
    return known.path_of(run, record.run_id, shared_id(project, run, record))


def carries(project: Project, run: RunDir, record: Run, path: Path) -> bool:
    """Return whether the file ``path``, as it is now, is the provenance of this run and lies where that is kept."""
    shared = shared_id(project, run, record)
    return is_kept(project, path) and activities_of(path).path_of(run, record.run_id, shared) is not None


def shared_id(project: Project, run: RunDir, record: Run) -> Shared:
    """Return who else may have this id: runs in other pipelines, or the one whose folder is called so."""
    if record.run_id != run.name:
        return Shared.FOLDERS
    try:
        with os.scandir(project.runs) as pipelines:
            others = [Path(item.path, run.name) for item in pipelines if item.name != run.pipeline]
    except OSError:
        return Shared.FOLDERS
    return Shared.PIPELINES if any(os.path.lexists(path) for path in others) else Shared.NOBODY


def read_record(run: RunDir) -> Run:
    """Return run.yaml, or what the directory says of a run that was cut off before it had one."""
    return read_run(run) if os.path.lexists(run.run_yaml) else Run(run_id=run.name)


def provenance_target(project: Project, run: RunDir, record: Run) -> str:
    """Return where the PROV record of a run belongs, relative to the root. Raises UnsafePath."""
    prov = record.raw.get("prov")
    given = prov.get("target_path") if isinstance(prov, dict) else None
    if not given:
        date = started_at(run, record)[:10] or "undated"
        text = f"data/prov/{run.pipeline}/{date}/{_file_name(f'{run.pipeline}__{run.name}', '.jsonld')}"
    else:
        text = safe_relative(str(given), what=f"prov.target_path of {run.name}").as_posix()
    path = inside(project.root, text, what=f"prov.target_path of {run.name}")
    if not any(PurePosixPath(text).is_relative_to(folder) for folder in FOLDERS) or not is_kept(
        project, path
    ):
        raise UnsafePath(
            f"prov.target_path of {run.name} is not where provenance is kept: {text!r}",
            hint=f"name a file below {' or '.join(FOLDERS)} that is no link to elsewhere",
        )
    if not text.endswith(_SUFFIXES):
        raise UnsafePath(
            f"prov.target_path of {run.name} is no place for a PROV record: {text!r}",
            hint="it ends in .jsonld or .json",
        )
    return text


def _place(
    project: Project, run: RunDir, target: str, record: Run, document: dict[str, Any]
) -> tuple[Path, bool]:
    """Write to ``target``, or beside it when another run has it; return the file and whether it is new."""
    wanted = PurePosixPath(target)
    stems = [f"{wanted.stem}__{quote(id_, safe='')}" for id_ in dict.fromkeys((record.run_id, run.name))]
    names = [wanted, *(wanted.with_name(_file_name(stem, wanted.suffix)) for stem in stems)]
    text = json_text(document)
    for name in names:
        path = inside(project.root, name.as_posix(), what="prov.target_path")
        if not os.path.lexists(path) and _create(path, text):
            return path, True
        if carries(project, run, record, path):
            return path, False
    raise NotWritable(
        f"no place for the PROV record: {target} and {names[-1].name} belong to other runs",
        hint="existing records are never rewritten; give another prov.target_path in run.yaml",
    )


def _file_name(stem: str, suffix: str) -> str:
    """Return a name that file systems take: a long one is cut, and told from others by its digest."""
    name = os.fsencode(stem)
    if len(name) + len(suffix) <= _LONGEST:
        return stem + suffix
    end = f"__{hashlib.sha256(name).hexdigest()[:16]}{suffix}"
    return name[: _LONGEST - len(end)].decode(errors="ignore") + end


def _create(path: Path, text: str) -> bool:
    """Bring a whole new file into being; False when one of that name has come up meanwhile."""
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except FileExistsError:
        return False
    except OSError as exc:
        raise NotWritable(
            f"the PROV record cannot be written: {exc.strerror or exc}: {path}",
            hint="make the folder writable",
        ) from exc
    finally:
        part.unlink(missing_ok=True)
    return True
