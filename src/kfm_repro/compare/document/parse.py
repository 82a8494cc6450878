"""Reading JSON strictly: exact integers, exact decimals, no repeated keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.scalars import number_of, whole_number_of

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["DuplicateKey", "read_json"]


class DuplicateKey(Exception):  # a fork in the reading, handled inside this room
    """An object of the document names a key twice."""


def read_json(raw: bytes, context: Context) -> object:
    """Return the parsed document. Raises DuplicateKey, ValueError, RecursionError; ``context`` is unused.

    Numbers are int or float; what neither can hold is a Decimal, as `number_of` and `whole_number_of` say.
    """
    del context
    text = raw.decode(json.detect_encoding(raw))
    return json.loads(text, object_pairs_hook=_object, parse_int=whole_number_of, parse_float=number_of)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DuplicateKey("a key is repeated in one object")
    return result
