"""Which sort order explains how rows stand: a column by which one side is sorted, or whose ties are open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["direction", "directions", "explain_order"]

_MOST_COLUMNS = 64


def explain_order(
    columns: Sequence[Column], moved_a: Ints, key: Sequence[int], *, text: bool
) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    """Return evidence, detail figures and the columns worth showing for rows that stand in another order.

    ``moved_a`` are A's rows at the places that differ. Texts of an untyped format (``text``) that all spell
    numbers are also tried as numbers. Detail: ``key`` (A is sorted by it), ``key_b`` (only B is),
    ``tie_groups`` (both are; so many groups of ties stand in another order).
    """
    order = [*key, *(i for i in range(len(columns)) if i not in key)][:_MOST_COLUMNS]
    sorts = {i: columns[i].directions(text=text) for i in order}
    both = [i for i in order if sorts[i][0] and sorts[i][0] == sorts[i][1]]
    if both:
        groups = {i: columns[i].distinct(moved_a) for i in both}
        best = max(both, key=lambda i: groups[i])
        name = columns[best].label
        said = f"ties under ORDER BY ({name}) are not broken: {groups[best]} groups"
        return said, {"key": [name], "tie_groups": groups[best]}, (best,)
    for side, other, field in ((0, "B", "key"), (1, "A", "key_b")):
        found = [i for i in order if sorts[i][side]]
        if found:
            alone = len(found) == 1 or found[0] in key
            best = found[0] if alone else max(found, key=lambda i: columns[i].distinct(moved_a))
            name, direction = columns[best].label, sorts[best][side]
            mine = "AB"[side]
            said = f"{mine} is sorted by {name} ({direction}), {other} is not"
            return said, {field: [name], "direction": direction}, (best,)
    return "no single column explains the order of either side", {}, ()


def directions(a: pa.ChunkedArray, b: pa.ChunkedArray, *, text: bool) -> tuple[str, str]:
    """Return the direction in which A and B are sorted by a column, '' for a side that is not."""
    plain = direction(a), direction(b)
    if text and not all(plain):
        numbers = _numbers(a), _numbers(b)
        if numbers[0] is not None and numbers[1] is not None:
            numeric = direction(numbers[0]), direction(numbers[1])
            return numeric if sum(map(bool, numeric)) > sum(map(bool, plain)) else plain
    return plain


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    import pyarrow as pa

    try:
        return column.cast(pa.float64())
    except pa.ArrowException:
        return None


def direction(column: pa.ChunkedArray) -> str:
    """Return 'ascending' or 'descending' (ties allowed), or '' for unsorted, constant or incomparable values.

    Nulls may stand together at the end.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        filled = len(column) - column.null_count
        column = column.slice(0, filled)
        if column.null_count:
            return ""
    if len(column) < 2:  # noqa: PLR2004  # one value is not sorted
        return ""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    before, after = column.slice(0, len(column) - 1), column.slice(1)
    try:
        rising, falling = (
            pc.all(compare(before, after)).as_py() for compare in (pc.less_equal, pc.greater_equal)
        )
    except pa.ArrowException:
        return ""
    if rising == falling:
        return ""
    return "ascending" if rising else "descending"
