"""Reading JSON and TOML strictly: exact integers, exact decimals, no repeated keys."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.scalars import Plain, number_of, whole_number_of
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["DuplicateKey", "read_json", "read_toml"]


_MICRO = 6
_FINER = re.compile(r"(\d\d:\d\d:\d\d\.)\d{6}(\d+)")
"""A time of day with digits after the sixth, of which six more can be told apart."""


class DuplicateKey(Exception):  # a fork in the reading, handled inside this room
    """An object of the document names a key twice."""


def read_json(raw: bytes, context: Context) -> object:
    """Return the parsed document. Raises DuplicateKey, ValueError, RecursionError; ``context`` is unused.

    Numbers are int or float; what neither can hold is a Decimal, as `number_of` and `whole_number_of` say.
    """
    del context
    text = raw.decode(json.detect_encoding(raw))
    return json.loads(text, object_pairs_hook=_object, parse_int=whole_number_of, parse_float=number_of)


def read_toml(raw: bytes, context: Context) -> object:
    """Return the parsed document; dates and times are `Plain`. ``context`` is unused.

    Raises ValueError, and LimitExceeded for times of more digits than can be told apart.
    """
    del context
    text = raw.decode()
    read = tomllib.loads(text, parse_float=_toml_float)
    if any(len(digits) > _MICRO for _, digits in _FINER.findall(text)):
        raise LimitExceeded("a time of more than 12 digits after the second")
    finer = _FINER.sub(lambda match: f"{match[1]}{match[2].ljust(_MICRO, '0')}", text)
    # Times of the standard library end at the microsecond: what follows is read in their place.
    return _dated(read, tomllib.loads(finer, parse_float=_toml_float) if finer != text else None)


def _toml_float(text: str) -> Any:  # noqa: ANN401  # a float, or the exact Decimal
    plain = text.replace("_", "")
    return float(plain) if plain.lstrip("+-") in ("inf", "nan") else number_of(plain)


def _dated(value: object, finer: object) -> object:
    """Return a document with its times as `Plain`; ``finer`` has, where any are, their digits after the sixth."""
    if isinstance(value, dict):
        below = list(finer.values()) if isinstance(finer, dict) else [None] * len(value)
        return {key: _dated(member, part) for (key, member), part in zip(value.items(), below, strict=True)}
    if isinstance(value, list):
        below = finer if isinstance(finer, list) else [None] * len(value)
        return [_dated(member, part) for member, part in zip(value, below, strict=True)]
    if isinstance(value, dt.datetime | dt.time):
        return Plain(type(value).__name__, _spelled(value, finer))
    return Plain("date", value.isoformat()) if isinstance(value, dt.date) else value


def _spelled(value: dt.datetime | dt.time, finer: object) -> str:
    if not isinstance(finer, dt.datetime | dt.time) or finer.microsecond in (0, value.microsecond):
        return value.isoformat()
    start, _, rest = value.isoformat(timespec="microseconds").partition(".")
    return f"{start}.{rest[:_MICRO]}{finer.microsecond:06d}{rest[_MICRO:]}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DuplicateKey("a key is repeated in one object")
    return result
