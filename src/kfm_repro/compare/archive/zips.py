"""zip: the entries, what is said of them, and each member by what it is; the last of a name counts."""

from __future__ import annotations

import datetime as dt
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kfm_repro.compare.archive.entries import about, attribute, duplicates, one_sided, order_of
from kfm_repro.compare.archive.members import entry_metadata, header_times
from kfm_repro.compare.archive.outside import Outside, outside_entries, outside_finding
from kfm_repro.compare.archive.sides import (
    MOST_ENTRIES,
    Side,
    common_names,
    compare_members,
    repeated,
    unknown_member,
)
from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.grouping import merge_many
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from kfm_repro.compare.context import Context

__all__ = ["compare_zip"]

_ENCRYPTED = 1
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


class _Zip(Side[zipfile.ZipInfo]):
    """One side. ``outside`` is what lies in the file but in no entry."""

    def __init__(
        self,
        path: Path,
        file: zipfile.ZipFile,
        entries: tuple[zipfile.ZipInfo, ...],
        outside: Outside,
        context: Context,
    ) -> None:
        super().__init__(path, entries, context)
        self.file = file
        self.outside = outside

    def name(self, entry: zipfile.ZipInfo) -> str:
        return entry.filename

    def offset(self, entry: zipfile.ZipInfo) -> int:
        return entry.header_offset

    def sizes(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        return entry.file_size, entry.compress_size

    def opened(self, entry: zipfile.ZipInfo) -> IO[bytes]:
        """Open the content; the checksum is tested at its end."""
        return self.file.open(entry)

    def reading(self) -> AbstractContextManager[None]:
        return reading(self.path, "zip", *_ERRORS)

    def opaque(self, entry: zipfile.ZipInfo) -> str:
        return "encrypted" if entry.flag_bits & _ENCRYPTED else ""


def compare_zip(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zip files: entry order, dates and attributes, members by name and by what they are.

    Dates of entries are known header fields: ``container``. Encrypted members are ``unknown``. Raises
    Unreadable, LimitExceeded.
    """
    with _opened(a, context) as left, _opened(b, context) as right:
        common = common_names(left, right)
        findings = [
            *one_sided(left.last, right.last),
            *order_of(common, common_names(right, left)),
            *duplicates(repeated(left, right, common)),
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
def _opened(path: Path, context: Context) -> Iterator[_Zip]:
    with reading(path, "zip", *_ERRORS):
        file = zipfile.ZipFile(path)
    with file:
        entries = tuple(file.infolist())
        if len(entries) > MOST_ENTRIES:
            raise LimitExceeded(f"more than {MOST_ENTRIES} zip entries")
        with reading(path, "zip", OverflowError, *_ERRORS):
            outside = outside_entries(path, entries, file.start_dir)
        yield _Zip(path, file, entries, outside, context)


def _dates(a: _Zip, b: _Zip, common: list[str], context: Context) -> list[Finding]:
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


def _attributes(a: _Zip, b: _Zip, common: list[str]) -> list[Finding]:
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


def _member(a: _Zip, b: _Zip, name: str, context: Context) -> tuple[Finding, ...]:
    if a.opaque(a.last[name]) or b.opaque(b.last[name]):
        return (unknown_member(name, "the member is encrypted"),)
    return compare_members(a, b, name, context)
