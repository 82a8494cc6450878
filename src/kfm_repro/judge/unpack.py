"""Bring in a run from a pack: into this project, or as a new one; whole or not at all, and marked as foreign."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from kfm_repro.errors import (
    BadPack,
    CodeNotAvailable,
    KfmReproError,
    NotARepository,
    NotWritable,
    UnsafePath,
    UsageError,
)
from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.execute.transfer import clone_code, fetch_code, remove_code
from kfm_repro.model.pack import PackCode
from kfm_repro.model.provenance import UnpackReport
from kfm_repro.model.report import RunRef
from kfm_repro.model.run import RunState
from kfm_repro.runs.bundle import CODE
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.locks import runs_lock, try_lock
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.own import refuse_link, refuse_linked_pipeline
from kfm_repro.runs.paths import inside, real_path
from kfm_repro.runs.project import Project, find_project
from kfm_repro.runs.read import read_manifest, read_run, read_state
from kfm_repro.runs.same import refuse_another
from kfm_repro.runs.trouble import runs_not_writable, way_out
from kfm_repro.runs.trust import is_foreign, mark_foreign
from kfm_repro.runs.unzip import Limits, Pack, open_pack

__all__ = ["unpack"]


def unpack(
    file: Path, into: Path | None, project: Callable[[], Project], limits: Limits | None = None
) -> UnpackReport:
    """Bring in the run of the pack ``file``: into ``project()``, or into the folder ``into``.

    ``into`` may be a project, or a folder that does not exist or is empty: then a new project is made there.
    Raises BadPack, UnsafePath, LimitExceeded, NotWritable, CodeNotAvailable, and what reading the record
    raises; then nothing was brought in. A run that is here already, as the pack has it, stays as it is: only stored
    objects and code that are gone come anew.
    """
    with open_pack(file, limits or Limits()) as pack:
        sha256 = digest_file(file).sha256
        if into is None:
            return _bring_in(pack, project(), sha256)
        if into.is_dir() and any(into.iterdir()):
            return _bring_in(pack, find_project(into), sha256)
        if os.path.lexists(into) and not into.is_dir():
            raise UsageError(f"--into is no folder: {into}", hint="name a project, or a new folder")
        return _make_project(pack, into.absolute(), sha256)


def _make_project(pack: Pack, target: Path, sha256: str) -> UnpackReport:
    """Make a new project beside ``target`` and rename it into place."""
    with _folders_above(target):
        stage = target.parent / f".{target.name}.unpack-{uuid4().hex}"
        code = pack.listed.code if isinstance(pack.listed.code, PackCode) else None
        try:
            if code is None:
                stage.mkdir()
            else:
                spool = stage.with_name(stage.name + ".bundle")
                try:
                    pack.extract_one(CODE, spool)
                    clone_code(spool, code.commit, code.object_format, stage)
                finally:
                    spool.unlink(missing_ok=True)
            root = stage / (code.prefix if code else "")
            root.mkdir(parents=True, exist_ok=True)
            settings = find_project(root).settings
            runs = _runs_of_stranger(root, settings.runs)
            # Objects lie beside the runs, whatever place the settings of a stranger name.
            stranger = msgspec.structs.replace(settings, objects=None)
            report = _bring_in(pack, Project(root, runs, stranger), sha256, fetch=False)
            stage.rename(target)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    return report


def _runs_of_stranger(root: Path, given: str) -> Path:
    """Return the runs folder that the settings of the pack's code name. Raises UnsafePath."""
    runs = inside(root, given, what="setting runs of the pack's code")
    if real_path(runs) != root.resolve() / Path(os.path.normpath(given)):
        raise UnsafePath(
            f"the runs folder of the pack's code lies behind a symbolic link: {given!r}",
            hint="do not trust this pack",
        )
    return runs


