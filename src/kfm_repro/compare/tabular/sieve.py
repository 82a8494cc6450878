"""A set of row numbers that errs on one side only: what it says is not in it has never been taken in.

It saves work and decides nothing: a row that it lets through wrongly is found out when the rows are paired.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.native import library

if TYPE_CHECKING:
    import ctypes

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.numbering import Numbers

__all__ = ["BYTES_PER_ROW", "Sieve"]

BYTES_PER_ROW = 6
"""One foreign row in about a million is let through: of 30 000 mostly none."""
_BLOCK = 64
"""Bytes of a block: a line of the processor's cache."""


class Sieve:
    """Has room for about ``rows`` numbers; with more of them it lets more through. Any thread may add to it."""

    def __init__(self, loops: ctypes.CDLL, rows: int) -> None:
        import numpy as np

        self._loops = loops
        self._blocks = min((1 << 32) - 1, 1 + rows * BYTES_PER_ROW // _BLOCK)
        room = np.zeros((self._blocks + 1) * _BLOCK, np.uint8)
        at = -room.ctypes.data % _BLOCK  # a block across two lines would be fetched twice
        self._bits = room[at : at + self._blocks * _BLOCK].view(np.uint64)
        self._lock = threading.Lock()

    @staticmethod
    def of(rows: int) -> Sieve | None:
        """Return an empty one; None where the loops are not compiled: by NumPy it takes longer than what it saves."""
        loops = library()
        return None if loops is None else Sieve(loops, rows)

    def add(self, numbers: Numbers) -> None:
        """Take in some rows."""
        lanes = numbers.one.ctypes.data, numbers.two.ctypes.data
        with self._lock:  # a few milliseconds of what takes hundreds
            self._loops.kfm_sieve_add(self._bits.ctypes.data, self._blocks, *lanes, len(numbers.one))

    def lacks(self, numbers: Numbers) -> Ints:
        """Return the places of the rows that were certainly not taken in, ascending."""
        import numpy as np

        places = np.empty(len(numbers.one), np.int64)
        lanes = numbers.one.ctypes.data, numbers.two.ctypes.data
        found = self._loops.kfm_sieve_lacks(
            self._bits.ctypes.data, self._blocks, *lanes, len(places), places.ctypes.data
        )
        return places[:found].copy()
