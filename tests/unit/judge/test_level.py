"""Rule 25: R1, R2, R3, and never more than was exercised."""

from __future__ import annotations

from typing import Any

import pytest

from kfm_repro.judge.level import exercised_level

HERE: dict[str, Any] = {
    "machine": "x86_64",
    "system": "Linux",
    "kernel": "6.1",
    "libc": "glibc 2.36",
    "cpu": {"model": "one", "flags_sha256": "1"},
    "packages": {"numpy": "2.0"},
}


@pytest.mark.parametrize(
    ("change", "hosts", "level"),
    [
        ({}, ("a", "a"), "R1"),
        ({}, ("a", "b"), "R1"),
        ({"kernel": "6.8"}, ("a", "a"), "R1"),
        ({"packages": {"numpy": "2.1"}}, ("a", "b"), "R1"),
        ({"kernel": "6.8"}, (None, "b"), "R1"),
        ({"kernel": "6.8"}, ("a", "b"), "R2"),
        ({"cpu": {"model": "two", "flags_sha256": "1"}}, ("a", "b"), "R2"),
        ({"kernel": "23.1", "system": "Darwin"}, ("a", "b"), "R1"),
        ({"machine": "aarch64"}, ("a", "b"), "R3"),
        ({"machine": "AMD64"}, ("a", "b"), "R1"),
        ({"machine": None}, ("a", "b"), "R1"),
    ],
)
def test_rule_25_the_level_is_what_was_exercised_and_no_more(
    change: dict[str, Any], hosts: tuple[str | None, str | None], level: str
) -> None:
    assert exercised_level(HERE, HERE | change, hosts)[0] == level
    assert exercised_level(HERE | change, HERE, hosts)[0] == level


def test_rule_25_without_a_fingerprint_no_more_than_r1_is_claimed_and_that_is_said() -> None:
    level, why = exercised_level({}, HERE, ("a", "b"))
    assert level == "R1"
    assert "not known" in why
