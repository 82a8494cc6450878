"""``diff`` as a user runs it: files, folders, runs; the same bytes of report everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from workshop import Workshop


@pytest.fixture
def pair(tmp_path: Path) -> Workshop:
    """Return a folder, no project, with the folders a and b that differ in every way a diff can tell."""
    shop = Workshop(tmp_path)
    shop.write("a/table.csv", "id,name,score\n1,x,0.5\n2,y,0.25\n3,z,1.5\n")
    shop.write("b/table.csv", "id,name,score\n3,z,1.5\n2,y,0.75\n1,x,0.5\n")
    shop.write("a/doc.json", json.dumps({"a": 1, "b": [{"n": 1}, {"n": 2}, {"c": "x"}]}))
    shop.write("b/doc.json", json.dumps({"b": [{"n": 2}, {"n": 1}, {"c": "x"}], "a": 1}))
    shop.write("a/same.txt", "same")
    shop.write("b/same.txt", "same")
    shop.write("a/gone.txt", "only in a")
    shop.write("b/new.txt", "only in b")
    return shop


def test_folders_are_compared_file_by_file(pair: Workshop) -> None:
    done = pair.kfm("diff", "a", "b", "--json")
    verdicts = {output["path"]: output["verdict"] for output in done.json["outputs"]}
    assert done.code == 1
    assert verdicts == {
        "doc.json": "equivalent",
        "gone.txt": "missing",
        "new.txt": "extra",
        "same.txt": "identical",
        "table.csv": "different",
    }


def test_a_lower_rung_never_hides_a_higher_one(pair: Workshop) -> None:
    done = pair.kfm("diff", "a/table.csv", "b/table.csv", "--json")
    findings = {item["kind"]: item for item in done.json["outputs"][0]["findings"]}
    assert findings["value"]["where"] == {"column": "score"}
    assert findings["value"]["count"] == 1
    assert findings["value"]["examples"][0] == {"key": {"id": "2"}, "a": "0.25", "b": "0.75"}
    assert findings["row-order"]["rung"] == "order"


def test_identical_files_exit_0_whatever_they_are_called(pair: Workshop) -> None:
    shutil.copy(pair.root / "a/table.csv", pair.root / "other name.dat")
    done = pair.kfm("diff", "a/table.csv", "other name.dat", "--json")
    assert (done.code, done.json["verdict"]) == (0, "reproducible")


def test_equal_folders_exit_0_and_empty_ones_2(pair: Workshop) -> None:
    assert pair.kfm("diff", "a", "a").code == 0
    (pair.root / "empty").mkdir()
    done = pair.kfm("diff", "empty", "empty", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "nothing-compared")


def test_a_declared_key_decides_which_rows_belong_together(pair: Workshop) -> None:
    pair.write("k1.csv", "id,v\n1,a\n2,b\n")
    pair.write("k2.csv", "id,v\n1,b\n2,a\n")
    by_id = pair.kfm("diff", "k1.csv", "k2.csv", "--key", "id", "--json").json["outputs"][0]["findings"]
    assert [(item["kind"], item["where"], item["count"]) for item in by_id] == [("value", {"column": "v"}, 2)]


def test_the_report_is_byte_identical_across_hash_seeds_zones_and_folders(
    pair: Workshop, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    a, b = str(pair.root / "a"), str(pair.root / "b")
    reports = {
        pair.kfm("diff", a, b, "--json", env={"PYTHONHASHSEED": seed, "TZ": zone}, cwd=folder).out
        for seed, zone, folder in (
            ("0", "UTC", pair.root),
            ("1", "Pacific/Kiritimati", elsewhere),
            ("4242", "America/St_Johns", pair.root / "a"),
        )
    }
    assert len(reports) == 1
    copied = tmp_path / "copied"
    shutil.copytree(pair.root / "a", copied / "a")
    shutil.copytree(pair.root / "b", copied / "b")
    assert pair.kfm("diff", "a", "b", "--json", cwd=copied).out in reports


def test_a_file_against_a_folder_and_a_missing_file_are_clear_errors(pair: Workshop) -> None:
    for args in (("a", "b/table.csv"), ("a/table.csv", "nowhere.csv")):
        done = pair.kfm("diff", *args, "--json")
        assert (done.code, done.json["verdict"]) == (2, "unknown")
        assert done.json["error"]["hint"]


def test_terminal_output_ends_with_the_verdict_and_shows_no_control_character(pair: Workshop) -> None:
    pair.write("e1.csv", "id,v\n1,plain\n")
    pair.write("e2.csv", "id,v\n1,\x1b[31mred\u202e\x07\n")
    done = pair.kfm("diff", "e1.csv", "e2.csv")
    assert done.code == 1
    assert done.out.splitlines()[-1].startswith("NOT REPRODUCIBLE: 1 of 1 output differs")
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "\\x1b[31mred\\u202e\\x07" in done.out


def test_a_terminal_that_knows_only_ascii_is_no_error(pair: Workshop) -> None:
    done = pair.kfm("diff", "a", "b", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert done.code == 1
    assert "NOT REPRODUCIBLE" in done.out


def test_two_recorded_runs_are_compared_with_their_own_windows(workshop: Workshop) -> None:
    workshop.write(
        "pipelines/job.py",
        "import datetime, pathlib\n"
        "out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
        "now = datetime.datetime.now(datetime.UTC).isoformat()\n"
        "(out / 'a.csv').write_text(f'id,made\\n1,{now}\\n2,{now}\\n')\n",
    )
    workshop.commit()
    first, second = (workshop.record("--output", "data/processed/**") for _ in range(2))
    done = workshop.kfm("diff", first, second, "--json")
    (finding,) = done.json["outputs"][0]["findings"]
    assert done.code == 1
    assert (finding["kind"], finding["rung"], finding["where"]) == ("timestamp", "value", {"column": "made"})
    assert (finding["count"], finding["of"]) == (2, 2)


def test_a_run_and_its_replay_on_another_day_are_compared_as_the_replay_did(workshop: Workshop) -> None:
    workshop.write(
        "pipelines/job.py",
        "import datetime, pathlib\n"
        "out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
        "now = datetime.datetime.now(datetime.UTC).isoformat()\n"
        "(out / 'a.csv').write_text(f'id,made\\n1,{now}\\n2,{now}\\n')\n",
    )
    workshop.commit()
    run = workshop.record("--output", "data/processed/**")
    report = workshop.kfm("replay", run, "--json").json
    (replay,) = report["replays"]
    assert replay["setting"] == {"clock": report["scope"]["varied"]["clock"]}
    (found,) = workshop.kfm("diff", run, replay["run_id"], "--json").json["outputs"][0]["findings"]
    (expected,) = report["outputs"][0]["findings"]
    assert (found["kind"], found["rung"], found["where"]) == ("timestamp", "value", {"column": "made"})
    assert found["evidence"] == expected["evidence"]
