"""Numbers in texts: which texts spell one, exactly which, and whether two spellings mean the same.

A text is taken at its decimal word. It stands for a binary64 only where a writer of binary64 can have written
it: at most 17 significant digits, which are the binary64 rounded to as many, neither overflowing nor below the
smallest normal number.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

__all__ = [
    "NULL_TEXTS",
    "QUOTED_EMPTY",
    "as_number",
    "is_binary",
    "is_fractional",
    "is_usual",
    "spells_each_once",
    "spells_uniformly",
]

QUOTED_EMPTY = '""'
"""What stands for a quoted empty cell where bare ones are told from it."""
NULL_TEXTS = frozenset({"", QUOTED_EMPTY, "NaN", "nan", "NA", "N/A", "null", "NULL", "None"})
"""What stands for no value in an untyped text format."""

_NUMBER = re.compile(
    r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d{1,6})?|[+-]?\.\d+(?:[eE][+-]?\d{1,6})?", re.ASCII
)
_USUAL_EXPONENT = re.compile(r"[+-]?\d?(?:\.\d*)?[eE][+-]?\d+", re.ASCII)
_INFINITIES = frozenset({"inf", "-inf", "Inf", "-Inf", "Infinity", "-Infinity"})
_SPELT = re.compile(r"(?P<sign>[+-]?)\d*(?P<point>\.?)(?P<decimals>\d*)(?P<exponent>[eE]?)")
_LONGEST_NUMBER = 400
_DIGITS = 17
"""Significant digits that tell every binary64 from its neighbours; no writer needs more."""


def as_number(text: str) -> Decimal | None:
    """Return the number that a text spells, exactly; None for anything else (leading zeros, spaces, words)."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def is_fractional(text: str) -> bool:
    """Return whether a number is written with a decimal point or an exponent."""
    return "." in text or "e" in text or "E" in text


def is_binary(number: Decimal) -> bool:
    """Return whether a binary64 is written like this number (see the module)."""
    if not number:
        return True
    value = float(number)
    if not (math.isfinite(value) and abs(value) >= sys.float_info.min):
        return False
    _, digits, exponent = number.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    if len(significant) > _DIGITS or not isinstance(exponent, int):
        return False
    if Decimal(repr(value)) == number:  # the shortest spelling need not be the nearest of its length
        return True
    last = exponent + len(written) - len(significant)
    return abs(Fraction(number) - Fraction(value)) <= Fraction(10) ** last / 2


def is_usual(text: str) -> bool:
    """Return whether a writer of numbers spells like this: no exponent, or one digit before the point.

    ``1E5`` and ``0.1E6`` are such spellings, ``10E4`` is a code that happens to read as a number.
    """
    return not ("e" in text or "E" in text) or _USUAL_EXPONENT.fullmatch(text) is not None


def spells_each_once(texts: Iterable[str]) -> bool:
    """Return whether distinct texts are all numbers (or say "no value") and no two of them the same number.

    A column in which ``3.1`` and ``3.10`` are different cells holds labels: versions, codes.
    """
    seen: set[tuple[bool, Decimal]] = set()
    for text in texts:
        if text in NULL_TEXTS or text in _INFINITIES:
            continue
        number = as_number(text)
        if number is None or (key := (number.is_signed(), number)) in seen:
            return False
        seen.add(key)
    return True


def spells_uniformly(texts: Iterable[str]) -> bool:
    """Return whether one rule spells all numbers: the fewest decimals, or the same number of them throughout.

    Texts that are no numbers are passed over. Writers of numbers follow a rule over the whole column; where
    ``3.9``, ``3.10`` and ``3.11`` stand together nobody wrote numbers, and 3.1 is not 3.10.
    """
    forms: set[tuple[int, bool]] = set()
    signs: set[bool] = set()
    shortest = True
    for text in texts:
        match = _SPELT.match(text) if as_number(text) is not None else None
        if match is None:
            continue
        decimals = match["decimals"]
        shortest = shortest and (decimals == "0" or not decimals.endswith("0"))
        forms.add((len(decimals) if match["point"] else -1, bool(match["exponent"])))
        if match["sign"] != "-":
            signs.add(bool(match["sign"]))
    return (shortest or len(forms) == 1) and len(signs) <= 1
