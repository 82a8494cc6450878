"""Advice: in the report itself, for whoever reads it."""

from __future__ import annotations

from pathlib import Path

from kfm_repro.compare.advice import advice_for, advised
from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import compare_files
from kfm_repro.model.finding import Finding, Fix, Kind, Rung


def test_a_comparison_carries_advice_that_nobody_has_verified(tmp_path: Path) -> None:
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("n,m\n1,2\n3,4\n5,6\n", encoding="utf-8")
    b.write_text("n,m\n5,6\n3,4\n1,2\n", encoding="utf-8")
    (finding,) = compare_files(a, b, name="x.csv", context=Context()).findings
    assert finding.kind is Kind.ROW_ORDER
    assert finding.fix == Fix(text="sort by a unique key before writing", verified=False)


def test_what_is_known_better_stays() -> None:
    known = Fix(text="sort the list in import.py", verified=True)
    assert advised(Finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER, fix=known)).fix == known
    assert advised(Finding(kind=Kind.VALUE, rung=Rung.VALUE)).fix is None


def test_the_advice_on_gzip_is_for_the_program_as_well_as_for_python() -> None:
    where = {"member": "gzip header", "column": ""}
    advice = advice_for(Finding(kind=Kind.TIMESTAMP, rung=Rung.CONTAINER, where=where))
    assert "gzip -n" in advice
    assert "mtime=0" in advice
