"""Reading run records: tolerant of what is missing, strict about what decides a replay."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kfm_repro.errors import InvalidRecord, UnsafePath
from kfm_repro.model.run import RunState
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.read import boot_id, process_started, read_manifest, read_run, read_state
from kfm_repro.runs.status import packed_status

HEX = "a" * 64


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    path = tmp_path / "runs" / "import_census" / "r1"
    (path / "manifests").mkdir(parents=True)
    return RunDir(path)


def yaml(run: RunDir, text: str) -> None:
    run.run_yaml.write_text(text, encoding="utf-8")


def test_rule_2_values_may_be_missing_in_old_records(run: RunDir) -> None:
    yaml(run, "run_id: r1\npipeline:\n  name:\n")
    record = read_run(run)
    assert (record.run_id, record.pipeline_name, record.runtime.started_at) == ("r1", "", None)


def test_unknown_keys_are_kept(run: RunDir) -> None:
    yaml(run, 'run_id: r1\nsensor: "north"\npipeline: {name: p, owner: maps}\n')
    assert read_run(run).raw["sensor"] == "north"
    assert read_run(run).raw["pipeline"]["owner"] == "maps"


@pytest.mark.parametrize("commit", ["1234567", "0123456", "12_34567"])
def test_rule_7_numeric_commit_asks_for_quotes(run: RunDir, commit: str) -> None:
    yaml(run, f"run_id: r1\npipeline: {{version: {{git_commit: {commit}}}}}\n")
    with pytest.raises(InvalidRecord, match="git_commit is not a text") as caught:
        read_run(run)
    assert "quotes" in caught.value.hint


def test_rule_7_a_commit_like_a_float_keeps_its_text(run: RunDir) -> None:
    yaml(run, "run_id: r1\npipeline: {version: {git_commit: 12e4567}}\n")
    assert read_run(run).pipeline.version.git_commit == "12e4567"


def test_rule_7_unquoted_times_are_fine(run: RunDir) -> None:
    yaml(
        run, "run_id: r1\nruntime: {started_at: 2026-02-03T21:14:08Z, finished_at: '2026-02-03T21:18:44Z'}\n"
    )
    runtime = read_run(run).runtime
    assert runtime.started_at is not None
    assert runtime.finished_at is not None
    assert (runtime.finished_at - runtime.started_at).total_seconds() == 276


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("run_id: [", "not YAML"),
        ("- a\n- b\n", "not a mapping"),
        ("pipeline: {name: p}\n", "lacks run_id"),
        ("run_id: 2026-02-03\n", "run_id is not a text"),
        ("run_id: r1\npipeline: {args: 5}\n", "args"),
        ("a: &x [1]\nrun_id: *x\n", "aliases"),
        ("run_id: !!python/object/apply:os.system [id]\n", "not YAML"),
    ],
)
def test_unusable_run_yaml_is_one_clear_error(run: RunDir, text: str, says: str) -> None:
    yaml(run, text)
    with pytest.raises(InvalidRecord, match=says) as caught:
        read_run(run)
    assert caught.value.hint


def manifest(run: RunDir, document: object) -> None:
    run.inputs.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    "spelling", [HEX, HEX.upper(), f"sha256:{HEX}", f"sha256-{HEX}", f"jcs:sha256:{HEX}"]
)
def test_rule_8_hash_spellings_are_read_as_bare_hex(run: RunDir, spelling: str) -> None:
    manifest(run, {"inputs": [{"path": "data/a.csv", "sha256": spelling, "version": "v1"}]})
    (entry,) = read_manifest(run, "manifests/inputs.json", "inputs").entries
    assert (entry.sha256, entry.extra) == (HEX, {"version": "v1"})


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "", "C:\\x", "..\\x", "a\x00b", "~/x"])
def test_rule_6_a_manifest_path_that_leaves_the_root_is_refused(run: RunDir, path: str) -> None:
    manifest(run, {"inputs": [{"path": path, "sha256": HEX}]})
    with pytest.raises(UnsafePath, match=r"inputs\[0\]"):
        read_manifest(run, "manifests/inputs.json", "inputs")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"inputs": {}},
        {"inputs": [{"sha256": HEX}]},
        {"inputs": [{"path": "a", "sha256": "xyz"}]},
        {"inputs": [{"path": "a", "size_bytes": -1}]},
        {"inputs": [{"path": "a", "row_count": "many"}]},
        {"inputs": [{"path": "a"}, {"path": "a"}]},
    ],
)
def test_unusable_manifests_are_one_clear_error(run: RunDir, document: object) -> None:
    manifest(run, document)
    with pytest.raises(InvalidRecord) as caught:
        read_manifest(run, "manifests/inputs.json", "inputs")
    assert caught.value.hint


def test_rule_6_a_manifest_reached_through_a_link_out_of_the_run_is_refused(
    run: RunDir, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"inputs": []}', encoding="utf-8")
    run.inputs.symlink_to(outside)
    with pytest.raises(UnsafePath, match="symbolic link"):
        read_manifest(run, "manifests/inputs.json", "inputs")


def status(run: RunDir, **document: object) -> None:
    run.status.write_text(json.dumps(document), encoding="utf-8")


def test_rule_4_status_and_sentinel_agree(run: RunDir) -> None:
    status(run, state="success")
    run.success.touch()
    assert read_state(run) == (RunState.SUCCESS, "")


@pytest.mark.parametrize(
    ("state", "sentinel"), [("success", "_FAILED"), ("failed", "_SUCCESS"), ("running", "_SUCCESS")]
)
def test_rule_4_disagreement_is_inconsistent_and_says_which_is_which(
    run: RunDir, state: str, sentinel: str
) -> None:
    status(run, state=state)
    (run.path / sentinel).touch()
    found, why = read_state(run)
    assert found is RunState.INCONSISTENT
    assert state in why
    assert sentinel in why


def test_rule_19_success_without_its_sentinel_is_no_success(run: RunDir) -> None:
    status(run, state="success")
    assert read_state(run)[0] is RunState.INCONSISTENT


def test_rule_19_a_writer_killed_before_the_sentinel_leaves_an_aborted_run(run: RunDir) -> None:
    status(run, state="success", pid=2**22 - 7, boot_id=boot_id())
    assert read_state(run)[0] is RunState.ABORTED


def test_rule_19_a_writer_about_to_write_the_sentinel_is_still_running(run: RunDir) -> None:
    pid = os.getpid()
    status(run, state="success", pid=pid, pid_started=process_started(pid), boot_id=boot_id())
    assert read_state(run)[0] is RunState.RUNNING


def test_rule_4_running_with_a_dead_process_is_aborted(run: RunDir) -> None:
    status(run, state="running", pid=2**22 - 7, boot_id=boot_id())
    assert read_state(run)[0] is RunState.ABORTED


def test_rule_4_running_with_a_living_process_is_running(run: RunDir) -> None:
    pid = os.getpid()
    status(run, state="running", pid=pid, pid_started=process_started(pid), boot_id=boot_id())
    assert read_state(run)[0] is RunState.RUNNING


def test_rule_4_a_reused_pid_does_not_keep_a_run_alive(run: RunDir) -> None:
    status(run, state="running", pid=os.getpid(), pid_started=1, boot_id=boot_id())
    assert read_state(run)[0] is RunState.ABORTED


def test_rule_4_a_folder_is_no_sentinel(run: RunDir) -> None:
    status(run, state="success")
    run.success.mkdir()
    assert read_state(run)[0] is RunState.INCONSISTENT


def test_rule_4_a_mark_without_a_state_leaves_the_sentinel_to_say_it(run: RunDir) -> None:
    run.failed.write_text("no space\n", encoding="utf-8")
    run.status.write_bytes(packed_status(run))
    assert json.loads(run.status.read_bytes()) == {"retain": "artifact"}
    assert read_state(run) == (RunState.FAILED, "no space")


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["init", "ours"])
def test_rule_4_a_process_younger_than_the_status_did_not_write_it(run: RunDir, pid: int) -> None:
    status(run, state="running", pid=pid)
    assert read_state(run)[0] is RunState.RUNNING
    os.utime(run.status, (1_000_000_000, 1_000_000_000))
    assert read_state(run)[0] is RunState.ABORTED


def test_an_old_record_with_only_a_sentinel_is_read(run: RunDir) -> None:
    run.failed.write_text("no space\n", encoding="utf-8")
    assert read_state(run) == (RunState.FAILED, "no space")


@pytest.mark.parametrize("depth", [150, 600, 20_000])
def test_a_record_nested_too_deeply_is_one_clear_error(run: RunDir, depth: int) -> None:
    run.run_yaml.write_text(f'run_id: "r"\nextra: {"[" * depth}{"]" * depth}\n', encoding="utf-8")
    with pytest.raises(InvalidRecord, match="nested more than 100 levels"):
        read_run(run)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("key", ["started_at", "finished_at"])
def test_a_time_outside_of_utc_is_one_clear_error(run: RunDir, key: str, time: str) -> None:
    run.run_yaml.write_text(f'run_id: "r"\nruntime: {{{key}: "{time}"}}\n', encoding="utf-8")
    with pytest.raises(InvalidRecord, match=rf"runtime\.{key} is no time in UTC"):
        read_run(run)


def test_a_status_nested_too_deeply_is_one_clear_error(run: RunDir) -> None:
    run.status.write_text(f'{{"state": "success", "x": {"[" * 100_000}{"]" * 100_000}}}', encoding="utf-8")
    with pytest.raises(InvalidRecord, match=r"status\.json"):
        read_state(run)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (f'"size_bytes": {"9" * 400}', "size_bytes is not a count"),
        ('"row_count": 9007199254740993', "row_count is not a count"),
    ],
    ids=["400 digits", "2**53 + 1"],
)
def test_an_entry_that_no_one_can_hold_is_one_clear_error(run: RunDir, field: str, says: str) -> None:
    run.outputs.parent.mkdir(exist_ok=True)
    run.outputs.write_text(f'{{"outputs": [{{"path": "a", {field}}}]}}', encoding="utf-8")
    with pytest.raises(InvalidRecord, match=says):
        read_manifest(run, "manifests/outputs.json", "outputs")