@contextmanager
def _folders_above(target: Path) -> Iterator[None]:
    """Make the folders that lead to ``target``; take those that are new away again when there is an error."""
    missing = [folder for folder in target.parents if not os.path.lexists(folder)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as exc:
        raise NotWritable(
            f"no project can be made here: {exc.strerror or exc}: {target.parent}",
            hint=f"{way_out(target.parent, exc)}; or name another place with --into",
        ) from exc
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def _bring_in(pack: Pack, project: Project, sha256: str, *, fetch: bool = True) -> UnpackReport:
    """Bring the run into a project: code and objects first, last the run by one rename."""
    listed = pack.listed
    final = RunDir(project.runs / listed.pipeline / listed.run_id)
    refuse_link(project.runs, hint="name the folder itself: --runs DIR or KFM_RUNS_ROOT; {}")
    refuse_linked_pipeline(project.runs, listed.pipeline)
    code = listed.code if fetch and isinstance(listed.code, PackCode) else None
    repository = _repository(project, code) if code else None
    store = ObjectStore.of(project)
    with _stage(project.runs) as stage, _taken_back_on_error() as undo:
        place = stage / listed.pipeline / listed.run_id
        pack.extract(lambda name: None if name == CODE and code is None else _place(name, stage, place))
        staged = RunDir(place)
        commit = _check_record(staged)
        refuse_another(staged, final)
        stored = sorted((stage / "objects").glob("*"))
        if stored:
            store.prepare()
        if code and repository and fetch_code(repository, stage / CODE, code.commit):
            undo.append(lambda: remove_code(repository, code.commit))
        for path in stored:
            if not store.add(path, path.name):
                raise BadPack(
                    f"an object of the pack is not what it says: {path.name}", hint="get the pack again"
                )
        labels = listed.labels if isinstance(listed.labels, dict) else {}
        mark_foreign(staged, sha256=sha256, labels=labels)
        with runs_lock(project.runs):
            refuse_linked_pipeline(project.runs, listed.pipeline)
            already = refuse_another(staged, final)
            if not already:
                _settle(place, final)
    run = RunRef(run_id=listed.run_id, pipeline=listed.pipeline, git_commit=commit)
    return UnpackReport(
        run=run, path=project.relative(final.path), contents=listed.contents, objects=len(stored),
        foreign=is_foreign(final), already=already,
    )  # fmt: skip


def _settle(place: Path, final: RunDir) -> None:
    try:
        final.path.parent.mkdir(exist_ok=True)
        place.rename(final.path)
    except OSError as exc:
        raise NotWritable(
            f"the run cannot be put in its place: {exc.strerror or exc}: {final.path}",
            hint="something else lies there; unpack into another folder: --into DIR",
        ) from exc


@contextmanager
def _taken_back_on_error() -> Iterator[list[Callable[[], None]]]:
    """Undo what was done, last first, when the rest fails."""
    undo: list[Callable[[], None]] = []
    try:
        yield undo
    except BaseException:
        for step in reversed(undo):
            with suppress(KfmReproError, OSError):
                step()
        raise


def _place(name: str, stage: Path, run: Path) -> Path:
    return run / name.removeprefix("run/") if name.startswith("run/") else stage / name


def _check_record(run: RunDir) -> str | None:
    """Refuse what is no record of a run that has ended; return its commit."""
    record = read_run(run)
    if record.run_id != run.name:
        raise BadPack(
            f"the record in the pack is not of run {run.name}: its run.yaml says run_id {record.run_id!r}",
            hint="correct the run_id where the run was made, and pack it again",
        )
    state, _ = read_state(run)
    if state is RunState.RUNNING:
        raise BadPack(
            f"the run in the pack claims to be running: {run.name}", hint="pack it when it has ended"
        )
    if state is RunState.SUCCESS:
        read_manifest(run, record.inputs_manifest, "inputs")
        read_manifest(run, record.outputs_manifest, "outputs")
    return record.pipeline.version.git_commit


def _repository(project: Project, code: PackCode) -> Repository:
    """Return the repository that is to get the code; refuse one in which the run could not be replayed."""
    try:
        repository = find_repository(project.root)
    except NotARepository as exc:
        raise CodeNotAvailable(
            f"the pack holds code, and there is no repository for it: {exc.message}",
            hint=f"unpack it into a new folder: --into DIR; or {exc.hint}",
        ) from exc
    if repository.prefix != code.prefix:
        raise CodeNotAvailable(
            f"the run's project lies at {_said(code.prefix)} of its repository, this one at "
            f"{_said(repository.prefix)}: its code would not fit here",
            hint="unpack it into a new folder: --into DIR",
        )
    return repository


def _said(prefix: str) -> str:
    return repr(prefix) if prefix else "the top"


@contextmanager
def _stage(runs: Path) -> Iterator[Path]:
    """Make a hidden folder in the runs folder, locked while we live, so that prune can tell what is left over."""
    stage = runs / f".unpack-{uuid4().hex}"
    try:
        with runs_lock(runs, shared=True):
            stage.mkdir(parents=True)
            handle = os.open(stage, os.O_RDONLY)
            try_lock(handle)
    except OSError as exc:
        raise runs_not_writable(runs, exc) from exc
    try:
        yield stage
    finally:
        os.close(handle)
        shutil.rmtree(stage, ignore_errors=True)
