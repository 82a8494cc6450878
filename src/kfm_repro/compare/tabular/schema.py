"""Which columns two tables share, and in what their schemas differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.numbers import spells_each_once, spells_uniformly
from kfm_repro.compare.tabular.arrays import integers
from kfm_repro.compare.tabular.exact import common_values, exact, python_values, taken
from kfm_repro.compare.tabular.sorting import directions
from kfm_repro.compare.tabular.unique import is_unique
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["Column", "align", "labels", "plain_type", "spell_numbers", "spells_fractions"]

_SAMPLE = 20_000


@dataclass(frozen=True)
class Column:
    """A column that both tables have: the values as they are, and in exact form (see ``exact``)."""

    label: str
    a: pa.ChunkedArray
    b: pa.ChunkedArray
    same_type: bool = field(default=True)

    @cached_property
    def exact(self) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """A's and B's values as two exact columns of one type."""
        if self.same_type:
            return exact(self.a), exact(self.b)
        return common_values(self.a, self.b)

    def values(self, rows: Ints, *, of_a: bool) -> list[Any]:
        """Return the values of some rows of one side as Python objects."""
        return python_values(self.a if of_a else self.b, rows)

    def cells(self, rows: Ints, *, of_a: bool) -> pa.ChunkedArray:
        """Return the cells of some rows of one side, as they are."""
        return taken(self.a if of_a else self.b, rows)

    def names_rows(self, repeats: tuple[int, int] = (0, 0)) -> bool:
        """Return whether no cell is null and none occurs twice, but for so many ``repeats`` on each side."""
        return all(
            not side.null_count and is_unique(side, allowed)
            for side, allowed in zip(self.exact, repeats, strict=True)
        )

    def directions(self, *, text: bool) -> tuple[str, str]:
        """Return how A and B are sorted by this column; see `sorting.directions`."""
        return directions(self.a, self.b, text=text)

    def distinct(self, rows: Ints) -> int:
        """Return how many values some rows of A hold."""
        import pyarrow as pa
        import pyarrow.compute as pc

        here = self.exact[0].take(integers(rows))
        return 1 if pa.types.is_null(here.type) else int(pc.count_distinct(here, mode="all").as_py())

    @property
    def is_float(self) -> bool:
        """Whether either side holds floating-point numbers."""
        import pyarrow as pa

        return any(pa.types.is_floating(side.type) for side in (self.a, self.b))

    @property
    def is_nested(self) -> bool:
        """Whether either side holds lists, structs or maps."""
        import pyarrow as pa

        return any(pa.types.is_nested(side.type) for side in (self.a, self.b))

    @cached_property
    def is_measure(self) -> bool:
        """Whether the values are fractions, as floats or spelled out in text: they measure, and name no row."""
        return self.is_float or all(
            spells_fractions((side.slice(0, _SAMPLE), side.slice(_SAMPLE))) for side in (self.a, self.b)
        )

    @cached_property
    def is_numeric_text(self) -> bool:
        """Whether the cells of each side are numbers throughout, spelled by one rule, every number one way."""
        return all(map(spell_numbers, (self.a, self.b)))


def spell_numbers(column: pa.ChunkedArray) -> bool:
    """Return whether all texts of a column are numbers, spelled by one rule, every number one way."""
    import pyarrow.compute as pc

    texts = pc.unique(column).drop_null().to_pylist()
    return spells_each_once(texts) and spells_uniformly(texts)


def spells_fractions(parts: Iterable[pa.ChunkedArray]) -> bool:
    """Return whether parts of texts hold decimal fractions alone, at least one; integers may be among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    point = False
    for part in parts:
        if not (pa.types.is_string(part.type) or pa.types.is_large_string(part.type)):
            return False
        numbers = pc.match_substring_regex(part, r'^(?:[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?|"")?$')
        if not pc.all(numbers, min_count=0).as_py():
            return False
        point = point or bool(pc.any(pc.match_substring(part, "."), min_count=0).as_py())
    return point


def labels(names: list[str]) -> list[str]:
    """Return a distinct label per column: its name, and ``name (2)`` for the second of that name."""
    seen: Counter[str] = Counter()
    taken = set(names)
    found: list[str] = []
    for name in names:
        seen[name] += 1
        label = name
        while seen[name] > 1 and (label := f"{name} ({seen[name]})") in taken:
            seen[name] += 1
        taken.add(label)
        found.append(label)
    return found


