"""The digest of a part of a table: a pure function of a file and some of its row groups, whose results add up.

This is the seam along which a comparison spreads over machines: each computes the digests of its part, they are
added in any order, and equal sums mean the same multiset of rows, whatever the row groups were. The function is
that of `numbering` with seed 0: the same in every process and version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.numbering import Numbers

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.tabular.numbering import Words

__all__ = ["Digest", "partition_digest"]

_BITS = 64


@dataclass(frozen=True)
class Digest:
    """How many rows there are, and the sums of the two lanes of their numbers: of whole rows, and per column.

    Sums are modulo 2**64. ``columns`` name the columns whose multisets of cells differ when whole rows do.
    """

    rows: int
    lanes: tuple[int, int]
    columns: tuple[tuple[str, int, int], ...]

    @staticmethod
    def empty() -> Digest:
        """Return the digest of no rows of whatever columns."""
        return Digest(0, (0, 0), ())

    def __add__(self, other: Digest) -> Digest:
        """Return the digest of both parts. Raises ValueError for parts of tables with other columns."""
        if not self.columns or not other.columns:
            lone = self if self.columns else other
            if self.rows and other.rows:
                raise ValueError("these are parts of different tables")
            return lone
        if [name for name, *_ in self.columns] != [name for name, *_ in other.columns]:
            raise ValueError("these are parts of different tables")
        return Digest(
            self.rows + other.rows,
            (_sum(self.lanes[0], other.lanes[0]), _sum(self.lanes[1], other.lanes[1])),
            tuple(
                (name, _sum(one, more), _sum(two, further))
                for (name, one, two), (_, more, further) in zip(self.columns, other.columns, strict=True)
            ),
        )


def _sum(a: int, b: int) -> int:
    return (a + b) % (1 << _BITS)


def partition_digest(path: Path, groups: Iterable[int]) -> Digest:
    """Return the digest of some row groups of a Parquet file of flat columns. Raises Unreadable."""
    from kfm_repro.compare.tabular.parquet import open_parquet
    from kfm_repro.compare.tabular.source import ParquetSource

    with open_parquet(path) as file, ParquetSource(file, path) as source:
        names = source.schema.names
        found = Digest(0, (0, 0), tuple((name, 0, 0) for name in names))
        for group in groups:
            size = int(source.starts[group + 1] - source.starts[group])
            numbers = Numbers.of(size)
            columns = []
            for i, name in enumerate(names):
                piece = source.piece(i, group)
                numbers.mix(piece)
                cells = Numbers.of(size)
                cells.mix(piece)
                columns.append((name, *_lanes(cells)))
            found += Digest(size, _lanes(numbers), tuple(columns))
        return found


def _lanes(numbers: Numbers) -> tuple[int, int]:
    return _total(numbers.one), _total(numbers.two)


def _total(lane: Words) -> int:
    import numpy as np

    return int(lane.sum(dtype=np.uint64))
