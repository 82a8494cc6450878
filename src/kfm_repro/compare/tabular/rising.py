"""Which columns of a file rise strictly: a proof that no value occurs twice, and for numbers that they ascend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.arrays import numpy_of
from kfm_repro.compare.tabular.exact import exact
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = ["Rising"]

_HEAD_ROWS = 20_000
"""Rows at the beginning of a column that are asked before all are."""
_GLANCE = 64
"""So many numbers say of most pieces that they do not rise."""


class Rising:
    """What is known of the columns of one file; what is not yet known is found out when asked."""

    def __init__(self, source: ParquetSource) -> None:
        self._source = source
        self._known: dict[int, bool] = {}
        self._ends: dict[tuple[int, int], tuple[int, int]] = {}
        """The first and the last number of pieces that rise."""

    def note(self, column: int, group: int, piece: pa.Array) -> None:
        """Take note of a piece that is at hand: it is not decoded again then."""
        import pyarrow as pa

        kind = piece.type
        if len(piece) and (pa.types.is_integer(kind) or pa.types.is_temporal(kind)):
            found = _ends(piece)
            if found is not None:
                self._ends[column, group] = found

    def rises(self, column: int) -> bool:
        """Return whether integers of whatever meaning rise strictly, without null; floats by their bits."""
        if column not in self._known:
            self._known[column] = self._rises(column)
        return self._known[column]

    def ascends(self, column: int) -> bool:
        """Return whether the values are known to rise strictly; those of floats are not, by their bits."""
        import pyarrow as pa

        kind = self._source.schema.field(column).type
        return self._known.get(column, False) and (pa.types.is_integer(kind) or pa.types.is_temporal(kind))

    def _rises(self, column: int) -> bool:
        import numpy as np
        import pyarrow as pa

        source, types = self._source, pa.types
        kind = source.schema.field(column).type
        if not (types.is_integer(kind) or types.is_temporal(kind) or types.is_floating(kind)):
            return False
        head = source.head(column, _HEAD_ROWS)
        if len(head) and _ends(head) is None:
            return False

        def ends(group: int) -> tuple[int, int] | None:
            return self._ends.get((column, group)) or _ends(source.piece(column, group))

        last: int | None = None
        for found in in_parallel(ends, [group for group, rows in enumerate(np.diff(source.starts)) if rows]):
            if found is None or (last is not None and found[0] <= last):
                return False
            last = found[1]
        return True


def _ends(piece: pa.Array) -> tuple[int, int] | None:
    """Return the first and the last number of a piece that rises strictly, without null; None for any other."""
    import pyarrow as pa

    values = exact(pa.chunked_array([piece])).chunk(0)
    if values.null_count:
        return None
    numbers = numpy_of(values)
    glance = numbers[:_GLANCE]
    if not ((glance[1:] > glance[:-1]).all() and (numbers[1:] > numbers[:-1]).all()):
        return None
    return int(numbers[0]), int(numbers[-1])
