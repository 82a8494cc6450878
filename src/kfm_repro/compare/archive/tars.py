"""tar: the entries, what is said of them, and each member by what it is; the last of a name counts."""

from __future__ import annotations

import hashlib
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kfm_repro.compare.archive.entries import attribute, duplicates, one_sided, order_of
from kfm_repro.compare.archive.members import BLOCK, header_times
from kfm_repro.compare.archive.sides import MOST_ENTRIES, Side, common_names, compare_members, repeated
from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.grouping import merge_many
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from kfm_repro.compare.context import Context

__all__ = ["compare_tar"]

_ERRORS = (tarfile.TarError, OverflowError)
_RECORD = 512
_PACKAGING = ("mode", "uid", "gid", "uname", "gname")
_HELD = frozenset(("path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname"))
"""Records of extended headers (POSIX pax) that `tarfile` has put into the fields of the entry."""
_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)


class _Tar(Side[tarfile.TarInfo]):
    """One side. ``rest`` digests what no entry holds."""

    def __init__(
        self, path: Path, file: tarfile.TarFile, entries: list[tarfile.TarInfo], rest: str, context: Context
    ) -> None:
        super().__init__(path, entries, context)
        self._file = file
        self.rest = rest
        self._named: dict[str, list[tarfile.TarInfo]] = {}
        for entry in entries:
            self._named.setdefault(entry.name, []).append(entry)

    def name(self, entry: tarfile.TarInfo) -> str:
        return entry.name

    def offset(self, entry: tarfile.TarInfo) -> int:
        return entry.offset

    def sizes(self, entry: tarfile.TarInfo) -> tuple[int, int]:
        return entry.size, entry.size

    def opened(self, entry: tarfile.TarInfo) -> IO[bytes]:
        source = self._file.extractfile(entry)
        if source is None:
            raise ValueError("the entry has no content")
        return source

    def reading(self) -> AbstractContextManager[None]:
        return reading(self.path, "tar", *_ERRORS)

    def opaque(self, entry: tarfile.TarInfo) -> str:
        if _kind(entry) == "file":
            return ""
        return f"{_kind(entry)} {entry.linkname} {entry.devmajor} {entry.devminor}"

    def target(self, entry: tarfile.TarInfo) -> str:
        """Return where a link leads; of several entries of that name, a hard link is one of the last before it."""
        if not (entry.islnk() or entry.issym()):
            return ""
        places = [other.offset for other in self._named.get(entry.linkname, ())]
        before = sum(place < entry.offset for place in places)
        if entry.issym() or (before and before == len(places)):
            return entry.linkname
        return f"{entry.linkname} (entry {before} of {len(places)})" if places else entry.linkname


