"""What equal outputs hide is listed and never counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.latent import latent_findings
from kfm_repro.model.finding import Kind
from kfm_repro.model.verdict import output_verdict

MORNING = datetime(2026, 2, 3, 9, tzinfo=UTC).timestamp()
EVENING = datetime(2026, 2, 3, 21, tzinfo=UTC).timestamp()
CONTEXT = Context(
    a=Side(run_id="01K9AAAA", window=(MORNING, MORNING + 5), paths=("/srv/kansas",)),
    b=Side(run_id="01K9BBBB", window=(EVENING, EVENING + 5), paths=("/srv/work/x",)),
)


def found(tmp_path: Path, text: str, context: Context = CONTEXT) -> list[tuple[Kind, int]]:
    file = tmp_path / "out.txt"
    file.write_text(text, encoding="utf-8")
    findings = latent_findings(file, context)
    assert all(finding.latent for finding in findings)
    assert output_verdict(findings) == "identical"
    return [(finding.kind, finding.count) for finding in findings]


def test_a_date_that_was_today_in_both_runs_is_latent(tmp_path: Path) -> None:
    assert found(tmp_path, "made 2026-02-03\nagain 2026-02-03\n") == [(Kind.TIMESTAMP, 2)]


@pytest.mark.parametrize(
    "text", ["born 1900-06-01", "start 2026-02-03T09:00:00Z", "id 12026-02-03", "2026-02-034"]
)
def test_genuine_dates_and_full_times_are_not(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


def test_a_date_is_only_latent_when_it_was_today_in_both_runs(tmp_path: Path) -> None:
    later = Context(a=CONTEXT.a, b=Side(window=(EVENING + 86_400, EVENING + 86_405)))
    assert found(tmp_path, "made 2026-02-03", later) == []


def test_a_run_id_or_folder_in_equal_outputs_is_latent(tmp_path: Path) -> None:
    assert found(tmp_path, "run 01K9AAAA at /srv/kansas/data") == [(Kind.IDENTIFIER, 1), (Kind.PATH, 1)]


def test_bare_files_have_nothing_to_look_for(tmp_path: Path) -> None:
    assert found(tmp_path, "made 2026-02-03 at /srv/kansas", Context()) == []
