"""The declared inputs of a run: found by their digest, laid into a workspace, checked before and after."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kfm_repro.errors import InputUnavailable, InvalidRecord, KfmReproError
from kfm_repro.execute.git import Repository
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.report import Precondition
from kfm_repro.runs.copying import copy_file
from kfm_repro.runs.hashing import Digest, digest_file, digest_many
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import Root, kind_of

__all__ = [
    "InputSource",
    "Origin",
    "changed_inputs",
    "describe_inputs",
    "lay_inputs",
    "on_todays_inputs",
    "resolve_inputs",
]

_DRIFT = "SOURCE_SNAPSHOT_DRIFT"


class Origin(StrEnum):
    """Where the recorded bytes of an input were found."""

    WORKING_TREE = "working tree"
    OBJECT_STORE = "object store"
    GIT = "git"
    CURRENT = "today's file"


@dataclass(frozen=True)
class InputSource:
    """One declared input and the file that has its bytes.

    ``drift`` says how today's file differs, ``today`` is its sha256, empty when it is gone.
    """

    entry: Entry
    file: Path
    digest: Digest
    origin: Origin
    drift: str = ""
    today: str = ""


def resolve_inputs(
    root: Path,
    manifest: Manifest,
    store: ObjectStore,
    code: tuple[Repository, str],
    *,
    current: bool,
    spool: Path,
) -> tuple[InputSource, ...]:
    """Find the bytes of every declared input: working tree, object store, then git at the recorded commit.

    With ``current`` today's files are taken as they are. Raises InputUnavailable when the recorded bytes are
    nowhere, UnsafePath when an entry leads out of ``root``. Git blobs are written to ``spool``.
    """
    safe = Root(root)
    paths = [safe.path(entry.path, what="input of the record") for entry in manifest.entries]
    there = [path for path in paths if path.is_file()]
    found = dict(zip(there, digest_many(there), strict=True))
    return tuple(
        _resolve(entry, path, found.get(path), (store, *code), current=current, spool=spool)
        for entry, path in zip(manifest.entries, paths, strict=True)
    )


def lay_inputs(sources: Iterable[InputSource], workspace: Path, copies: Collection[str]) -> None:
    """Copy the inputs ``copies`` to their places in ``workspace``, and leave an empty file where one is shown.

    Raises InputUnavailable when one changed meanwhile.
    """
    root = Root(workspace)
    for source in sources:
        target = root.make_parent(source.entry.path, what="input of the record")
        if kind_of(target) == "folder":
            raise InvalidRecord(
                f"the inputs manifest names a folder of the recorded code: {source.entry.path}",
                hint="name its files, one entry each",
            )
        target.unlink(missing_ok=True)
        if source.entry.path not in copies:
            target.touch()
            continue
        if copy_file(source.file, target) != source.digest.sha256:
            raise InputUnavailable(
                f"input changed while it was copied: {source.entry.path}",
                hint="something writes to it; try again when that has ended",
            )


def changed_inputs(
    sources: Iterable[InputSource], workspace: Path, copies: Collection[str]
) -> dict[str, str | None]:
    """Return the digests of the inputs that the pipeline changed, None for one that it removed.

    Those that are no ``copies`` in ``workspace`` were shown from where they lie, and are looked at there.
    """
    laid = {
        source.entry.path: workspace / source.entry.path if source.entry.path in copies else source.file
        for source in sources
    }
    there = {path: file for path, file in laid.items() if file.is_file()}
    found = zip(there, digest_many([*there.values()]), strict=True)
    digests = {path: digest.sha256 for path, digest in found}
    return {
        source.entry.path: digests.get(source.entry.path)
        for source in sources
        if digests.get(source.entry.path) != source.digest.sha256
    }


def on_todays_inputs(sources: Iterable[InputSource]) -> bool:
    """Return whether a replay ran on bytes that are not the recorded ones, or may not be."""
    return any(source.entry.sha256 is None or source.origin is Origin.CURRENT for source in sources)


def describe_inputs(sources: tuple[InputSource, ...]) -> Precondition:
    """Say in one precondition whether the inputs are the recorded ones, and where their bytes were found."""
    drifted = [source for source in sources if source.drift]
    unhashed = [source.entry.path for source in sources if source.entry.sha256 is None]
    replaced = [source for source in drifted if source.origin is Origin.CURRENT]
    if not sources:
        return Precondition(name="inputs", state="ok", detail="no inputs declared")
    hashed = len(sources) - len(unhashed)
    detail = f"{hashed} of {len(sources)} inputs have the recorded bytes"
    if replaced:
        detail = f"replayed on today's inputs: {_names(replaced)} changed since the run was recorded"
    elif drifted:
        where = sorted({str(source.origin) for source in drifted})
        detail += f"; the working tree differs from them: {_names(drifted)} (taken from {', '.join(where)})"
    if unhashed:
        detail += f"; no digest was recorded for {', '.join(unhashed[:3])}: today's file is taken"
    state = "drift" if drifted else "unknown" if unhashed else "ok"
    return Precondition(name="inputs", state=state, detail=detail, code=_DRIFT if drifted else "")


def _names(sources: list[InputSource]) -> str:
    shown = ", ".join(source.entry.path for source in sources[:3])
    return shown + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")  # noqa: PLR2004 - three are shown


def _resolve(
    entry: Entry,
    path: Path,
    found: Digest | None,
    places: tuple[ObjectStore, Repository, str],
    *,
    current: bool,
    spool: Path,
) -> InputSource:
    if found is not None and (entry.sha256 is None or found.sha256 == entry.sha256):
        return InputSource(entry, path, found, Origin.WORKING_TREE)
    today = found.sha256 if found else ""
    drift = "missing" if found is None else f"sha256 {found.sha256[:12]}…, {found.size_bytes} bytes"
    if current:
        if found is None:
            what = kind_of(path)
            raise InputUnavailable(
                f"input missing today: {entry.path}" + (f" (it is a {what}, not a file)" if what else ""),
                hint="restore it",
                code="input-missing",
            )
        return InputSource(entry, path, found, Origin.CURRENT, drift, today)
    if entry.sha256 is not None:
        store, code = places[0], places[1:]
        stored = store.read(entry.sha256)
        if stored is not None:
            return InputSource(entry, *stored, Origin.OBJECT_STORE, drift, today)
        blob = _from_git(entry, code, spool)
        if blob is not None:
            return InputSource(entry, *blob, Origin.GIT, drift, today)
    raise _unavailable(entry, found, kind_of(path))


def _from_git(entry: Entry, code: tuple[Repository, str], spool: Path) -> tuple[Path, Digest] | None:
    repository, commit = code
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=spool, delete=False) as file:
        target = Path(file.name)
    if repository.blob(commit, repository.prefix + entry.path, target):
        digest = digest_file(target)
        if digest.sha256 == entry.sha256:
            return target, digest
    target.unlink()
    return None


def _unavailable(entry: Entry, found: Digest | None, kind: str) -> KfmReproError:
    size = "size unknown" if entry.size_bytes is None else f"{entry.size_bytes} bytes"
    recorded = f"\n  recorded  sha256 {entry.sha256 or 'unknown'}  {size}"
    if found is None:
        return InputUnavailable(
            f"input missing: {entry.path}{recorded}\n  found     {f'a {kind}' if kind else 'nothing'}: not in the "
            "working tree, the object store or git at the recorded commit",
            hint="restore the recorded file",
            code="input-missing",
        )
    return InputUnavailable(
        f"input changed since the run was recorded: {entry.path}{recorded}\n"
        f"  found     sha256 {found.sha256}  {found.size_bytes} bytes",
        hint="restore the recorded file, or replay on today's inputs with --inputs current "
        "(the verdict will say so)",
    )
