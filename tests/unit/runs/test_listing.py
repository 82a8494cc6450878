"""Runs in brief: found by layout, told by status.json, never an error because one of them is damaged."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.errors import NotWritable, RunNotFound, UsageError
from kfm_repro.model.run import RunState
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.listing import Filter, list_runs, parse_when
from kfm_repro.runs.project import Project, find_project
from kfm_repro.runs.write import RunWriter

NOW = datetime(2026, 2, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "data/work/runs").mkdir(parents=True)
    return find_project(tmp_path)


def add(
    project: Project, name: str, *sentinels: str, pipeline: str = "p", yaml: str | None = "", **status: Any
) -> Path:
    path = project.runs / pipeline / name
    path.mkdir(parents=True)
    if yaml is not None:
        (path / "run.yaml").write_text(f'run_id: "{name}"\n{yaml}', encoding="utf-8")
    if status:
        (path / "status.json").write_text(json.dumps(status), encoding="utf-8")
    for sentinel in sentinels:
        (path / sentinel).touch()
    return path


def listed(project: Project, **wanted: Any) -> list[str]:
    return [run.run_id for run in list_runs(project, Filter(**wanted)).runs]


def test_rule_19_a_run_that_we_wrote_is_listed_without_its_yaml(project: Project) -> None:
    started = datetime(2026, 2, 3, 21, 14, 8, 500_000, tzinfo=UTC)
    writer = RunWriter(project.runs, "p", "01K9A", started, of="01K9B")
    writer.finish("success", started + timedelta(seconds=90))
    writer.run.run_yaml.write_bytes(b"\xff not yaml: [")
    (run,) = list_runs(project, Filter()).runs
    assert (run.state, run.started_at, run.duration_s) == (RunState.SUCCESS, "2026-02-03T21:14:08.500Z", 90.0)
    assert (run.replay_of, run.partial, run.path) == ("01K9B", False, "data/work/runs/p/01K9A")


def test_rule_19_a_run_killed_before_its_yaml_is_aborted_and_partial(project: Project) -> None:
    add(project, "r", yaml=None, state="running", pid=2**22 - 7, started_at="2026-02-03T21:14:08Z")
    (run,) = list_runs(project, Filter()).runs
    assert (run.state, run.partial, run.reason) == (RunState.ABORTED, True, "its process is gone")


def test_rule_4_states_come_from_status_sentinel_and_process(project: Project) -> None:
    add(project, "good", "_SUCCESS", state="success")
    add(project, "bad", "_FAILED", state="failed")
    add(project, "both", "_SUCCESS", "_FAILED", state="success")
    add(project, "lies", "_FAILED", state="success")
    add(project, "alive", state="running", pid=os.getpid())
    add(project, "dead", state="running", pid=2**22 - 7)
    states = {run.run_id: str(run.state) for run in list_runs(project, Filter()).runs}
    assert states == {
        "good": "success", "bad": "failed", "both": "inconsistent", "lies": "inconsistent",
        "alive": "running", "dead": "aborted",
    }  # fmt: skip
    assert listed(project, state=RunState.INCONSISTENT) == ["both", "lies"]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"state": 5}', b"\xff", b'{"state": "success", "pid": "x"}']
)
def test_a_damaged_status_makes_one_run_inconsistent_and_hides_no_other(
    project: Project, text: bytes
) -> None:
    add(project, "a", "_SUCCESS", state="success")
    (add(project, "b", "_SUCCESS") / "status.json").write_bytes(text)
    first, second = list_runs(project, Filter()).runs
    assert (first.state, second.state) == (RunState.SUCCESS, RunState.INCONSISTENT)
    assert "status.json of b" in second.reason


def test_a_failed_run_says_why(project: Project) -> None:
    (add(project, "a", state="failed") / "_FAILED").write_text("no space left\nmore", encoding="utf-8")
    (run,) = list_runs(project, Filter()).runs
    assert run.reason.startswith("no space left")


def test_an_old_record_has_the_time_of_its_id_and_the_rest_from_its_yaml(project: Project) -> None:
    add(project, "2026-02-03T21-14-08Z__p__a1b2c3d", "_SUCCESS", yaml="broken: [")
    times = "runtime: {started_at: 2026-02-04T00:00:00Z, finished_at: '2026-02-04T00:01:00Z'}\n"
    add(project, "friday", "_SUCCESS", yaml=times)
    first, second = list_runs(project, Filter()).runs
    assert (first.started_at, first.duration_s) == ("2026-02-03T21:14:08.000Z", None)
    assert (second.started_at, second.duration_s) == ("2026-02-04T00:00:00.000Z", 60.0)


def test_rule_15_an_old_replay_is_known_by_its_yaml(project: Project) -> None:
    add(project, "2026-02-03T21-14-08Z__p__a1b2c3d", "_SUCCESS", state="success")
    add(project, "2026-02-04T21-14-08Z__p__a1b2c3d", "_SUCCESS", state="success", yaml="replay: {of: x}\n")
    assert listed(project, replays=True) == ["2026-02-04T21-14-08Z__p__a1b2c3d"]
    assert resolve_run(project, "latest:p").name == "2026-02-03T21-14-08Z__p__a1b2c3d"


def test_rule_15_yaml_has_the_last_word_on_what_is_a_replay(project: Project) -> None:
    add(project, "a", "_SUCCESS", state="success", started_at="2026-02-03T00:00:00Z")
    add(
        project, "b", "_SUCCESS", state="success", started_at="2026-02-04T00:00:00Z", yaml="replay: {of: a}\n"
    )
    add(project, "c", "_SUCCESS", state="success", started_at="2026-02-05T00:00:00Z", yaml="pipeline: 5\n")
    assert resolve_run(project, "latest:p").name == "a"


def test_rule_15_a_replay_that_its_status_does_not_mirror_is_known_by_its_yaml(project: Project) -> None:
    facts = {"state": "success", "pid": 7, "started_at": "2026-02-04T00:00:00Z"}
    add(project, "a", "_SUCCESS", **facts)
    add(project, "b", "_SUCCESS", yaml="replay: {of: a}\n", **facts)
    assert listed(project, replays=False) == ["a"]
    assert listed(project, replays=True) == ["b"]


@pytest.mark.parametrize(
    "yaml",
    ['runtime: {started_at: "0001-01-01T00:00:00+14:00"}\n', f"x: {'[' * 600}{']' * 600}\n"],
    ids=["year 1", "deep"],
)
def test_a_hostile_record_hides_no_other_run(project: Project, yaml: str) -> None:
    add(project, "a", "_SUCCESS", state="success")
    add(project, "b", "_SUCCESS", state="success", yaml=yaml)
    report = list_runs(project, Filter())
    reasons = {run.run_id: run.reason for run in report.runs}
    assert reasons["a"] == ""
    assert "run.yaml" in reasons["b"]


def test_runs_are_sorted_by_start_then_id_whatever_the_order_on_disk(project: Project) -> None:
    order = list(range(40))
    random.Random(3).shuffle(order)  # noqa: S311 - an order, no secret
    for number in order:
        day = f"2026-02-{number // 2 % 28 + 1:02d}T00:00:00Z"
        add(project, f"r{number:02d}", "_SUCCESS", pipeline=f"p{number % 3}", state="success", started_at=day)
    runs = list_runs(project, Filter()).runs
    assert [(run.started_at, run.run_id) for run in runs] == sorted(
        (run.started_at, run.run_id) for run in runs
    )
    assert len(runs) == 40


def test_times_with_offsets_and_without_are_one_time_line(project: Project) -> None:
    add(project, "east", "_SUCCESS", state="success", started_at="2026-02-03T01:00:00+03:00")
    add(project, "naive", "_SUCCESS", state="success", started_at="2026-02-02T23:00:00")
    assert [run.started_at for run in list_runs(project, Filter()).runs] == [
        "2026-02-02T22:00:00.000Z",
        "2026-02-02T23:00:00.000Z",
    ]


def test_rule_9_foreign_layouts_are_named_in_a_note_wherever_they_lie_near_by(project: Project) -> None:
    add(project, "a", "_SUCCESS", state="success")
    for folder in (
        "data/work/runs/2026-02-03__p__first",
        "data/work/runs/p/2026-02-03__p__second",
        "runs/2026-02-03__p__third",
    ):
        (project.root / folder).mkdir(parents=True)
        (project.root / folder / "manifest.yml").write_text("state: success\n", encoding="utf-8")
    report = list_runs(project, Filter())
    assert [run.run_id for run in report.runs] == ["a"]
    (note,) = report.notes
    for name in ("2026-02-03__p__first", "p/2026-02-03__p__second", "runs/2026-02-03__p__third"):
        assert name in note


def test_rule_1_a_name_that_is_no_safe_component_is_named_not_read(project: Project) -> None:
    add(project, "evil\nname", "_SUCCESS", state="success")
    report = list_runs(project, Filter())
    assert report.runs == ()
    assert r"evil\nname" in report.notes[0]


def test_a_folder_that_is_a_link_is_no_run(project: Project) -> None:
    path = add(project, "a", "_SUCCESS", state="success")
    (project.runs / "p" / "b").symlink_to(path)
    (project.runs / "q").symlink_to(project.runs / "p")
    assert listed(project) == ["a"]


def test_links_that_are_not_followed_are_named(project: Project, tmp_path: Path) -> None:
    path = add(project, "a", "_SUCCESS", state="success")
    (project.runs / "p" / "b").symlink_to(path)
    (project.runs / "q").symlink_to(tmp_path)
    (project.runs / "p" / "plain").symlink_to(path / "run.yaml")
    (project.runs / ".hidden").symlink_to(tmp_path)
    notes = list_runs(project, Filter()).notes
    assert len(notes) == 2
    assert all("symbolic link" in note for note in notes)
    assert "runs/q'" in notes[0]
    assert "runs/p/b'" in notes[1]


def test_no_run_is_written_where_no_listing_would_find_it(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.runs / "p").symlink_to(outside)
    with pytest.raises(NotWritable, match="symbolic link"):
        RunWriter(project.runs, "p", "01K9A", datetime(2026, 2, 3, tzinfo=UTC))
    assert list(outside.iterdir()) == []


def test_a_span_takes_both_its_ends_and_a_day_is_whole(project: Project) -> None:
    for name, time in (
        ("a", "2026-02-02T23:59:59.999Z"),
        ("b", "2026-02-03T00:00:00Z"),
        ("c", "2026-02-03T23:59:59.999Z"),
        ("d", "2026-02-04T00:00:00Z"),
    ):
        add(project, name, "_SUCCESS", state="success", started_at=time)
    add(project, "undated", "_SUCCESS", state="success")
    day = {"since": parse_when("2026-02-03", now=NOW), "until": parse_when("2026-02-03", now=NOW, end=True)}
    report = list_runs(project, Filter(**day))
    assert [run.run_id for run in report.runs] == ["b", "c"]
    assert (report.total, report.counts["success"]) == (5, 2)
    assert "1 run without a known start" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-03T21:14", datetime(2026, 2, 3, 21, 14, tzinfo=UTC)),
        ("2026-02-03T21:14:08+02:00", datetime(2026, 2, 3, 19, 14, 8, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, moment: datetime) -> None:
    assert parse_when(text, now=NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-02-30", "7 d", "-7d", "999999w", "0001-01-01T00:00+23:00"]
)
def test_a_time_that_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="not a time") as caught:
        parse_when(text, now=NOW)
    assert "7d" in caught.value.hint


def test_a_span_that_ends_before_it_begins_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="before it begins"):
        list_runs(project, Filter(since=NOW, until=NOW - timedelta(days=1)))


def test_a_pipeline_that_is_not_there_names_the_near_ones(project: Project) -> None:
    add(project, "a", "_SUCCESS", pipeline="import_census", state="success")
    with pytest.raises(RunNotFound) as caught:
        list_runs(project, Filter(pipeline="import_cencus"))
    assert "import_census" in caught.value.hint
    assert listed(project, pipeline="import_census") == ["a"]
