"""``show`` and ``list`` of records that hold what JSON or a terminal cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from keeping import Shelf, shelf

from kfm_repro.cli import main


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def test_metrics_that_are_no_numbers_to_json_are_shown_as_texts(
    kept: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept.run(0)
    (run.metrics / "a.json").write_text('{"mean": NaN, "most": Infinity, "n": 2.5}', encoding="utf-8")
    assert main(["show", "run000", "--json", "--root", str(kept.project.root)]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == {"mean": "nan", "most": "inf", "n": 2.5}


def test_a_status_that_cannot_be_read_is_a_problem_and_exit_2(
    kept: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept.run(0)
    run.status.write_text("{", encoding="utf-8")
    assert main(["show", "run000", "--json", "--root", str(kept.project.root)]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert "status.json" in problem


def test_a_size_of_400_digits_is_a_problem_and_the_rest_is_shown(
    kept: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept.run(0)
    text = run.outputs.read_text(encoding="utf-8")
    run.outputs.write_text(text.replace('"path"', f'"size_bytes": {"9" * 400}, "path"'), encoding="utf-8")
    assert main(["show", "run000", "--root", str(kept.project.root)]) == 2
    out = capsys.readouterr().out
    assert "size_bytes is not a count" in out
    assert "run000" in out


def test_notes_of_list_cannot_paint_the_terminal(kept: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    folder = kept.project.runs / "job" / "evil\x9b31mRED\u202egpj"
    folder.mkdir(parents=True)
    (folder / "manifest.yml").write_text("x", encoding="utf-8")
    assert main(["list", "--root", str(kept.project.root)]) == 0
    err = capsys.readouterr().err
    assert "evil" in err
    assert err.replace("\n", "").isprintable()
