"""What kind of difference it is: the differing pairs of one column, pointer or set of lines, told apart."""

from __future__ import annotations

import datetime as dt
import math
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.noise import figures, identifiers
from kfm_repro.compare.noise.explain import Span, explain_pair
from kfm_repro.compare.noise.floats import Distance, distance, distances
from kfm_repro.compare.noise.numbers import (
    NULL_TEXTS,
    QUOTED_EMPTY,
    as_number,
    is_binary,
    is_fractional,
    is_usual,
)
from kfm_repro.compare.noise.timestamps import clock_pair
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import Kind, Rung

__all__ = ["classify_pairs"]

_RUNGS = {Kind.ENCODING: Rung.CONTAINER, Kind.FLOAT_NOISE: Rung.NOISE}
_MARKS = (Kind.TIMESTAMP, Kind.IDENTIFIER, Kind.PATH, Kind.HOST, Kind.ADDRESS)
_WIDEST = 64
_RESPELLED = "the same number, spelled otherwise"
_ORDER = (
    Kind.VALUE,
    Kind.TYPE,
    Kind.NULL_FORM,
    *_MARKS,
    Kind.FLOAT_NOISE,
    Kind.ENCODING,
)


@dataclass(frozen=True)
class _Label:
    """What one distinct pair is."""

    kind: Kind
    note: str = ""
    distance: Distance | None = None
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class _Manner:
    """How the values of the place are written; see `classify_pairs`."""

    text: bool
    labels: bool
    width: int


@dataclass
class _Group:
    """The pairs of one kind while they are being collected."""

    indexes: list[int] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    far: list[Distance] = field(default_factory=list)
    times: list[tuple[Any, Any]] = field(default_factory=list)


def classify_pairs(
    pairs: Sequence[tuple[Any, Any]],
    context: Context,
    *,
    packaging: bool = False,
    text: bool = False,
    labels: bool = False,
    width: int = 64,
) -> tuple[Classified, ...]:
    """Tell the differing (a, b) scalar pairs of one place apart by kind; worst kinds first.

    Every index appears in exactly one `Classified`. ``packaging`` says that the values are a container's
    bookkeeping, where clocks, identifiers, paths and hosts are harmless; ``text`` that they are cells of an
    untyped text format, where a number is a text, and ``labels`` that they are names even where they read as
    numbers, so that another spelling is another value. ``width`` are the bits of the place's floats (16, 32
    or 64), in whose units their distance counts. At most ``context.limits.pairs`` distinct pairs are looked at;
    the rest is ``value``, and the evidence says how many. A pair is never called equal: what is not
    proven to be something milder is ``value``.
    """
    distinct, members, unseen = _distinct(pairs, context.limits.pairs)
    manner = _Manner(text=text, labels=labels, width=width)
    known = _prove_renamings(_labels(distinct, context, manner), context)
    groups: dict[Kind, _Group] = {}
    for label, pair, indexes in zip(known, distinct, members, strict=True):
        group = groups.setdefault(label.kind, _Group())
        group.indexes.extend(indexes)
        group.notes[label.note] += len(indexes)
        if label.distance is not None:
            group.far.append(label.distance)
        if label.kind is Kind.TIMESTAMP:
            group.times.append(_clock_texts(label, pair))
    if unseen:
        group = groups.setdefault(Kind.VALUE, _Group())
        group.indexes.extend(unseen)
        group.notes[f"{len(unseen)} pairs beyond the limit were not looked at"] += len(unseen)
    return tuple(
        _classified(kind, groups[kind], manner, context, packaging=packaging)
        for kind in _ORDER
        if kind in groups
    )


def _distinct(
    pairs: Sequence[tuple[Any, Any]], limit: int
) -> tuple[list[tuple[Any, Any]], list[list[int]], list[int]]:
    """Return the distinct pairs, the indexes of each, and the indexes beyond the limit.

    Pairs of floats are cheap and always looked at.
    """
    found: dict[tuple[Any, ...], int] = {}
    distinct: list[tuple[Any, Any]] = []
    members: list[list[int]] = []
    unseen: list[int] = []
    costly = 0
    for index, (a, b) in enumerate(pairs):
        key = (type(a), _key(a), type(b), _key(b))
        at = found.get(key)
        if at is not None:
            members[at].append(index)
            continue
        cheap = type(a) is float and type(b) is float
        if not cheap and costly >= limit:
            unseen.append(index)
            continue
        costly += not cheap
        found[key] = len(distinct)
        distinct.append((a, b))
        members.append([index])
    return distinct, members, unseen


