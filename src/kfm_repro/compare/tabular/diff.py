"""Two tables in memory, compared: everything in which they differ, cheapest questions first.

Schema and counts; columns in place, bit by bit; rows as a multiset; only then a key, or likeness, for the
rows that are left. What is not reported has been proven equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.arrays import empty_table
from kfm_repro.compare.tabular.cells import (
    PairClassifier,
    Task,
    column_findings,
    part_findings,
    row_keys,
)
from kfm_repro.compare.tabular.many import CodesOnDemand, pair_many
from kfm_repro.compare.tabular.match import Pairing, anchored, pair_rows, usable_columns
from kfm_repro.compare.tabular.order import order_finding
from kfm_repro.compare.tabular.rows import Residue, equal_elsewhere, residue
from kfm_repro.compare.tabular.schema import Column, align
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.exact import Ints, Mask
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.lines import TextSource
    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = [
    "NO_CLASSIFIERS",
    "Classifiers",
    "PairClassifier",
    "compare_order",
    "compare_sources",
    "compare_tables",
    "compare_texts",
]

NO_CLASSIFIERS: Mapping[str, PairClassifier] = MappingProxyType({})
Classifiers = Callable[[Sequence[str]], Mapping[str, PairClassifier]]
"""Gives, for the names of the columns of a text, what tells its differing cells apart."""
_NOWHERE: Mapping[str, str] = MappingProxyType({})


def compare_tables(
    a: pa.Table,
    b: pa.Table,
    context: Context,
    *,
    text: bool = False,
    unit: str = "row",
    classifiers: Mapping[str, PairClassifier] = NO_CLASSIFIERS,
    where: Mapping[str, str] = _NOWHERE,
) -> tuple[Finding, ...]:
    """Return everything in which two tables differ; nothing if and only if they are the same bit by bit.

    ``text`` says that all cells are texts of an untyped format. ``unit`` is what a row is called (``row`` or
    ``feature``). Differing values of the columns in ``classifiers`` are told apart by that function instead
    of `classify_pairs`. ``where`` is merged into the place of every finding. Metadata of the schema is the
    business of the file format, and how values are chunked is no difference.
    """
    task = Task(context, text, unit, classifiers, where)
    columns, findings = align(a, b, context, where)
    counts = (a.num_rows, b.num_rows)
    rest = residue(columns, *counts, usable_columns(columns, context))
    if not len(rest.a) and not len(rest.b) and not len(rest.equal_a):
        return tuple(findings)
    return (*findings, *residue_findings(columns, counts, rest, task))


def compare_sources(
    a: ParquetSource,
    b: ParquetSource,
    context: Context,
    *,
    unit: str = "row",
    classifiers: Mapping[str, PairClassifier] = NO_CLASSIFIERS,
    text: bool = False,
) -> tuple[Finding, ...]:
    """Return the same as `compare_tables` for two files that `large.can_be_reduced`, without reading them whole."""
    from kfm_repro.compare.tabular import large

    task = Task(context, text=text, unit=unit, classifiers=classifiers, where=_NOWHERE)
    shared, findings = align(empty_table(a.schema), empty_table(b.schema), context, _NOWHERE)
    columns = large.file_columns(shared, a, b)
    anchor = large.anchor_in_place(columns, usable_columns(columns, context))
    if anchor is None:
        columns, rest = large.reduce(columns, context.memory)
        if not len(rest.a) and not len(rest.b) and rest.partner is None and not len(rest.equal_a):
            return tuple(findings)
        return (*findings, *residue_findings(columns, (a.rows, b.rows), rest, task))
    pairing = anchored(columns, anchor, context)
    for i, parts, held in large.parts_in_place(columns, anchor, task):
        shown = [(part.first, part.first) for part in parts]
        known = [*columns[:i], held, *columns[i + 1 :]]
        findings += part_findings(known, i, parts, shown, pairing, a.rows, task)
    return tuple(findings)


def compare_texts(
    a: TextSource,
    b: TextSource,
    context: Context,
    classifiers: Mapping[str, PairClassifier] = NO_CLASSIFIERS,
) -> tuple[Finding, ...]:
    """Return the same for two texts whose records differ. Raises `lines.Unsure` where that is not for it to tell."""
    from kfm_repro.compare.tabular import large
    from kfm_repro.compare.tabular.records import reduce_texts

    task = Task(context, text=True, unit="row", classifiers=classifiers, where=_NOWHERE)
    shared, _ = align(empty_table(a.schema), empty_table(b.schema), context, _NOWHERE)
    usable = usable_columns(shared, context)
    columns, rest = reduce_texts(large.file_columns(shared, a, b), usable, context.memory)
    return tuple(residue_findings(columns, (a.rows, b.rows), rest, task))


def compare_order(
    columns: Sequence[Column],
    found: tuple[Ints, Mask],
    context: Context,
    *,
    unit: str,
    where: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return the same for two tables that are known to hold the same rows.

    ``found`` is the row of B for every row of A, and at which places the two tables hold rows that are not equal.
    """
    import numpy as np

    none = np.zeros(0, np.int64)
    codes = (none,) * len(columns)
    partner, places = found
    rest = Residue(none, none, codes, codes, none, none, partner=partner, others=lambda: places)
    task = Task(context, text=False, unit=unit, classifiers=NO_CLASSIFIERS, where=where)
    return tuple(residue_findings(columns, (len(partner), len(partner)), rest, task))


