"""Numbers of JSON texts: doubles where a double is what the text says, else exact."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from kfm_repro.compare.vector.columns import Exact

__all__ = ["any_exact", "decimal_number", "doubles", "whole_number"]

_SUSPICIOUS = re.compile(r"[0-9.]{19}|[0-9]{18}[eE]|[eE][+-]?[0-9]{3}|[0-9]{4000}")
"""Every number of more than 17 digits, or beyond the doubles, looks like this; and some others do."""
_DIGITS = 17
"""So many digits tell all doubles apart: two shorter decimals that make one double are noise to nobody."""
_LONGEST_INT = 4000
"""Python refuses to convert longer ones (CVE-2020-10735)."""


def any_exact(text: str) -> bool:
    """Return whether a document may hold a number that no double holds."""
    return _SUSPICIOUS.search(text) is not None


def whole_number(text: str) -> int | Exact:
    """Read a number without fraction and exponent."""
    return int(text) if len(text) <= _LONGEST_INT else _exact(text)


def decimal_number(text: str) -> float | Exact:
    """Read a number as the double it says; as `Exact` when it says more, or lies beyond the doubles.

    Many digits may say no more than a double: those of its own expansion, as writers of fixed width print it.
    """
    value = float(text)
    mantissa = re.split("[eE]", text)[0].lstrip("-").replace(".", "").lstrip("0")
    if math.isinf(value) or (value == 0.0 and mantissa.strip("0")):
        return _exact(text)
    if len(mantissa) <= _DIGITS:
        return value
    try:
        return value if _is_expansion(text, value, len(mantissa)) else _exact(text)
    except InvalidOperation:
        return _exact(text)


def _is_expansion(text: str, value: float, digits: int) -> bool:
    """Return whether a decimal is that of a double, rounded to so many significant digits."""
    with localcontext(prec=digits):
        return Decimal(text) == +Decimal(value)


def doubles(value: Any, found: list[str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with the nearest doubles of its exact numbers, whose texts are added to ``found``."""
    if isinstance(value, Exact):
        found.append(value.text)
        return float(value.text)
    if isinstance(value, list):
        return [doubles(member, found) for member in value]
    if isinstance(value, dict):
        return {key: doubles(member, found) for key, member in value.items()}
    return value


def _exact(text: str) -> Exact:
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    short = digits.rstrip("0")
    power = int(exponent or "0") - len(fraction) + len(digits) - len(short)
    return Exact(f"{'-' * text.startswith('-')}{short}E{power}")
