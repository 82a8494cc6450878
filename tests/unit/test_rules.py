"""Every numbered rule of the run record has a test that names it."""

from __future__ import annotations

import re

from workshop import REPOSITORY

RULES = range(1, 26)
LINES = range(1, 9)
"""Lines of the definition of done, rule 21."""


def test_every_rule_is_in_the_docs_and_has_a_test_that_names_it() -> None:
    docs = (REPOSITORY / "docs/run-record.md").read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"(?m)^\*\*(\d+)\. ", docs)] == list(RULES)
    tests = "".join(
        path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))
    )
    named = {int(number) for number in re.findall(r"def test_rule_(\d+)_", tests)}
    assert named == set(RULES)
    lines = {int(number) for number in re.findall(r"def test_rule_21_line_(\d)_", tests)}
    assert lines == set(LINES)
