"""The conformance kit through the installed command: records as any tool writes them, and what we answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit import KIT
from workshop import REPOSITORY

PROGRAM = str(Path(sys.executable).with_name("kfm-repro"))
SCHEMA = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", KIT.case_names())
def test_a_case_of_the_kit_is_answered_as_it_expects(case: str, tmp_path: Path) -> None:
    wrong = KIT.check(case, tmp_path / "project", PROGRAM)
    assert not wrong, "\n".join(["what is not as expected:", *wrong])


def test_every_case_says_what_it_is_about_and_expects_exit_codes_and_answers() -> None:
    names = KIT.case_names()
    assert {path.name for path in KIT.CASES.iterdir()} == set(names)
    assert len(names) >= 30
    for name in names:
        case = KIT.expected(name)
        assert case["about"].endswith(".")
        assert set(case["rules"]) <= set(range(1, 26))
        assert all(set(step) == {"command", "exit", "answer"} and step["answer"] for step in case["commands"])


def test_no_case_expects_what_no_report_can_say() -> None:
    """A misspelt key would be looked for in vain and, expected to be null, be found so."""
    known = {name for part in SCHEMA["$defs"].values() for name in part.get("properties", {})}
    for name in KIT.case_names():
        for step in KIT.expected(name)["commands"]:
            assert set(step["answer"]) <= known, name


@pytest.mark.parametrize(
    ("wanted", "found", "says"),
    [
        ({"a": 1}, {"a": 2}, "answer.a: expected 1, found 2"),
        ({"a": None}, {"a": 0}, "answer.a: expected None, found 0"),
        ({"a": True}, {"a": 1}, "answer.a: expected True, found 1"),
        ({"a": 1}, {}, "answer.a: expected 1, found null"),
        ({"runs": {"x": "success"}}, {"runs": []}, "'x' is not there, but nothing"),
        ({"runs": {}}, {"runs": [{"run_id": "x"}]}, "'x' is there and was not expected"),
        ({"runs": {"x": "failed"}}, {"runs": [{"run_id": "x", "state": "success"}]}, "expected 'failed', found 'succ"),
        ({"lines": {"1": "pass"}}, {"lines": [{"number": 1, "state": "fail"}]}, "answer.lines.1"),
        ({"notes": []}, {"notes": ["x"]}, "expected 0 items, found 1"),
        ({"notes": [{"contains": "foreign"}]}, {"notes": ["x"]}, "expected to contain 'foreign'"),
    ],
)  # fmt: skip
def test_the_kit_sees_a_wrong_answer_and_names_the_field(wanted: Any, found: Any, says: str) -> None:
    (line,) = KIT.differences(wanted, found)
    assert says in line


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {}),
        ({"lines": {"1": "pass", "...": ""}}, {"lines": [{"number": 1, "state": "pass"}, {"number": 2}]}),
        ({"notes": {"contains": ["x", "y"]}}, {"notes": ["x", "y"]}),
    ],
)
def test_the_kit_passes_a_right_answer(wanted: Any, found: Any) -> None:
    assert not list(KIT.differences(wanted, found))


def test_the_kit_runs_by_itself_and_fails_on_a_wrong_answer(tmp_path: Path) -> None:
    case = tmp_path / "cases/mine"
    case.mkdir(parents=True)
    step = {"command": "list", "exit": 0, "answer": {"total": 1}}
    project = case / "project/data/work/runs/.keep"
    project.parent.mkdir(parents=True)
    project.touch()
    (case / "expected.json").write_text(
        json.dumps({"about": "Mine.", "rules": [], "commands": [step]}), encoding="utf-8"
    )
    argv = [
        sys.executable,
        str(REPOSITORY / "fixtures/conformance/kit.py"),
        "check",
        "--cases",
        str(case.parent),
    ]
    done = subprocess.run([*argv, "--program", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "mine: 1. list: answer.total: expected 1, found 0" in done.stdout


def test_answers_of_the_kit_are_documents_of_the_report_schema(tmp_path: Path) -> None:
    project = KIT.build("malformed", tmp_path / "project")
    for step in KIT.expected("malformed")["commands"][:3]:
        verb, *words = step["command"].split()
        done = subprocess.run(
            [PROGRAM, verb, "--json", *words], cwd=project, capture_output=True, check=False
        )
        jsonschema.validate(json.loads(done.stdout), SCHEMA)
