"""What differs between paired rows: one finding per column and kind, with tolerances and ignored columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.nested import as_scalar, classify_nested, float_width, is_seen_whole
from kfm_repro.compare.tabular.rows import Residue, row_ids
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.match import Pairing
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["PairClassifier", "Task", "column_findings", "row_keys"]

PairClassifier = Callable[[list[Any], list[Any], Context], tuple[Classified, ...]]
"""Tells the differing values of one column apart: A's values, B's values at the same indexes, context."""


@dataclass(frozen=True)
class Task:
    """What one comparison of two tables was asked for; see `compare_tables`."""

    context: Context
    text: bool
    unit: str
    classifiers: Mapping[str, PairClassifier]
    where: Mapping[str, str]


def column_findings(
    columns: Sequence[Column], at: int, rest: Residue, pairing: Pairing, of: int, task: Task
) -> list[Finding]:
    """Return what differs in column ``at`` between paired rows; ``of`` is the number of rows compared."""
    import numpy as np

    codes_a, codes_b = rest.codes_a[at][pairing.a], rest.codes_b[at][pairing.b]
    differing = np.flatnonzero(codes_a != codes_b)
    if not len(differing):
        return []
    differing = differing[np.argsort(rest.a[pairing.a[differing]], kind="stable")]
    rows_a, rows_b = rest.a[pairing.a[differing]], rest.b[pairing.b[differing]]
    ids, _ = row_ids([codes_a[differing], codes_b[differing]], [codes_a[:0], codes_b[:0]])
    _, first = np.unique(ids, return_index=True)
    column = columns[at]
    most = len(first) if column.is_float else task.context.limits.pairs
    unseen = np.arange(len(first))[most:]
    first = first[:most]
    a, b = column.values(rows_a[first], of_a=True), column.values(rows_b[first], of_a=False)
    findings: list[Finding] = []
    for part in (*_classified(column, a, b, task), *_unseen(unseen, column, task)):
        places = np.flatnonzero(np.isin(ids, np.array(part.indexes, np.int64)))
        shown = places[:MAX_EXAMPLES]
        names = row_keys(columns, pairing.key, rows_a[shown], of_a=True)
        shown_a, shown_b = column.values(rows_a[shown], of_a=True), column.values(rows_b[shown], of_a=False)
        examples = tuple(
            Example(key=name, a=scalar(left), b=scalar(right))
            for name, left, right in zip(names, shown_a, shown_b, strict=True)
        )
        findings.append(
            Finding(
                kind=Kind(part.kind),
                rung=Rung(part.rung),
                where={**task.where, "column": column.label},
                count=len(places),
                of=of,
                examples=examples,
                evidence="; ".join(filter(None, (part.evidence, pairing.note))),
                detail=dict(part.detail),
                metres=dict(part.metres) if part.metres else msgspec.UNSET,
            )
        )
    return findings


def _unseen(indexes: Ints, column: Column, task: Task) -> list[Classified]:
    """Return the distinct pairs beyond the limit: values, since nobody looked at them."""
    if not len(indexes):
        return []
    evidence = f"{len(indexes)} further distinct pairs were beyond the limit and not looked at one by one"
    part = Classified(str(Kind.VALUE), str(Rung.VALUE), tuple(indexes.tolist()), evidence)
    reason = task.context.options.ignore.get(column.label)
    return [part if reason is None else _ignored(part, reason)]


def row_keys(
    columns: Sequence[Column], key: Sequence[int], rows: Ints, *, of_a: bool
) -> list[dict[str, Any]]:
    """Return what names each row: the values of its key columns, or its number from 0 on."""
    if not key:
        return [{"row": row} for row in rows.tolist()]
    values = [columns[i].values(rows, of_a=of_a) for i in key]
    names = [columns[i].label for i in key]
    return [dict(zip(names, map(scalar, row), strict=True)) for row in zip(*values, strict=True)]


def _classified(column: Column, a: list[Any], b: list[Any], task: Task) -> list[Classified]:
    """Classify distinct differing pairs of one column, then apply what the settings allow for it."""
    classify = task.classifiers.get(column.label)
    if classify is None:
        parts = _by_type(column, a, b, task)
    else:
        parts = classify([as_scalar(value) for value in a], [as_scalar(value) for value in b], task.context)
    reason = task.context.options.ignore.get(column.label)
    if reason is not None:
        return [_ignored(part, reason) for part in parts]
    setting, most = _tolerance(column, task)
    if most is None:
        return list(parts)
    return [piece for part in parts for piece in _within(part, a, b, setting, most)]


def _by_type(column: Column, a: list[Any], b: list[Any], task: Task) -> tuple[Classified, ...]:
    """Classify distinct pairs by what the type of the column, or all cells of a column of texts, tell."""
    width = float_width(column.a.type, column.b.type)
    if column.is_nested and is_seen_whole(column.a.type) and is_seen_whole(column.b.type):
        return classify_nested(a, b, task.context, width)
    pairs = [(as_scalar(left), as_scalar(right)) for left, right in zip(a, b, strict=True)]
    parts = classify_pairs(pairs, task.context, text=task.text, width=width)
    if task.text and any(part.kind == Kind.ENCODING for part in parts) and not column.is_numeric_text:
        return classify_pairs(pairs, task.context, text=True, labels=True)
    return parts


def _ignored(part: Classified, reason: str) -> Classified:
    if part.rung != Rung.VALUE:
        return part
    evidence = "; ".join(filter(None, (part.evidence, f"ignored by the settings: {reason}")))
    return replace(part, rung=str(Rung.TOLERANCE), evidence=evidence)


def _tolerance(column: Column, task: Task) -> tuple[str, float | None]:
    """Return the setting that covers a column and its value. ``*`` is for columns of floats only."""
    allowed = task.context.options.tolerance
    if column.label in allowed:
        return column.label, allowed[column.label]
    if column.is_float or task.text:
        return "*", allowed.get("*")
    return "", None


def _within(part: Classified, a: list[Any], b: list[Any], setting: str, most: float) -> list[Classified]:
    """Split differing values into those within the tolerance and those above it."""
    if part.rung != Rung.VALUE or part.kind != Kind.VALUE:
        return [part]
    limit = Fraction(str(most)) if math.isfinite(most) else None
    distances = {i: _distance(a[i], b[i], whole=setting != "*") for i in part.indexes}
    inside = tuple(
        i for i in part.indexes if (far := distances[i]) is not None and limit is not None and far <= limit
    )
    if not inside:
        return [part]
    kept = set(inside)
    outside = tuple(i for i in part.indexes if i not in kept)
    farthest = float(max(far for i in inside if (far := distances[i]) is not None))
    allowed = replace(
        part,
        rung=str(Rung.TOLERANCE),
        indexes=inside,
        evidence=f"at most {farthest:g} apart; the settings allow {most:g} for {setting!r}",
        detail={"max_abs": farthest, "tolerance": most, "setting": setting},
    )
    above = replace(part, indexes=outside, evidence=f"more apart than the {most:g} that the settings allow")
    return [allowed, above] if outside else [allowed]


def _distance(a: object, b: object, *, whole: bool) -> Fraction | None:
    """Return the exact distance of two numbers (or texts that spell one), None when one is no finite number.

    Unless ``whole``, two integers have none: the tolerance ``*`` is for floats.
    """
    left, right = _number(a), _number(b)
    if left is None or right is None:
        return None
    if not whole and all(isinstance(v, int) or (isinstance(v, str) and _is_integer(v)) for v in (a, b)):
        return None
    return abs(left - right)


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


_LONGEST_NUMBER = 400


def _number(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        if isinstance(value, str):
            number = Decimal(value) if len(value) <= _LONGEST_NUMBER and "_" not in value else Decimal("nan")
            small = number.is_finite() and abs(number.adjusted()) <= _LONGEST_NUMBER
            return Fraction(number) if small else None
        return Fraction(value)
    except (ValueError, OverflowError, InvalidOperation):
        return None
