"""Waivers: what they cover, and that they cover nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from kfm_repro.model.finding import Cause, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.verdict import Accept, Verdict, output_verdict, run_verdict
from kfm_repro.model.waiver import Waiver, WaiverState, WaiverUse, apply_waivers, merge_uses

PATH = "data/processed/a.csv"
TODAY = date(2026, 2, 3)
GIVEN: dict[str, Any] = {
    "output": PATH, "kind": "timestamp", "rung": "value", "where": {"column": "t"}, "count": 5,
    "reason": "wanted", "expires": TODAY,
}  # fmt: skip


def waiver(**changes: Any) -> Waiver:
    return msgspec.convert(GIVEN | changes, Waiver)


def finding(**changes: Any) -> Finding:
    given = {"kind": Kind.TIMESTAMP, "rung": Rung.VALUE, "where": {"column": "t"}, "count": 5}
    return Finding(**(given | changes))


def output(*findings: Finding, path: str = PATH) -> OutputComparison:
    return OutputComparison(path=path, verdict=output_verdict(findings), findings=findings)


def judge(
    *outputs: OutputComparison, waivers: tuple[Waiver, ...], accept: Accept = Accept.IDENTICAL
) -> tuple[Verdict, list[WaiverState]]:
    verdict, uses = apply_waivers(run_verdict(outputs), outputs, waivers, TODAY, lambda _: accept)
    return verdict, [use.state for use in uses]


def test_the_difference_that_it_was_given_for_is_waived() -> None:
    assert judge(output(finding()), waivers=(waiver(),)) == (Verdict.WAIVED, [WaiverState.USED])


@pytest.mark.parametrize(
    ("given", "found", "state"),
    [
        ({}, {"count": 6}, "outgrown"),
        ({"rung": "container"}, {}, "outgrown"),
        ({}, {"kind": Kind.VALUE}, "unmatched"),
        ({}, {"where": {"column": "u"}}, "unmatched"),
        ({}, {"where": {}}, "unmatched"),
        ({"where": {}}, {}, "unmatched"),
        ({"expires": date(2026, 2, 2)}, {}, "expired"),
        ({"cause": "clock"}, {"causes": (Cause(axis="entropy", confidence="proved"),)}, "unmatched"),
    ],
)
def test_whatever_is_more_or_other_is_not(given: dict[str, Any], found: dict[str, Any], state: str) -> None:
    verdict, states = judge(output(finding(**found)), waivers=(waiver(**given),))
    assert (verdict, states) == (Verdict.NOT_REPRODUCIBLE, [state])


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"count": "any"}, {"count": 10**9}),
        ({}, {"rung": Rung.CONTAINER}),
        ({"cause": "clock"}, {}),
        ({"cause": "clock"}, {"causes": (Cause(axis="clock", confidence="proved"),)}),
        ({"kind": "missing-output", "where": {}}, {"kind": Kind.MISSING_OUTPUT, "where": {}}),
    ],
)
def test_what_is_no_more_is_waived(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert judge(output(finding(**found)), waivers=(waiver(**given),))[0] is Verdict.WAIVED


def test_every_finding_of_every_output_has_to_be_covered() -> None:
    other = finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER, where={})
    assert judge(output(finding(), other), waivers=(waiver(),))[0] is Verdict.NOT_REPRODUCIBLE
    assert (
        judge(output(finding()), output(finding(), path="b"), waivers=(waiver(),))[0]
        is Verdict.NOT_REPRODUCIBLE
    )
    both = (waiver(), waiver(kind="row-order", rung="order", where={}))
    assert judge(output(finding(), other), waivers=both) == (Verdict.WAIVED, ["used", "used"])


def test_what_is_accepted_needs_no_waiver_and_what_is_not_does() -> None:
    order = finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER, where={})
    outputs = (output(finding(), order),)
    assert judge(*outputs, waivers=(waiver(),), accept=Accept.EQUIVALENT)[0] is Verdict.WAIVED
    assert judge(*outputs, waivers=(waiver(),), accept=Accept.IDENTICAL)[0] is Verdict.NOT_REPRODUCIBLE


def test_what_is_unknown_is_never_waived() -> None:
    unknown = Finding(kind=Kind.TIMESTAMP, rung=Rung.UNKNOWN, where={"column": "t"})
    assert judge(output(unknown), waivers=(waiver(),)) == (Verdict.UNKNOWN, ["not-checked"])
    assert (
        judge(output(finding()), output(unknown, path="b"), waivers=(waiver(),))[0]
        is Verdict.NOT_REPRODUCIBLE
    )
    assert judge(output(finding(), unknown), waivers=(waiver(),))[0] is Verdict.NOT_REPRODUCIBLE


def test_latent_findings_neither_need_nor_use_a_waiver() -> None:
    assert judge(output(finding(latent=True)), waivers=(waiver(),)) == (Verdict.REPRODUCIBLE, ["unmatched"])


def test_a_failed_run_stays_unknown() -> None:
    outputs = (output(finding()),)
    verdict, _ = apply_waivers(Verdict.UNKNOWN, outputs, (waiver(),), TODAY, lambda _: Accept.IDENTICAL)
    assert verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": " "}, {"output": "data/*.csv"}, {"count": 0}, {"count": "many"}, {"rung": "unknown"},
        {"rung": "identical"}, {"where": {"row": 1}}, {"kind": "weather"}, {"expires": "soon"}, {"more": 1},
    ],
)  # fmt: skip
def test_a_waiver_that_says_too_little_or_too_much_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        waiver(**changes)


@pytest.mark.parametrize("missing", ["reason", "expires", "count", "kind", "rung", "output"])
def test_nothing_that_bounds_it_can_be_left_out(missing: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.convert({key: value for key, value in GIVEN.items() if key != missing}, Waiver)


def test_over_several_reports_the_worst_of_a_waiver_holds() -> None:
    def use(state: str, found: int = 0) -> WaiverUse:
        return WaiverUse(
            output=PATH, kind="timestamp", rung="value", count=5, reason="r", expires="2026-02-03",
            state=WaiverState(state), found=found,
        )  # fmt: skip

    for states, expected in (
        (("not-checked", "unmatched"), "unmatched"), (("unmatched", "used"), "used"),
        (("used", "outgrown"), "outgrown"), (("not-checked", "expired"), "expired"),
    ):  # fmt: skip
        (merged,) = merge_uses([[use(states[0], 3)], [use(states[1], 4)]])
        assert (merged.state, merged.found) == (expected, 4)


@pytest.mark.parametrize("findings", [(), (finding(latent=True),)], ids=["nothing", "latent"])
def test_an_output_that_differs_without_saying_in_what_is_never_waived_beside_another(
    findings: tuple[Finding, ...],
) -> None:
    silent = OutputComparison(path="b.csv", verdict=OutputVerdict.DIFFERENT, findings=findings)
    assert judge(output(finding()), silent, waivers=(waiver(),))[0] is Verdict.NOT_REPRODUCIBLE


def test_the_count_is_of_all_places_though_two_findings_tell_of_them() -> None:
    both = output(finding(count=3), finding(count=3))
    assert judge(both, waivers=(waiver(),)) == (Verdict.NOT_REPRODUCIBLE, [WaiverState.OUTGROWN])
    assert judge(both, waivers=(waiver(count=6),)) == (Verdict.WAIVED, [WaiverState.USED])


@pytest.mark.parametrize("other", [{"cause": "hash-seed"}, {"count": 9}, {"reason": "another"}])
def test_two_waivers_of_one_place_are_two_in_a_night(other: dict[str, Any]) -> None:
    found = output(finding(causes=(Cause(axis="clock", confidence="proved"),)))
    given = (waiver(cause="clock"), waiver(**other))
    _, uses = apply_waivers(run_verdict((found,)), (found,), given, TODAY, lambda _: Accept.IDENTICAL)
    assert {(use.cause, use.count, use.reason, use.state) for use in merge_uses([uses, uses])} == {
        (use.cause, use.count, use.reason, use.state) for use in uses
    }