def _key(value: object) -> object:
    """Return what tells a value from every other of its type: floats by their bits, the rest by itself."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if value is None or isinstance(value, str | int | bytes) or type(value) is dt.date:
        return value
    return repr(value)


def _labels(distinct: list[tuple[Any, Any]], context: Context, manner: _Manner) -> list[_Label]:
    floats = [i for i, (a, b) in enumerate(distinct) if type(a) is float and type(b) is float]
    far = dict(zip(floats, distances([distinct[i] for i in floats], manner.width), strict=True))
    return [
        _float_label(a, b, far[i], context) if i in far else _label(a, b, context, manner)
        for i, (a, b) in enumerate(distinct)
    ]


def _label(a: object, b: object, context: Context, manner: _Manner) -> _Label:
    """Say what one pair is; the order of the questions is part of the answer."""
    forms = (_null_form(a, text=manner.text), _null_form(b, text=manner.text))
    if all(forms) and forms[0] != forms[1]:
        return _Label(Kind.NULL_FORM, " against ".join(forms))
    if a is None or b is None:
        return _Label(Kind.VALUE, "null against a value")
    if isinstance(a, str) and isinstance(b, str):
        return _text_label(a, b, context, manner)
    note = _type_change(a, b)
    if note:
        return _Label(Kind.TYPE, note)
    if isinstance(a, float) and isinstance(b, float):
        return _float_label(a, b, distance(a, b), context)
    encoding = clock_pair(a, b, context)
    return _Label(Kind.TIMESTAMP, encoding) if encoding else _Label(Kind.VALUE)


def _null_form(value: object, *, text: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if value == "" and isinstance(value, str):
        return "''"
    if text and isinstance(value, str) and value in NULL_TEXTS:
        return "a quoted ''" if value == QUOTED_EMPTY else value
    return ""


def _type_change(a: object, b: object) -> str:
    """Say how two scalars differ in type, or nothing if only their values do."""
    family_a, family_b = _family(a), _family(b)
    if family_a != family_b:
        return f"{_type_name(a)} against {_type_name(b)}"
    if family_a == "datetime" and a != b:
        zones = [getattr(v, "tzinfo", None) is None for v in (a, b)]
        return "a time without zone against one with" if zones[0] != zones[1] else ""
    if family_a not in ("number", "datetime") or a != b or (isinstance(a, float) and isinstance(b, float)):
        return ""
    return (
        "the same value, held otherwise" if type(a) is type(b) else f"{_type_name(a)} against {_type_name(b)}"
    )


def _family(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float | Decimal):
        return "number"
    if isinstance(value, dt.datetime):
        return "datetime"
    return type(value).__name__


def _type_name(value: object) -> str:
    names = {"str": "text", "int": "integer", "bool": "boolean"}
    name = type(value).__name__
    return names.get(name, name)


def _float_label(a: float, b: float, far: Distance, context: Context) -> _Label:
    if math.isnan(a) != math.isnan(b):
        return _Label(Kind.VALUE, "NaN against a value")
    if far.noise:
        return _Label(Kind.FLOAT_NOISE, "", far)
    encoding = clock_pair(a, b, context)
    return _Label(Kind.TIMESTAMP, encoding) if encoding else _Label(Kind.VALUE, "", far)


def _text_label(a: str, b: str, context: Context, manner: _Manner) -> _Label:
    if manner.text:
        exact = as_number(a), as_number(b)
        label = _number_label(a, b, *exact, manner)
        if label is not None:
            return label
        if is_fractional(a) and is_fractional(b) and None not in exact:
            encoding = clock_pair(a, b, context, day_numbers=False)
            return _Label(Kind.TIMESTAMP, encoding) if encoding else _Label(Kind.VALUE)
    if a != b and unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        return _Label(Kind.ENCODING, "the same text in another Unicode normal form")
    spans = explain_pair(a, b, context, day_numbers=not manner.text)
    if spans is None:
        digest = identifiers.looks_like_digest(a) and identifiers.looks_like_digest(b)
        return _Label(Kind.VALUE, "as long as a digest" if digest else "")
    return _spans_label(spans)


def _number_label(  # noqa: PLR0911  # one return per answer
    a: str, b: str, exact_a: Decimal | None, exact_b: Decimal | None, manner: _Manner
) -> _Label | None:
    """Say what two texts are that both spell a number, or None when they are not alike as numbers."""
    if exact_a is None or exact_b is None:
        return None
    if is_fractional(a) != is_fractional(b):
        return _Label(Kind.TYPE, "integer against decimal number") if exact_a == exact_b else None
    if not is_fractional(a):
        return None
    if exact_a == exact_b:
        if exact_a.is_signed() != exact_b.is_signed():
            return _Label(Kind.FLOAT_NOISE, "", Distance(0, 0.0, 0.0))
        if manner.labels or not (is_usual(a) and is_usual(b)):
            return _Label(Kind.VALUE, "the same if they are numbers, but they may be labels")
        return _Label(Kind.ENCODING, _RESPELLED)
    far = distance(float(a), float(b))
    if not (far.noise and is_binary(exact_a) and is_binary(exact_b)):
        return None
    return _Label(Kind.FLOAT_NOISE, "", far)


def _spans_label(spans: tuple[Span, ...]) -> _Label:
    differing = [span for span in spans if span.a != span.b]
    notes = dict.fromkeys(f"{span.kind}: {span.evidence}" for span in differing)
    note = differing[0].evidence if len(notes) == 1 else " and ".join(notes)
    return _Label(differing[0].kind, note, spans=spans)


def _prove_renamings(labels: list[_Label], context: Context) -> list[_Label]:
    """Keep identifiers of a shape only where A's map one-to-one onto B's over all pairs of the place."""
    tokens: dict[str, list[tuple[str, str]]] = {}
    for label in labels:
        for span in label.spans:
            if span.proof == "renaming":
                tokens.setdefault(span.evidence, []).append((span.a, span.b))
    broken = {shape for shape, pairs in tokens.items() if not identifiers.is_renaming(pairs)}
    return [_without(label, broken, context) if broken else label for label in labels]


def _without(label: _Label, broken: set[str], context: Context) -> _Label:
    """Explain again without the identifiers that are none; a ULID or UUID may still tell the time."""
    if not any(span.proof and span.evidence in broken and span.a != span.b for span in label.spans):
        return label
    spans: list[Span] = []
    for span in label.spans:
        if not (span.proof and span.evidence in broken and span.a != span.b):
            spans.append(span)
            continue
        encoding = clock_pair(span.a, span.b, context)
        if not encoding:
            return _Label(Kind.VALUE, f"{span.evidence}: not a one-to-one renaming")
        spans.append(Span(Kind.TIMESTAMP, encoding, span.a, span.b))
    return _spans_label(tuple(spans))


def _clock_texts(label: _Label, pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the two readings of a clock in a pair: the values, or the first times in their texts."""
    times = [(span.a, span.b) for span in label.spans if span.kind is Kind.TIMESTAMP and span.a != span.b]
    return times[0] if times else pair


