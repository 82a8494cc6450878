"""What may not be shown of an output is neither in examples nor in the names of places."""

from __future__ import annotations

import msgspec

from kfm_repro.judge.disclose import disclosed
from kfm_repro.model.figures import Drawing, Figures, Shape
from kfm_repro.model.finding import Example, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.runs.labels import Labels
from kfm_repro.runs.project import LABELS

FINDINGS = (
    Finding(
        kind=Kind.VALUE,
        rung=Rung.VALUE,
        where={"pointer": "/people/Ann Hidden/age"},
        examples=(Example(a=1),),
    ),
    Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, where={"column": "population", "layer": "counties"}),
    Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"member": "Hidden.csv", "band": 2}),
    Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"pointer": "", "offset": 3}),
)


def compared(label: str) -> OutputComparison:
    output = OutputComparison(path="a.json", verdict=OutputVerdict.DIFFERENT, findings=FINDINGS)
    labels = Labels(inputs={}, outputs={"a.json": label}, order=LABELS)
    (shown,) = disclosed((output,), labels)
    return shown


def test_rule_17_places_of_a_withheld_output_do_not_name_its_data() -> None:
    shown = compared("restricted")
    assert [finding.where for finding in shown.findings] == [
        {"pointer": "/*/*/*"},
        {"column": "population", "layer": "counties"},
        {"member": "*", "band": 2},
        {"pointer": "", "offset": 3},
    ]
    assert b"Hidden" not in msgspec.json.encode(shown)
    assert ["withheld" in finding.evidence for finding in shown.findings] == [True, False, True, False]
    assert [finding.kind for finding in shown.findings] == [finding.kind for finding in FINDINGS]


def test_rule_17_an_open_output_keeps_its_places() -> None:
    assert compared("public").findings == FINDINGS


def test_rule_17_figures_of_a_withheld_output_are_withheld_too() -> None:
    drawing = Drawing(of=1, shapes=(Shape(key={"name": "Ann Hidden"}, a="M0 0L1 1"),))
    finding = Finding(kind=Kind.GEOMETRY, rung=Rung.VALUE, figures=Figures(drawing=drawing))
    output = OutputComparison(path="a.json", verdict=OutputVerdict.DIFFERENT, findings=(finding,))
    labels = Labels(inputs={}, outputs={"a.json": "restricted"}, order=LABELS)
    (shown,) = disclosed((output,), labels)
    assert shown.findings[0].figures is msgspec.UNSET
    assert "withheld" in shown.findings[0].evidence
    open_to_all = Labels(inputs={}, outputs={"a.json": "public"}, order=LABELS)
    assert disclosed((output,), open_to_all) == (output,)
