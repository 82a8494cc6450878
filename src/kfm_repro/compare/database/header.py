"""The 100 bytes at the start of a SQLite file (SQLite file format, section 1.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import Unreadable
from kfm_repro.model.finding import Example, Finding, Kind, Rung

__all__ = ["Header", "header_findings", "read_header"]

_SIZE = 100
_MAGIC = b"SQLite format 3\x00"
_LARGEST_PAGE = 65_536
_ENCODINGS = {0: "none", 1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}


@dataclass(frozen=True)
class Header:
    """The fields of the header that two files of the same rows may differ in."""

    page_size: int
    versions: tuple[int, int]
    changes: int
    pages: int
    free_pages: int
    cookie: int
    vacuum: tuple[int, int]
    encoding: int
    user_version: int
    application_id: int
    valid_for: int
    library: int
    reserved: int
    cache: int
    schema_format: int


def read_header(path: Path) -> Header:
    """Read the header; raises Unreadable when there is none or the file is shorter than it says."""
    with path.open("rb") as file:
        raw = file.read(_SIZE)
    if len(raw) < _SIZE or raw[:16] != _MAGIC:
        raise _unreadable(path, "has no header of a SQLite database")
    (page_size,) = struct.unpack_from(">H", raw, 16)
    numbers = struct.unpack_from(">12I", raw, 24)
    valid_for, library = struct.unpack_from(">2I", raw, 92)
    found = Header(
        page_size=_LARGEST_PAGE if page_size == 1 else page_size,
        versions=(raw[18], raw[19]),
        changes=numbers[0],
        pages=numbers[1],
        free_pages=numbers[3],
        cookie=numbers[4],
        schema_format=numbers[5],
        cache=numbers[6],
        vacuum=(numbers[7], numbers[10]),
        encoding=numbers[8],
        user_version=numbers[9],
        application_id=numbers[11],
        valid_for=valid_for,
        library=library,
        reserved=raw[20],
    )
    # The page count counts only when the last writer kept it up to date: section 1.3.7.
    if found.changes == found.valid_for and path.stat().st_size < found.pages * found.page_size:
        raise _unreadable(path, "is shorter than its header says")
    return found


def header_findings(a: Header, b: Header) -> Iterator[Finding]:
    """Report the fields of two headers that differ."""
    notes = [
        f"{what} {left} against {right}"
        for what, left, right in (
            ("page size", a.page_size, b.page_size),
            ("transactions", a.changes, b.changes),
            ("schema changes", a.cookie, b.cookie),
            ("pages", a.pages, b.pages),
            ("format versions", a.versions, b.versions),
            ("schema format", a.schema_format, b.schema_format),
            ("reserved bytes", a.reserved, b.reserved),
            ("suggested cache", a.cache, b.cache),
            ("vacuum settings", a.vacuum, b.vacuum),
            ("version valid for", a.valid_for - a.changes, b.valid_for - b.changes),
        )
        if left != right
    ]
    if notes:
        yield _container(Kind.LAYOUT, "file header: " + ", ".join(notes))
    if a.library != b.library:
        shown = " against ".join(_version(side.library) for side in (a, b))
        yield _container(Kind.LIBRARY_VERSION, f"last written by SQLite {shown}")
    if a.free_pages != b.free_pages:
        evidence = f"free pages {a.free_pages} against {b.free_pages}: they keep deleted rows"
        yield _container(Kind.GARBAGE, evidence)
    if a.encoding != b.encoding:
        shown = " against ".join(_ENCODINGS.get(side.encoding, "unknown") for side in (a, b))
        yield _container(Kind.ENCODING, f"texts are stored as {shown}")
    for name in ("user_version", "application_id"):
        left, right = getattr(a, name), getattr(b, name)
        if left != right:
            where: dict[str, str | int] = {"pointer": f"/{name}"}
            yield Finding(
                kind=Kind.VALUE, rung=Rung.VALUE, where=where, examples=(Example(a=left, b=right),),
                evidence=f"the {name} of the file header",
            )  # fmt: skip


def _container(kind: Kind, evidence: str) -> Finding:
    return Finding(kind=kind, rung=Rung.CONTAINER, where={"pointer": "/header"}, evidence=evidence)


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _unreadable(path: Path, what: str) -> Unreadable:
    error = Unreadable(f"cannot be read as SQLite: the file {what}")
    error.path = path
    return error
