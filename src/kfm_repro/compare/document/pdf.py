"""PDF and PostScript: dates, ids and programs in their headers told from the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare import bytes as raw_bytes
from kfm_repro.compare import text
from kfm_repro.compare.context import reading
from kfm_repro.compare.document.pdf_read import Stream, Text, newest_trailer, read_pdf
from kfm_repro.compare.noise.timestamps import fits, readings
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.xml_read import local_name, read_xml
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_pdf", "compare_postscript"]

_DATES = frozenset(("CreationDate", "ModDate"))
_PROGRAMS = frozenset(("Producer", "Creator"))
_DERIVED = frozenset((b"Size", b"Prev", b"ID"))
"""Of a trailer: what follows from the tables, and the id."""
_XMP_DATES = frozenset(("CreateDate", "ModifyDate", "MetadataDate"))
_XMP_IDS = frozenset(("DocumentID", "InstanceID"))
_XMP_PROGRAMS = frozenset(("Producer", "CreatorTool"))
_INFO = re.compile(rb"/Info[\0\t\n\f\r ]+(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+R")
_ID = re.compile(rb"/ID\s*\[\s*(<[0-9A-Fa-f]{8,128}>\s*<[0-9A-Fa-f]{8,128}>)\s*\]")
_FIELD = re.compile(
    rb"/(?P<name>CreationDate|ModDate|Producer|Creator)\s*\((?P<text>(?:[^()\\]|\\.){0,512})\)"
)
_ID_EVIDENCE = "the file's id: a digest of its content and the time"
_BOUND = (b"/Encrypt", b"/ByteRange")
"""What hangs on the very bytes of a file: encryption on its id, signatures on all of them."""


def compare_pdf(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PDF files by the objects that their tables lead to.

    Dates, programs and ids in the document's information and metadata are packaging; so are the order of objects,
    objects that a later revision replaced, and how streams are packed. All else is content, and is compared by its
    bytes, as files are whose objects cannot be told. Raises Unreadable, LimitExceeded.
    """
    raw = []
    for path in (a, b):
        if path.stat().st_size > context.limits.document_bytes:
            raise LimitExceeded(f"a PDF of more than {context.limits.document_bytes} bytes")
        with reading(path, "PDF"):
            raw.append(_checked(path.read_bytes()))
    bound = any(mark in data for mark in _BOUND for data in raw)
    told = () if bound else _by_objects(raw[0], raw[1], context) or _in_place(raw[0], raw[1], context)
    return told or raw_bytes.compare(a, b, context)


def _checked(data: bytes) -> bytes:
    if not data.startswith(b"%PDF-"):
        raise ValueError("it does not begin with %PDF-")
    if b"%%EOF" not in data[-2048:]:
        raise EOFError("it does not end with %%EOF")
    return data


def _by_objects(a: bytes, b: bytes, context: Context) -> tuple[Finding, ...]:
    """Return what differs besides content; nothing where content differs, or where it cannot be told."""
    try:
        left, right = read_pdf(a), read_pdf(b)
    except (ValueError, IndexError, TypeError, RecursionError):
        return ()
    heads = [{k: v for k, v in side.trailer.items() if k not in _DERIVED} for side in (left, right)]
    if heads[0] != heads[1] or left.objects.keys() != right.objects.keys() or a[:8] != b[:8]:
        return ()
    info = heads[0].get(b"Info")
    found: list[Finding] = []
    packed = False
    for ref, one in left.objects.items():
        other = right.objects[ref]
        if one == other:
            continue
        if ref == info:
            told = _information(one, other, context)
        elif _is_xmp(one) and _is_xmp(other):
            told = _metadata(one, other, context)
        else:
            told = None
            if isinstance(one, Stream) and isinstance(other, Stream) and one.same_content(other):
                packed, told = True, []
        if told is None:
            return ()
        found += told
    ids = [side.trailer.get(b"ID") for side in (left, right)]
    if ids[0] != ids[1]:
        found.append(_named("ID", Kind.IDENTIFIER, _shown(ids[0]), _shown(ids[1]), _ID_EVIDENCE))
    return tuple(found) or (_laid_out(packed=packed),)


def _in_place(a: bytes, b: bytes, context: Context) -> tuple[Finding, ...]:
    """Return the fields that differ in two files without plain tables whose bytes are the same but for them.

    No object has moved where every field is as long as the other, so that whatever leads to it still does.
    """
    spans = _fields(a)
    if len(a) != len(b) or b"\nxref" in a or b"\nxref" in b or spans != _fields(b):
        return ()
    found: list[Finding] = []
    at = 0
    for start, stop, name in [*spans, (len(a), len(a), "")]:
        if a[at:start] != b[at:start]:
            return ()
        one, other, at = a[start:stop].decode("latin-1"), b[start:stop].decode("latin-1"), stop
        if one != other and name == "ID":
            found.append(_named(name, Kind.IDENTIFIER, one, other, _ID_EVIDENCE))
        elif one != other:
            found.append(_field(name, (one, other), name in _DATES, context))
    return tuple(found)


