"""The window test: whether a differing pair is a reading of the clock in both runs.

A pair is a clock reading when A's value lies in run A's wall-clock window and B's in run B's, under the
same encoding and spelling. The rule and the encodings are those of ``docs/findings.md``, "Embedded
timestamps". A time without an offset is read as UTC and as the local time of its run; other offsets are never
guessed. Nothing is taken for
a clock reading because it looks like one: without windows there are none.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context, Side

__all__ = ["DAY", "TIME_TEXT", "Reading", "clock_pair", "clock_times", "fits", "in_window", "readings"]

DAY = 86_400.0
"""Seconds of a day; the grain of a bare date."""

_SLACK = 1.0
_COARSE = 60.0
_UTC = dt.UTC
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_EPOCH_UNITS = {10: ("epoch s", 0), 13: ("epoch ms", 3), 16: ("epoch µs", 6), 19: ("epoch ns", 9)}
_EXCEL_EPOCH = 25_569.0
"""Serial number of 1970-01-01 in the 1900 date system of spreadsheets."""
_JULIAN_EPOCH = 2_440_587.5
"""Julian day of 1970-01-01T00:00Z."""
_UUID1_EPOCH = -12_219_292_800.0
"""1582-10-15, where RFC 9562 versions 1 and 6 begin to count 100 ns steps."""
_DAY_DECIMALS = 4
"""A day count with fewer decimals is coarser than 8.6 s: no evidence of a clock."""
_MAX_OFFSET_MINUTES = 14 * 60


_LOCAL = frozenset(("ctime", "date", "Excel serial", "Julian day", "DOS date", "DBF date"))


class Reading(NamedTuple):
    """One value read as a point in time: ``epoch`` seconds since 1970 (UTC), exact to ``grain`` seconds.

    ``shape`` tells spellings of one encoding apart: A and B must share it.
    """

    encoding: str
    epoch: float
    grain: float
    shape: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is written without an offset, so that it may be the local time of its run."""
        return self.encoding in _LOCAL or self.shape.endswith("naive")


_OFFSET = r"(?: ?(?:Z|UTC|GMT)| ?[+-]\d\d:?\d\d)"
_CLOCK = r"\d\d:\d\d:\d\d"
_ISO = (
    r"\d{4}(?P<{0}>[-/:])\d\d(?P={0})\d\d"
    rf"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,9}}|,\d{{3}}(?=[\s\]]))?)?{_OFFSET}?)?"
)
_COMPACT = r"(?:D:)?\d{8}(?:[T_-]?\d{6}(?:\.\d{1,6})?(?:Z(?:00'00'?)?|[+-]\d\d(?:'\d\d'?|:?\d\d))?)?"
_RFC2822 = rf"(?:[A-Z][a-z]{{2}}, ?)?\d{{1,2}} [A-Z][a-z]{{2}} \d{{4}} {_CLOCK} (?:[+-]\d{{4}}|GMT|UTC|Z)"
_CTIME = rf"[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ \d]\d {_CLOCK} (?:UTC |GMT )?\d{{4}}"

TIME_TEXT = (
    rf"(?<![0-9A-Za-z]){_RFC2822}(?![0-9A-Za-z])"
    rf"|(?<![0-9A-Za-z]){_CTIME}(?!\d)"
    rf"|(?<!\d){_ISO.replace('{0}', 'sep')}(?![0-9A-Za-z])"
    rf"|(?<![0-9A-Za-z.]){_COMPACT}(?![0-9A-Za-z])"
)
"""What a written time looks like inside a longer text; holds the named group ``sep``."""

