"""zip: the entries, what is said of them, and each member by what it is; the last of a name counts."""

from __future__ import annotations

import datetime as dt
import hashlib
import stat
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.archive.entries import about, attribute, duplicates, one_sided, order_of
from kfm_repro.compare.archive.members import (
    BLOCK,
    Meter,
    compare_member,
    entry_metadata,
    header_times,
    safe_name,
)
from kfm_repro.compare.archive.outside import Outside, outside_entries, outside_finding
from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.grouping import merge_many
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfm_repro.compare.context import Context

__all__ = ["compare_zip"]

_MOST_ENTRIES = 100_000
_ENCRYPTED = 1
_MOST_TIMES = 4
"""All members together may unpack to so many times the limit of one."""
_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, struct.error)
_FIELDS = (
    "create_system",
    "create_version",
    "extract_version",
    "flag_bits",
    "internal_attr",
    "extra",
    "comment",
)


@dataclass(frozen=True)
class _Archive:
    """One side. ``last`` holds the entry that counts for each name, in the order of the directory.

    ``unpacked`` counts the bytes of each entry when it is read for the first time.
    """

    file: zipfile.ZipFile
    path: Path
    entries: tuple[zipfile.ZipInfo, ...]
    last: dict[str, zipfile.ZipInfo]
    outside: Outside
    context: Context
    unpacked: Counter[int]


def compare_zip(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zip files: entry order, dates and attributes, members by name and by what they are.

    Dates of entries are known header fields: ``container``. Encrypted members are ``unknown``. Raises
    Unreadable, LimitExceeded.
    """
    with _opened(a, context) as left, _opened(b, context) as right:
        common = [name for name in left.last if name in right.last]
        findings = [
            *one_sided(left.last, right.last),
            *order_of(common, [name for name in right.last if name in left.last]),
            *duplicates(_repeated(left, right, common)),
            *_dates(left, right, common, context),
            *_attributes(left, right, common),
            *outside_finding(left.outside, right.outside),
        ]
        if left.file.comment != right.file.comment:
            texts = [archive.file.comment.decode("latin-1") for archive in (left, right)]
            findings.append(entry_metadata(texts[0], texts[1], "archive comment", "zip comment", context))
        members: list[Finding] = []
        for name in common:
            members.extend(_member(left, right, name, context))
    return (*findings, *merge_many(members, "member"))


@contextmanager
def _opened(path: Path, context: Context) -> Iterator[_Archive]:
    with reading(path, "zip", *_ERRORS):
        file = zipfile.ZipFile(path)
    with file:
        entries = tuple(file.infolist())
        if len(entries) > _MOST_ENTRIES:
            raise LimitExceeded(f"more than {_MOST_ENTRIES} zip entries")
        last: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            last.pop(entry.filename, None)
            last[entry.filename] = entry
        with reading(path, "zip", OverflowError, *_ERRORS):
            outside = outside_entries(path, entries, file.start_dir)
        yield _Archive(file, path, entries, last, outside, context, Counter())


def _repeated(a: _Archive, b: _Archive, common: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    counts = [Counter(entry.filename for entry in side.entries) for side in (a, b)]
    for name in common:
        if max(count[name] for count in counts) > 1:
            yield name, _copies(a, name), _copies(b, name)


def _copies(side: _Archive, name: str) -> list[str]:
    digests = []
    for entry in side.entries:
        if entry.filename == name:
            digest = hashlib.sha256()
            if entry.flag_bits & _ENCRYPTED:
                return ["encrypted"]
            for block in _blocks(side, entry):
                digest.update(block)
            digests.append(digest.hexdigest())
    return digests


def _blocks(side: _Archive, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the unpacked bytes of an entry, bounded; the checksum is tested at the end."""
    meter = Meter(side.context.limits)
    packed = min(entry.compress_size, side.path.stat().st_size)
    first = entry.header_offset not in side.unpacked
    with reading(side.path, "zip", *_ERRORS), side.file.open(entry) as source:
        while block := source.read(BLOCK):
            meter.add(len(block), packed)
            side.unpacked[entry.header_offset] += len(block) if first else 0
            if side.unpacked.total() > _MOST_TIMES * side.context.limits.member_bytes:
                raise LimitExceeded("the archive unpacks to more than the limit")
            yield block


def _dates(a: _Archive, b: _Archive, common: list[str], context: Context) -> list[Finding]:
    pairs = [(name, a.last[name].date_time, b.last[name].date_time) for name in common]
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    if not differing:
        return []
    shown = tuple(
        Example(key={"member": scalar(name)}, a=_text(x), b=_text(y))
        for name, x, y in differing[:MAX_EXAMPLES]
    )
    times = [_epoch(value) for value in differing[0][1:]]
    evidence = f"date of the entry (DOS, read as UTC): {header_times(times[0], times[1], context, grain=2.0)}"
    names = [name for name, _, _ in differing]
    return [about(Kind.TIMESTAMP, Rung.CONTAINER, names, evidence, of=len(common), examples=shown)]


def _text(parts: tuple[int, ...]) -> str:
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*parts)