def compare_tar(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two plain tar files: entry order, times, owners, modes, links, members by what they are.

    Times and owners are known header fields: ``container``. Nothing is extracted under a name of the
    archive. Raises Unreadable (also when truncated), LimitExceeded.
    """
    with _opened(a, context) as left, _opened(b, context) as right:
        common = common_names(left, right)
        findings = [
            *one_sided(left.last, right.last),
            *order_of(common, common_names(right, left)),
            *duplicates(repeated(left, right, common)),
            *_times(left, right, common, context),
            *_attributes(left, right, common),
        ]
        if left.rest != right.rest:
            where: dict[str, str | int] = {"member": "after the last tar entry"}
            evidence = "bytes that belong to no entry"
            findings.append(Finding(kind=Kind.BYTES, rung=Rung.VALUE, where=where, evidence=evidence))
        members: list[Finding] = []
        for name in common:
            if all(_kind(side.last[name]) == "file" for side in (left, right)):
                members.extend(compare_members(left, right, name, context))
    return (*findings, *merge_many(members, "member"))


@contextmanager
def _opened(path: Path, context: Context) -> Iterator[_Tar]:
    with reading(path, "tar", *_ERRORS):
        file = tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  # below
    with file:
        entries: list[tarfile.TarInfo] = []
        with reading(path, "tar", *_ERRORS):
            for entry in file:
                entries.append(entry)
                if len(entries) > MOST_ENTRIES:
                    raise LimitExceeded(f"more than {MOST_ENTRIES} tar entries")
            rest = _rest(path, entries, file.offset)
        yield _Tar(path, file, entries, rest, context)


def _rest(path: Path, entries: list[tarfile.TarInfo], end: int) -> str:
    """Digest the padding of the entries and what follows them; zeros up to the end are no content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for entry in entries:
            stop = entry.offset_data + entry.size
            if _kind(entry) == "file" and not entry.sparse and stop % _RECORD:
                file.seek(stop)
                padding = file.read(_RECORD - stop % _RECORD).rstrip(b"\0")
                digest.update(padding)
        file.seek(_end(entries, end))
        zeros = 0
        while block := file.read(BLOCK):
            kept = block.rstrip(b"\0")
            if kept:
                digest.update(b"%d zeros" % zeros + kept)
                zeros = 0
            zeros += len(block) - len(kept)
    return digest.hexdigest()


def _end(entries: list[tarfile.TarInfo], offset: int) -> int:
    """Return where the last entry ends: its data, or its header if it holds none."""
    if not entries or entries[-1].sparse:
        return offset
    last = entries[-1]
    size = last.size if _kind(last) == "file" else 0
    return last.offset_data + -(-size // _RECORD) * _RECORD


def _kind(entry: tarfile.TarInfo) -> str:
    """Return what an entry is; the many codes of a plain file are one."""
    if entry.type in _PLAIN_TYPES or entry.sparse:
        return "file"
    return {
        tarfile.DIRTYPE: "folder",
        tarfile.SYMTYPE: "symbolic link",
        tarfile.LNKTYPE: "hard link",
        tarfile.CHRTYPE: "character device",
        tarfile.BLKTYPE: "block device",
        tarfile.FIFOTYPE: "pipe",
    }.get(entry.type, "file")


def _times(a: _Tar, b: _Tar, common: list[str], context: Context) -> list[Finding]:
    pairs = [(name, float(a.last[name].mtime), float(b.last[name].mtime)) for name in common]
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    if not differing:
        return []
    with reading(a.path, "tar", OverflowError):
        evidence = f"mtime: {header_times(differing[0][1], differing[0][2], context, grain=1.0)}"
    return [attribute(differing, Rung.CONTAINER, evidence, len(common), Kind.TIMESTAMP)]


def _attributes(a: _Tar, b: _Tar, common: list[str]) -> list[Finding]:
    """Report what else the headers say: what an entry is and where a link leads is data, the rest is not."""
    findings: list[Finding] = []
    both = [(name, a.last[name], b.last[name]) for name in common]
    for what, differing in (
        ("type of the entry", [(n, _type(x), _type(y)) for n, x, y in both]),
        ("target of the link", [(n, a.target(x), b.target(y)) for n, x, y in both]),
        ("device", [(n, _device(x), _device(y)) for n, x, y in both]),
    ):
        found = [row for row in differing if row[1] != row[2]]
        if found:
            findings.append(attribute(found, Rung.VALUE, what, len(common)))
    for field in _PACKAGING:
        rows = [(n, getattr(x, field), getattr(y, field)) for n, x, y in both]
        found = [row for row in rows if row[1] != row[2]]
        if found:
            findings.append(attribute(found, Rung.CONTAINER, field, len(common)))
    extended = [(n, _extended(x), _extended(y)) for n, x, y in both]
    changed = [row for row in extended if row[1] != row[2]]
    if changed:
        findings.append(attribute(changed, Rung.CONTAINER, "extended headers", len(common)))
    return findings


def _type(entry: tarfile.TarInfo) -> str:
    known = entry.type in tarfile.SUPPORTED_TYPES
    return _kind(entry) if known else f"type {entry.type.decode('latin-1')}"


def _device(entry: tarfile.TarInfo) -> str:
    return f"{entry.devmajor}, {entry.devminor}" if entry.ischr() or entry.isblk() else ""


def _extended(entry: tarfile.TarInfo) -> dict[str, str]:
    return {key: value for key, value in sorted(entry.pax_headers.items()) if key not in _HELD}
