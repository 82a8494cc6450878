from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfm_repro.compare.context import Context
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.model.finding import Finding, Kind, Rung

UP = math.nextafter(0.1, 1)
FLOAT_UP = float(np.nextafter(np.float32(1), np.float32(2)))
DOUBLES = pa.list_(pa.float64())
MIXED = pa.struct([("x", pa.float64()), ("n", pa.int64())])


def one(a: Any, b: Any, kind: pa.DataType) -> Finding:
    (finding,) = compare_tables(
        pa.table({"e": pa.array([a], kind)}), pa.table({"e": pa.array([b], kind)}), Context()
    )
    return finding


@pytest.mark.parametrize(
    ("kind", "ulp"), [(pa.float64(), 2.0**-52), (pa.float32(), 2.0**-23), (pa.float16(), 2.0**-10)], ids=str
)
def test_the_distance_of_floats_counts_in_the_width_of_their_column(kind: pa.DataType, ulp: float) -> None:
    for steps in (1, 4, 5):
        finding = one(1.0, 1.0 + steps * ulp, kind)
        assert finding.kind is (Kind.FLOAT_NOISE if steps < 5 else Kind.VALUE)
        if steps < 5:
            assert (finding.rung, finding.detail["max_ulp"]) == (Rung.NOISE, steps)


def test_floats_of_two_widths_are_compared_in_the_wider_one() -> None:
    a = pa.table({"e": pa.array([1.0], pa.float32())})
    b = pa.table({"e": pa.array([1.0 + 2.0**-23], pa.float64())})
    assert {finding.kind for finding in compare_tables(a, b, Context())} == {Kind.TYPE, Kind.VALUE}


@pytest.mark.parametrize(
    ("a", "b", "kind", "ulp"),
    [
        ([0.1, 0.2], [UP, 0.2], DOUBLES, 1),
        ([0.0, 1.0], [-0.0, 1.0], DOUBLES, 0),
        ([1.0], [FLOAT_UP], pa.list_(pa.float32()), 1),
        ([1.0], [FLOAT_UP], pa.list_(pa.float32(), 1), 1),
        ({"x": 0.1, "n": 1}, {"x": UP, "n": 1}, MIXED, 1),
        ([("k", 0.1)], [("k", UP)], pa.map_(pa.string(), pa.float64()), 1),
        ([[0.1], []], [[UP], []], pa.list_(DOUBLES), 1),
    ],
    ids=str,
)
def test_nested_floats_that_differ_by_noise_alone_are_noise(
    a: Any, b: Any, kind: pa.DataType, ulp: int
) -> None:
    finding = one(a, b, kind)
    assert (finding.kind, finding.rung, finding.detail["max_ulp"]) == (Kind.FLOAT_NOISE, Rung.NOISE, ulp)


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ([0.1, 0.2], [UP, 0.3], DOUBLES),
        ([0.1, 0.2], [UP], DOUBLES),
        ([0.1, None], [UP, 0.2], DOUBLES),
        ({"x": 0.1, "n": 1}, {"x": UP, "n": 2}, MIXED),
        ([("k", 0.1)], [("l", UP)], pa.map_(pa.string(), pa.float64())),
        ([math.nan], [1.0], DOUBLES),
        ([1.0, 2.0], [2.0, 1.0], DOUBLES),
        (
            {"x": 0.1, "t": dt.timedelta(microseconds=1)},
            {"x": UP, "t": dt.timedelta(microseconds=2)},
            pa.struct([("x", pa.float64()), ("t", pa.duration("ns"))]),
        ),
    ],
    ids=str,
)
def test_nested_values_that_differ_in_more_are_values(a: Any, b: Any, kind: pa.DataType) -> None:
    assert (one(a, b, kind).kind, one(b, a, kind).rung) == (Kind.VALUE, Rung.VALUE)


def test_noise_and_values_of_one_nested_column_are_told_apart() -> None:
    a, b = [[0.1], [1.0], [2.0], [3.0]], [[UP], [1.5], [2.0], [-3.0]]
    findings = compare_tables(
        pa.table({"k": range(4), "e": pa.array(a, DOUBLES)}),
        pa.table({"k": range(4), "e": pa.array(b, DOUBLES)}),
        Context(),
    )
    assert sorted((str(finding.kind), finding.count) for finding in findings) == [
        ("float-noise", 1),
        ("value", 2),
    ]
