"""Reports as documents: the schema that users have is the one that the code writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from workshop import REPOSITORY, Workshop

from kfm_repro.model.encode import read_report, report_json
from kfm_repro.model.finding import Example, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import ErrorInfo, ErrorReport, Report, count_verdicts
from kfm_repro.model.report_schema import report_schema
from kfm_repro.model.verdict import Verdict

OUTPUT = OutputComparison(
    path="data/\udcff.csv",
    verdict=OutputVerdict.DIFFERENT,
    findings=(
        Finding(
            kind=Kind.GEOMETRY,
            rung=Rung.VALUE,
            where={"layer": "roads"},
            count=3,
            of=10,
            examples=(Example(a="</script>", b=None),),
            metres={"max": 2.0, "p95": 1.5, "rmse": 1.0},
        ),
    ),
)
REPORT = Report(
    command="diff", verdict=Verdict.NOT_REPRODUCIBLE, counts=count_verdicts([OUTPUT]), outputs=(OUTPUT,)
)


def test_every_generated_document_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is not current: run make schema"


@pytest.mark.parametrize(
    "document",
    [REPORT, ErrorReport(error=ErrorInfo(code="usage", message="no", hint="yes"))],
    ids=["report", "error"],
)
def test_documents_validate_against_the_schema(document: Report | ErrorReport) -> None:
    jsonschema.validate(json.loads(report_json(document)), report_schema())


def test_a_verdict_that_nobody_knows_does_not_validate() -> None:
    document = json.loads(report_json(REPORT)) | {"verdict": "fine"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, report_schema())


def test_a_file_name_that_is_no_utf8_is_still_valid_json() -> None:
    text = report_json(REPORT)
    assert "\\udcff" in text
    assert text.encode("utf-8")


def test_a_saved_report_reads_back_equal(tmp_path: Path) -> None:
    plain = msgspec.structs.replace(REPORT, outputs=(msgspec.structs.replace(OUTPUT, path="a.csv"),))
    path = tmp_path / "report.json"
    path.write_text(report_json(plain), encoding="utf-8")
    assert read_report(path) == plain


def test_record_prints_a_document_of_the_same_schema(workshop: Workshop) -> None:
    workshop.write("pipelines/job.py", "pass\n")
    workshop.commit()
    done = workshop.kfm("record", "--json", "--", "python3", "pipelines/job.py")
    jsonschema.validate(done.json, report_schema())
    assert done.json["command"] == "record"


@pytest.mark.parametrize("name", ["plain", "é\u2028😀", '\x00\x1f"\\/', "not UTF-8 \udcff"])
@pytest.mark.parametrize("number", [0.1, 1e-5, 1e16, -0.0, 5e-324, 2**63, None])
def test_a_report_is_spelt_as_the_library_of_python_spells_it(name: str, number: float | None) -> None:
    example = Example(key={name: [], "b": {}}, a=number, b=name)
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE, where={"column": name}, examples=(example,))
    output = msgspec.structs.replace(OUTPUT, path=name, findings=(finding,))
    report = msgspec.structs.replace(REPORT, outputs=(output,))
    plain = json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=False)
    assert report_json(report) == plain.replace("\udcff", "\\udcff") + "\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"verdict": "reproducible"}, "contradicts itself"), ({"verdict": "waived"}, "contradicts itself"),
        ({"schema": "kfm-repro.report/2"}, "its schema is"),
    ],
)  # fmt: skip
def test_a_saved_report_that_cannot_be_true_is_none(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    path = tmp_path / "repro_report.json"
    finding = Finding(kind=Kind.VALUE, rung=Rung.VALUE)
    output = OutputComparison(path="a.csv", verdict=OutputVerdict.DIFFERENT, findings=(finding,))
    report = Report(
        command="replay", verdict=Verdict.NOT_REPRODUCIBLE, counts=count_verdicts((output,)), outputs=(output,)
    )  # fmt: skip
    path.write_text(report_json(report), encoding="utf-8")
    assert read_report(path) == report
    path.write_text(json.dumps(json.loads(report_json(report)) | changed), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        read_report(path)
