"""PDF and PostScript: dates, ids and programs in their headers told from the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare import bytes as raw_bytes
from kfm_repro.compare import text
from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.timestamps import fits, readings
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_pdf", "compare_postscript"]

_FIELD = re.compile(
    rb"/(?P<name>CreationDate|ModDate|Producer|Creator)\s*\((?P<text>(?:[^()\\]|\\.){0,512})\)"
    rb"|/(?P<id>ID)\s*\[\s*<(?P<first>[0-9A-Fa-f]{8,128})>\s*<[0-9A-Fa-f]{8,128}>\s*\]"
)
_STREAM = re.compile(rb"(?:>>|\s)stream\r?\n")
_END = b"endstream"
_PLACES = re.compile(rb"(?m)^\d{10} \d{5} n|startxref\s+\d+")
"""Offsets of objects (ISO 32000-1, 7.5.4): they follow from the lengths of what stands before."""
_DATES = frozenset(("CreationDate", "ModDate"))


def compare_pdf(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PDF files; what is not a date, an id or a program in an unpacked dictionary is content.

    The id of a file is a digest of its content and the time (ISO 32000-1, 14.4). Content is compared by its
    bytes: pages that are packed otherwise are ``bytes``. Raises Unreadable, LimitExceeded.
    """
    raw = []
    for path in (a, b):
        if path.stat().st_size > context.limits.document_bytes:
            raise LimitExceeded(f"a PDF of more than {context.limits.document_bytes} bytes")
        with reading(path, "PDF"):
            raw.append(_checked(path.read_bytes()))
    cut = [_cut(data) for data in raw]
    if cut[0][0] == cut[1][0] and [f[0] for f in cut[0][1]] == [f[0] for f in cut[1][1]]:
        found = tuple(_fields(cut[0][1], cut[1][1], context))
        if found:
            return found
    return raw_bytes.compare(a, b, context)


def _checked(data: bytes) -> bytes:
    if not data.startswith(b"%PDF-"):
        raise ValueError("it does not begin with %PDF-")
    if b"%%EOF" not in data[-2048:]:
        raise EOFError("it does not end with %%EOF")
    return data


def _cut(data: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a PDF without the fields of its bookkeeping, and these fields in order."""
    kept: list[bytes] = []
    fields: list[tuple[str, str]] = []
    for start, stop, is_stream in _spans(data):
        part = data[start:stop]
        if is_stream:
            kept.append(part)
            continue
        at = 0
        for match in _FIELD.finditer(part):
            kept.extend((_PLACES.sub(b"", part[at : match.start()]), b"/field"))
            name = (match["name"] or b"ID").decode()
            value = match["text"] if match["name"] else match["first"]
            fields.append((name, value.decode("latin-1")))
            at = match.end()
        kept.append(_PLACES.sub(b"", part[at:]))
    return b"\n".join(kept), fields


def _spans(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield the parts of a PDF between and within its streams: in a stream nothing is bookkeeping."""
    at = 0
    while match := _STREAM.search(data, at):
        yield at, match.end(), False
        end = data.find(_END, match.end())
        at = len(data) if end < 0 else end
        yield match.end(), at, True
    yield at, len(data), False


def _fields(a: list[tuple[str, str]], b: list[tuple[str, str]], context: Context) -> Iterator[Finding]:
    for name in dict.fromkeys(name for name, _ in a):
        pairs = [(x, y) for (own, x), (_, y) in zip(a, b, strict=True) if own == name and x != y]
        if not pairs:
            continue
        kind = Kind.TIMESTAMP if name in _DATES else Kind.LIBRARY_VERSION
        evidence = f"{name} of the document"
        if name in _DATES:
            evidence += "" if _in_windows(pairs[0], context) else "; not a time within both runs"
        if name == "ID":
            kind, evidence = Kind.IDENTIFIER, "the file's id: a digest of its content and the time"
        example = Example(key={"field": name}, a=scalar(pairs[0][0]), b=scalar(pairs[0][1]))
        yield Finding(
            kind=kind,
            rung=Rung.CONTAINER,
            where={"pointer": f"/{name}"},
            count=len(pairs),
            examples=(example,),
            evidence=evidence,
        )


def _in_windows(pair: tuple[str, str], context: Context) -> bool:
    return all(
        any(fits(found, side) for found in readings(value))
        for value, side in zip(pair, (context.a, context.b), strict=True)
    )


_COMMENT = re.compile(r"%%(?:CreationDate|Creator|Title|For):")
_KINDS = {"%%CreationDate:": Kind.TIMESTAMP, "%%Creator:": Kind.LIBRARY_VERSION}


def compare_postscript(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PostScript files line by line; the date and the program in the header comments are packaging.

    The comments are those of the Document Structuring Conventions 3.0. Raises Unreadable.
    """
    found: list[Finding] = []
    for finding in text.compare(a, b, context):
        marks = {_mark(example) for example in finding.examples}
        mark = marks.pop() if len(marks) == 1 and finding.count == len(finding.examples) else ""
        if finding.rung is Rung.VALUE and mark in _KINDS:
            finding = msgspec.structs.replace(  # noqa: PLW2901  # the same finding, as packaging
                finding,
                kind=_KINDS[mark],
                rung=Rung.CONTAINER,
                where={"pointer": f"/{mark.strip('%:')}"},
                evidence=finding.evidence or mark,
            )
        found.append(finding)
    return tuple(found)


def _mark(example: Example) -> str:
    matches = [_COMMENT.match(value) if isinstance(value, str) else None for value in (example.a, example.b)]
    names = {match.group() if match else "" for match in matches}
    return names.pop() if len(names) == 1 else ""
