from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.samples import MAX_TEXT, scalar


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**70, str(2**70)),
        (1.5, 1.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (b"\x01\xff", "0x01ff"),
        (Decimal("1.50"), "1.50"),
        (dt.date(1900, 6, 1), "1900-06-01"),
        (dt.datetime(1900, 6, 1, tzinfo=dt.UTC), "1900-06-01T00:00:00+00:00"),
        (pd.NaT, "NaT"),
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        ({"b": [1, None], "a": b"\x00"}, '{"b":[1,null],"a":"0x00"}'),
        ({3, 1, 2}, '["1","2","3"]'),
        ("\ud800", "\\ud800"),
    ],
)
def test_values_are_shown_as_json_scalars(value: Any, shown: Any) -> None:
    assert scalar(value) == shown
    assert type(scalar(value)) is type(shown)


def test_long_values_are_cut_at_two_hundred_characters() -> None:
    for value in ("x" * 10**6, b"x" * 10**6, list(range(10**5)), 10**5000, [[["x" * 10**6]]]):
        shown = scalar(value)
        assert len(shown) == MAX_TEXT
        assert shown.endswith("…")


def test_a_deep_container_is_no_problem() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert scalar(deep).startswith("[[[[")


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters()),
        st.binary(),
        st.dates(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.sets(st.integers())),
    max_leaves=20,
)


@given(anything)
def test_every_value_can_be_written_to_a_report(value: Any) -> None:
    shown = scalar(value)
    assert json.loads(msgspec.json.encode(shown)) == shown
    assert not isinstance(shown, str) or len(shown) <= MAX_TEXT
