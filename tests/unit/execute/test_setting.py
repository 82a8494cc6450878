"""What a replay's record says of the clock that its pipeline was shown, and what is read from it later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kfm_repro.execute.perturb.agent import AgentSetting
from kfm_repro.execute.plan import Request
from kfm_repro.execute.setting import clock_told, setting_of, shown_window


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (AgentSetting(clock_shift=timedelta(seconds=90_061)), "+90061"),
        (AgentSetting(clock_shift=timedelta(seconds=-40_089_600.5)), "-40089600.5"),
        (
            AgentSetting(clock_frozen_at=datetime(2027, 5, 1, tzinfo=UTC)),
            "stands at 2027-05-01T00:00:00.000Z",
        ),
    ],
)
def test_the_clock_of_a_replay_is_read_as_it_was_written(agent: AgentSetting, text: str) -> None:
    assert setting_of(Request(), agent) == {"clock": text}
    assert clock_told({"clock": text}) == agent


@pytest.mark.parametrize("text", ["", "natural", "stands at the recorded start", "nan", "inf", "1e999"])
def test_a_clock_that_says_no_time_is_the_true_one(text: str) -> None:
    assert shown_window(clock_told({"clock": text}), (10.0, 12.0)) == (10.0, 12.0)
    assert setting_of(Request(), AgentSetting()) == {}


def test_the_window_that_a_pipeline_saw_is_moved_or_stands() -> None:
    assert shown_window(clock_told({"clock": "+90061"}), (10.0, 12.0)) == (90_071.0, 90_073.0)
    assert shown_window(clock_told({"clock": "stands at 1970-01-01T00:01:00Z"}), (10.0, 12.0)) == (60.0, 62.0)
