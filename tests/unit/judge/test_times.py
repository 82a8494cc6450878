"""Several reports on one run as one: the algebra."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.execute.drift import affects
from kfm_repro.judge.times import merge_replays
from kfm_repro.model.finding import Finding, Flips, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import (
    Drift,
    Environment,
    ErrorInfo,
    RebuiltEnvironment,
    Replay,
    Report,
    count_verdicts,
)
from kfm_repro.model.verdict import Verdict, output_verdict, run_verdict

FINDINGS = (
    Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": "a"}),
    Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": "b"}),
    Finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER),
    Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN),
    Finding(kind=Kind.MISSING_OUTPUT, rung=Rung.VALUE),
    Finding(kind=Kind.TIMESTAMP, rung=Rung.VALUE, where={"column": "a"}, latent=True),
)
FOUND = st.lists(st.sampled_from(FINDINGS), max_size=3, unique_by=id).map(tuple)


@st.composite
def replays(draw: st.DrawFn) -> list[Report]:
    reports = []
    for number in range(draw(st.integers(1, 6))):
        outputs = tuple(
            OutputComparison(path=path, verdict=output_verdict(found), findings=found)
            for path, found in (("x", draw(FOUND)), ("y", draw(FOUND)))
        )
        failed = draw(st.integers(0, 4)) == 0
        reports.append(
            Report(
                command="replay",
                verdict=run_verdict(outputs, inconclusive=failed),
                counts=count_verdicts(outputs),
                replays=(Replay(run_id=str(number), path=str(number)),),
                outputs=outputs,
                error=ErrorInfo(code="timeout", message=f"late {number}") if failed else msgspec.UNSET,
            )
        )
    return reports


def counted(reports: Sequence[Report]) -> list[Report]:
    return [report for report in reports if report.error is msgspec.UNSET]


@given(replays())
def test_the_verdict_is_the_worst_and_difference_beats_unknown(reports: list[Report]) -> None:
    verdicts = {report.verdict for report in reports}
    merged = merge_replays(reports)
    order = (Verdict.NOT_REPRODUCIBLE, Verdict.UNKNOWN, Verdict.EQUIVALENT, Verdict.REPRODUCIBLE)
    assert merged.verdict is next(verdict for verdict in order if verdict in verdicts)
    assert len(merged.replays) == len(reports)
    if merged.verdict is not Verdict.UNKNOWN and len(reports) > 1:
        assert merged.error is msgspec.UNSET


@given(replays())
def test_findings_and_verdict_of_an_output_agree_as_they_do_in_one_replay(reports: list[Report]) -> None:
    for output in merge_replays(reports).outputs:
        assert output.verdict is output_verdict(output.findings)


@given(replays())
def test_every_difference_is_counted_in_the_replays_that_could_tell(reports: list[Report]) -> None:
    if len(reports) == 1:
        assert merge_replays(reports) is reports[0]
        return
    merged, told = merge_replays(reports), counted(reports)
    for output in merged.outputs:
        seen = [item for report in told for item in report.outputs if item.path == output.path]
        able = [item for item in seen if item.verdict is not OutputVerdict.UNKNOWN]
        if told and able:
            assert isinstance(output.flips, Flips)
            assert output.flips.of == len(able)
            assert output.flips.differed == sum(item.verdict is not OutputVerdict.IDENTICAL for item in able)
            for finding in output.findings:
                if isinstance(finding.flips, Flips):
                    plain = msgspec.structs.replace(finding, flips=msgspec.UNSET)
                    assert finding.flips.differed == sum(plain in item.findings for item in able) > 0


@given(replays(), st.randoms())
def test_the_order_of_the_replays_changes_no_count(reports: list[Report], random: object) -> None:
    other = list(reports)
    random.shuffle(other)  # type: ignore[attr-defined]
    one, two = merge_replays(reports), merge_replays(other)
    assert (one.verdict, one.counts, one.flips) == (two.verdict, two.counts, two.flips)
    assert [item.flips for item in one.outputs] == [item.flips for item in two.outputs]


def test_several_replays_in_a_rebuilt_environment_say_so_and_name_each_drift_once_what_matters_first() -> (
    None
):
    made = RebuiltEnvironment(environment="e", python="3.11.7", packages=1)
    kernel = Drift(what="kernel", a="1", b="2", matters="cosmetic")
    geos = Drift(what="GEOS", a="1", b="2", matters="geometry")
    reports = [
        Report(
            command="replay",
            verdict=Verdict.REPRODUCIBLE,
            counts=count_verdicts(()),
            environment=Environment(
                drift=drift,
                affects=affects(drift),
                omitted=omitted,
                mode="rebuild",
                rebuilt=made,
                avoided=(geos,),
            ),
        )
        for drift, omitted in (((kernel,), 0), ((geos, kernel), 3))
    ]
    found = merge_replays(reports).environment
    assert (found.mode, found.rebuilt, found.avoided) == ("rebuild", made, (geos,))
    assert (found.drift, found.affects) == ((geos, kernel), {"geometry": 1, "cosmetic": 1})
    assert found.omitted == 3
    plain = [msgspec.structs.replace(report, environment=Environment()) for report in reports]
    assert merge_replays(plain).environment == Environment()
