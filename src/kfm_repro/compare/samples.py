"""Values of the compared files as examples in a finding: JSON scalars, bounded, and safe to print."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["MAX_TEXT", "scalar"]

MAX_TEXT = 200
"""Most characters of one example value, the ellipsis included."""

_BIGGEST_INT = 1 << 63
"""Integers beyond 64 bits are written as text: JSON readers would round them."""

_HEX_INT_BITS = 4096
"""Integers above this are written in hexadecimal, which is linear in their length."""


def scalar(value: object) -> Any:  # noqa: ANN401, PLR0911  # a JSON scalar is any of five types
    """Return ``value`` as a JSON scalar for `Example`; texts have at most 200 characters.

    Bytes become ``0x…``, dates and times ISO text, decimals text, ``nan`` and infinities their name, numpy
    scalars the Python value, containers compact JSON text. Lone surrogates are escaped.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else repr(number)
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _cut("0x" + base64.b16encode(bytes(value[:MAX_TEXT])).decode().lower())
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return _cut("NaT" if str(value) == "NaT" else value.isoformat())
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _cut(_json(value))
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        python = value.item()
        return scalar(python) if type(python) is not type(value) else _cut(str(value))
    return _cut(str(value))


def _integer(value: int) -> int | str:
    if -_BIGGEST_INT <= value < _BIGGEST_INT:
        return value
    return _cut(str(value) if value.bit_length() <= _HEX_INT_BITS else hex(value))


def _cut(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    try:
        text.encode()
    except UnicodeEncodeError:
        return _cut(text.encode("utf-8", "backslashreplace").decode("utf-8"))
    return text


def _json(value: object) -> str:
    """Write a container as JSON only as far as it will be shown."""
    parts: list[str] = []
    length = 0
    encoder = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":"), default=_inner, check_circular=False
    )
    for part in encoder.iterencode(_keyed(value)):
        parts.append(part[: MAX_TEXT + 1])
        length += len(part)
        if length > MAX_TEXT:
            break
    return "".join(parts)


def _keyed(value: object) -> object:
    """Return the outermost container with keys that JSON knows and members in a stated order."""
    if isinstance(value, Mapping):
        return {str(key): member for key, member in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return value


def _inner(value: object) -> object:
    if isinstance(value, Mapping | set | frozenset):
        return _keyed(value)
    if isinstance(value, Decimal):
        return str(value)
    shown = scalar(value)
    return shown if shown is not value else str(value)
