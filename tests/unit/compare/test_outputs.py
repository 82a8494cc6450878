"""Pairing outputs: digests settle what they can, and what is nowhere is never called equal."""

from __future__ import annotations

from pathlib import Path

from kfm_repro.compare.context import Context
from kfm_repro.compare.outputs import Output, Rule, compare_outputs
from kfm_repro.model.finding import FileFacts, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.verdict import Accept

ONE, TWO = "1" * 64, "2" * 64


def nowhere(sha256: str | None, **counts: int) -> Output:
    return Output(facts=FileFacts(sha256=sha256, size_bytes=10, **counts), file=None, reason="gone")


def compared(a: Output | None, b: Output | None, rule: Rule | None = None) -> OutputComparison:
    left, right = ({"x.csv": side} if side else {} for side in (a, b))
    (result,) = compare_outputs(left, right, Context(), lambda _: rule or Rule()).outputs
    return result


def test_equal_digests_are_identical_even_when_the_bytes_are_nowhere() -> None:
    assert compared(nowhere(ONE), nowhere(ONE)).verdict is OutputVerdict.IDENTICAL


def test_different_digests_without_bytes_are_unknown() -> None:
    result = compared(nowhere(ONE), nowhere(TWO))
    assert result.verdict is OutputVerdict.UNKNOWN
    assert "gone" in result.findings[0].evidence


def test_two_outputs_without_digests_are_unknown_not_identical() -> None:
    assert compared(nowhere(None), nowhere(None)).verdict is OutputVerdict.UNKNOWN


def test_rule_10_a_changed_count_proves_a_difference_without_bytes() -> None:
    result = compared(nowhere(ONE, row_count=105), nowhere(TWO, row_count=104))
    assert result.verdict is OutputVerdict.DIFFERENT
    assert [(f.kind, f.count, f.of) for f in result.findings if f.rung is Rung.VALUE] == [
        (Kind.ROWS_REMOVED, 1, 105)
    ]


def test_only_one_side_is_missing_or_extra() -> None:
    assert compared(nowhere(ONE), None).verdict is OutputVerdict.MISSING
    assert compared(None, nowhere(ONE)).verdict is OutputVerdict.EXTRA


def test_only_an_equivalent_output_can_be_accepted(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for file, text in zip(files, ("id\n1\n2\n", "id\n2\n1\n", "id\n2\n3\n"), strict=True):
        file.write_text(text, encoding="utf-8")
    a, b, c = (Output(facts=FileFacts(), file=file) for file in files)
    lenient = Rule(accept=Accept.EQUIVALENT)
    assert (compared(a, b, lenient).verdict, compared(a, b, lenient).accepted) == ("equivalent", True)
    assert compared(a, b).accepted is False
    assert (compared(a, c, lenient).verdict, compared(a, c, lenient).accepted) == ("different", False)


def test_equal_bytes_under_unequal_digests_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x", encoding="utf-8")
    sides = [Output(facts=FileFacts(sha256=digest), file=file) for digest in (ONE, TWO)]
    assert compared(*sides).verdict is OutputVerdict.UNKNOWN
