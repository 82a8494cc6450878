"""``replay --times N``: several replays of one run, counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from isolation import at_level
from workshop import REPOSITORY, Workshop, hear_ctrl_c

import kfm_repro as kr
from kfm_repro.errors import UsageError
from kfm_repro.execute.isolate import Isolation

HEAD = """
import os, pathlib, sys, time
count = pathlib.Path({count!r})
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
out = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)
def table(value): (out / 'a.csv').write_text(f'id,n\\n1,{{value}}\\n2,7\\n')
"""
UNCONTAINED = ("--isolation", "none")


@pytest.fixture
def count(tmp_path: Path) -> Path:
    """Return a file outside of the project in which a pipeline counts its runs: 0 is the recorded one.

    That leak is what makes one replay other than the next, and takes the level of isolation that contains nothing.
    """
    return tmp_path / "count"


def record(shop: Workshop, count: Path, body: str) -> str:
    shop.write("pipelines/job.py", HEAD.format(count=str(count)) + body)
    shop.commit()
    return shop.record("--output", "data/processed/**")


def replay(shop: Workshop, run: str, *args: str, code: int) -> dict[str, Any]:
    done = shop.kfm("replay", run, "--json", *UNCONTAINED, *args)
    assert done.code == code, done.out + done.err
    return done.json


def runs_of(shop: Workshop, report: dict[str, Any]) -> list[Path]:
    return [shop.run_dir(replay["run_id"]) for replay in report["replays"]]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_none_of_four_differed_and_what_that_says(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(1)\n")
    report = replay(workshop, run, "--times", "4", code=0)
    schema = read(REPOSITORY / "docs/schema/report-1.json")
    jsonschema.validate(report, schema)
    assert (report["verdict"], report["flips"]) == (
        "reproducible",
        {"differed": 0, "of": 4, "low": 0.0, "high": 0.5272},
    )
    assert report["outputs"][0]["flips"] == report["flips"]
    spaced = {"build-path": "deeper, with a space"}
    assert [item["setting"] for item in report["replays"]] == [{}, spaced, {}, spaced]
    assert report["scope"]["varied"] == {"build-path": "deeper, with a space; plain"}
    folders = runs_of(workshop, report)
    assert len(set(folders)) == 4
    for folder in folders:
        own = read(folder / "validation/repro_report.json")
        assert (len(own["replays"]), own["verdict"], "flips" in own) == (1, "reproducible", False)
        assert (folder / "_SUCCESS").is_file()
    assert read(folders[-1] / "repro_times.json") == report
    assert count.read_text(encoding="utf-8") == "5"


def test_the_terminal_says_how_often_and_how_likely(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(number == 2)\n")
    done = workshop.kfm("replay", run, "--times", "3", *UNCONTAINED)
    assert done.code == 1
    assert "a.csv   column n: value, 1 of 2   in 1 of 3 replays" in done.out
    *_, last = done.out.strip().splitlines()
    assert last.startswith(
        "NOT REPRODUCIBLE: 1 of 1 output differs.  "
        "1 of 3 replays differed: flip probability 1 % to 87 %, each bound at 95 %."
    )
    assert f"replaying {run}, 3 of 3" in done.err
    assert "3 replays" in done.out


def test_the_worst_wins_and_a_failed_replay_is_not_counted(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(5 if number == 2 else 1)\nif number == 3: sys.exit('no disk')\n")
    report = replay(workshop, run, "--times", "4", code=1)
    assert report["verdict"] == "not-reproducible"
    (output,) = report["outputs"]
    (finding,) = output["findings"]
    assert [
        (flips["differed"], flips["of"]) for flips in (report["flips"], output["flips"], finding["flips"])
    ] == [(1, 3)] * 3
    assert (finding["where"], finding["examples"][0]["b"]) == ({"column": "n"}, "5")
    assert [item["outcome"] for item in report["replays"]] == ["success", "success", "failed", "success"]
    assert any(note.startswith("replay 3 (") and "no verdict" in note for note in report["scope"]["notes"])
    assert "error" not in report


def test_a_failed_replay_among_equal_ones_is_unknown_and_all_ran(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(1)\nif number == 2: sys.exit('no disk')\n")
    report = replay(workshop, run, "--times", "3", code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "pipeline-failed")
    assert report["error"]["message"].startswith("replay 2 of 3: ")
    assert (report["flips"]["differed"], report["flips"]["of"]) == (0, 2)
    assert count.read_text(encoding="utf-8") == "4"
    shown = workshop.kfm("replay", run, "--times", "2", *UNCONTAINED).out
    assert "0 of 2 replays differed: flip probability below 78 % at 95 %" in shown


@pytest.mark.parametrize("level", list(Isolation))
def test_a_path_that_leaks_into_an_output_shows_with_another_path_at_every_level(
    workshop: Workshop, level: str
) -> None:
    body = "table(1)\n(out / 'b.txt').write_text(str(' ' in os.getcwd()))\n"
    workshop.write("pipelines/job.py", "import os, pathlib\n" + HEAD[HEAD.index("out =") :].format() + body)
    workshop.commit()
    run = workshop.record("--output", "data/processed/**")
    report = replay(workshop, run, "--times", "2", "--isolation", at_level(level), code=1)
    assert [item["isolation"] for item in report["replays"]] == [level] * 2
    found = {output["path"][-5:]: output["flips"] for output in report["outputs"]}
    assert (found["a.csv"]["differed"], found["b.txt"]["differed"], found["b.txt"]["of"]) == (0, 1, 2)


def test_an_output_that_only_some_replays_write_is_extra_in_those(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(1)\nif number > 1: (out / 'b.txt').write_text('x')\n")
    report = replay(workshop, run, "--times", "3", code=1)
    extra = next(output for output in report["outputs"] if output["verdict"] == "extra")
    assert (extra["flips"]["differed"], extra["flips"]["of"]) == (2, 3)
    assert report["counts"]["extra"] == 1


def test_ctrl_c_in_the_second_keeps_the_first(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(1)\nif number == 2: print('waiting', flush=True); time.sleep(60)\n")
    child = subprocess.Popen(
        [Path(sys.executable).with_name("kfm-repro"), "replay", run, "--times", "5", *UNCONTAINED],
        cwd=workshop.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    deadline = time.monotonic() + 120
    logs = workshop.root / "data/work/runs/job"
    while not any("waiting" in log.read_text(encoding="utf-8") for log in logs.glob("*/logs/pipeline.jsonl")):
        assert time.monotonic() < deadline, "the second replay never began"
        os.sched_yield()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=120)
    assert child.returncode == 130
    states = {
        path.parent.name: read(path)["state"] for path in logs.glob("*/status.json") if run not in str(path)
    }
    assert sorted(states.values()) == ["aborted", "success"]
    first = logs / next(name for name, state in states.items() if state == "success")
    assert read(first / "validation/repro_report.json")["verdict"] == "reproducible"
    assert count.read_text(encoding="utf-8") == "3"


def test_from_python(workshop: Workshop, count: Path) -> None:
    run = record(workshop, count, "table(1)\n")
    report = kr.replay(run, root=workshop.root, times=2, isolation="none")
    assert (report.passed, len(report.replays), report.flips.of) == (True, 2, 2)
    with pytest.raises(UsageError, match="times is 0"):
        kr.replay(run, root=workshop.root, times=0)
    for words in ({"inputs": "todays"}, {"env": "rebuilt"}, {"isolation": "some"}):
        with pytest.raises(UsageError, match=next(iter(words.values()))):
            kr.replay(run, root=workshop.root, **words)
    assert replay(workshop, run, "--times", "0", code=2)["error"]["code"] == "usage"
