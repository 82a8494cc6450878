"""Figures of differing values: how far apart numbers lie, and which times the two sides hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.timestamps import clock_times
from kfm_repro.model.figures import MAX_TIMES, Figures, Histogram, Times

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.noise.floats import Distance

__all__ = ["of_noise", "of_times", "of_values"]

_SMALLEST, _LARGEST = -17, 1
"""Powers of ten that bound a relative distance of two doubles; what lies beyond is in the outermost bars."""


def of_noise(distances: Sequence[Distance]) -> Figures | None:
    """Return how many units in the last place noise comes to, a bar for each."""
    ulps = [distance.ulp for distance in distances if distance.ulp is not None]
    if not ulps:
        return None
    edges = range(min(ulps), max(ulps) + 2)
    counts = tuple(ulps.count(edge) for edge in edges[:-1])
    return Figures(histogram=Histogram(unit="ulp", edges=tuple(map(float, edges)), counts=counts))


def of_values(distances: Sequence[Distance]) -> Figures | None:
    """Return how far apart numbers lie relative to the larger of the two, a bar per power of ten."""
    import numpy as np

    if not distances:
        return None
    far = np.fromiter((distance.rel for distance in distances), np.float64, len(distances))
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.nan_to_num(np.floor(np.log10(far)), nan=_LARGEST, posinf=_LARGEST, neginf=_SMALLEST)
    bars = np.clip(powers, _SMALLEST, _LARGEST).astype(np.int64)
    low, high = int(bars.min()), int(bars.max())
    counts = np.bincount(bars - low, minlength=high - low + 1)
    edges = tuple(float(f"1e{power}") for power in range(low, high + 2))
    return Figures(histogram=Histogram(unit="relative", edges=edges, counts=tuple(counts.tolist())))


def of_times(pairs: Sequence[tuple[Any, Any]], context: Context) -> Figures | None:
    """Return the times of pairs that are readings of their runs' clocks, of many an even choice."""
    step = max(1, -(-len(pairs) // MAX_TIMES))
    found = [times for pair in pairs[::step] if (times := clock_times(*pair, context)) is not None]
    if not found:
        return None
    a, b = (tuple(sorted(round(times[side], 3) for times in found)) for side in (0, 1))
    return Figures(times=Times(a=a, b=b, of=len(pairs)))
