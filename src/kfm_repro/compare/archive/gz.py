"""gzip (RFC 1952): the header of each member, then the payload of all."""

from __future__ import annotations

import hashlib
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kfm_repro.compare.archive.members import (
    BLOCK,
    Meter,
    compare_member,
    entry_metadata,
    header_times,
    safe_name,
)
from kfm_repro.compare.archive.payload import differ
from kfm_repro.compare.context import reading
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["compare_gzip"]

_MAGIC = b"\x1f\x8b"
_FEXTRA, _FNAME, _FCOMMENT, _FHCRC = 4, 8, 16, 2
_HEADER_LIMIT = 1 << 17
_MOST_MEMBERS = 100_000
_FIXED = 10
_WHERE = "gzip header"


@dataclass(frozen=True)
class _Header:
    """One member's header. ``flags`` are without those that only say which fields follow."""

    mtime: int
    xfl: int
    system: int
    text: bool
    crc: bool
    extra: bytes
    name: str
    comment: str


@dataclass(frozen=True)
class _Unpacked:
    headers: tuple[_Header, ...]
    trailing: int
    trailing_sha256: str


def compare_gzip(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two gzip files: header fields, layout, and the payload by what it is.

    The modification time is a known header field: it is ``container`` even where no window proves it a
    clock. Bytes after the last member are compared too. Raises Unreadable (also when truncated or when a
    checksum fails) and LimitExceeded.
    """
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        name = safe_name((context.name or a.name).removesuffix(".gz"))
        left, right = (Path(folder) / side / name for side in ("a", "b"))
        for target in (left, right):
            target.parent.mkdir()
        parts = tuple(_unpack(path, to, context) for path, to in ((a, left), (b, right)))
        findings = [*_headers(parts[0], parts[1], context), *_trailing(parts[0], parts[1])]
        payload = compare_member(left, right, name, context) if differ(left, right) else ()
    if not payload and not findings and differ(a, b):
        evidence = "the payload is equal; level, strategy or blocks of the compression differ"
        return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence),)
    return (*findings, *payload)


def _unpack(path: Path, target: Path, context: Context) -> _Unpacked:
    """Write the payload of all members to ``target``; stop at the limits."""
    meter = Meter(context.limits)
    headers: list[_Header] = []
    with reading(path, "gzip", zlib.error, struct.error), path.open("rb") as source, target.open("wb") as to:
        pending = source.read(_HEADER_LIMIT)
        while pending.startswith(_MAGIC):
            headers.append(_header(pending))
            if len(headers) > _MOST_MEMBERS:
                raise LimitExceeded(f"more than {_MOST_MEMBERS} gzip members")
            pending = _member(pending, source, to, meter)
            if len(pending) < _HEADER_LIMIT:
                pending += source.read(_HEADER_LIMIT - len(pending))
        if not headers:
            raise ValueError("no gzip header")
        size, digest = _rest(pending, source)
    return _Unpacked(tuple(headers), size, digest)


def _member(pending: bytes, source: BinaryIO, target: BinaryIO, meter: Meter) -> bytes:
    """Unpack one member, checksum and length included; return what follows it."""
    engine = zlib.decompressobj(31)
    while True:
        block = engine.decompress(pending, BLOCK)
        meter.add(len(block), source.tell())
        target.write(block)
        if engine.eof:
            return engine.unused_data
        pending = engine.unconsumed_tail
        if not pending and len(block) < BLOCK:
            pending = source.read(BLOCK)
            if not pending:
                raise EOFError("the compressed data ends too early")


def _rest(pending: bytes, source: BinaryIO) -> tuple[int, str]:
    """Return size and SHA-256 of what follows the last member."""
    digest, size = hashlib.sha256(), 0
    while pending:
        digest.update(pending)
        size += len(pending)
        pending = source.read(BLOCK)
    return size, digest.hexdigest()


def _header(raw: bytes) -> _Header:
    """Read a member header (RFC 1952, 2.3). Raises ValueError, struct.error."""
    flags, mtime, xfl, system = struct.unpack_from("<xxxBIBB", raw)
    at = _FIXED
    extra = b""
    if flags & _FEXTRA:
        (size,) = struct.unpack_from("<H", raw, at)
        extra, at = raw[at + 2 : at + 2 + size], at + 2 + size
    texts = []
    for flag in (_FNAME, _FCOMMENT):
        end = raw.index(b"\0", at) if flags & flag else at
        texts.append(raw[at:end].decode("latin-1"))
        at = end + 1 if flags & flag else at
    return _Header(mtime, xfl, system, bool(flags & 1), bool(flags & _FHCRC), extra, texts[0], texts[1])


def _headers(a: _Unpacked, b: _Unpacked, context: Context) -> list[Finding]:
    findings: list[Finding] = []
    if len(a.headers) != len(b.headers):
        evidence = f"{len(a.headers)} gzip members in A, {len(b.headers)} in B"
        findings.append(Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence))
    pairs = list(zip(a.headers, b.headers, strict=False))
    findings.extend(_times(pairs, context))
    for field, what in (("name", "FNAME"), ("comment", "FCOMMENT")):
        texts = [(getattr(x, field), getattr(y, field)) for x, y in pairs]
        found = next((pair for pair in texts if pair[0] != pair[1]), None)
        if found:
            findings.append(entry_metadata(*found, what, _WHERE, context))
    findings.extend(_numbers(pairs))
    return findings


def _times(pairs: list[tuple[_Header, _Header]], context: Context) -> list[Finding]:
    differing = [(x.mtime, y.mtime) for x, y in pairs if x.mtime != y.mtime]
    if not differing:
        return []
    # Zero means that no time is stored (RFC 1952, MTIME).
    first = [float(value) if value else None for value in differing[0]]
    return [
        Finding(
            kind=Kind.TIMESTAMP,
            rung=Rung.CONTAINER,
            where={"member": _WHERE},
            count=len(differing),
            of=len(pairs),
            examples=(Example(key={"field": "MTIME"}, a=differing[0][0], b=differing[0][1]),),
            evidence=f"MTIME: {header_times(first[0], first[1], context, grain=1.0)}",
        )
    ]


def _numbers(pairs: list[tuple[_Header, _Header]]) -> list[Finding]:
    findings: list[Finding] = []
    for field, what, kind in (
        ("xfl", "XFL (compression level)", Kind.LAYOUT),
        ("system", "OS", Kind.ENTRY_METADATA),
        ("text", "FTEXT", Kind.ENTRY_METADATA),
        ("crc", "FHCRC", Kind.ENTRY_METADATA),
        ("extra", "FEXTRA", Kind.ENTRY_METADATA),
    ):
        values = [(getattr(x, field), getattr(y, field)) for x, y in pairs]
        found = next((pair for pair in values if pair[0] != pair[1]), None)
        if found:
            shown = [value.hex() if isinstance(value, bytes) else value for value in found]
            example = Example(key={"field": what}, a=shown[0], b=shown[1])
            where: dict[str, str | int] = {"member": _WHERE}
            findings.append(
                Finding(kind=kind, rung=Rung.CONTAINER, where=where, examples=(example,), evidence=what)
            )
    return findings


def _trailing(a: _Unpacked, b: _Unpacked) -> list[Finding]:
    if (a.trailing, a.trailing_sha256) == (b.trailing, b.trailing_sha256):
        return []
    evidence = f"bytes after the last gzip member: {a.trailing} in A, {b.trailing} in B"
    where: dict[str, str | int] = {"member": "after the last gzip member"}
    return [Finding(kind=Kind.BYTES, rung=Rung.VALUE, where=where, evidence=evidence)]