def align(
    a: pa.Table, b: pa.Table, context: Context, where: Mapping[str, str]
) -> tuple[list[Column], list[Finding]]:
    """Return the shared columns in A's order, and the findings about columns and their types."""
    names_a, names_b = labels(a.column_names), labels(b.column_names)
    at_b = {name: i for i, name in enumerate(names_b)}
    findings = _missing(a, names_a, at_b, where, "A") + _missing(b, names_b, set(names_a), where, "B")
    shared_a = [name for name in names_a if name in at_b]
    at_a = set(names_a)
    shared_b = [name for name in names_b if name in at_a]
    if shared_a != shared_b:
        findings.append(_column_order(shared_a, shared_b, where))
    columns: list[Column] = []
    for i, name in enumerate(names_a):
        if name not in at_b:
            continue
        field_a, field_b = a.schema.field(i), b.schema.field(at_b[name])
        column_a, column_b = a.column(i), b.column(at_b[name])
        same = plain_type(field_a.type) == plain_type(field_b.type)
        columns.append(Column(name, column_a, column_b, same))
        findings += _type_findings(name, (field_a, field_b), (column_a, column_b), context, where)
    return columns, findings


def _missing(
    table: pa.Table,
    names: list[str],
    others: Mapping[str, int] | set[str],
    where: Mapping[str, str],
    side: str,
) -> list[Finding]:
    return [
        Finding(
            kind=Kind.SCHEMA,
            rung=Rung.VALUE,
            where={**where, "column": name},
            evidence=f"column only in {side} ({table.schema.field(i).type})",
            detail={"only_in": side.lower()},
        )
        for i, name in enumerate(names)
        if name not in others
    ]


def _column_order(a: list[str], b: list[str], where: Mapping[str, str]) -> Finding:
    moved = [i for i, (left, right) in enumerate(zip(a, b, strict=True)) if left != right]
    return Finding(
        kind=Kind.COLUMN_ORDER,
        rung=Rung.ORDER,
        where=dict(where),
        count=len(moved),
        of=len(a),
        examples=tuple(Example(key={"position": i}, a=a[i], b=b[i]) for i in moved[:10]),
        evidence=f"{len(moved)} of {len(a)} shared columns stand at another place",
    )


def _type_findings(
    name: str,
    fields: tuple[pa.Field, pa.Field],
    columns: tuple[pa.ChunkedArray, pa.ChunkedArray],
    context: Context,
    where: Mapping[str, str],
) -> list[Finding]:
    """Say in what the declarations of one column differ: its type (data) or how it is held (layout)."""
    place: dict[str, str | int] = {**where, "column": name}
    reason = context.options.ignore.get(name)
    rung = Rung.VALUE if reason is None else Rung.TOLERANCE
    note = "" if reason is None else f"; ignored by the settings: {reason}"
    type_a, type_b = (field.type for field in fields)
    said = f"{type_a} against {type_b}"
    found: list[Finding] = []
    if plain_type(type_a) != plain_type(type_b) or _is_ordered(type_a) != _is_ordered(type_b):
        example = (Example(a=str(type_a), b=str(type_b)),)
        found.append(Finding(kind=Kind.TYPE, rung=rung, where=place, examples=example, evidence=said + note))
    elif type_a != type_b:
        evidence = f"held as {said}; the values are compared as they are"
        found.append(Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where=place, evidence=evidence))
    if fields[0].nullable != fields[1].nullable:
        found.append(_nullable(place, columns, rung, note))
    categories = [_categories(column) for column in columns]
    if None not in categories and categories[0] != categories[1]:
        ordered = _is_ordered(type_a) or _is_ordered(type_b)
        evidence = "the list of categories differs" + (", and with it their order" if ordered else "")
        kind, level = (Kind.TYPE, rung) if ordered else (Kind.LAYOUT, Rung.CONTAINER)
        found.append(
            Finding(kind=kind, rung=level, where=place, evidence=evidence + (note if ordered else ""))
        )
    return found


def _nullable(
    place: dict[str, str | int], columns: tuple[pa.ChunkedArray, pa.ChunkedArray], rung: Rung, note: str
) -> Finding:
    """Say that one side is declared without nulls: layout while there are none, else another type of data."""
    said = "declared to hold nulls on one side only"
    if any(column.null_count for column in columns):
        evidence = f"{said}, and it does{note}"
        return Finding(kind=Kind.TYPE, rung=rung, where=place, evidence=evidence)
    return Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where=place, evidence=f"{said}; there are none")


def _is_ordered(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(kind) and kind.ordered)


def _categories(column: pa.ChunkedArray) -> list[object] | None:
    """Return the dictionary of a column, None when it has none."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return None
    whole = column.unify_dictionaries()
    values = whole.chunk(0).dictionary if whole.num_chunks else pa.array([], column.type.value_type)
    return list(exact(pa.chunked_array([values])).to_pylist())


def plain_type(kind: pa.DataType) -> pa.DataType:  # noqa: PLR0911  # one return per family of types
    """Return a type without what only says how values are held: offset width, views, dictionaries, runs."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    lists = (types.is_list, types.is_large_list, types.is_list_view, types.is_large_list_view)
    if any(is_list(kind) for is_list in lists):
        return pa.list_(plain_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(member.name, plain_type(member.type)) for member in kind])
    return kind
