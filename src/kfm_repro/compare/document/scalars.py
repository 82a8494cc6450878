"""Values that JSON and YAML can write and Python has no one type for; how every scalar is told from others."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = [
    "BigInteger",
    "Members",
    "OrderedMap",
    "Pairs",
    "Plain",
    "Stream",
    "number_of",
    "scalar_key",
    "whole_number_of",
]

_INT_DIGITS = 4000
"""Longer integers are held as exact decimals: Python refuses to convert them (CVE-2020-10735)."""
_SURE_DIGITS = 17
"""So many significant digits name a double; what has more may say more than a double can hold."""
_MOST_DIGITS = 800
"""No double has more significant digits than 767."""
_MANTISSA = re.compile(r"[-+]?([0-9]*)\.?([0-9]*)")


@dataclass(frozen=True)
class Plain:
    """A YAML scalar on whose type or value readers disagree: it equals only what is written the same.

    ``tag`` is empty for an unquoted scalar, else the short name of the tag that it bears. ``is_old`` says that its
    document declares to be of YAML 1.1.
    """

    tag: str
    text: str
    is_old: bool = False

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"!!{self.tag} {self.text}" if self.tag else self.text


class BigInteger(Decimal):
    """An integer of more digits than Python converts."""


class OrderedMap(list[Any]):
    """A YAML ``!!omap``: pairs whose order is part of the value."""


class Pairs(list[Any]):
    """A YAML ``!!pairs``: pairs in order, keys may repeat."""


class Members(list[Any]):
    """A YAML ``!!set``: its members, whose order means nothing."""


class Stream(list[Any]):
    """A YAML file that does not hold exactly one document."""


def whole_number_of(text: str) -> int | BigInteger:
    """Read decimal digits with an optional sign, exactly."""
    return int(text) if len(text) <= _INT_DIGITS else BigInteger(text)


def number_of(text: str) -> float | Decimal:
    """Read a decimal number as binary64 where that keeps what it says, else as the exact Decimal.

    Kept are texts of at most 17 significant digits that neither over- nor underflow, and longer ones that
    are the double written out to as many digits. Raises ArithmeticError for exponents beyond Decimal.
    """
    value = float(text)
    match = _MANTISSA.match(text)
    digits = "".join(match.groups()).lstrip("0") if match else ""
    if value in (float("inf"), float("-inf")) or (value == 0.0 and digits):
        return Decimal(text)
    if len(digits) <= _SURE_DIGITS:
        return value
    exact = Decimal(text)
    held = format(value, f".{len(digits) - 1}e") if len(digits) <= _MOST_DIGITS else value
    return value if Decimal(held) == exact else exact


def scalar_key(value: object) -> Hashable:
    """Return what tells a scalar from every other: its type, and its bits or itself."""
    if type(value) is str:
        return value
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if value is None or isinstance(value, bool | str | int | bytes | Plain):
        return (type(value).__name__, value)
    if isinstance(value, Decimal):
        return (type(value).__name__, *_canonical(value))
    if isinstance(value, tuple):
        return ("tuple", tuple(map(scalar_key, value)))
    return (type(value).__name__, str(value))


def _canonical(value: Decimal) -> tuple[int, str, int | str]:
    """Return sign, digits and exponent without trailing zeros: one form for one number."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    short = text.rstrip("0")
    if not isinstance(exponent, int) or not short:
        return sign, text, str(exponent)
    return sign, short, exponent + len(text) - len(short)
