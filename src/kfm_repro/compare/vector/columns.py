"""Columns from formats whose values carry their own types: JSON properties, SQLite cells.

A column whose values are all of one type becomes an Arrow column of it. Any other becomes text in which
type and value are both spelt out, on both sides, so that nothing is rounded or confused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.tabular.arrays import typed
from kfm_repro.model.finding import Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = [
    "MISSING",
    "Exact",
    "RawText",
    "canonical",
    "classify_spelt",
    "classify_texts",
    "plain",
    "typed_columns",
]


class _Missing:
    """The state of a value that is not there, which is not the value null."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()


class RawText(bytes):
    """Text whose bytes are not valid in the encoding of its file."""

    __slots__ = ()


@dataclass(frozen=True)
class Exact:
    """A number that no double holds, as ``digits`` times ten to the ``exponent``; ``text`` says both.

    Numbers of the same value have the same text.
    """

    text: str

    def __str__(self) -> str:
        return self.text


_NAIVE_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_SCALARS = (bool, int, float, str, bytes)


def typed_columns(
    a: Sequence[object], b: Sequence[object], *, some: bool = False
) -> tuple[pa.Array, pa.Array, PairClassifier | None]:
    """Return the values of one column of A and of B as Arrow arrays, and how differing pairs are told apart.

    Values are None, `MISSING`, bool, int, float, str, bytes, `RawText`, `Exact`, or JSON containers, in which
    keys that begin with NUL are the marks of this module. Arrays are typed
    when each side has one type of scalar and no more than one form of absence occurs; the classifier is then
    None, or, of texts, one that knows times of these formats. Otherwise they hold text (see ``canonical``),
    which `classify_spelt` reads back. ``some`` says that these are not all values of the column: then two types
    are those of values and not of the columns, and text as well.
    """
    import pyarrow as pa

    mine = _kinds(a)
    kinds = [mine, mine if a is b else _kinds(b)]
    absent = {None, MISSING} & (kinds[0][1] | kinds[1][1])
    two_types = some and all(kind for kind, _ in kinds) and kinds[0][0] != kinds[1][0]
    if (
        not two_types
        and len(absent) <= 1
        and all(len(kind) <= 1 and kind <= set(_SCALARS) for kind, _ in kinds)
    ):
        try:
            left = _array(a, _arrow_type(kinds, 0), missing=MISSING in absent)
            right = left if a is b else _array(b, _arrow_type(kinds, 1), missing=MISSING in absent)
        except (pa.ArrowException, OverflowError, UnicodeError):
            pass
        else:
            return left, right, classify_texts if pa.string() in (left.type, right.type) else None
    texts = ([None if v is MISSING else canonical(v) for v in side] for side in (a, b))
    left, right = (typed(side, pa.string()) for side in texts)
    return left, right, classify_spelt


def _array(values: Sequence[object], kind: pa.DataType, *, missing: bool) -> pa.Array:
    """Return values of one type, or none of any, as an array; ``missing`` says that some are `MISSING`."""
    return typed([None if value is MISSING else value for value in values] if missing else values, kind)


def canonical(value: object) -> str:
    """Return the one ASCII text of a value: same text means same type and value, keys in any order."""
    if isinstance(value, RawText):
        return json.dumps({"\x00text": value.hex()})
    if isinstance(value, bytes):
        return json.dumps({"\x00blob": value.hex()})
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_exact)


def _exact(value: object) -> dict[str, str]:
    if isinstance(value, Exact):
        return {"\x00number": value.text}
    raise TypeError(f"{type(value).__name__} is no JSON value")


def classify_texts(
    a: list[Any], b: list[Any], context: Context, *, text: bool = False
) -> tuple[Classified, ...]:
    """Tell apart pairs of texts; the same time with and without its zone is another type of value.

    ``text`` says that numbers are texts as well.
    """
    zoned = [at for at, pair in enumerate(zip(a, b, strict=True)) if _gained_zone(*pair)]
    known = frozenset(zoned)
    rest = [at for at in range(len(a)) if at not in known]
    found = classify_pairs([(a[at], b[at]) for at in rest], context, text=text) if rest else ()
    groups = [replace(group, indexes=tuple(rest[i] for i in group.indexes)) for group in found]
    if zoned:
        evidence = "the same time, in UTC on one side and without a zone on the other"
        groups.append(Classified(Kind.TYPE, Rung.VALUE, tuple(zoned), evidence))
    return tuple(groups)


def _gained_zone(a: object, b: object) -> bool:
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    short, long = sorted((a, b), key=len)
    return long.removeprefix(short) in ("Z", "+00:00", "+00") and _NAIVE_TIME.fullmatch(short) is not None


def classify_spelt(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
    """Tell apart pairs of texts made by ``canonical``; None stands for a value that is missing."""
    null_form = [at for at, pair in enumerate(zip(a, b, strict=True)) if set(pair) == {None, "null"}]
    known = frozenset(null_form)
    rest = [at for at in range(len(a)) if at not in known]
    found = classify_pairs([(plain(a[at]), plain(b[at])) for at in rest], context)
    groups = [replace(group, indexes=tuple(rest[i] for i in group.indexes)) for group in found]
    if null_form:
        evidence = "null on one side, no such member on the other"
        groups.append(Classified(Kind.NULL_FORM, Rung.VALUE, tuple(null_form), evidence))
    return tuple(groups)


def plain(text: str | None) -> object:
    """Return what a canonical text stands for; containers stay text, bytes become bytes."""
    if text is None:
        return None
    value = json.loads(text)
    if isinstance(value, dict):
        for mark in ("\x00blob", "\x00text"):
            if list(value) == [mark]:
                return bytes.fromhex(value[mark])
        if list(value) == ["\x00number"]:
            return _decimal(value["\x00number"])
    return text if isinstance(value, dict | list) else value


def _decimal(text: str) -> object:
    """Return a number for those who measure, or its text when it is beyond every measure."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _kinds(values: Sequence[object]) -> tuple[set[type], set[object]]:
    kinds = set(map(type, values))
    absent: set[object] = {value for value in (None, MISSING) if type(value) in kinds}
    return kinds - {type(None), _Missing}, absent


def _arrow_type(kinds: list[tuple[set[type], set[object]]], at: int) -> pa.DataType:
    """Return the type of side ``at``; a side of nothing but nulls takes that of the other, else text."""
    import pyarrow as pa

    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()}
    for side in (kinds[at][0], kinds[1 - at][0]):
        for kind in side:
            return types[kind]
    return pa.string()
