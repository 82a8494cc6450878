"""Embedded times against the windows of both runs: one band per side, a tick per time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from kfm_repro.model.figures import Times, Window
from kfm_repro.model.report import Replay, Report, RunRef
from kfm_repro.present.times import utc

__all__ = ["Band", "Timeline", "timeline_of"]

_WIDTH = 640
_MARGIN = 0.08
_LEAST_S = 1e-3
_TEXT = 170
"""Width that a time takes, which is written without knowing the font."""


@dataclass(frozen=True)
class Band:
    """One side: where its window lies, where its times are, and both in words.

    Where the window is too narrow for a time below either end, both are one text, and ``ends`` is empty.
    """

    side: str
    x: str
    width: str
    ticks: tuple[str, ...]
    start: str
    end: str
    starts: str
    ends: str
    said: str


@dataclass(frozen=True)
class Timeline:
    """Both sides, each on a scale of its own: a replay runs on another day."""

    name = "timeline"
    bands: tuple[Band, ...]
    of: int
    width: int = _WIDTH


def timeline_of(times: Times, report: Report) -> Timeline | None:
    """Return the times of a finding against the runs' windows, None where no window is known."""
    bands = tuple(
        _band(side, window, found)
        for side, window, found in zip("AB", _windows(report, times.b), (times.a, times.b), strict=True)
        if window is not None and found
    )
    return Timeline(bands, times.of) if bands else None


def _windows(report: Report, found: Sequence[float]) -> tuple[Window | None, Window | None]:
    """Return the window of A, and that of B: of the run compared with, or of the replay that the times are from."""
    sides: list[RunRef | Replay] = [*report.replays]
    if not isinstance(report.against, msgspec.UnsetType):
        sides = [report.against]
    windows = [side.window for side in sides if not isinstance(side.window, msgspec.UnsetType)]
    own = [window for window in windows if all(_is_in(when, window) for when in found)]
    first = None if isinstance(report.run, msgspec.UnsetType) else report.run.window
    return (None if isinstance(first, msgspec.UnsetType) else first), next(iter([*own, *windows]), None)


def _is_in(when: float, window: Window) -> bool:
    """Return whether a time lies in a window that is widened by a second, as the window test does."""
    return window[0] - 1 <= when <= window[1] + 1


def _band(side: str, window: Window, found: Sequence[float]) -> Band:
    low, high = min(window[0], *found), max(window[1], *found)
    pad = max(high - low, _LEAST_S) * _MARGIN
    low, high = low - pad, high + pad

    def place(seconds: float) -> float:
        return (seconds - low) / (high - low) * _WIDTH

    left, right = place(window[0]), place(window[1])
    starts, ends = (utc(when, fraction=True) for when in window)
    start = left
    if right - left < 2 * _TEXT:
        start, starts, ends = min(left, _WIDTH - 2 * _TEXT), f"{starts} – {ends}", ""
    inside = sum(_is_in(when, window) for when in found)
    said = f"{len(found)} times from {utc(min(found), fraction=True)} to {utc(max(found), fraction=True)} UTC"
    if inside == len(found):
        said += ", all in the window of the run"
    return Band(
        side=side,
        x=f"{left:.2f}",
        width=f"{max(1.0, right - left):.2f}",
        ticks=tuple(_ticks(place(when) for when in found)),
        start=f"{start:.2f}",
        end=f"{right:.2f}",
        starts=starts,
        ends=ends,
        said=said,
    )


def _ticks(places: Iterator[float]) -> Iterator[str]:
    """Yield each place once: ticks on top of each other show no more."""
    seen = set()
    for place in places:
        text = f"{place:.1f}"
        if text not in seen:
            seen.add(text)
            yield text
