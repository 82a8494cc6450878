"""The inputs of a command: described before and after it ran, and kept where git does not have their bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfm_repro.errors import InputUnavailable, UsageError
from kfm_repro.execute.capture import CodeState
from kfm_repro.execute.collect import glob_files
from kfm_repro.execute.found import FoundInputs
from kfm_repro.execute.git import Repository
from kfm_repro.execute.lfs import is_pointer
from kfm_repro.execute.observe import Observation
from kfm_repro.execute.scan import FileState, scan_files
from kfm_repro.execute.snapshot import Request
from kfm_repro.execute.submodules import Submodule
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.hashing import digest_many
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import Root
from kfm_repro.runs.project import Project

__all__ = [
    "Session",
    "changed_by_command",
    "code_files",
    "declared_inputs",
    "describe_found",
    "keep_inputs",
    "marked",
    "not_kept",
    "pointer_error",
]


@dataclass(frozen=True)
class Session:
    """What is known before a command begins."""

    project: Project
    request: Request
    repository: Repository
    code: CodeState
    submodules: tuple[Submodule, ...]
    declared: tuple[Entry, ...]


def declared_inputs(project: Project, patterns: Sequence[str]) -> tuple[Entry, ...]:
    """Return the inputs that ``patterns`` name, hashed before the command can change them."""
    paths: set[str] = set()
    for pattern in patterns:
        named = [
            path
            for path in glob_files(project.root, [pattern])
            if not (project.root / path).is_relative_to(project.runs)
        ]
        if not named:
            raise UsageError(
                f"--input {pattern!r} names no file", hint="patterns are relative to the project root"
            )
        paths.update(named)
    root = Root(project.root)
    pointers = [path for path in sorted(paths) if is_pointer(root.path(path, what="input"))]
    if pointers:
        raise pointer_error(pointers)
    return _describe_inputs(project, {path: {} for path in sorted(paths)})


def _describe_inputs(project: Project, inputs: Mapping[str, dict[str, Any]]) -> tuple[Entry, ...]:
    """Return the manifest entries of inputs; the values of ``inputs`` are their further fields."""
    root = Root(project.root)
    digests = digest_many([root.path(path, what="input") for path in inputs])
    return tuple(
        Entry(path=path, sha256=digest.sha256, size_bytes=digest.size_bytes, extra=extra)
        for (path, extra), digest in zip(inputs.items(), digests, strict=True)
    )


def describe_found(project: Project, found: FoundInputs) -> tuple[Entry, ...]:
    """Return the entries of inputs that were found, each with how."""
    return _describe_inputs(project, {path: {"found": how} for path, how in found.how.items()})


def pointer_error(paths: Sequence[str]) -> InputUnavailable:
    """Return the error of inputs that Git LFS never fetched."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return InputUnavailable(
        f"an input is a pointer of Git LFS, not the data: {paths[0]}{more}",
        hint="fetch the data first: git lfs pull",
        code="input-missing",
    )


def keep_inputs(session: Session, inputs: Sequence[Entry]) -> None:
    """Keep the bytes of inputs that git does not have at the commit, so that the run stays replayable."""
    store = ObjectStore.of(session.project)
    in_git = _blobs(session, [entry.path for entry in inputs])
    root = session.project.root
    store.add_all((root / entry.path, entry.sha256 or "") for entry in inputs if entry.path not in in_git)


def _blobs(session: Session, paths: Sequence[str]) -> set[str]:
    """Return those of ``paths`` whose bytes are a blob of the commit, at the same path."""
    plain = [path for path in paths if "\n" not in path and not path.startswith('"')]
    if not plain:
        return set()
    places = "\n".join(str(session.project.root.resolve() / path) for path in plain)
    data = f"{places}\n".encode(errors="surrogateescape")
    hashed = (
        session.repository.git("hash-object", "--no-filters", "--stdin-paths", data=data).decode().split()
    )
    recorded = _tree(session, session.code.commit)
    return {path for path, digest in zip(plain, hashed, strict=True) if recorded.get(path) == digest}


def code_files(session: Session) -> set[str]:
    """Return the files that come with commit and patch, relative to the project root."""
    prefix, code = session.repository.prefix, session.code
    return {name.removeprefix(prefix) for name in code.files - {*code.left_out} if name.startswith(prefix)}


def not_kept(session: Session, seen: Observation, inputs: Sequence[Entry]) -> list[str]:
    """Return files that git rewrote, that are too large for a patch, and that the command may have read."""
    prefix = session.repository.prefix
    kept = {prefix + entry.path for entry in inputs}
    opened = {prefix + path for path in seen.opened}
    return [name for name in session.code.left_out if name not in kept and (seen.gap or name in opened)]


def _tree(session: Session, treeish: str) -> dict[str, str]:
    """Return the blobs of a commit or tree by path, relative to the project root."""
    prefix = session.repository.prefix
    listing = session.repository.git("ls-tree", "-r", "-z", "--full-tree", treeish)
    lines = (line.partition("\t") for line in listing.decode(errors="surrogateescape").split("\0") if line)
    return {name.removeprefix(prefix): meta.split()[-1] for meta, _, name in lines if name.startswith(prefix)}


def changed_by_command(
    project: Project, inputs: Sequence[Entry], before: dict[str, FileState]
) -> dict[str, str]:
    """Return the digests of inputs that the command changed, empty for one that is gone.

    Only those whose file state moved are read again.
    """
    after = scan_files(project.root, project.settings.data_roots)
    moved = [
        entry for entry in inputs if entry.path not in before or before[entry.path] != after.get(entry.path)
    ]
    there = [entry for entry in moved if (project.root / entry.path).is_file()]
    digests = digest_many([project.root / entry.path for entry in there])
    found = {entry.path: digest.sha256 for entry, digest in zip(there, digests, strict=True)}
    changed = {entry.path: found.get(entry.path, "") for entry in moved}
    recorded = {entry.path: entry.sha256 for entry in moved}
    return {path: digest for path, digest in sorted(changed.items()) if digest != recorded[path]}


def marked(entry: Entry, changed: Mapping[str, str]) -> Entry:
    """Return an entry that says whether the command changed the file, and to what."""
    if entry.path not in changed:
        return entry
    after = changed[entry.path]
    return Entry(
        path=entry.path,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        extra=entry.extra | {"changed_during_run": True, "sha256_after": after or None},
    )
