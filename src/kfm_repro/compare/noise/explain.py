"""Whether all that differs in two texts is a clock, an identifier, a path, a host or an address.

Both texts are cut into tokens of these shapes and the literal rest. The rest must be equal, the tokens must
stand at the same places, and each pair of differing tokens must be explained by a detector. Shapes alone
explain nothing: what a token claims to be is checked against the two runs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from kfm_repro.compare.noise import identifiers, paths
from kfm_repro.compare.noise.timestamps import TIME_TEXT, clock_pair
from kfm_repro.model.finding import Kind

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context, Side

__all__ = ["Span", "explain_pair"]

_LEFT, _RIGHT = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_SHORTEST_RUN_ID = 4
_LONG = 512
_AROUND = 160
"""Characters of equal text kept around the differing middle of a long text: more than any token has."""
_LONGEST_MIDDLE = 1 << 16
_NUMBER = re.compile(r"\d{5,7}\.\d+", re.ASCII)


_HINT = re.compile(r"\d{4}[-/:]\d\d|\d\d:\d\d|\d{8}|[0-9A-Fa-f]{8}|0x|/tmp/|[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
"""What every token shape contains at least; a quick test that spares most values the slow one."""


class Span(NamedTuple):
    """One explained token pair. ``proof`` is ``renaming`` where only the whole place can prove it."""

    kind: Kind
    evidence: str
    a: str
    b: str
    proof: str = ""


def explain_pair(a: str, b: str, context: Context, *, day_numbers: bool = True) -> tuple[Span, ...] | None:
    """Return the spans that explain why two texts differ, in order of place; None when something is left.

    Spans with ``proof == "renaming"`` hold only if `identifiers.is_renaming` holds over the whole place;
    equal identifiers are among them, because they take part in that test.
    """
    if _NUMBER.fullmatch(a) and _NUMBER.fullmatch(b):
        encoding = clock_pair(a, b, context)
        return (Span(Kind.TIMESTAMP, encoding, a, b),) if encoding else None
    cut = _differing_middle(a, b)
    if cut is None or not all(_may_hold_tokens(text, context) for text in cut):
        return None
    parts_a, parts_b = _parts(cut[0], context), _parts(cut[1], context)
    if len(parts_a) != len(parts_b) or parts_a[::2] != parts_b[::2]:
        return None
    spans: list[Span] = []
    for left, right in zip(parts_a[1::2], parts_b[1::2], strict=True):
        span = _explain_token(left, right, context, day_numbers=day_numbers or len(left) < len(cut[0]))
        if span is not None:
            spans.append(span)
        elif left != right:
            return None
    return tuple(spans) if any(span.a != span.b for span in spans) else None


def _explain_token(  # noqa: PLR0911  # one return per detector, the most specific first
    a: str, b: str, context: Context, *, day_numbers: bool
) -> Span | None:
    shape = identifiers.shape(a)
    if a == b:
        return Span(Kind.IDENTIFIER, shape, a, b, "renaming") if shape else None
    if (a, b) == (context.a.run_id, context.b.run_id):
        return Span(Kind.IDENTIFIER, "run id", a, b)
    if shape and shape == identifiers.shape(b):
        return Span(Kind.IDENTIFIER, shape, a, b, "renaming")
    if paths.is_path(a, context.a) and paths.is_path(b, context.b):
        return Span(Kind.PATH, "a folder of the run or its machine", a, b)
    if paths.is_host(a, context.a) and paths.is_host(b, context.b):
        return Span(Kind.HOST, "the machine's name", a, b)
    encoding = clock_pair(a, b, context, day_numbers=day_numbers)
    if encoding:
        return Span(Kind.TIMESTAMP, encoding, a, b)
    if paths.is_address(a) and paths.is_address(b):
        return Span(Kind.ADDRESS, "an object's address in memory", a, b)
    return None


def _parts(text: str, context: Context) -> list[str]:
    """Cut a text into literal, token, literal, token, …, literal: always an odd number of parts."""
    pattern = _pattern(context.a, context.b)
    parts: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        parts.extend((text[end : match.start()], match.group()))
        end = match.end()
    parts.append(text[end:])
    return parts


@lru_cache(maxsize=64)
def _pattern(a: Side, b: Side) -> re.Pattern[str]:
    """Return one pattern for every token shape; both texts are cut by the same one."""
    known, hosts = paths.known_paths(a, b), paths.known_hosts(a, b)
    alternatives = [
        *_words([run_id for run_id in (a.run_id, b.run_id) if len(run_id) >= _SHORTEST_RUN_ID]),
        *([_folder(known)] if known else []),
        rf"(?<![\w.]){paths.TEMP_TEXT}(?![\w-])",
        *_words(hosts),
        rf"{_LEFT}{identifiers.UUID_TEXT}{_RIGHT}",
        TIME_TEXT,
        rf"{_LEFT}[0-7][0-9A-HJKMNP-TV-Z]{{25}}{_RIGHT}",
        rf"{_LEFT}{paths.ADDRESS_TEXT}{_RIGHT}",
        r"(?<![0-9A-Za-z.])\d{10,19}(?:\.\d{1,9})?(?![0-9A-Za-z]|\.\d)",
        rf"{_LEFT}(?:[0-9a-f]{{16,128}}|[0-9A-F]{{16,128}}){_RIGHT}",
    ]
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives), re.ASCII)


def _may_hold_tokens(text: str, context: Context) -> bool:
    """Return whether a text can hold any token at all: both must, for a difference to be explained."""
    if _HINT.search(text):
        return True
    return any(name in text for name in _names(context.a, context.b))


@lru_cache(maxsize=64)
def _names(a: Side, b: Side) -> tuple[str, ...]:
    run_ids = tuple(run_id for run_id in (a.run_id, b.run_id) if len(run_id) >= _SHORTEST_RUN_ID)
    return (*run_ids, *paths.known_paths(a, b), *paths.known_hosts(a, b))


def _words(names: tuple[str, ...] | list[str]) -> list[str]:
    return [rf"{_LEFT}(?:{'|'.join(map(re.escape, names))}){_RIGHT}"] if names else []


def _folder(known: tuple[str, ...]) -> str:
    names = "|".join(map(re.escape, known))
    return rf"(?<![\w.])(?:{names})(?:/tmp[a-z0-9_]{{8}}|/tmp\.[A-Za-z0-9]{{6,12}})?(?![\w-]|\.\w)"


def _differing_middle(a: str, b: str) -> tuple[str, str] | None:
    """Return both texts, or of long ones the part that differs with some text around; None if too long."""
    if max(len(a), len(b)) <= _LONG:
        return a, b
    start = max(0, _shared(a, b) - _AROUND)
    tail = _shared(a[start:][::-1], b[start:][::-1])
    tail = max(0, min(tail, len(a) - start, len(b) - start) - _AROUND)
    cut = a[start : len(a) - tail], b[start : len(b) - tail]
    return cut if max(map(len, cut)) <= _LONGEST_MIDDLE else None


def _shared(a: str, b: str) -> int:
    """Return how many characters two texts share at their start; halving makes it as fast as comparing."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
