"""All rows of two files numbered, and on the way the rows of B kept that A does not have.

Of tables that are shuffled and edited the edited rows lie on every page: to read them later would be to decode all of
B once more. What is kept saves that and nothing else. It is left out where that is not cheap, and by chance of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from kfm_repro.compare.tabular.numbering import Numbers, draw_seed
from kfm_repro.compare.tabular.sieve import Sieve
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.filed import FileColumn
    from kfm_repro.compare.tabular.source import ParquetSource

__all__ = ["Foreign", "number_rows"]

_HEAD_ROWS = 20_000
"""First rows of B that say what is to be expected."""
_GLANCED = 8
"""The first part in so many of each row group is looked at where nothing is expected."""


class Foreign:
    """The rows of B that A does not have, by row group of B, as far as they were met; at most ``most`` of them.

    The first rows of B say whether any are to be expected, and how many: otherwise holding pieces would be idle.
    """

    def __init__(self, columns: Sequence[FileColumn], most: int) -> None:
        self._a, self._b = cast("tuple[ParquetSource, ParquetSource]", columns[0].sources)
        self._at = [column.at[1] for column in columns]
        self._sieve: Sieve | None = None
        self._room = most
        self._awaited = self._a.groups
        self._expected = False
        self._head = Numbers.of(0)
        self._kept: dict[int, tuple[Ints, list[pa.Array]]] = {}
        self._lock = threading.Lock()
        self.numbers_of_a: Numbers | None = None
        """Those of all rows of A, once they are known."""

    def begin(self, seed: int) -> None:
        """Have the first rows of B numbered by the seed by which all others are that are taken in or met."""
        self._sieve = Sieve.of(self._a.rows)
        if self._sieve is None:
            return
        cells = [self._b.head(at, _HEAD_ROWS) for at in self._at]
        self._head = Numbers.of(min(map(len, cells)), seed)
        for column in cells:
            self._head.mix(column.slice(0, len(self._head.one)))

    def learn(self, numbers: Numbers) -> None:
        """Take in the rows of a row group of A."""
        sieve = self._sieve
        if sieve is None:
            return
        sieve.add(numbers)
        with self._lock:
            self._awaited -= 1
            if self._awaited:
                return
            share = len(sieve.lacks(self._head)) / max(1, len(self._head.one))
            self._expected = share > 0
            if share * self._b.rows > self._room:
                self.rest()

    def meet(self, group: int, numbers: Numbers, pieces: Sequence[pa.Array]) -> None:
        """Keep what A lacks of a row group of B, given all its pieces; what comes before all of A is not kept."""
        sieve = self._sieve
        if sieve is None or self._awaited:
            return
        if not pieces:
            glance = numbers.part(0, len(numbers.one) // _GLANCED)
            self._expected = self._expected or len(sieve.lacks(glance)) > 0
            return
        places = sieve.lacks(numbers)
        if not len(places):
            return
        with self._lock:
            self._room -= len(places)
            if self._room < 0:
                self.rest()
                self._kept.clear()
                return
        cells = [self._b.cells(at, piece, places) for at, piece in zip(self._at, pieces, strict=True)]
        with self._lock:
            if self._room >= 0:
                self._kept[group] = places + self._b.starts[group], cells

    def rest(self) -> None:
        """Keep no more."""
        self._sieve = None

    @property
    def asks_for_pieces(self) -> bool:
        """Whether the pieces of the next row group of B are to be held until it is met."""
        return self._sieve is not None and (self._awaited > 0 or self._expected)

    def cells(self, i: int, group: int, rows: Ints) -> pa.Array | None:
        """Return the cells of rows of B, all in one row group, in the ``i``-th column; None where not at hand."""
        import numpy as np

        kept, cells = self._kept.get(group, (None, []))
        return cells[i] if kept is not None and np.array_equal(kept, rows) else None


def number_rows(columns: Sequence[FileColumn], foreign: Foreign | None = None) -> tuple[Numbers, Numbers]:
    """Return the numbers of all rows of both files, and leave in ``foreign`` what is met on the way."""
    import pyarrow as pa

    seed = draw_seed()
    sources = cast("tuple[ParquetSource, ParquetSource]", columns[0].sources)
    both = tuple(Numbers.unset(source.rows, seed) for source in sources)
    if foreign is not None:
        foreign.begin(seed)

    def numbered(task: tuple[int, int]) -> None:
        side, group = task
        start, stop = (int(row) for row in sources[side].starts[group : group + 2])
        numbers = both[side].part(start, stop)
        hold = side == 1 and foreign is not None and foreign.asks_for_pieces
        pieces = _mixed(columns, task, numbers, hold=hold)
        if foreign is not None and side == 0:
            foreign.learn(numbers)
        elif foreign is not None:
            foreign.meet(group, numbers, pieces)

    for _ in in_parallel(
        numbered, [(side, group) for side in (0, 1) for group in range(sources[side].groups)]
    ):
        pass
    if foreign is not None:
        foreign.rest()
        foreign.numbers_of_a = both[0]
        pa.default_memory_pool().release_unused()  # of the pieces that were held; pairing takes as much
    return both[0], both[1]


def _mixed(
    columns: Sequence[FileColumn], place: tuple[int, int], numbers: Numbers, *, hold: bool
) -> list[pa.Array]:
    """Make numbers those of a row group (side and group in ``place``), and return its pieces, if they are to be held.

    No piece is returned where together they take more than one by itself may.
    """
    side, group = place
    source = cast("ParquetSource", columns[0].sources[side])
    room = source.piece_bytes if hold else 0
    held: list[pa.Array] = []
    numbers.begin()
    for column in columns:
        piece = source.piece(column.at[side], group)
        source.note(column.at[side], group, piece)
        numbers.mix(piece)
        room -= piece.nbytes
        if room >= 0:
            held.append(piece)
        else:
            held.clear()
    return held
