"""Polygons whose rings only start elsewhere or run the other way, told from their bytes before any is built."""

from __future__ import annotations

import ctypes
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
    both = [[value if isinstance(value, bytes) else None for value in side] for side in (a, b)]
    sizes, others = (np.array([-1 if v is None else len(v) for v in side], np.int64) for side in both)
    sizes[sizes != others] = -1
    sides = [(ctypes.c_char_p * len(side))(*side) for side in both]
    loops.kfm_rings_turned(
        *(ctypes.addressof(side) for side in sides), sizes.ctypes.data, len(a), told.ctypes.data
    )
    return told
