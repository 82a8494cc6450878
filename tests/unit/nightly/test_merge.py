"""Reports of nights that are read back: what is none, or cannot be true, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kfm_repro.errors import Unreadable
from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.nightly import NightReport, NightRun
from kfm_repro.model.report import ErrorInfo, Report, RunRef, count_verdicts
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.merge import read_night
from kfm_repro.nightly.report import sealed
from kfm_repro.present.nightly import render_night

DIFFERS = (Finding(kind=Kind.VALUE, rung=Rung.VALUE),)


def night(verdict: Verdict, output: OutputVerdict, error: Any = msgspec.UNSET) -> NightReport:
    ref = RunRef(run_id="r", pipeline="p")
    findings = DIFFERS if output is OutputVerdict.DIFFERENT else ()
    outputs = (OutputComparison(path="a.csv", verdict=output, findings=findings),)
    report = Report(
        command="replay",
        verdict=verdict,
        counts=count_verdicts(outputs),
        run=ref,
        outputs=outputs,
        error=error,
    )
    return sealed(
        NightReport(
            verdict=verdict, counts={}, verdicts={}, night="2026-02-03", runs=(NightRun(run=ref, report=report),)
        )
    )  # fmt: skip


def written(folder: Path, report: NightReport) -> Path:
    path = folder / "part.json"
    path.write_bytes(msgspec.json.encode(report))
    return path


@pytest.mark.parametrize(
    ("verdict", "output"),
    [
        (Verdict.REPRODUCIBLE, OutputVerdict.IDENTICAL), (Verdict.WAIVED, OutputVerdict.DIFFERENT),
        (Verdict.NOT_REPRODUCIBLE, OutputVerdict.DIFFERENT), (Verdict.UNKNOWN, OutputVerdict.IDENTICAL),
    ],
)  # fmt: skip
def test_what_was_written_comes_back(tmp_path: Path, verdict: Verdict, output: OutputVerdict) -> None:
    report = night(verdict, output)
    assert read_night(written(tmp_path, report)) == report


def test_a_verdict_that_is_better_than_its_outputs_is_refused(tmp_path: Path) -> None:
    for verdict, output in (
        (Verdict.REPRODUCIBLE, OutputVerdict.DIFFERENT), (Verdict.REPRODUCIBLE, OutputVerdict.UNKNOWN),
        (Verdict.EQUIVALENT, OutputVerdict.DIFFERENT), (Verdict.REPRODUCIBLE, OutputVerdict.EQUIVALENT),
    ):  # fmt: skip
        with pytest.raises(Unreadable, match="contradicts itself: p/r"):
            read_night(written(tmp_path, night(verdict, output)))


def test_another_schema_is_refused(tmp_path: Path) -> None:
    report = night(Verdict.REPRODUCIBLE, OutputVerdict.IDENTICAL)
    later = msgspec.structs.replace(report, schema="kfm-repro.report/2")
    with pytest.raises(Unreadable, match="report/2"):
        read_night(written(tmp_path, later))


def test_an_error_without_a_message_is_shown_as_one() -> None:
    report = night(Verdict.UNKNOWN, OutputVerdict.UNKNOWN, ErrorInfo(code="x", message="", hint=""))
    assert "nothing was compared this night; replayed: 1 run." in render_night(report)
