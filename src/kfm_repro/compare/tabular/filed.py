"""A column that both tables have in files: what is asked of it is answered piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from kfm_repro.compare.tabular.exact import exact, python_values, taken
from kfm_repro.compare.tabular.numbering import Numbers
from kfm_repro.compare.tabular.schema import Column, spell_numbers, spells_fractions
from kfm_repro.compare.tabular.sorting import direction
from kfm_repro.compare.tabular.unique import is_unique
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
__all__ = ["FileColumn", "Source", "repeats"]

_SAMPLE = 20_000


class Source(Protocol):
    """A table in a file, whose columns are read in pieces; columns and pieces go by their number."""

    path: Path
    schema: Any
    rows: int
    groups: int
    starts: Ints
    """The number of the first row of every piece, and at the end the number of rows."""

    def head(self, column: int, rows: int) -> pa.Array:
        """Return the first cells of a column, at most ``rows``."""
        ...

    def piece(self, column: int, group: int) -> pa.Array:
        """Return the cells of a column in one piece."""
        ...

    def pieces(self, column: int) -> Iterator[tuple[int, pa.Array]]:
        """Yield every piece of a column with the number of its first row."""
        ...

    def take(self, column: int, rows: Ints) -> pa.ChunkedArray:
        """Return some cells of a column, in the order asked for."""
        ...

    def rises(self, column: int) -> bool:
        """Return whether some strict order of the cells proves that none occurs twice."""
        ...

    def ascends(self, column: int) -> bool:
        """Return whether the values are known to be ascending, each larger than the last."""
        ...

    def counts_up(self, column: int) -> bool:
        """Return whether the cells are texts that are known to spell natural numbers, each larger than the last."""
        ...


def _no_rows() -> Ints:
    import numpy as np

    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class FileColumn(Column):
    """``a`` and ``b`` hold the cells of the rows ``rows_a`` and ``rows_b`` (ascending) and no others."""

    sources: tuple[Source, Source] = field(default=(), repr=False)  # type: ignore[assignment]
    at: tuple[int, int] = (0, 0)
    rows_a: Ints = field(default_factory=_no_rows)
    rows_b: Ints = field(default_factory=_no_rows)
    settled: dict[int, bool] = field(default_factory=dict)
    """What was found out before: whether A's (0) and B's (1) cells name the rows."""

    def cells(self, rows: Ints, *, of_a: bool) -> pa.ChunkedArray:
        """Return the cells of some rows: of those at hand, or else from the file."""
        import numpy as np

        held, here = (self.a, self.rows_a) if of_a else (self.b, self.rows_b)
        if len(here):
            places = np.minimum(np.searchsorted(here, rows), len(here) - 1)
            if np.array_equal(here[places], rows):
                return taken(held, places)
        side = 0 if of_a else 1
        return self.sources[side].take(self.at[side], rows)

    def values(self, rows: Ints, *, of_a: bool) -> list[Any]:
        """Return the values of some rows of one side as Python objects."""
        return python_values(self.cells(rows, of_a=of_a))

    def names_rows(self, repeats: tuple[int, int] = (0, 0)) -> bool:
        """Return whether no cell is null and none occurs twice, but for so many ``repeats`` on each side."""
        if self.settled.get(0) and self.settled.get(1):
            return True
        if any(repeats):
            return all(self.names_rows_of(side, repeats[side]) for side in (0, 1))
        return self.names_rows_of(0) and self._names_other_rows_of_b()

    def _names_other_rows_of_b(self) -> bool:
        """Return `names_rows_of` B, given that of A.

        But for ``rows_b``, B's rows equal rows of A outside of ``rows_a``, one to one: what ``rows_a`` hold is
        nowhere else in A, and only the other cells of ``rows_b`` are to be looked for there.
        """
        import pyarrow.compute as pc

        cells = exact(self.b)
        if not len(cells):
            return True
        if cells.null_count or not is_unique(cells):
            return False
        wanted = cells.filter(pc.invert(pc.is_in(cells, value_set=exact(self.a).combine_chunks())))
        if not len(wanted):
            return True
        source, at, values = self.sources[0], self.at[0], wanted.combine_chunks()

        def holds_some(group: int) -> bool:
            return bool(pc.any(pc.is_in(exact(_chunked(source.piece(at, group))), value_set=values)).as_py())

        return not any(in_parallel(holds_some, range(source.groups)))

    def names_rows_of(self, side: int, allowed: int = 0) -> bool:
        """Return `names_rows` for A (0) or B (1)."""
        if self.settled.get(side):
            return True
        source, at = self.sources[side], self.at[side]
        held = exact((self.a, self.b)[side])
        if held.null_count or not is_unique(held, allowed):
            return False
        if source.rows and not _may_name(source.head(at, _SAMPLE), allowed):
            return False
        found = 0
        if source.rows and not source.rises(at):
            if not _may_name(source.piece(at, 0), allowed):
                return False
            found = repeats([source], [[at]])[0]
        if not found:
            self.settled[side] = True
        return found <= allowed

    def directions(self, *, text: bool) -> tuple[str, str]:
        """Return how A and B are sorted by this column; texts perhaps as the numbers that they spell."""
        sides = list(zip(self.sources, self.at, strict=True))
        plain = _direction(*sides[0], _chunked), _direction(*sides[1], _chunked)
        if text and not all(plain):
            numeric = ["", ""]
            for side in (0, 1):  # as numbers more sides must be sorted: the unsorted ones are asked first
                numeric[side] = "" if plain[side] else _numeric_direction(*sides[side])
            if any(numeric):
                numeric = [found or _numeric_direction(*at) for found, at in zip(numeric, sides, strict=True)]
            return (numeric[0], numeric[1]) if sum(map(bool, numeric)) > sum(map(bool, plain)) else plain
        return plain

    def distinct(self, rows: Ints) -> int:
        """Return how many values some rows of A hold."""
        import numpy as np

        numbers = Numbers.of(self.sources[0].rows)
        for start, piece in self.sources[0].pieces(self.at[0]):
            numbers.part(start, start + len(piece)).mix(piece)
        return len(np.unique(numbers.one[rows]))

    @cached_property
    def is_measure(self) -> bool:
        """Whether the values are fractions: floats, or texts that spell some throughout."""
        sides = zip(self.sources, self.at, strict=True)
        if any(source.counts_up(at) for source, at in sides):
            return False
        return self.is_float or all(
            spells_fractions(_chunked(piece) for piece in _growing(source, at))
            for source, at in zip(self.sources, self.at, strict=True)
        )

    @cached_property
    def is_numeric_text(self) -> bool:
        """Whether the cells of each side are numbers throughout; see `Column`."""
        import pyarrow as pa

        sides = (
            pa.chunked_array([piece.unique() for _, piece in source.pieces(at)], type=pa.string())
            for source, at in zip(self.sources, self.at, strict=True)
        )
        return all(map(spell_numbers, sides))


def _chunked(array: pa.Array) -> pa.ChunkedArray:
    import pyarrow as pa

    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return pa.chunked_array([plain])


def _may_name(cells: pa.Array, allowed: int) -> bool:
    values = exact(_chunked(cells))
    return not values.null_count and is_unique(values, allowed)


def repeats(sources: list[Source], columns: list[list[int]]) -> list[int]:
    """Return how many rows of each source repeat another one in some columns; more than it has when a cell is null.

    By one lane of the numbers: two values that share it would count as one, and a key would be missed.
    """
    import numpy as np

    found = []
    for source, chosen in zip(sources, columns, strict=True):
        numbers = Numbers.of(source.rows)
        nulls = 0
        for at in chosen:
            for start, piece in source.pieces(at):
                nulls += piece.null_count
                numbers.part(start, start + len(piece)).mix(piece)
        lane = np.sort(numbers.one)
        found.append(source.rows + 1 if nulls else int((lane[1:] == lane[:-1]).sum()))
    return found


def _numbers(array: pa.Array) -> pa.ChunkedArray:
    import pyarrow as pa

    return _chunked(array).cast(pa.float64())


def _direction(source: Source, at: int, as_column: Callable[[pa.Array], pa.ChunkedArray]) -> str:
    """Return `sorting.direction` of a column in a file, leaving off at the first piece that is not sorted."""
    import pyarrow as pa

    if source.rows > 1 and source.ascends(at):
        return "ascending"
    try:
        return _direction_of(as_column(piece) for piece in _growing(source, at))
    except pa.ArrowException:  # not all are numbers
        return ""


def _numeric_direction(source: Source, at: int) -> str:
    if source.rows > 1 and source.counts_up(at):
        return "ascending"
    return _direction(source, at, _numbers)


def _growing(source: Source, at: int) -> Iterator[pa.Array]:
    """Yield the first cells of a column, to be done soon, and then all of them."""
    head = source.head(at, _SAMPLE)
    yield head
    for start, piece in source.pieces(at):
        yield piece.slice(max(0, len(head) - start))


def _direction_of(columns: Iterable[pa.ChunkedArray]) -> str:
    import pyarrow as pa

    said = ""
    last: pa.ChunkedArray | None = None
    nulls = False
    for column in columns:
        if not len(column):
            continue
        if nulls and column.null_count < len(column):
            return ""
        nulls = nulls or column.null_count > 0
        filled = column if last is None else pa.chunked_array([*last.chunks, *column.chunks])
        last = column.slice(len(column) - 1)
        if column.null_count == len(column):
            continue
        values = filled.drop_null() if filled.null_count == len(filled) else filled
        way = direction(values)
        if not way and not _is_constant(values):
            return ""
        if way and said and way != said:
            return ""
        said = said or way
    return said


def _is_constant(column: pa.ChunkedArray) -> bool:
    """Return whether no value is before another one, as `direction` compares them: 0.0 and -0.0 are one."""
    import pyarrow.compute as pc

    filled = column.slice(0, len(column) - column.null_count)
    before, after = filled.slice(0, max(0, len(filled) - 1)), filled.slice(1)
    return not filled.null_count and pc.all(pc.equal(before, after)).as_py() is not False
