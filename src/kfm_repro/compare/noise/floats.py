"""How far two floats lie apart: units in the last place, signed zeros, NaN payloads."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MAX_NOISE_ULP", "Distance", "distance", "distances"]

MAX_NOISE_ULP = 4
"""Most units in the last place, of the format that holds them, that are noise; ``docs/findings.md``, the ladder."""

_SIGN = 1 << 63


class Distance(NamedTuple):
    """Distance of two floats. ``ulp`` is None where it has no meaning: one side is not finite."""

    ulp: int | None
    rel: float
    abs: float

    @property
    def noise(self) -> bool:
        """Whether the two are the same but for noise."""
        return self.ulp is not None and self.ulp <= MAX_NOISE_ULP


def distance(a: float, b: float) -> Distance:
    """Return how far two floats lie apart; two NaN, equal values and the two zeros are 0 ulp apart."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return Distance(0, 0.0, 0.0)
    if not (math.isfinite(a) and math.isfinite(b)):
        return Distance(None, math.inf, math.inf)
    gap = abs(a - b)
    return Distance(abs(_ordered(a) - _ordered(b)), gap / max(abs(a), abs(b)), gap)


def _ordered(value: float) -> int:
    """Map a float to an integer so that neighbouring floats are neighbouring integers."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return _SIGN - bits if bits & _SIGN else bits


def distances(pairs: Sequence[tuple[float, float]], width: int = 64) -> list[Distance]:
    """Return the distance of every pair, as `distance` does, a few hundred times faster for many.

    ``width`` (16, 32 or 64) is the binary format that the values come from and whose units are counted.
    Values that it cannot hold are taken as binary64.
    """
    import numpy as np

    if not pairs:
        return []
    both = np.array(pairs, dtype=np.float64)
    ordered = _orders(both, width)
    a, b = both[:, 0], both[:, 1]
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(a) & np.isfinite(b)
    with np.errstate(all="ignore"):
        # The two ends of the scale lie up to 2**64 apart: unsigned arithmetic wraps to the right answer.
        low, high = ordered.min(axis=1).view(np.uint64), ordered.max(axis=1).view(np.uint64)
        ulp = high - low
        gap = np.abs(a - b)
        rel = gap / np.maximum(np.abs(a), np.abs(b))
    return [
        Distance(0, 0.0, 0.0) if s else Distance(int(u), float(r), float(g)) if f else _APART
        for s, f, u, r, g in zip(
            same.tolist(), finite.tolist(), ulp.tolist(), rel.tolist(), gap.tolist(), strict=True
        )
    ]


def _orders(values: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """Map floats to integers so that neighbours in the format of ``width`` bits are neighbours."""
    import numpy as np

    with np.errstate(all="ignore"):
        narrow = values.astype(f"f{width // 8}")
        held = np.array_equal(narrow.astype(np.float64), values, equal_nan=True)
    if not held:
        narrow, width = values, 64
    bits = np.ascontiguousarray(narrow).view(f"i{width // 8}")
    return np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits).astype(np.int64)


_APART = Distance(None, math.inf, math.inf)
