"""What is told of turned rings from their bytes is what the rules say of them, and nothing is told of others."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.vector import turned
from kfm_repro.compare.vector.geometry import classify_geometries

pytestmark = pytest.mark.skipif(
    library() is None, reason="built without a C compiler: there are no compiled loops"
)

ORDINATES = st.one_of(
    st.integers(0, 3).map(float), st.sampled_from([-0.0, 1e-320, 7.25, -98.5]), st.floats(-180, 180)
)
Ring = list[tuple[float, ...]]


@pytest.fixture(autouse=True)
def few_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turned, "_FEW", 0)


@st.composite
def rings(draw: st.DrawFn, width: int) -> Ring:
    return draw(st.lists(st.tuples(*[ORDINATES] * width), min_size=3, max_size=7))


@st.composite
def turns(draw: st.DrawFn, ring: Ring) -> Ring:
    """Return a ring begun elsewhere, perhaps the other way round, perhaps with one vertex that lies elsewhere."""
    begin = draw(st.integers(0, len(ring) - 1))
    found = ring[begin:] + ring[:begin]
    found = found[::-1] if draw(st.booleans()) else found
    if draw(st.integers(0, 5)) == 0:
        found[-1] = draw(st.tuples(*[ORDINATES] * len(found[-1])))
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    width = draw(st.sampled_from([2, 2, 3]))
    parts = draw(st.lists(st.lists(rings(width), min_size=1, max_size=3), min_size=1, max_size=2))
    other = [[draw(turns(ring)) for ring in part] for part in parts]
    flavor = draw(st.sampled_from(["iso", "extended"]))
    multi = len(parts) > 1 or draw(st.booleans())
    a, b = (shapely.to_wkb(built(side, multi=multi), flavor=flavor, byte_order=1) for side in (parts, other))
    return a, b


def built(parts: list[list[Ring]], *, multi: bool) -> Any:
    polygons = [shapely.Polygon(shell, holes) for shell, *holes in parts]
    return shapely.MultiPolygon(polygons) if multi else polygons[0]


def said(a: list[bytes], b: list[bytes]) -> list[Any]:
    return [dataclasses.astuple(group) for group in classify_geometries(a, b, Context())]


@settings(deadline=None, max_examples=150)
@given(st.lists(pairs(), min_size=1, max_size=4))
def test_bytes_tell_what_the_rules_say(found: list[tuple[bytes, bytes]]) -> None:
    found = [pair for pair in found if pair[0] != pair[1]]
    assume(found)
    a, b = map(list, zip(*found, strict=True))
    told = said(a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turned, "library", lambda: None)
        assert told == said(a, b)


RING = [(float(n % 5) + n / 7, n / 3) for n in range(9)]


def polygon(*rings: Ring) -> bytes:
    return bytes(shapely.to_wkb(shapely.Polygon(rings[0], rings[1:]), byte_order=1))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (polygon(RING[3:] + RING[:3]), turned.STARTED_ELSEWHERE),
        (polygon(RING[::-1]), turned.WOUND_THE_OTHER_WAY),
        (polygon([(x, y + 1) for x, y in RING]), turned.UNTOLD),
        (polygon(RING) + b"\x00", turned.UNTOLD),
        (polygon(RING)[:-1], turned.UNTOLD),
        (bytes(shapely.to_wkb(shapely.Polygon(RING[3:] + RING[:3]), byte_order=0)), turned.UNTOLD),
        (None, turned.UNTOLD),
    ],
)
def test_only_turned_rings_are_told(other: bytes | None, told: int) -> None:
    assert turned.turned([polygon(RING)], [other]).tolist() == [told]


def test_every_ring_of_a_polygon_counts() -> None:
    hole = [(1 + x / 100, 1 + y / 100) for x, y in RING]
    a = polygon(RING, hole)
    others = [
        polygon(RING[1:] + RING[:1], hole),
        polygon(RING, hole[::-1]),
        polygon(RING[1:] + RING[:1], RING),
    ]
    told = turned.turned([a] * 3, others)
    assert told.tolist() == [turned.STARTED_ELSEWHERE, turned.WOUND_THE_OTHER_WAY, turned.UNTOLD]


def test_a_ring_that_returns_to_its_start_is_left_to_the_rules() -> None:
    eight = [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0), (-1.0, 1.0), (-1.0, 0.0)]
    assert turned.turned([polygon(eight)], [polygon(eight[2:] + eight[:2])]).tolist() == [turned.UNTOLD]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -0.0])
def test_odd_numbers_are_left_to_the_rules(odd: float) -> None:
    ring = [*RING[:5], (1234.5, 0.5), *RING[6:]]
    a, b = (
        polygon(some).replace(struct.pack("<d", 1234.5), struct.pack("<d", odd))
        for some in (ring, ring[3:] + ring[:3])
    )
    assert turned.turned([a], [b]).tolist() == [turned.UNTOLD]


def test_bytes_that_lie_about_their_counts_are_left_to_the_rules() -> None:
    a, b = (bytearray(polygon(ring)) for ring in (RING, RING[3:] + RING[:3]))
    for blob in (a, b):
        blob[9:13] = (1 << 31).to_bytes(4, "little")
    assert turned.turned([bytes(a)], [bytes(b)]).tolist() == [turned.UNTOLD]
