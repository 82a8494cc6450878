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
from kfm_repro.compare.tabular.bulk import Part, merged, settle
from kfm_repro.compare.tabular.nested import as_scalar, classify_nested, float_width, is_seen_whole
from kfm_repro.compare.tabular.rows import Residue, row_ids
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.match import Pairing
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["PairClassifier", "Pairs", "Task", "column_findings", "looked_at", "part_findings", "row_keys"]

_FIRST_LOOK = 2_000
"""Distinct pairs of a column that are looked at before it is decided whether to look at the others."""

_FEW = 50
"""Distinct pairs of a column with a classifier of its own that are looked at before those."""

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
    pairs = Pairs(rows_a, rows_b, codes_a[differing], codes_b[differing])
    return _pair_findings(columns, at, pairs, pairing, of, task)


@dataclass(frozen=True)
class Pairs:
    """Rows whose cells of one column differ, by A's position, and the codes of these cells (see `exact.codes`)."""

    rows_a: Ints
    rows_b: Ints
    codes_a: Ints
    codes_b: Ints

    def at(self, places: Ints) -> Pairs:
        """Return some of them."""
        return Pairs(*(part[places] for part in (self.rows_a, self.rows_b, self.codes_a, self.codes_b)))


def _pair_findings(
    columns: Sequence[Column], at: int, pairs: Pairs, pairing: Pairing, of: int, task: Task
) -> list[Finding]:
    """Return what differs in column ``at`` between rows whose cells of that column all differ."""
    column = columns[at]
    parts, places = settle(column, pairs, task)
    if len(places):
        looked = pairs if len(places) == len(pairs.rows_a) else pairs.at(places)
        parts = merged([*parts, *(part.at(places) for part in looked_at(column, looked, task))])
    shown = [(pairs.rows_a[part.first], pairs.rows_b[part.first]) for part in parts]
    return part_findings(columns, at, parts, shown, pairing, of, task)


def part_findings(
    columns: Sequence[Column],
    at: int,
    parts: Sequence[Part],
    shown: Sequence[tuple[Ints, Ints]],
    pairing: Pairing,
    of: int,
    task: Task,
) -> list[Finding]:
    """Return a finding per part of the differing cells of column ``at``, with the rows that are ``shown`` of it."""
    column = columns[at]
    findings: list[Finding] = []
    for part, (rows_a, rows_b) in zip(parts, shown, strict=True):
        names = row_keys(columns, pairing.key, rows_a, of_a=True)
        shown_a, shown_b = column.values(rows_a, of_a=True), column.values(rows_b, of_a=False)
        examples = tuple(
            Example(key=name, a=scalar(left), b=scalar(right))
            for name, left, right in zip(names, shown_a, shown_b, strict=True)
        )
        findings.append(
            Finding(
                kind=Kind(part.kind),
                rung=Rung(part.rung),
                where={**task.where, "column": column.label},
                count=part.count,
                of=of,
                examples=examples,
                evidence="; ".join(filter(None, (part.evidence, pairing.note))),
                detail=dict(part.detail),
                metres=dict(part.metres) if part.metres else msgspec.UNSET,
                figures=_named(part.figures, columns, pairing.key) or msgspec.UNSET,
            )
        )
    return findings


def _of_row(figures: Figures | None, rows: Ints) -> Figures | None:
    """Say of every shape of a drawing which row of A it is in; so far it says which of the distinct pairs."""
    if figures is None or figures.drawing is None:
        return figures
    shapes = tuple(
        msgspec.structs.replace(shape, key={"row": int(rows[shape.key["pair"]])})
        for shape in figures.drawing.shapes
    )
    return msgspec.structs.replace(figures, drawing=msgspec.structs.replace(figures.drawing, shapes=shapes))


def _named(figures: Figures | None, columns: Sequence[Column], key: Sequence[int]) -> Figures | None:
    """Name the shapes of a drawing as their rows are named."""
    import numpy as np

    if figures is None or figures.drawing is None:
        return figures
    shapes = figures.drawing.shapes
    rows = np.array([shape.key["row"] for shape in shapes], np.int64)
    names = row_keys(columns, key, rows, of_a=True)
    named = tuple(msgspec.structs.replace(shape, key=name) for shape, name in zip(shapes, names, strict=True))
    return msgspec.structs.replace(figures, drawing=msgspec.structs.replace(figures.drawing, shapes=named))


def looked_at(column: Column, pairs: Pairs, task: Task) -> list[Part]:
    """Classify pairs of cells one by one, every distinct pair once; those beyond the limit are values."""
    import numpy as np

    none = pairs.codes_a[:0]
    ids, _ = row_ids([pairs.codes_a, pairs.codes_b], [none, none])
    _, first = np.unique(ids, return_index=True)
    most = len(first) if column.is_float else task.context.limits.pairs
    unseen = np.arange(len(first))[most:]
    first = first[:most]
    parts: list[Classified] = []
    if len(first) > 4 * _FIRST_LOOK and not column.is_float and _may_be_values(column, pairs, first, task):
        parts = _classified_rows(column, pairs, first[:_FIRST_LOOK], task)
    if parts and all(part.kind == Kind.VALUE for part in parts):  # a look at more would be idle
        unseen = np.arange(_FIRST_LOOK, len(first) + len(unseen))
    else:
        parts = _classified_rows(column, pairs, first, task)
    return [
        replace(
            Part.of(
                Kind(part.kind),
                Rung(part.rung),
                np.flatnonzero(np.isin(ids, np.array(part.indexes, np.int64))),
                part.evidence,
                part.detail,
            ),
            metres=part.metres,
            figures=_of_row(part.figures, pairs.rows_a[first]),
        )
        for part in (*parts, *_unseen(unseen, column, task))
    ]


def _may_be_values(column: Column, pairs: Pairs, which: Ints, task: Task) -> bool:
    """Return whether nothing but values may be found: those who tell a column apart are asked about a few first."""
    if column.label not in task.classifiers:
        return True
    return all(part.kind == Kind.VALUE for part in _classified_rows(column, pairs, which[:_FEW], task))


def _classified_rows(column: Column, pairs: Pairs, which: Ints, task: Task) -> list[Classified]:
    a = column.values(pairs.rows_a[which], of_a=True)
    b = column.values(pairs.rows_b[which], of_a=False)
    return _classified(column, a, b, task)


def _unseen(indexes: Ints, column: Column, task: Task) -> list[Classified]:
    """Return the distinct pairs beyond the limit: values, since nobody looked at them."""
    if not len(indexes):
        return []
    evidence = f"{len(indexes)} further distinct pairs were not looked at one by one"
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