def residue_findings(
    columns: Sequence[Column], counts: tuple[int, int], rest: Residue, task: Task
) -> list[Finding]:
    """Return everything in which two tables differ, given the rows of each without equal partner and what moved."""
    findings: list[Finding] = []
    if isinstance(rest.codes_a, CodesOnDemand):
        pairing = pair_many(cast("list[FileColumn]", columns), rest, task.context)
    else:
        pairing = pair_rows(columns, rest, counts, task.context)
    order = order_finding(columns, counts, rest, pairing, task)
    if order is not None:
        findings.append(order)
    findings += _lone_rows(columns, counts, rest, pairing, task)
    of = counts[0] - len(rest.a) + len(pairing.a)
    for at in range(len(columns)):
        findings += column_findings(columns, at, rest, pairing, of, task)
    return findings


def _lone_rows(
    columns: Sequence[Column], counts: tuple[int, int], rest: Residue, pairing: Pairing, task: Task
) -> list[Finding]:
    """Report the rows without partner: further copies of rows that both sides have, and rows of one side."""
    import numpy as np

    removed, added = np.delete(rest.a, pairing.a), np.delete(rest.b, pairing.b)
    copies_a = _elsewhere(columns, rest, removed, of_a=True)
    copies_b = _elsewhere(columns, rest, added, of_a=False)
    found = [
        _one_sided(Kind.ROWS_REMOVED, removed[~copies_a], columns, counts, pairing, task),
        _one_sided(Kind.ROWS_ADDED, added[~copies_b], columns, counts, pairing, task),
        _duplicates(removed[copies_a], added[copies_b], columns, counts, pairing, task),
    ]
    return [finding for finding in found if finding is not None]


def _elsewhere(columns: Sequence[Column], rest: Residue, rows: Ints, *, of_a: bool) -> Mask:
    """Return which of some rows of one side the other side has as well."""
    import numpy as np

    if rest.copies is not None:
        rows_of, known = (rest.a, rest.copies[0]) if of_a else (rest.b, rest.copies[1])
        copied: Mask = known[np.searchsorted(rows_of, rows)]
        return copied
    if rest.lanes is None or not len(rows):
        return equal_elsewhere(columns, rows, of_a=of_a)
    own, other = rest.lanes() if of_a else rest.lanes()[::-1]
    here = np.flatnonzero(np.isin(other.one, own.one[rows]))
    pairs = set(zip(other.one[here].tolist(), other.two[here].tolist(), strict=True))
    return np.array(
        [pair in pairs for pair in zip(own.one[rows].tolist(), own.two[rows].tolist(), strict=True)], np.bool_
    )


def _counted(counts: tuple[int, int], task: Task) -> str:
    """Say how many rows there are, in the form "105 rows against 104"."""
    return f"{counts[0]} {task.unit}{'s' * (counts[0] != 1)} against {counts[1]}"


def _one_sided(
    kind: Kind, rows: Ints, columns: Sequence[Column], counts: tuple[int, int], pairing: Pairing, task: Task
) -> Finding | None:
    if not len(rows):
        return None
    of_a = kind is Kind.ROWS_REMOVED
    side = "A" if of_a else "B"
    return Finding(
        kind=kind,
        rung=Rung.VALUE,
        where=dict(task.where),
        count=len(rows),
        of=counts[0] if of_a else counts[1],
        examples=_row_examples(columns, rows, pairing, of_a=of_a),
        evidence="; ".join(filter(None, (f"only in {side}: {_counted(counts, task)}", pairing.note))),
    )


def _duplicates(
    fewer: Ints,
    more: Ints,
    columns: Sequence[Column],
    counts: tuple[int, int],
    pairing: Pairing,
    task: Task,
) -> Finding | None:
    """Report rows that both sides have, but not equally often."""
    if not len(fewer) and not len(more):
        return None
    examples = (
        *_row_examples(columns, more, pairing, of_a=False),
        *_row_examples(columns, fewer, pairing, of_a=True),
    )
    return Finding(
        kind=Kind.DUPLICATE_ROWS,
        rung=Rung.VALUE,
        where=dict(task.where),
        count=len(fewer) + len(more),
        of=max(counts),
        examples=examples[:MAX_EXAMPLES],
        evidence=(
            f"copies of rows that both sides have: {len(more)} more in B, {len(fewer)} fewer; "
            f"{_counted(counts, task)}"
        ),
        detail={"more_in_b": len(more), "fewer_in_b": len(fewer)},
    )


def _row_examples(
    columns: Sequence[Column], rows: Ints, pairing: Pairing, *, of_a: bool
) -> tuple[Example, ...]:
    """Show the first rows of one side whole, as one JSON text each."""
    rows = rows[:MAX_EXAMPLES]
    names = row_keys(columns, pairing.key, rows, of_a=of_a)
    cells = [column.values(rows, of_a=of_a) for column in columns]
    whole = [
        scalar(dict(zip((column.label for column in columns), row, strict=True)))
        for row in zip(*cells, strict=True)
    ] or [None] * len(rows)
    return tuple(
        Example(key=name, a=row) if of_a else Example(key=name, b=row)
        for name, row in zip(names, whole, strict=True)
    )
