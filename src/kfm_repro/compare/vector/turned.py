"""Polygons whose rings only start elsewhere or run the other way, told from their bytes before any is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.native import library

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["STARTED_ELSEWHERE", "UNTOLD", "WOUND_THE_OTHER_WAY", "turned"]

UNTOLD, STARTED_ELSEWHERE, WOUND_THE_OTHER_WAY = 0, 1, 2
_FEW = 64
"""Fewer pairs are judged by the rules sooner than they are laid out for the compiled loop."""
_AT_ONCE = 512


def turned(a: Sequence[bytes | None], b: Sequence[bytes | None]) -> npt.NDArray[np.uint8]:
    """Return of every pair of differing WKB values what `vertices.orders` would say, uint8 of shape (n,).

    `UNTOLD` where that takes a closer look: geometries of another kind or with odd numbers, rings that may lie on
    their partner in several ways; and always where there is no compiled loop.
    """
    import numpy as np

    told = np.zeros(len(a), np.uint8)
    loops = library()
    if loops is None or len(a) < _FEW:
        return told
    sizes = np.fromiter(map(_size, a, b), np.int64, len(a))
    for first in range(0, len(a), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        asked = sizes[part].tolist()
        sides = [_joined(side[part], asked) for side in (a, b)]
        starts = np.append(0, np.cumsum(sizes[part]))
        loops.kfm_rings_turned(*sides, starts.ctypes.data, len(asked), told[part].ctypes.data)
    return told


def _size(a: bytes | None, b: bytes | None) -> int:
    """Return the size of both values, 0 where they are not of one size."""
    both = isinstance(a, bytes) and isinstance(b, bytes) and len(a) == len(b)
    return len(a) if both and a is not None else 0


def _joined(values: Sequence[bytes | None], asked: Sequence[int]) -> bytes:
    """Return the values of which something is asked in a row: so many that they stay in the cache."""
    return b"".join([value for value, size in zip(values, asked, strict=True) if size and value is not None])
