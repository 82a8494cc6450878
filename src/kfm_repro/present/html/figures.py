"""Figures of a finding: where every bar, tick, outline and arrow goes, in whole numbers and fixed decimals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kfm_repro.model.figures import Figures, Histogram
from kfm_repro.model.finding import Finding
from kfm_repro.model.report import Report
from kfm_repro.present.html.maps import Grid, Map, grid_of, map_of
from kfm_repro.present.html.timeline import Timeline, timeline_of

__all__ = ["Bar", "Bars", "Figure", "figures_of"]

_WIDTH, _HEIGHT = 480, 96
_GAP = 0.2
_WIDEST = 64
"""Most room for a bar: few bars are no wall."""


@dataclass(frozen=True)
class Bar:
    """One bar: its place and size, and what it counts."""

    x: str
    y: str
    width: str
    height: str
    middle: str
    label: str
    count: int


@dataclass(frozen=True)
class Bars:
    """A histogram."""

    name = "bars"
    title: str
    unit: str
    bars: tuple[Bar, ...]
    width: int = _WIDTH
    height: int = _HEIGHT


Figure = Bars | Timeline | Map | Grid


def figures_of(finding: Finding, report: Report, anchor: str, most: int) -> tuple[Figure, ...]:
    """Return the figures of a finding, with at most so many features on a map."""
    return tuple(_figures(finding, report, anchor, most))


def _figures(finding: Finding, report: Report, anchor: str, most: int) -> Iterator[Figure]:
    told = finding.figures
    if not isinstance(told, Figures):
        return
    if told.times is not None and (made := timeline_of(told.times, report)):
        yield made
    if told.histogram is not None and any(told.histogram.counts):
        yield _bars(told.histogram)
    if told.drawing is not None:
        yield map_of(told.drawing, anchor, most)
    if told.density is not None:
        yield grid_of(told.density)


def _bars(histogram: Histogram) -> Bars:
    counts = histogram.counts
    step, most = min(_WIDEST, _WIDTH / len(counts)), max(counts)
    bars = []
    for at, (edge, count) in enumerate(zip(histogram.edges, counts, strict=False)):
        height = max(2.0, count / most * _HEIGHT) if count else 0.0
        bars.append(
            Bar(
                x=f"{(at + _GAP / 2) * step:.2f}",
                y=f"{_HEIGHT - height:.2f}",
                width=f"{(1 - _GAP) * step:.2f}",
                height=f"{height:.2f}",
                middle=f"{(at + 0.5) * step:.2f}",
                label=f"{edge:.0e}".replace("e-0", "e-") if histogram.unit == "relative" else f"{edge:g}",
                count=count,
            )
        )
    if histogram.unit == "ulp":
        title = "How far apart the numbers lie, in units in the last place"
    else:
        title = "How far apart the numbers lie, relative to the larger one"
    return Bars(title, histogram.unit, tuple(bars))
