"""What is settled for many pairs at once is what a look at each of them says."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.context import Context
from kfm_repro.compare.noise.figures import of_ulps, together
from kfm_repro.compare.tabular import bulk
from kfm_repro.compare.tabular.diff import compare_tables

_FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64) | st.floats(-200, 200)
_STEPS = st.integers(-6, 6)


def _stepped(value: float, steps: int) -> float:
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.copysign(math.inf, steps))
    return value


def _spelled(value: float, digits: int) -> str:
    return (
        repr(value) if not digits else f"{value:.{digits}f}" if abs(value) < 1e20 else f"{value:.{digits}e}"
    )


_NUMBERS = st.builds(
    lambda value, steps, digits: (_spelled(value, digits), _spelled(_stepped(value, steps), digits)),
    _FLOATS,
    _STEPS,
    st.sampled_from([0, 0, 0, 1, 3, 15, 16, 17, 20]),
)
_ODD = st.sampled_from(
    [
        "",
        "NaN",
        "0.0",
        "-0.0",
        "1.",
        ".5",
        "01.5",
        "+1.5",
        "1.50",
        "1.5",
        "1e5",
        "1.5e3",
        "-",
        "x",
        "9" * 17 + ".1",
    ]
)


@given(st.lists(_NUMBERS | st.tuples(_ODD, _ODD), min_size=1, max_size=30))
def test_texts_settled_at_once_are_what_each_pair_is(pairs: list[tuple[str, str]]) -> None:
    names = pa.array([str(i) for i in range(len(pairs))])
    a, b = (pa.table({"id": names, "x": pa.array([pair[side] for pair in pairs])}) for side in (0, 1))
    found = []
    for many in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bulk, "_MANY", many)
            findings = compare_tables(a, b, Context(), text=True)
        found.append({(f.kind, f.rung): (f.count, f.detail, f.examples) for f in findings})
    assert found[0] == found[1]


def test_many_texts_one_unit_apart_are_noise_without_a_limit() -> None:
    a = np.random.default_rng(3).random(300_000) * 7 - 102
    table = pa.table({"id": pa.array(range(len(a))).cast(pa.string()), "lon": pa.array(a).cast(pa.string())})
    later = table.set_column(1, "lon", pa.array(np.nextafter(a, 0)).cast(pa.string()))
    (finding,) = compare_tables(table, later, Context(), text=True)
    assert (finding.kind, finding.count, finding.detail["max_ulp"]) == ("float-noise", len(a), 1)
    assert finding.figures.histogram.counts == (len(a),)  # type: ignore[union-attr]


def test_bars_of_two_groups_add_up() -> None:
    one, other = of_ulps({0: 2, 1: 5}), of_ulps({1: 1, 3: 4})
    both = together(one, other)
    assert both is not None
    assert both.histogram is not None
    assert (both.histogram.edges, both.histogram.counts) == ((0.0, 1.0, 2.0, 3.0, 4.0), (2, 6, 0, 4))
    assert together(None, one) == one
