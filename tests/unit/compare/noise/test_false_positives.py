"""The window test on data that hold no clock: differing ranges of shuffled real data."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from workshop import REPOSITORY

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.noise.clockbytes import AROUND, explain_range

RANGES = 10_000
WINDOWS = (1_770_153_248.0, 1_795_341_601.0)
RUN_S = 600.0


def _shuffled(raw: bytes, draw: random.Random, size: int) -> bytes:
    blocks = [raw[i : i + size] for i in range(0, len(raw), size)]
    draw.shuffle(blocks)
    return b"".join(blocks)


def _ranges(a: bytes, b: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    start = -1
    for at, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y and start < 0:
            start = at
        elif x == y and start >= 0:
            found.append((start, at))
            start = -1
    return found


@pytest.mark.full
def test_of_ten_thousand_differing_ranges_at_most_one_passes_for_a_clock() -> None:
    draw = random.Random(20260203)  # noqa: S311  # a campaign that can be repeated
    context = Context(
        a=Side(window=(WINDOWS[0], WINDOWS[0] + RUN_S)), b=Side(window=(WINDOWS[1], WINDOWS[1] + RUN_S))
    )
    files = [path for path in sorted((REPOSITORY / "fixtures/kansas/data").rglob("*")) if path.is_file()]
    explained: list[tuple[Path, bytes, bytes]] = []
    tried = 0
    while tried < RANGES:
        path = draw.choice(files)
        raw = path.read_bytes()
        other = _shuffled(raw, draw, draw.choice((1, 2, 3, 4, 7, 8, 16, 61)))
        ranges = _ranges(raw, other)
        for start, stop in draw.sample(ranges, min(len(ranges), 250, RANGES - tried)):
            at = max(0, start - AROUND)
            excerpts = raw[at : stop + AROUND], other[at : stop + AROUND]
            tried += 1
            if explain_range(*excerpts, start - at, stop - at, context):
                explained.append((path, *excerpts))
    print(f"\n{len(explained)} of {tried} differing ranges pass for a clock")  # noqa: T201  # the figure of the campaign
    assert len(explained) <= 1, explained