def _fields(data: bytes) -> list[tuple[int, int, str]]:
    """Return where the dates and programs of the information dictionary lie, and the id, with their names.

    What leads to them is the newest trailer, the dictionary of a cross-reference stream (7.5.8), and nothing that
    a page may say.
    """
    start, stop = newest_trailer(data)
    infos = {(int(match[1]), int(match[2])) for match in _INFO.finditer(data, start, stop)}
    if len(infos) != 1:
        return []
    head = re.compile(rb"(?<!\d)%d[\0\t\n\f\r ]+%d[\0\t\n\f\r ]+obj" % infos.pop())
    objects = [match.end() for match in head.finditer(data)]
    found = [(match.start(1), match.end(1), "ID") for match in _ID.finditer(data, start, stop)]
    if len(objects) == 1:
        end = data.find(b"endobj", objects[0])
        found += [
            (match.start("text"), match.end("text"), match["name"].decode())
            for match in _FIELD.finditer(data, objects[0], end)
        ]
    return sorted(found)


def _laid_out(*, packed: bool) -> Finding:
    what = (
        "packed otherwise" if packed else "in another order, or beside others that a later revision replaced"
    )
    return Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=f"the same objects, {what}")


def _information(a: object, b: object, context: Context) -> list[Finding] | None:
    """Compare two information dictionaries (ISO 32000-1, 14.3.3); None where more than bookkeeping differs."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return None
    found = []
    for key in sorted({*a, *b}):
        name = key.decode("latin-1")
        values = a.get(key), b.get(key)
        if values[0] == values[1]:
            continue
        if name not in _DATES | _PROGRAMS or not all(isinstance(value, Text) for value in values):
            return None
        found.append(_field(name, (_text(values[0]), _text(values[1])), name in _DATES, context))
    return found


def _field(name: str, values: tuple[str, str], dated: bool, context: Context) -> Finding:  # noqa: FBT001  # private
    evidence = f"{name} of the document"
    if dated and not _in_windows(values, context):
        evidence += "; not a time within both runs"
    return Finding(
        kind=Kind.TIMESTAMP if dated else Kind.LIBRARY_VERSION,
        rung=Rung.CONTAINER,
        where={"pointer": f"/{name}"},
        examples=(Example(key={"field": name}, a=scalar(values[0]), b=scalar(values[1])),),
        evidence=evidence,
    )


def _text(value: object) -> str:
    raw = value.raw if isinstance(value, Text) else b""
    if raw.startswith(b"<"):
        try:
            return bytes.fromhex(raw[1:-1].decode("latin-1")).decode("latin-1")
        except ValueError:
            return raw.decode("latin-1")
    return raw[1:-1].decode("latin-1")


def _shown(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    return " ".join(part.raw.decode("latin-1") for part in parts if isinstance(part, Text))


def _is_xmp(value: object) -> bool:
    return (
        isinstance(value, Stream)
        and value.said.get(b"Subtype") == b"/XML"
        and value.said.get(b"Type") == b"/Metadata"
    )


def _metadata(a: Stream, b: Stream, context: Context) -> list[Finding] | None:
    """Compare two XMP packets (ISO 16684-1); None where more than dates, ids and programs differ."""
    if a.said != b.said:
        return None
    try:
        sides = [_leaves(read_xml(stream.data.strip(b"\xef\xbb\xbf\0 \r\n"), context)) for stream in (a, b)]
    except (Unreadable, LimitExceeded):
        return None
    if [place for place, _ in sides[0]] != [place for place, _ in sides[1]]:
        return None
    found = []
    for (place, one), (_, other) in zip(*sides, strict=True):
        name = local_name(place[-1])
        if one == other:
            continue
        if name in _XMP_IDS:
            found.append(_named(name, Kind.IDENTIFIER, one, other, "an id of the document's metadata"))
        elif name in _XMP_DATES | _XMP_PROGRAMS:
            found.append(_field(name, (one, other), name in _XMP_DATES, context))
        else:
            return None
    return found


def _named(name: str, kind: Kind, a: str, b: str, evidence: str) -> Finding:
    example = Example(key={"field": name}, a=scalar(a), b=scalar(b))
    return Finding(
        kind=kind, rung=Rung.CONTAINER, where={"pointer": f"/{name}"}, examples=(example,), evidence=evidence
    )


def _leaves(element: list[Any], place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Return every attribute and text of a document with the names that lead to it, in order."""
    here = (*place, element[0])
    found = [((*here, name), value) for name, value in element[1].items()]
    for child in element[2:]:
        found += _leaves(child, here) if isinstance(child, list) else [(here, child)]
    return found


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
