"""Figures of differing values: how far apart numbers lie, and which times the two sides hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.timestamps import clock_times
from kfm_repro.model.figures import MAX_TIMES, Figures, Histogram, Times

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.noise.floats import Distance

__all__ = ["of_noise", "of_times", "of_ulps", "of_values", "together"]

_SMALLEST, _LARGEST = -17, 1
"""Powers of ten that bound a relative distance of two doubles; what lies beyond is in the outermost bars."""


def of_noise(distances: Sequence[Distance]) -> Figures | None:
    """Return how many units in the last place noise comes to, a bar for each."""
    return of_ulps(Counter(distance.ulp for distance in distances if distance.ulp is not None))


def of_ulps(counts: Mapping[int, int]) -> Figures | None:
    """Return the same for how many pairs lie so many units apart."""
    if not counts:
        return None
    edges = range(min(counts), max(counts) + 2)
    bars = tuple(counts.get(edge, 0) for edge in edges[:-1])
    return Figures(histogram=Histogram(unit="ulp", edges=tuple(map(float, edges)), counts=bars))


def together(one: Figures | None, other: Figures | None) -> Figures | None:
    """Return the figures of two groups of pairs as those of one, as far as they add up; else those of the first."""
    bars: Counter[int] = Counter()
    for figures in (one, other):
        shown = figures.histogram if figures else None
        if shown is None or shown.unit != "ulp":
            return one or other
        bars.update(dict(zip(map(int, shown.edges), shown.counts, strict=False)))
    return of_ulps(bars)


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
