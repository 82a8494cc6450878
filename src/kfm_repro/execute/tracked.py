"""The files of a commit: which there are, their bytes, and the secrets in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from kfm_repro.execute.git import Repository
from kfm_repro.model.verification import SecretHit
from kfm_repro.runs.secrets import MAX_FILE_BYTES, Scan, scan_text

__all__ = ["TrackedFile", "read_blobs", "scan_tracked", "tracked_files"]

_FILE = re.compile(r"100\d{3} blob (?P<name>[0-9a-f]+) +(?P<size>\d+)")
_BATCH_BYTES = 32 << 20
"""What is asked of git at once: its answer is held in memory."""


@dataclass(frozen=True)
class TrackedFile:
    """A regular file of a commit: its path from the top, the name of its blob, and its size."""

    path: str
    name: str
    size: int


def tracked_files(repository: Repository, commit: str) -> tuple[TrackedFile, ...]:
    """Return the regular files of ``commit``, links and submodules left out. Raises CodeNotAvailable."""
    found = []
    listing = repository.git("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    for line in os.fsdecode(listing).split("\0"):
        meta, _, path = line.partition("\t")
        file = _FILE.fullmatch(meta)
        if file:
            found.append(TrackedFile(path, file["name"], int(file["size"])))
    return tuple(found)


def read_blobs(repository: Repository, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield each blob with its bytes, all of them held in memory at once. Raises CodeNotAvailable."""
    wanted = list(names)
    answer = repository.git("cat-file", "--batch", data="".join(f"{name}\n" for name in wanted).encode())
    at = 0
    for name in wanted:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].split()[2])
        yield name, answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1


def scan_tracked(repository: Repository, files: Iterable[TrackedFile]) -> Scan:
    """Return the secrets in files of a commit, by path from the top. Raises CodeNotAvailable.

    Equal files are read once, under the first of their paths.
    """
    hits: list[SecretHit] = []
    unread: list[str] = []
    paths: dict[str, TrackedFile] = {}
    for file in files:
        paths.setdefault(file.name, file)
    unread += [file.path for file in paths.values() if file.size > MAX_FILE_BYTES]
    for batch in _batches(file for file in paths.values() if file.size <= MAX_FILE_BYTES):
        for name, content in read_blobs(repository, [file.name for file in batch]):
            found, whole = scan_text(BytesIO(content), paths[name].path)
            hits += found
            unread += [] if whole else [paths[name].path]
    return Scan(tuple(sorted(hits, key=lambda hit: (hit.file, hit.line, hit.kind))), tuple(sorted(unread)))


def _batches(files: Iterable[TrackedFile]) -> Iterator[list[TrackedFile]]:
    batch, size = list[TrackedFile](), 0
    for file in files:
        if batch and size + file.size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
