"""The algebra of verdicts, case by case as docs/findings.md states it."""

from __future__ import annotations

import itertools

import pytest

from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.verdict import ExitCode, Verdict, exit_code, output_verdict, run_verdict, worst_exit_code


def finding(rung: Rung, kind: Kind = Kind.VALUE, *, latent: bool = False) -> Finding:
    return Finding(kind=kind, rung=rung, latent=latent)


def output(verdict: OutputVerdict, *, accepted: bool = False) -> OutputComparison:
    return OutputComparison(path="x.csv", verdict=verdict, accepted=accepted)


@pytest.mark.parametrize(
    ("rung", "expected"),
    [
        (Rung.IDENTICAL, OutputVerdict.IDENTICAL),
        (Rung.CONTAINER, OutputVerdict.EQUIVALENT),
        (Rung.ORDER, OutputVerdict.EQUIVALENT),
        (Rung.NOISE, OutputVerdict.EQUIVALENT),
        (Rung.TOLERANCE, OutputVerdict.EQUIVALENT),
        (Rung.VALUE, OutputVerdict.DIFFERENT),
        (Rung.UNKNOWN, OutputVerdict.UNKNOWN),
    ],
)
def test_each_rung_gives_its_verdict(rung: Rung, expected: OutputVerdict) -> None:
    assert output_verdict([finding(rung)]) is expected


def test_no_findings_means_identical() -> None:
    assert output_verdict([]) is OutputVerdict.IDENTICAL


def test_a_proven_difference_outweighs_what_could_not_be_compared() -> None:
    assert output_verdict([finding(Rung.UNKNOWN), finding(Rung.VALUE)]) is OutputVerdict.DIFFERENT


def test_a_lower_rung_never_hides_a_higher_one() -> None:
    for mixture in itertools.permutations(
        [finding(Rung.ORDER), finding(Rung.VALUE), finding(Rung.CONTAINER)]
    ):
        assert output_verdict(mixture) is OutputVerdict.DIFFERENT


def test_latent_findings_do_not_count() -> None:
    assert output_verdict([finding(Rung.VALUE, latent=True)]) is OutputVerdict.IDENTICAL


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], Verdict.UNKNOWN),
        ([OutputVerdict.IDENTICAL], Verdict.REPRODUCIBLE),
        ([OutputVerdict.IDENTICAL, OutputVerdict.EQUIVALENT], Verdict.EQUIVALENT),
        ([OutputVerdict.EQUIVALENT, OutputVerdict.UNKNOWN], Verdict.UNKNOWN),
        ([OutputVerdict.UNKNOWN, OutputVerdict.DIFFERENT], Verdict.NOT_REPRODUCIBLE),
        ([OutputVerdict.IDENTICAL, OutputVerdict.MISSING], Verdict.NOT_REPRODUCIBLE),
        ([OutputVerdict.IDENTICAL, OutputVerdict.EXTRA], Verdict.NOT_REPRODUCIBLE),
    ],
)
def test_verdict_of_a_run(verdicts: list[OutputVerdict], expected: Verdict) -> None:
    assert run_verdict([output(verdict) for verdict in verdicts]) is expected


def test_a_failed_pipeline_is_unknown_whatever_it_left() -> None:
    assert run_verdict([output(OutputVerdict.IDENTICAL)], inconclusive=True) is Verdict.UNKNOWN
    assert run_verdict([output(OutputVerdict.MISSING)], inconclusive=True) is Verdict.UNKNOWN


def test_equivalent_passes_only_when_every_equivalent_output_is_accepted() -> None:
    accepted, strict = output(OutputVerdict.EQUIVALENT, accepted=True), output(OutputVerdict.EQUIVALENT)
    assert exit_code(Verdict.EQUIVALENT, [accepted, output(OutputVerdict.IDENTICAL)]) is ExitCode.OK
    assert exit_code(Verdict.EQUIVALENT, [accepted, strict]) is ExitCode.DIFFERS


def test_exit_codes_of_the_other_verdicts() -> None:
    assert exit_code(Verdict.REPRODUCIBLE, []) is ExitCode.OK
    assert exit_code(Verdict.WAIVED, []) is ExitCode.OK
    assert exit_code(Verdict.NOT_REPRODUCIBLE, []) is ExitCode.DIFFERS
    assert exit_code(Verdict.UNKNOWN, []) is ExitCode.NO_VERDICT


def test_over_several_runs_one_wins_then_two() -> None:
    ok, differs, unknown = ExitCode.OK, ExitCode.DIFFERS, ExitCode.NO_VERDICT
    assert worst_exit_code([ok, unknown, differs]) is differs
    assert worst_exit_code([ok, unknown]) is unknown
    assert worst_exit_code([ok, ok]) is ok
    assert worst_exit_code([]) is unknown
