"""The end of a log, as the pipeline said it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.logs import last_lines


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "p/r/logs").mkdir(parents=True)
    return RunDir(tmp_path / "p/r")


def events(run: RunDir, *texts: str, tail: str = "") -> None:
    lines = "".join(json.dumps({"time": "x", "text": text}) + "\n" for text in texts)
    (run.logs / "pipeline.jsonl").write_text(lines + tail, encoding="utf-8")


def test_rule_5_a_last_line_that_was_cut_off_is_shown_as_it_is(run: RunDir) -> None:
    events(run, "reading", "writing", tail='{"time": "2026-02-03T21:14:08Z", "te')
    assert last_lines(run) == ("reading", "writing", '{"time": "2026-02-03T21:14:08Z", "te')


def test_rule_5_a_character_that_was_cut_off_is_no_error(run: RunDir) -> None:
    events(run, "reading")
    with (run.logs / "pipeline.jsonl").open("ab") as file:
        file.write('{"text": "Größ'.encode()[:-1])
    assert last_lines(run)[0] == "reading"
    assert len(last_lines(run)) == 2


def test_of_a_long_log_only_the_end_is_read(run: RunDir) -> None:
    events(run, *(f"line {number} {'x' * 500}" for number in range(2_000)))
    assert [line.split()[1] for line in last_lines(run, 3)] == ["1997", "1998", "1999"]


def test_events_of_other_tools_are_understood(run: RunDir) -> None:
    text = '{"ts": 1, "event": "run started"}\n{"msg": "m"}\n{"other": 1}\n[1]\n'
    (run.logs / "pipeline.jsonl").write_text(text, encoding="utf-8")
    assert last_lines(run) == ("run started", "m", '{"other": 1}', "[1]")


def test_without_events_the_errors_are_shown(run: RunDir) -> None:
    (run.logs / "stderr.log").write_text("Traceback\nKeyError: 'n'\n", encoding="utf-8")
    assert last_lines(run) == ("Traceback", "KeyError: 'n'")
    events(run, "said")
    assert last_lines(run) == ("said",)


def test_rule_6_a_log_that_is_a_link_out_of_the_run_is_not_read(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token\n", encoding="utf-8")
    (run.logs / "pipeline.jsonl").symlink_to(tmp_path / "secret")
    assert last_lines(run) == ()