_FULL_ISO = re.compile(
    r"(\d{4})([-/:])(\d\d)\2(\d\d)"
    rf"(?:([T ])(\d\d):(\d\d)(?::(\d\d)(?:([.,])(\d{{1,9}}))?)?({_OFFSET})?)?",
    re.ASCII,
)
_FULL_COMPACT = re.compile(
    r"(D:)?(\d{4})(\d\d)(\d\d)(?:([T_-]?)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?"
    r"(Z(?:00'00'?)?|[+-]\d\d(?:'\d\d'?|:?\d\d))?)?",
    re.ASCII,
)
_FULL_RFC = re.compile(
    r"(?:[A-Z][a-z]{2}, ?)?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4}|GMT|UTC|Z)",
    re.ASCII,
)
_FULL_CTIME = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (?:UTC |GMT )?(\d{4})", re.ASCII
)
_NUMBER = re.compile(r"(\d{5,19})(?:\.(\d{1,12}))?", re.ASCII)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_UUID = re.compile(
    r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[1-8][0-9A-Fa-f]{3}-?[89abAB][0-9A-Fa-f]{3}-?[0-9A-Fa-f]{12}"
)
_ANYWHERE = re.compile(
    rf"(?P<time>{TIME_TEXT})|(?<![0-9A-Za-z.])\d{{10,19}}(?:\.\d{{1,9}})?(?![0-9A-Za-z.])", re.ASCII
)
_CROCKFORD = {c: i for i, c in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_LONGEST_TIME = 64


def in_window(epoch: float, grain: float, window: tuple[float, float]) -> bool:
    """Return whether a reading lies in the window, widened by one second plus its grain.

    Coarse stamps are cut off, not rounded: a minute or a day may begin before the window, never after it.
    """
    if not math.isfinite(epoch):
        return False
    late = grain if grain < _COARSE else 0.0
    return window[0] - _SLACK - grain <= epoch <= window[1] + _SLACK + late


def fits(reading: Reading, side: Side) -> bool:
    """Return whether a reading lies in a window of its run, as UTC or as the run's local time."""
    shifts = (0.0, *side.offsets) if reading.is_local else (0.0,)
    return any(
        in_window(reading.epoch - shift, reading.grain, window) for shift in shifts for window in side.windows
    )


def clock_pair(a: object, b: object, context: Context, *, day_numbers: bool = True) -> str:
    """Return the encoding under which both scalars are readings of their run's clock, or an empty text.

    ``day_numbers=False`` refuses eight bare digits as a date (in untyped text they are a number).
    """
    found = _clock_readings(a, b, context, day_numbers=day_numbers)
    return found[0].encoding if found else ""


def clock_times(a: object, b: object, context: Context) -> tuple[float, float] | None:
    """Return the seconds since 1970 (UTC) that two readings of their run's clock tell, None where they are none."""
    found = _clock_readings(a, b, context)
    return (_utc(found[0], context.a), _utc(found[1], context.b)) if found else None


def _clock_readings(
    a: object, b: object, context: Context, *, day_numbers: bool = True
) -> tuple[Reading, Reading] | None:
    if context.a.window is None or context.b.window is None:
        return None
    theirs = {(r.encoding, r.shape): r for r in reversed(readings(b)) if fits(r, context.b)}
    for mine in readings(a):
        other = theirs.get((mine.encoding, mine.shape))
        if other is not None and fits(mine, context.a):
            if not day_numbers and mine.shape == "ymd":
                continue
            return mine, other
    return None


def _utc(reading: Reading, side: Side) -> float:
    """Return a reading that fits as UTC: less the offset of the run's local time under which it does."""
    shifts = (0.0, *side.offsets) if reading.is_local else (0.0,)
    return next(
        reading.epoch - shift
        for shift in shifts
        if any(in_window(reading.epoch - shift, reading.grain, window) for window in side.windows)
    )


def readings(value: object) -> tuple[Reading, ...]:  # noqa: PLR0911  # one return per type
    """Return every way in which a scalar can be read as a point in time.

    Takes text (every written time and epoch number in it, or an identifier that holds a time), int, float,
    datetime (naive means UTC) and date. Anything else has no reading.
    """
    if isinstance(value, bool):
        return ()
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, int):
        return _from_digits(str(value), "", "int") if 10**9 <= value < 10**19 else ()
    if isinstance(value, float):
        return _from_float(value)
    if isinstance(value, dt.datetime):
        return _from_datetime(value)
    if isinstance(value, dt.date):
        return (Reading("date", _epoch(value.year, value.month, value.day), DAY),)
    return ()


def _from_text(text: str) -> tuple[Reading, ...]:
    whole = _from_token(text) if len(text) <= _LONGEST_TIME else ()
    if whole:
        return whole
    found: list[Reading] = []
    for match in _ANYWHERE.finditer(text):
        found.extend(_from_token(match.group()))
    return tuple(found)


def _from_token(text: str) -> tuple[Reading, ...]:
    """Read a text that is one time and nothing else."""
    number = _NUMBER.fullmatch(text)
    if number:
        found = _from_digits(number[1], number[2] or "", "text")
        compact = _FULL_COMPACT.fullmatch(text)
        return (*found, *_one(_compact(compact))) if compact else found
    for pattern, parse in _PARSERS:
        match = pattern.fullmatch(text)
        if match:
            return _one(parse(match))
    return ()


def _one(reading: Reading | None) -> tuple[Reading, ...]:
    return () if reading is None else (reading,)


def _from_digits(whole: str, decimals: str, shape: str) -> tuple[Reading, ...]:
    """Read a decimal number: an epoch with at least ten digits, or a day count with a fraction."""
    if whole.startswith("0"):
        return ()
    value = float(f"{whole}.{decimals or 0}")
    if len(whole) in _EPOCH_UNITS:
        encoding, power = _EPOCH_UNITS[len(whole)]
        return (Reading(encoding, value / 10**power, 0.0 if decimals or power else 1.0, shape),)
    return _from_days(value, len(decimals), shape)


def _from_days(value: float, decimals: int, shape: str) -> tuple[Reading, ...]:
    if decimals < _DAY_DECIMALS or value == math.floor(value):
        return ()
    grain = DAY / 10 ** min(decimals, 9)
    return (
        Reading("Excel serial", (value - _EXCEL_EPOCH) * DAY, grain, shape),
        Reading("Julian day", (value - _JULIAN_EPOCH) * DAY, max(grain, 1e-4), shape),
    )


