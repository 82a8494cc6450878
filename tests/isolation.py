"""Levels of isolation as tests need them: those that this machine has."""

from __future__ import annotations

import pytest

from kfm_repro.execute.isolate import detect

__all__ = ["at_level"]


def at_level(level: str) -> str:
    """Return a level of isolation that this machine has, or skip the test."""
    (state,) = (state for state in detect() if state.level == level)
    if not state.available:
        pytest.skip(state.reason)
    return level
