"""The window test on raw bytes: whether a differing range of two files holds the time of the run.

Every encoding that fits at the same offset in both files is tried; the field must cover the whole range. The
encodings are those of ``docs/findings.md``, "Embedded timestamps".
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from kfm_repro.compare.noise.timestamps import DAY, TIME_TEXT, Reading, fits, readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfm_repro.compare.context import Context, Side

__all__ = ["AROUND", "Field", "explain_range"]

AROUND = 48
"""Bytes around a differing range that are looked at: longer than any written time."""

_FILETIME_EPOCH = 11_644_473_600.0
_JULIAN_EPOCH = 2_440_587.5
_WIDEST = 8
_FLOATS = (("<d", "little-endian double"), (">d", "big-endian double"))
_INTEGERS = (
    ("<I", "little-endian 32-bit epoch s", 1.0, 1.0),
    (">I", "big-endian 32-bit epoch s", 1.0, 1.0),
    ("<Q", "little-endian 64-bit epoch s", 1.0, 1.0),
    (">Q", "big-endian 64-bit epoch s", 1.0, 1.0),
    ("<Q", "little-endian 64-bit epoch ms", 1e3, 0.0),
    (">Q", "big-endian 64-bit epoch ms", 1e3, 0.0),
    ("<Q", "little-endian 64-bit epoch µs", 1e6, 0.0),
    (">Q", "big-endian 64-bit epoch µs", 1e6, 0.0),
    ("<Q", "little-endian 64-bit epoch ns", 1e9, 0.0),
    (">Q", "big-endian 64-bit epoch ns", 1e9, 0.0),
)
_TEXT = re.compile(
    rf"{TIME_TEXT}|(?<!\d)(?P<octal>[0-7]{{11}})(?!\d)"
    r"|(?<![0-9A-Za-z.])[1-9]\d{9,18}(?:\.\d{1,9})?(?![0-9A-Za-z.])",
    re.ASCII,
)


class Field(NamedTuple):
    """A field of both files, ``start`` to ``stop`` in the given excerpt, that holds the time of each run."""

    start: int
    stop: int
    encoding: str


def explain_range(a: bytes, b: bytes, start: int, stop: int, context: Context) -> Field | None:
    """Return the field that explains why ``a[start:stop]`` differs from ``b``, or None.

    ``a`` and ``b`` are excerpts from the same offset of both files with up to `AROUND` bytes on both sides.
    """
    if context.a.window is None or context.b.window is None:
        return None
    return _text_field(a, b, start, stop, context) or _binary_field(a, b, start, stop, context)


def _text_field(a: bytes, b: bytes, start: int, stop: int, context: Context) -> Field | None:
    spans_b = dict(_text_spans(b, context.b))
    for span, encodings in _text_spans(a, context.a):
        if span[0] <= start and span[1] >= stop:
            shared = [encoding for encoding in encodings if encoding in spans_b.get(span, ())]
            if shared:
                return Field(span[0], span[1], shared[0][0])
    return None


def _text_spans(raw: bytes, side: Side) -> Iterator[tuple[tuple[int, int], list[tuple[str, str]]]]:
    """Yield where a text in ``raw`` spells a time in the window, and under which (encoding, shape)."""
    for match in _TEXT.finditer(raw.decode("latin-1")):
        found = [
            (reading.encoding, reading.shape) for reading in readings(match.group()) if fits(reading, side)
        ]
        if match["octal"] and fits(Reading("tar octal", float(int(match["octal"], 8)), 1.0), side):
            found.append(("tar octal", ""))
        if found:
            yield match.span(), found


def _binary_field(a: bytes, b: bytes, start: int, stop: int, context: Context) -> Field | None:
    if stop - start > _WIDEST:
        return None
    for offset in range(max(0, stop - _WIDEST), start + 1):
        theirs = {name: Reading(name, epoch, grain) for name, _, epoch, grain in _fields(b, offset)}
        for name, width, epoch, grain in _fields(a, offset):
            if (
                offset + width >= stop
                and name in theirs
                and fits(Reading(name, epoch, grain), context.a)
                and fits(theirs[name], context.b)
            ):
                return Field(offset, offset + width, name)
    return None


def _fields(raw: bytes, offset: int) -> Iterator[tuple[str, int, float, float]]:
    """Yield every (encoding, width in bytes, epoch seconds, grain seconds) that fits at an offset."""
    for code, name, unit, grain in _INTEGERS:
        width = struct.calcsize(code)
        if offset + width <= len(raw):
            yield name, width, struct.unpack_from(code, raw, offset)[0] / unit, grain
    if offset + _WIDEST <= len(raw):
        for code, name in _FLOATS:
            value = struct.unpack_from(code, raw, offset)[0]
            yield f"{name} epoch s", _WIDEST, value, 0.0
            yield f"{name} epoch ms", _WIDEST, value / 1e3, 0.0
            yield f"{name} Julian day", _WIDEST, (value - _JULIAN_EPOCH) * DAY, 1e-4
        ticks = struct.unpack_from("<Q", raw, offset)[0]
        yield "FILETIME", _WIDEST, ticks / 1e7 - _FILETIME_EPOCH, 0.0
    yield from _calendar_fields(raw, offset)


def _calendar_fields(raw: bytes, offset: int) -> Iterator[tuple[str, int, float, float]]:
    """Yield the DOS date (four bytes, two seconds) and the DBF date (three bytes, a day) at an offset."""
    if offset + 4 <= len(raw):
        time, date = struct.unpack_from("<HH", raw, offset)
        clock = (time >> 11, time >> 5 & 63, (time & 31) * 2)
        epoch = _epoch((date >> 9) + 1980, date >> 5 & 15, date & 31, *clock)
        if epoch is not None:
            yield "DOS date", 4, epoch, 2.0
    if offset + 3 <= len(raw):
        epoch = _epoch(1900 + raw[offset], raw[offset + 1], raw[offset + 2])
        if epoch is not None:
            yield "DBF date", 3, epoch, DAY


def _epoch(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float | None:
    try:
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None
