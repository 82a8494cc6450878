"""Which residual row of A is which of B: by a key, by position, or by the columns that they share.

Every candidate pairing is exact about what differs between the rows it pairs; they only disagree on which
rows belong together. The one with the smallest cost wins: differing cells, plus half a row per row that finds
no partner. Columns whose values have (almost) nothing in common differ under any pairing and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular import keys
from kfm_repro.compare.tabular.rows import Residue, pair_equal, row_ids
from kfm_repro.compare.tabular.similar import pair_similar

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["Pairing", "anchored", "lacking", "pair_rows", "usable_columns"]

_VOLATILE_OVERLAP = 0.1
"""A column whose values overlap less than this between A and B names no row."""
_LIKELY = 0.5
"""Pairs against an identifying column agree in at least this part of their cells, or they are coincidence."""


@dataclass(frozen=True)
class Pairing:
    """Pairs of residual rows (``a``, ``b`` index into `Residue`) and how they were found.

    ``key`` are the columns that name a row, if any; ``note`` goes into the evidence of what follows from it.
    """

    a: Ints
    b: Ints
    key: tuple[int, ...] = ()
    note: str = ""
    declared: bool = False


def pair_rows(columns: Sequence[Column], rest: Residue, counts: tuple[int, int], context: Context) -> Pairing:
    """Return the best pairing of the residual rows. ``counts`` are the row counts of A and B."""
    note = ""
    if rest.anchor is not None:
        return _anchored(columns, rest, rest.anchor, context)
    if context.options.key:
        names = {column.label: i for i, column in enumerate(columns)}
        note = lacking(columns, context)
        if not note:
            return _by_declared_key(tuple(names[name] for name in context.options.key), columns, rest)
    if not len(rest.a) or not len(rest.b):
        named = keys.candidates(columns, rest, _usable(columns, context), [0] * len(columns), most=1)
        return Pairing(*_nothing(), named[0] if named else (), note)
    found = _choose(columns, rest, counts, context)
    return Pairing(found.a, found.b, found.key, note + found.note)


def _anchored(columns: Sequence[Column], rest: Residue, anchor: int, context: Context) -> Pairing:
    import numpy as np

    rows = np.arange(len(rest.a))
    return replace(anchored(columns, anchor, context), a=rows, b=rows)


def anchored(columns: Sequence[Column], anchor: int, context: Context) -> Pairing:
    """Return how rows are named that were matched in place by a column; the pairs themselves are left out."""
    name = columns[anchor].label  # unique in A, and so it is in B: the cells are the same
    if (name,) == tuple(context.options.key):
        return Pairing(*_nothing(), (anchor,), f"rows matched by the declared key ({name})", declared=True)
    note = lacking(columns, context) + _by_found_key(columns, (anchor,))
    return Pairing(*_nothing(), (anchor,), note)


def lacking(columns: Sequence[Column], context: Context) -> str:
    """Say which declared key column is missing, if any."""
    names = [column.label for column in columns]
    lacking = next((name for name in context.options.key if name not in names), None)
    return "" if lacking is None else f"the declared key column {lacking!r} is not in both tables; "


def usable_columns(columns: Sequence[Column], context: Context) -> list[int]:
    """Return the columns that may anchor rows: a declared key of one column alone, else all not ignored."""
    declared = context.options.key
    names = [column.label for column in columns]
    if declared and all(name in names for name in declared):
        return [names.index(declared[0])] if len(declared) == 1 else []
    return _usable(columns, context)


def _nothing() -> tuple[Ints, Ints]:
    import numpy as np

    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def _by_declared_key(key: tuple[int, ...], columns: Sequence[Column], rest: Residue) -> Pairing:
    said = ", ".join(columns[i].label for i in key)
    a, b = _on(key, rest)
    return Pairing(a, b, key, f"rows matched by the declared key ({said})", declared=True)


def _on(key: tuple[int, ...], rest: Residue) -> tuple[Ints, Ints]:
    """Pair residual rows that agree in some columns, in order of appearance."""
    if not len(rest.a) or not len(rest.b):
        return _nothing()
    return pair_equal(*row_ids([rest.codes_a[i] for i in key], [rest.codes_b[i] for i in key]))


def _usable(columns: Sequence[Column], context: Context) -> list[int]:
    """Return the columns that may name a row: those that the settings do not ignore."""
    return [i for i, column in enumerate(columns) if column.label not in context.options.ignore]


def _choose(columns: Sequence[Column], rest: Residue, counts: tuple[int, int], context: Context) -> Pairing:
    """Weigh the candidate pairings and return the cheapest; among equals the first in order of trust."""
    import numpy as np

    settled = counts[0] - len(rest.a)
    usable = _usable(columns, context)
    overlaps = [len(_on((i,), rest)[0]) for i in range(len(columns))]
    enough = _VOLATILE_OVERLAP * min(counts)
    stable = [i for i in usable if overlaps[i] + settled > enough]
    live = [i for i in usable if overlaps[i] + settled > 0]
    candidates: list[Pairing] = []
    idle = _naming_other_rows(columns, live, overlaps) if settled else []
    for key in keys.candidates(columns, rest, stable, overlaps):
        a, b = _on(key, rest)
        repeats = (len(rest.a) - len(a), len(rest.b) - len(a))
        proven = not any(repeats) or (len(key) == 1 and columns[key[0]].names_rows())
        if len(a):
            candidates.append(Pairing(a, b, key, _by_found_key(columns, key, None if proven else repeats)))
        elif proven:
            idle.append(Pairing(a, b, key, _by_found_key(columns, key)))
    in_place = counts[0] == counts[1]
    if in_place:
        _, a, b = np.intersect1d(rest.a, rest.b, assume_unique=True, return_indices=True)
        candidates.append(
            Pairing(a, b, note="no key found: rows matched by position, named by row number of A from 0")
        )
    if (
        stable
        and not idle
        and not any(p.key and len(p.a) == min(len(rest.a), len(rest.b)) for p in candidates)
    ):
        a, b, note = pair_similar(rest, stable, overlaps, live)
        candidates.append(Pairing(a, b, note=note))
    if idle and settled:
        candidates = [p for p in candidates if _agreement(p, rest, live) >= _LIKELY]
    candidates += idle
    candidates.append(Pairing(*_nothing(), note="no key found and no similar rows"))
    costs = [_cost(p, rest, stable, whole_rows=in_place and not p.key and not len(p.a)) for p in candidates]
    return candidates[int(np.argmin(costs))]


def _by_found_key(
    columns: Sequence[Column], key: Sequence[int], repeats: tuple[int, int] | None = None
) -> str:
    """Say by which columns rows were matched, and what is proven of them: that no row repeats another one there.

    ``repeats`` are the rows of A and of B that may, where some do.
    """
    said = f"rows matched by {', '.join(columns[i].label for i in key)}"
    if repeats is None:
        return f"{said}, which is unique on both sides"
    return f"{said}, which at most {repeats[0]} rows of A and {repeats[1]} of B repeat"


def _naming_other_rows(
    columns: Sequence[Column], live: Sequence[int], overlaps: Sequence[int]
) -> list[Pairing]:
    """Return the keys by which every residual row is a row of its own.

    A column without nulls, unique on both sides, that names the settled rows alike on both sides is not drawn
    anew in every run: where it shares no value among the residual rows, those are other rows, and likeness in
    the other columns is no reason to pair them.
    """
    return [
        Pairing(*_nothing(), (i,), _by_found_key(columns, (i,)))
        for i in live
        if not overlaps[i] and not columns[i].is_measure and columns[i].names_rows()
    ]


def _agreement(pairing: Pairing, rest: Residue, live: Sequence[int]) -> float:
    """Return which part of the cells that can agree at all does, over all pairs."""
    if not len(pairing.a) or not live:
        return 1.0
    equal = sum(int((rest.codes_a[i][pairing.a] == rest.codes_b[i][pairing.b]).sum()) for i in live)
    return equal / (len(live) * len(pairing.a))


def _cost(pairing: Pairing, rest: Residue, stable: Sequence[int], *, whole_rows: bool) -> float:
    """Return differing cells in stable columns plus the price of the rows left alone."""
    cells = sum(int((rest.codes_a[i][pairing.a] != rest.codes_b[i][pairing.b]).sum()) for i in stable)
    alone = max(len(rest.a), len(rest.b)) - len(pairing.a)
    price = len(stable) + 1 if whole_rows else max(1.0, len(stable) / 2)
    return cells + alone * price
