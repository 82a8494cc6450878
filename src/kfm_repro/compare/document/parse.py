"""Reading JSON and TOML strictly: exact integers, exact decimals, no repeated keys."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.scalars import Plain, number_of, whole_number_of

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["DuplicateKey", "read_json", "read_toml"]


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
    """Return the parsed document; dates and times are `Plain`. Raises ValueError; ``context`` is unused."""
    del context
    return _dated(tomllib.loads(raw.decode(), parse_float=_toml_float))


def _toml_float(text: str) -> Any:  # noqa: ANN401  # a float, or the exact Decimal
    plain = text.replace("_", "")
    return float(plain) if plain.lstrip("+-") in ("inf", "nan") else number_of(plain)


def _dated(value: object) -> object:
    if isinstance(value, dict):
        return {key: _dated(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_dated(member) for member in value]
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return Plain(type(value).__name__, value.isoformat())
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DuplicateKey("a key is repeated in one object")
    return result
