"""What a run id says of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from kfm_repro.runs.ids import id_time, new_run_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(moment=MOMENTS)
def test_rule_1_the_time_in_a_ulid_is_the_one_that_the_library_put_there(moment: datetime) -> None:
    made = ULID.from_datetime(moment)
    for spelling in (str(made), str(made).lower()):
        stated = id_time(spelling)
        assert stated is not None
        assert (stated - EPOCH) // timedelta(milliseconds=1) == made.milliseconds
    assert abs(stated - moment) < timedelta(milliseconds=2)


def test_rule_1_ids_are_ulids_of_now_by_default() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    stated = id_time(new_run_id())
    assert stated is not None
    assert before <= stated <= datetime.now(UTC)


def test_rule_1_the_time_in_front_of_an_id_is_read() -> None:
    stated = id_time("2026-02-03T21-14-08Z__import_census__a1b2c3d")
    assert stated == datetime(2026, 2, 3, 21, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "friday run",
        "",
        "2026-02-03__import_census",
        "2026-13-03T21-14-08Z__p__a1b2c3d",
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01K9ABCDEFGHJKMNPQRSTVWXYU",
        "01K9ABCDEFGHJKMNPQRSTVWXYZ1",
    ],
)
def test_rule_1_an_id_that_states_no_time_has_none(name: str) -> None:
    assert id_time(name) is None


@given(name=st.text(max_size=40))
def test_no_name_is_too_strange_to_be_looked_at(name: str) -> None:
    stated = id_time(name)
    assert stated is None or stated.tzinfo is UTC