def _epoch(parts: tuple[int, ...]) -> float | None:
    try:
        year, month, day, hour, minute, second = parts
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None


def _attributes(a: _Archive, b: _Archive, common: list[str]) -> list[Finding]:
    findings: list[Finding] = []
    kinds = [(n, _file_type(a.last[n]), _file_type(b.last[n])) for n in common]
    changed = [(name, x, y) for name, x, y in kinds if x != y]
    if changed:
        evidence = "a file, a folder or a link on one side is another on the other"
        findings.append(attribute(changed, Rung.VALUE, evidence, len(common)))
    for field, rung in ((name, Rung.CONTAINER) for name in ("external_attr", *_FIELDS)):
        values = [(n, getattr(a.last[n], field), getattr(b.last[n], field)) for n in common]
        differing = [(name, x, y) for name, x, y in values if x != y]
        if differing:
            findings.append(attribute(differing, rung, field, len(common)))
    packed = [(n, a.last[n].compress_type, b.last[n].compress_type) for n in common]
    methods = [(name, x, y) for name, x, y in packed if x != y]
    if methods:
        evidence = "compression method"
        findings.append(attribute(methods, Rung.CONTAINER, evidence, len(common), Kind.LAYOUT))
    return findings


def _file_type(entry: zipfile.ZipInfo) -> int:
    """Return the kind of file; archives that state none hold plain files and folders."""
    mode = stat.S_IFMT(entry.external_attr >> 16)
    return mode or (stat.S_IFDIR if entry.is_dir() else stat.S_IFREG)


def _member(a: _Archive, b: _Archive, name: str, context: Context) -> tuple[Finding, ...]:
    """Compare one member; only members that differ are written to disk."""
    left, right = a.last[name], b.last[name]
    where: dict[str, str | int] = {"member": str(scalar(name))}
    if (left.flag_bits | right.flag_bits) & _ENCRYPTED:
        evidence = "the member is encrypted"
        return (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, where=where, evidence=evidence),)
    try:
        if _equal(a, left, b, right):
            return ()
        with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
            paths = [Path(folder) / side / safe_name(name) for side in ("a", "b")]
            for path, archive, entry in zip(paths, (a, b), (left, right), strict=True):
                path.parent.mkdir()
                with path.open("wb") as target:
                    target.writelines(_blocks(archive, entry))
            return compare_member(paths[0], paths[1], name, context)
    except LimitExceeded as exc:
        evidence = f"not compared: {exc}"
        return (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, where=where, evidence=evidence),)


def _equal(a: _Archive, left: zipfile.ZipInfo, b: _Archive, right: zipfile.ZipInfo) -> bool:
    if left.file_size != right.file_size:
        return False
    digests = []
    for archive, entry in ((a, left), (b, right)):
        digest = hashlib.sha256()
        for block in _blocks(archive, entry):
            digest.update(block)
        digests.append(digest.digest())
    return digests[0] == digests[1]