def _from_float(value: float) -> tuple[Reading, ...]:
    if not math.isfinite(value) or value < 10_000 or value >= 1e19:  # noqa: PLR2004  # nothing before 1927
        return ()
    digits = len(str(int(value)))
    if digits in _EPOCH_UNITS:
        encoding, power = _EPOCH_UNITS[digits]
        grain = 1.0 if power == 0 and value == math.floor(value) else 0.0
        return (Reading(encoding, value / 10**power, grain, "float"),)
    text = repr(value)
    return _from_days(value, len(text.partition(".")[2]), "float")


def _from_datetime(value: dt.datetime) -> tuple[Reading, ...]:
    try:
        aware = value if value.tzinfo is not None else value.replace(tzinfo=_UTC)
        epoch = aware.timestamp()
    except (ValueError, OverflowError):
        return ()
    if math.isnan(epoch):
        return ()
    shape = "naive" if value.tzinfo is None else "aware"
    return (Reading("datetime", epoch, 0.0 if value.microsecond else 1.0, shape),)


def _epoch(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    leap = second == 60  # noqa: PLR2004  # a leap second is written as :60
    when = dt.datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=_UTC)
    return when.timestamp() + leap


def _offset(text: str | None) -> float | None:
    """Return the seconds that a written offset lies ahead of UTC; None when there is no such offset."""
    if not text or text.strip()[0] in "ZUG":
        return 0.0
    digits = re.sub(r"\D", "", text)
    minutes = int(digits[:2]) * 60 + int(digits[2:4] or 0)
    if minutes > _MAX_OFFSET_MINUTES:
        return None
    return (-60.0 if "-" in text else 60.0) * minutes


def _at(
    encoding: str, parts: tuple[int, ...], fraction: str | None, offset: str | None, grain: float, shape: str
) -> Reading | None:
    shift = _offset(offset)
    if shift is None:
        return None
    try:
        epoch = _epoch(*parts) - shift
    except (ValueError, OverflowError):
        return None
    if fraction:
        return Reading(encoding, epoch + float(f"0.{fraction}"), 0.0, shape)
    return Reading(encoding, epoch, grain, shape)


def _zone_shape(offset: str | None) -> str:
    if not offset:
        return "naive"
    return "offset" if offset.strip()[0] in "+-" else offset


def _iso(match: re.Match[str]) -> Reading | None:
    year, sep, month, day, joint, hour, minute, second, _, fraction, offset = match.groups()
    date = (int(year), int(month), int(day))
    if hour is None:
        return _at("date", date, None, None, DAY, sep)
    grain = 1.0 if second else 60.0
    time = (int(hour), int(minute), int(second or 0))
    shape = f"{sep}{joint}{'s' if second else 'm'}{_zone_shape(offset)}"
    return _at("ISO 8601", date + time, fraction, offset, grain, shape)


def _compact(match: re.Match[str]) -> Reading | None:
    pdf, year, month, day, joint, hour, minute, second, fraction, offset = match.groups()
    date = (int(year), int(month), int(day))
    if hour is None:
        return _at("date", date, None, None, DAY, f"{pdf or ''}ymd")
    shape = f"{pdf or ''}{joint}{_zone_shape(offset)}"
    encoding = "ISO 8601" if joint == "T" else "compact"
    return _at(encoding, (*date, int(hour), int(minute), int(second)), fraction, offset, 1.0, shape)


def _rfc2822(match: re.Match[str]) -> Reading | None:
    day, month, year, hour, minute, second, offset = match.groups()
    if month not in _MONTHS:
        return None
    parts = (int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    name = "HTTP date" if offset == "GMT" else "RFC 2822"
    return _at(name, parts, None, offset, 1.0, "")


def _ctime(match: re.Match[str]) -> Reading | None:
    month, day, hour, minute, second, year = match.groups()
    if month not in _MONTHS:
        return None
    parts = (int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    return _at("ctime", parts, None, None, 1.0, "")


def _ulid(match: re.Match[str]) -> Reading | None:
    ticks = 0
    for char in match.group()[:10]:
        ticks = ticks * 32 + _CROCKFORD[char]
    return Reading("ULID", ticks / 1e3, 0.0)


def _uuid(match: re.Match[str]) -> Reading | None:
    value = UUID(match.group())
    if value.version == 7:  # noqa: PLR2004  # RFC 9562, 5.7: 48 bits of milliseconds
        return Reading("UUIDv7", (value.int >> 80) / 1e3, 0.0)
    if value.version == 1:
        return Reading("UUIDv1", _UUID1_EPOCH + value.time / 1e7, 0.0)
    return None


_PARSERS = (
    (_FULL_ISO, _iso),
    (_FULL_COMPACT, _compact),
    (_FULL_RFC, _rfc2822),
    (_FULL_CTIME, _ctime),
    (_ULID, _ulid),
    (_UUID, _uuid),
)
