"""Differing nested values (lists, structs, maps) that differ in nothing but the noise of their floats."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.model.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from kfm_repro.compare.context import Classified, Context

__all__ = ["as_scalar", "classify_nested", "float_width", "is_seen_whole"]

_WIDEST = 64


def as_scalar(value: object) -> object:
    """Return a nested value as compact JSON text, since a pair is a pair of scalars; others as they are."""
    if not isinstance(value, list | dict):
        return value
    return json.dumps(value, default=repr, ensure_ascii=False, separators=(",", ":"))


def float_width(*types: pa.DataType) -> int:
    """Return the bits of the floats that all types hold, at any depth; 64 where they differ or are none."""
    widths = {width for kind in types for width in _widths(kind)}
    return widths.pop() if len(widths) == 1 else _WIDEST


def _widths(kind: pa.DataType) -> Iterator[int]:
    import pyarrow as pa

    if pa.types.is_floating(kind):
        yield kind.bit_width
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _widths(kind.value_type)
    else:
        for i in range(kind.num_fields):
            yield from _widths(kind.field(i).type)


def is_seen_whole(kind: pa.DataType) -> bool:
    """Return whether Python's values of a type tell apart all that its stored values do, at any depth."""
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or types.is_union(kind):
        return False
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return is_seen_whole(kind.value_type)
    if types.is_timestamp(kind) and kind.unit != "ns":
        return True
    if types.is_temporal(kind) and not types.is_date(kind):
        return False
    return all(is_seen_whole(kind.field(i).type) for i in range(kind.num_fields))


def classify_nested(a: list[Any], b: list[Any], context: Context, width: int) -> tuple[Classified, ...]:
    """Tell differing values of a nested column apart.

    A pair of the same shape whose differing members are all floats, each within the noise of ``width`` bits,
    is float noise; every other pair is classified as two JSON texts. The type must be `is_seen_whole`.
    """
    places: list[int] = []
    members: list[tuple[float, float]] = []
    for at, (left, right) in enumerate(zip(a, b, strict=True)):
        found = _float_members(left, right)
        members += found or []
        places += [at] * len(found or [])
    loud = {
        places[i]
        for part in classify_pairs(members, context, width=width)
        if part.kind != Kind.FLOAT_NOISE
        for i in part.indexes
    }
    quiet = dict.fromkeys(at for at in places if at not in loud)
    rest = [at for at in range(len(a)) if at not in quiet]
    texts = [(as_scalar(a[at]), as_scalar(b[at])) for at in rest]
    parts = [_at(part, rest) for part in classify_pairs(texts, context)]
    noise = [i for i, at in enumerate(places) if at in quiet]
    quiet_parts = classify_pairs([members[i] for i in noise], context, width=width)
    return (*parts, *(_at(part, [places[i] for i in noise]) for part in quiet_parts))


def _at(part: Classified, places: list[int]) -> Classified:
    """Return a class of pairs at the places that they came from."""
    return replace(part, indexes=tuple(sorted({places[i] for i in part.indexes})))


def _float_members(a: object, b: object) -> list[tuple[float, float]] | None:
    """Return the pairs of floats in which two values differ; None when they differ in anything else."""
    if type(a) is not type(b):
        return None
    if isinstance(a, float) and isinstance(b, float):
        return [] if struct.pack("<d", a) == struct.pack("<d", b) else [(a, b)]
    if isinstance(a, dict) and isinstance(b, dict):
        return _float_members([*a, *a.values()], [*b, *b.values()])
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        inner = [_float_members(left, right) for left, right in zip(a, b, strict=True)]
        known = [found for found in inner if found is not None]
        return [pair for found in known for pair in found] if len(known) == len(inner) else None
    return [] if a == b else None