def _figures(kind: Kind, group: _Group, context: Context) -> Figures | None:
    if kind is Kind.FLOAT_NOISE:
        return figures.of_noise(group.far)
    if kind is Kind.TIMESTAMP:
        return figures.of_times(group.times, context)
    return figures.of_values(group.far) if kind is Kind.VALUE else None


def _classified(
    kind: Kind, group: _Group, manner: _Manner, context: Context, *, packaging: bool
) -> Classified:
    rung = _RUNGS.get(kind, Rung.VALUE)
    if packaging and kind in _MARKS:
        rung = Rung.CONTAINER
    detail: dict[str, object] = {}
    if kind is Kind.FLOAT_NOISE:
        detail = {
            "max_ulp": max(far.ulp or 0 for far in group.far),
            "max_rel": max(far.rel for far in group.far),
            "max_abs": max(far.abs for far in group.far),
        }
    elif kind is Kind.TIMESTAMP:
        detail = {"encoding": _joined(group.notes)}
    evidence = _evidence(kind, group, detail)
    if kind is Kind.FLOAT_NOISE and manner.width != _WIDEST:
        evidence += f" (binary{manner.width})"
    return Classified(
        str(kind), str(rung), tuple(sorted(group.indexes)), evidence, detail,
        figures=_figures(kind, group, context),
    )  # fmt: skip


def _evidence(kind: Kind, group: _Group, detail: dict[str, object]) -> str:
    notes = _joined(group.notes)
    if kind is Kind.TIMESTAMP:
        return f"A's values lie in run A's window and B's in run B's ({notes})"
    if kind is Kind.IDENTIFIER:
        return f"one-to-one renaming of A's identifiers to B's ({notes})" if notes != "run id" else "run id"
    if kind is Kind.FLOAT_NOISE:
        return f"at most {detail['max_ulp']} ulp apart"
    return notes


def _joined(notes: Iterable[str]) -> str:
    """Return the distinct notes, sorted, at most five of them."""
    found = sorted(note for note in set(notes) if note)
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""  # noqa: PLR2004  # a line stays a line
    return ", ".join(found[:5]) + more
