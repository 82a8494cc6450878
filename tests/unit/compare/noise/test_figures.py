"""Figures of differing values: counted in full, placed in time, bounded."""

from __future__ import annotations

import math

import pytest

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.model.figures import MAX_TIMES
from kfm_repro.model.finding import Kind

DAY = 86_400.0
RUNS = Context(
    a=Side(window=(1_769_990_400.0, 1_769_990_460.0), offsets=(-21_600.0,)),
    b=Side(window=(1_769_990_400.0 + DAY, 1_769_990_460.0 + DAY), offsets=(-21_600.0,)),
)


def test_noise_is_counted_by_units_in_the_last_place() -> None:
    above = [1.0]
    for _ in range(4):
        above.append(math.nextafter(above[-1], 2.0))
    (part,) = classify_pairs([(1.0, above[1]), (2.0, 2.0 * above[1]), (1.0, above[4])], Context())
    assert part.figures is not None
    histogram = part.figures.histogram
    assert histogram is not None
    assert (histogram.unit, histogram.edges, histogram.counts) == (
        "ulp",
        (1.0, 2.0, 3.0, 4.0, 5.0),
        (2, 0, 0, 1),
    )


def test_values_are_counted_by_powers_of_ten_and_none_is_lost() -> None:
    pairs = [
        (1.0, 1.5),
        (1.0, 1.000_5),
        (100.0, 100.05),
        (1.0, -1e300),
        (1.0, math.inf),
        (3.0, math.nan),
    ]
    (part,) = classify_pairs(pairs, Context())
    assert part.kind == Kind.VALUE
    assert part.figures is not None
    histogram = part.figures.histogram
    assert histogram is not None
    assert sum(histogram.counts) == len(pairs) - 1
    assert dict(zip(histogram.edges, histogram.counts, strict=False))[1e-4] == 2
    assert len(histogram.edges) == len(histogram.counts) + 1


@pytest.mark.parametrize(
    "form",
    [
        "2026-02-{day:02}T00:00:{s:02}Z",
        "2026-02-{day:02}T00:00:{s:02}+00:00",
        "made 2026-02-{day:02} 00:00:{s:02} here",
    ],
)
def test_times_are_told_in_utc(form: str) -> None:
    pairs = [(form.format(day=2, s=s), form.format(day=3, s=s)) for s in (5, 7)]
    (part,) = classify_pairs(pairs, RUNS)
    assert part.kind == Kind.TIMESTAMP
    assert part.figures is not None
    times = part.figures.times
    assert times is not None
    assert times.a == (1_769_990_405.0, 1_769_990_407.0)
    assert times.b == (1_769_990_405.0 + DAY, 1_769_990_407.0 + DAY)


def test_local_times_are_told_in_utc_as_well() -> None:
    (part,) = classify_pairs([("2026-02-01T18:00:05", "2026-02-02T18:00:05")], RUNS)
    assert part.figures is not None
    assert part.figures.times is not None
    assert part.figures.times.a == (1_769_990_405.0,)


def test_many_times_are_chosen_evenly() -> None:
    texts = [
        (f"2026-02-02T00:00:{s:02}.{n:03}Z", f"2026-02-03T00:00:{s:02}.{n:03}Z")
        for s in range(50)
        for n in range(50)
    ]
    (part,) = classify_pairs(texts, RUNS)
    assert part.figures is not None
    times = part.figures.times
    assert times is not None
    assert (len(times.a) <= MAX_TIMES, times.of) == (True, 2_500)
    assert times.a[-1] - times.a[0] > 45


def test_texts_have_no_figures() -> None:
    (part,) = classify_pairs([("a", "b")], RUNS)
    assert part.figures is None
