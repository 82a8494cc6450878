"""What a run left behind: its outputs with digests and counts, those it forgot, those nobody declared."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from kfm_repro.errors import UnsafePath, UsageError
from kfm_repro.execute.scan import FileState, scan_files, walk_files
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.counts import count_records
from kfm_repro.runs.hashing import Digest, digest_many
from kfm_repro.runs.paths import Root, safe_relative

__all__ = [
    "Produced",
    "can_be_recorded",
    "describe_files",
    "glob_files",
    "is_ephemeral",
    "matches_any",
    "relative_pattern",
    "written_files",
]


@dataclass(frozen=True)
class Produced:
    """One file that a run wrote: its manifest entry and where it lies now."""

    entry: Entry
    file: Path


def describe_files(root: Path, paths: Sequence[str]) -> list[Produced]:
    """Return the manifest entries of files below ``root``: digest, size and counts. Raises UnsafePath, OSError."""
    safe = Root(root)
    files = [_output_file(safe, path) for path in paths]
    return [_describe(*found) for found in zip(paths, files, digest_many(files), strict=True)]


def _output_file(root: Root, path: str) -> Path:
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise UnsafePath(
            f"the name of an output is not UTF-8: {path!r}", hint="a record names files in UTF-8: rename it"
        ) from exc
    return root.path(path, what="output")


def _describe(path: str, file: Path, digest: Digest) -> Produced:
    counts = count_records(file, path)
    entry = Entry(
        path=path,
        sha256=digest.sha256,
        size_bytes=digest.size_bytes,
        row_count=counts.get("row_count"),
        feature_count=counts.get("feature_count"),
    )
    return Produced(entry, file)


def can_be_recorded(path: str, *, what: str = "output") -> bool:
    """Return whether a manifest can name a file: UTF-8, and what ``safe_relative`` lets through."""
    try:
        path.encode()
        safe_relative(path, what=what)
    except (UnicodeEncodeError, UnsafePath):
        return False
    return True


def written_files(root: Path, folders: Iterable[str], before: dict[str, FileState]) -> tuple[str, ...]:
    """Return the files at or below ``folders`` that are new or changed since ``before``, sorted."""
    after = scan_files(root, folders)
    return tuple(sorted(path for path, state in after.items() if before.get(path) != state))


def is_ephemeral(path: str, folder: PurePosixPath) -> bool:
    """Return whether a path lies in the ``folder`` of run records and working files, which are no outputs."""
    return PurePosixPath(path).is_relative_to(folder)


def relative_pattern(root: Path, pattern: str, *, what: str) -> str:
    """Return a pattern or path of the option ``what`` relative to ``root``. Raises UsageError outside of it."""
    if PurePosixPath(pattern).is_absolute() and Path(pattern).is_relative_to(root):
        pattern = Path(pattern).relative_to(root).as_posix()
    try:
        return safe_relative(pattern, what=what).as_posix()
    except UnsafePath as exc:
        raise UsageError(
            f"{what} {pattern!r} is not inside the project", hint=f"name something below {root.name}/"
        ) from exc


def glob_files(root: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the files that any of ``patterns`` (relative to ``root``; ``**`` for any depth) names, sorted.

    A folder stands for every file below it.
    """
    folders = {
        PurePosixPath(*itertools.takewhile(lambda part: not any(c in part for c in "*?["), parts)).as_posix()
        for parts in (PurePosixPath(pattern).parts for pattern in patterns)
    }
    return tuple(sorted({path for path in walk_files(root, sorted(folders)) if matches_any(path, patterns)}))


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Return whether one of ``patterns`` names ``path`` or a folder above it; the file need not exist."""
    return any(_matches(PurePosixPath(path).parts, PurePosixPath(pattern).parts) for pattern in patterns)


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Match part by part, ``**`` standing for any number of folders, in time path × pattern."""
    reached = {0}
    for part in path:
        reached = _pass_over(reached, pattern)
        if len(pattern) in reached:
            return True
        stay = {at for at in reached if pattern[at] == "**"}
        reached = stay | {at + 1 for at in reached - stay if fnmatchcase(part, pattern[at])}
    return len(pattern) in _pass_over(reached, pattern)


def _pass_over(reached: set[int], pattern: tuple[str, ...]) -> set[int]:
    """Return ``reached`` and what lies behind each ``**`` that stands for nothing."""
    found = set(reached)
    for at, part in enumerate(pattern):
        if at in found and part == "**":
            found.add(at + 1)
    return found
