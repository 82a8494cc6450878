"""PNG and JPEG: what is said in their headers, then the pixels that a viewer shows."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.raster.opened import opened_raster
from kfm_repro.compare.raster.picture import compare_pictures
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_jpeg", "compare_png"]

_PROGRAM = frozenset(("Software", "software", "Creator"))
_DATE = frozenset(("Creation Time", "tIME", "date:create", "date:modify", "date:timestamp"))
_PIXELS = (Kind.PIXELS, Kind.NODATA, Kind.TYPE, Kind.SCHEMA, Kind.BANDS, Kind.FLOAT_NOISE)
_MOST_TEXT = 1 << 20
_CHUNK_NAME = re.compile(r"[A-Za-z]{2}[A-Z][A-Za-z]")
"""Types of chunks: the third letter is a capital (PNG, third edition, 5.4)."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends a scan of a JPEG: neither a stuffed byte nor a restart (ITU T.81, B.1.1.2)."""
Parts = dict[str, bytes]
"""What a file says beside its pixels, by the name of the chunk, the text or the segment."""


def compare_png(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two PNG files (third edition) chunk by chunk, and by their pixels where packed data differ.

    Raises Unreadable (also when truncated), LimitExceeded, and NotInstalled without rasterio.
    """
    parts = []
    for path in (a, b):
        with reading(path, "PNG", struct.error, zlib.error):
            parts.append(_png(path.read_bytes()))
    return _compared(a, b, parts[0], parts[1], context, "PNG")


def compare_jpeg(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two JPEG files (ITU T.81) segment by segment, and by their pixels where packed data differ.

    Raises as `compare_png`.
    """
    parts = []
    for path in (a, b):
        with reading(path, "JPEG", struct.error):
            parts.append(_jpeg(path.read_bytes()))
    return _compared(a, b, parts[0], parts[1], context, "JPEG")


def _compared(
    a: Path, b: Path, left: Parts, right: Parts, context: Context, driver: str
) -> tuple[Finding, ...]:
    found = [
        _said(name, left.get(name), right.get(name), context)
        for name in sorted({*left, *right})
        if name != "pixels" and left.get(name) != right.get(name)
    ]
    if left["pixels"] != right["pixels"]:
        with opened_raster(a, driver) as one, opened_raster(b, driver) as other:
            pixels = [f for f in compare_pictures(one, other, context, {}) if f.kind in _PIXELS]
        found.extend(pixels)
        if not pixels:
            evidence = "the same pixels, packed otherwise"
            found.append(Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence))
    return tuple(found)


def _said(name: str, a: bytes | None, b: bytes | None, context: Context) -> Finding:
    """Return the finding for a text or chunk that differs: programs and dates are packaging, the rest is not."""
    shown = [_text(value) for value in (a, b)]
    kind, rung, evidence = Kind.ATTRIBUTES, Rung.VALUE, name
    if name in _PROGRAM:
        kind, rung = Kind.LIBRARY_VERSION, Rung.CONTAINER
    elif name in _DATE:
        kind, rung = Kind.TIMESTAMP, Rung.CONTAINER
    elif isinstance(shown[0], str) and isinstance(shown[1], str):
        part = classify_pairs([(shown[0], shown[1])], context)[0]
        if Kind(part.kind) in (Kind.TIMESTAMP, Kind.IDENTIFIER, Kind.PATH, Kind.HOST):
            kind, rung, evidence = Kind(part.kind), Rung(part.rung), f"{name}: {part.evidence}"
    example = Example(key={"field": name}, a=scalar(shown[0]), b=scalar(shown[1]))
    return Finding(
        kind=kind, rung=rung, where={"pointer": f"/{name}"}, examples=(example,), evidence=evidence
    )


def _text(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    return text if text.isprintable() else value


def _png(raw: bytes) -> Parts:
    """Return the chunks: texts by their keyword, packed pixels together, every other by type and number."""
    if not raw.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("no PNG signature")
    parts: Parts = {"pixels": b""}
    pixels = []
    at, kind = 8, b""
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", raw, at)
        data = raw[at + 8 : at + 8 + size]
        (check,) = struct.unpack_from(">I", raw, at + 8 + size)
        if zlib.crc32(kind + data) != check:
            raise ValueError(f"the checksum of the chunk {kind.decode('latin-1')} is wrong")
        at += 12 + size
        if kind == b"IDAT":
            pixels.append(data)
        elif kind != b"IEND":
            name, value = _png_text(kind, data)
            number = sum(other == name or other.startswith(f"{name} #") for other in parts)
            parts[f"{name} #{number + 1}" if number else name] = value
    parts["pixels"] = b"".join(pixels)
    if raw[at:]:
        parts["bytes after the end"] = raw[at:]
    return parts


def _png_text(kind: bytes, data: bytes) -> tuple[str, bytes]:
    """Return the keyword and the text of a textual chunk (11.3.3), or the type and the bytes of any other."""
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return kind.decode("latin-1"), data
    keyword, _, rest = data.partition(b"\0")
    name = keyword.decode("latin-1")
    if _CHUNK_NAME.fullmatch(name):
        name = f"text {name}"  # no chunk of this type
    if kind == b"zTXt":
        rest = _inflated(rest[1:])
    elif kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:]
        _, _, rest = rest.partition(b"\0")
        _, _, rest = rest.partition(b"\0")
        rest = _inflated(rest) if packed else rest
    return name, rest


def _inflated(data: bytes) -> bytes:
    """Unpack a text, or keep it packed if it is too long."""
    engine = zlib.decompressobj()
    text = engine.decompress(data, _MOST_TEXT)
    return data if engine.unconsumed_tail else text


def _jpeg(raw: bytes) -> Parts:
    """Return application segments and comments by name; frames, tables and scans together as the pixels."""
    if raw[:2] != b"\xff\xd8":
        raise ValueError("no JPEG signature")
    parts: Parts = {}
    pixels: list[bytes] = []
    at = 2
    while True:
        mark, code = raw[at], raw[at + 1]
        if mark != 0xFF:  # noqa: PLR2004  # every marker begins so
            raise ValueError(f"no marker at byte {at}")
        if code == 0xFF:  # noqa: PLR2004  # a fill byte
            at += 1
            continue
        if code == 0xD9:  # noqa: PLR2004  # the end of the picture, whatever follows
            if raw[at + 2 :]:
                parts["bytes after the end"] = raw[at + 2 :]
            break
        (size,) = struct.unpack_from(">H", raw, at + 2)
        data = raw[at + 4 : at + 2 + size]
        stop = at + 2 + size
        if 0xE0 <= code <= 0xEF or code == 0xFE:  # noqa: PLR2004  # application data, comments
            name = "comment" if code == 0xFE else f"APP{code - 0xE0}"  # noqa: PLR2004  # as above
            number = sum(other == name or other.startswith(f"{name} #") for other in parts)
            parts[f"{name} #{number + 1}" if number else name] = data
        else:
            if code == 0xDA:  # noqa: PLR2004  # a scan: entropy-coded up to the next marker
                marker = _MARKER.search(raw, stop)
                if marker is None:
                    raise EOFError("the picture does not end")
                stop = marker.start()
            pixels.append(raw[at:stop])
        at = stop
    parts["pixels"] = b"".join(pixels)
    return parts
