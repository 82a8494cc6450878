"""``nightly``: a night as CI has it, on runs that were really recorded."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from junitparser import JUnitXml
from nights import FAILING, STABLE, STAMPED, UNSTABLE, WAIVER, WEEKDAY, Nights, mixed
from workshop import REPOSITORY, Workshop, user_environ

EXPECTED = {
    "stable": ("reproducible", "clean"),
    "unstable": ("not-reproducible", "differs"),
    "failing": ("unknown", None),
    "waived": ("waived", "clean"),
}
FAST = ("--jobs", "2")
SLOW_IN_A_REPLAY = "import time; time.sleep(0 if pathlib.Path('data/work/runs').exists() else 600)\n" + STABLE


@pytest.fixture
def nights(workshop: Workshop) -> Nights:
    return Nights(workshop)


def one(nights: Nights, body: str, *, times: int = 1, settings: str = "") -> Nights:
    """Make the project one with a single pipeline, recorded so many times."""
    nights.script("job", body)
    nights.shop.write("kfm-repro.toml", settings)
    nights.shop.commit()
    nights.record("job", times)
    return nights


def told(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the runs of a night by id."""
    return {run["run"]["run_id"]: run for run in report["runs"]}


def check_mixed(nights: Nights, report: dict[str, Any]) -> None:
    """Assert verdict, status and alarms of every run of a mixed project."""
    jsonschema.validate(report, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text()))
    runs = told(report)
    assert sorted(runs) == sorted(run for ids in nights.runs.values() for run in ids)
    for name, ids in nights.runs.items():
        sort = name.partition("-")[0]
        for number, run_id in enumerate(ids):
            run = runs[run_id]
            got = (run["report"]["verdict"], next(iter(run["status"].values()), None))
            if sort == "regressed":
                last = number == len(ids) - 1
                assert got == (("not-reproducible", "regression") if last else ("reproducible", "clean"))
            elif sort == "flaky":
                differed = any(trial["verdict"] == "not-reproducible" for trial in run["trials"])
                assert got[0] == ("not-reproducible" if differed else "reproducible")
                assert (got[1] == "clean") != differed
            else:
                assert got == EXPECTED[sort], name
    alarms = {alarm["pipeline"]: alarm for alarm in report["alarms"]}
    regressed = {name for name in nights.runs if name.startswith("regressed")}
    assert set(alarms) == regressed
    assert {alarm["commit"] for alarm in alarms.values()} == {nights.bad_commit}
    assert all(f"not since commit {nights.bad_commit[:7]}" in alarm["message"] for alarm in alarms.values())
    assert {use["state"] for use in report["waivers"]} == {"used"}


def test_every_sort_of_pipeline_in_one_night(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    nights = Nights(Workshop(tmp_path / "p"))
    shop = nights.shop
    shop.write(".gitignore", "data/work/\ndata/processed/\nuntracked.txt\n")
    (shop.root / "data/work/runs").mkdir(parents=True)
    shop.write("untracked.txt", "x")
    bodies = {"unstable": UNSTABLE, "failing": FAILING, "waived": STAMPED, "regressed": STABLE}
    for name, body in bodies.items():
        nights.script(f"{name}-0", body)
    shop.write("kfm-repro.toml", WAIVER.replace("NAME", "waived-0"))
    shop.commit()
    for name in bodies:
        nights.record(f"{name}-0", 2 if name == "regressed" else 1)
    nights.script("regressed-0", UNSTABLE)
    nights.bad_commit = shop.commit()
    nights.record("regressed-0")
    report = nights.night(*FAST, code=1)
    check_mixed(nights, report)
    assert report["vary"] == ["build-path", "hash-seed", "threads"] or len(report["vary"]) == 3
    assert {run["reasons"][-1] for run in report["runs"]} == {"never"}
    exported = shop.kfm("ledger", "export", "--json").json
    jsonschema.validate(exported, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text()))
    whole = {entry["pipeline"]: entry for entry in exported["entries"] if not entry["kind"]}
    assert (whole["regressed-0"]["n"], whole["regressed-0"]["k"], whole["regressed-0"]["status"]) == (
        11, 9, "regressed",
    )  # fmt: skip
    assert "failing-0" not in whole
    (column,) = [e for e in exported["entries"] if e["pipeline"] == "waived-0" and e["kind"]]
    assert (column["where"], column["kind"], column["n"], column["k"]) == (
        "column generated_at", "timestamp", 1, 1,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize(("copies", "each"), [(2, 5), (4, 10)])
def test_sixty_and_two_hundred_runs(tmp_path: Path, copies: int, each: int) -> None:
    (tmp_path / "p").mkdir()
    nights = mixed(tmp_path / "p", each=each, copies=copies)
    whole = nights.night(*FAST, "--budget", "5h", code=1)
    check_mixed(nights, whole)
    (nights.shop.root / "data/work/runs/.ledger/ledger.sqlite3").unlink()
    parts = [part(nights, f"{index}/3", tmp_path) for index in (1, 2, 3)]
    merged = nights.shop.kfm("nightly", "merge", "--json", *map(str, parts))
    assert merged.code == 1
    check_mixed(nights, merged.json)
    assert settled(merged.json) == settled(whole)


def part(nights: Nights, shard: str, folder: Path, *args: str) -> Path:
    """Do a part of the night, and return the file of its report."""
    done = nights.shop.kfm(
        "nightly", "--json", "--night", WEEKDAY, "--budget", "5h", *FAST, "--shard", shard, *args
    )
    assert done.code in (0, 1, 2), done.err
    path = folder / f"part-{shard.replace('/', '-')}.json"
    path.write_text(done.out, encoding="utf-8")
    return path


def settled(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what no two executions share: ids, paths, times and random values of replays.

    Which replays of a flaky pipeline differ is chance; all that is said of it goes.
    """
    flaky = [run for run in report["runs"] if run["run"]["pipeline"].startswith("flaky")]
    runs = [
        {
            "run": run["run"], "reasons": run["reasons"], "status": run["status"], "bits": run["bits"],
            "verdict": run["report"]["verdict"], "counts": run["report"]["counts"],
            "findings": [[o["path"], [f["kind"] for f in o["findings"]]] for o in run["report"]["outputs"]],
            "trials": [(trial["ordinal"], trial["axes"], trial["verdict"]) for trial in run["trials"]],
            "error": run["report"].get("error", {}).get("code"),
        }
        for run in report["runs"]
        if run not in flaky
    ]  # fmt: skip
    same = {
        key: report[key]
        for key in ("verdict", "night", "vary", "plan", "shard", "left_out", "alarms", "waivers")
    }
    return {**same, "runs": runs, "flaky": [run["run"]["run_id"] for run in flaky]}


@pytest.mark.slow
def test_three_parts_are_one_night(nights: Nights, tmp_path: Path) -> None:
    for name, body in (("a", STABLE), ("b", UNSTABLE), ("c", FAILING), ("d", STABLE)):
        nights.script(name, body)
    nights.shop.write(".gitignore", "data/work/\ndata/processed/\nuntracked.txt\n")
    nights.shop.write("untracked.txt", "x")
    nights.shop.commit()
    for name in "abcd":
        nights.record(name)
    parts = [part(nights, f"{index}/3", tmp_path) for index in (1, 2, 3)]
    shares = [{run["run"]["pipeline"] for run in json.loads(path.read_text())["runs"]} for path in parts]
    assert Counter(name for share in shares for name in share) == dict.fromkeys("abcd", 1)
    assert all(shares)
    (nights.shop.root / "data/work/runs/.ledger/ledger.sqlite3").unlink()
    whole = nights.night(*FAST, "--budget", "5h", code=1)
    merged = nights.shop.kfm("nightly", "merge", "--json", *map(str, reversed(parts)), "--ledger")
    assert (merged.code, settled(merged.json)) == (1, settled(whole))
    again = nights.shop.kfm("nightly", "merge", "--json", *map(str, parts))
    assert again.out == merged.out, "the same parts give the same bytes, in whatever order"
    entries = nights.shop.kfm("ledger", "export", "--json").json
    assert len(entries["trials"]) == 2 * len([t for run in whole["runs"] for t in run["trials"]])
    for files, word in (
        (parts[:2], "missing"),
        ([*parts, parts[0]], "twice"),
        ([tmp_path], "cannot be read"),
    ):
        done = nights.shop.kfm("nightly", "merge", "--json", *map(str, files))
        assert (done.code, done.json["verdict"]) == (2, "unknown")
        assert word in done.json["error"]["message"], done.json["error"]


def test_a_replay_and_a_diff_of_runs_with_a_waiver(nights: Nights) -> None:
    waiver = WAIVER.replace("NAME", "job")
    one(nights, STAMPED, settings=waiver)
    run = nights.runs["job"][0]
    replayed = nights.shop.kfm("replay", run, "--json")
    assert (replayed.code, replayed.json["verdict"]) == (0, "waived"), replayed.out
    assert [use["state"] for use in replayed.json["waivers"]] == ["used"]
    other = replayed.json["replays"][0]["run_id"]
    compared = nights.shop.kfm("diff", run, other)
    assert (compared.code, compared.out.strip().splitlines()[-1][:7]) == (0, "WAIVED:")
    nights.shop.write("kfm-repro.toml", waiver.replace("2999-12-31", "2020-01-01"))
    expired = nights.shop.kfm("diff", run, other, "--json")
    assert (expired.code, expired.json["verdict"]) == (1, "not-reproducible")
    assert [use["state"] for use in expired.json["waivers"]] == ["expired"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "old", "new"),
    [
        ("expired", "2999-12-31", "2020-01-01"), ("outgrown", 'rung = "value"', 'rung = "noise"'),
        ("unmatched", "generated_at", "made_at"),
    ],
)  # fmt: skip
def test_a_waiver_that_is_not_right_fails_the_night(nights: Nights, state: str, old: str, new: str) -> None:
    one(nights, STAMPED, settings=WAIVER.replace("NAME", "job").replace(old, new))
    report = nights.night("--vary", "none", code=1)
    assert (report["verdict"], [use["state"] for use in report["waivers"]]) == ("not-reproducible", [state])
    assert [alarm["kind"] for alarm in report["alarms"]] == [f"waiver-{state}"]


@pytest.mark.slow
def test_a_waiver_of_what_no_longer_differs_fails_the_night_though_all_is_reproducible(
    nights: Nights,
) -> None:
    waiver = WAIVER.replace("NAME", "job")
    one(nights, STABLE, settings=waiver)
    report = nights.night("--vary", "none", code=1)
    assert (report["verdict"], report["alarms"][0]["kind"]) == ("reproducible", "waiver-unmatched")
    nights.shop.write("kfm-repro.toml", waiver + "sometimes = true\n")
    assert nights.night("--vary", "none", code=0)["alarms"] == []


@pytest.mark.slow
def test_a_night_that_is_ended_leaves_aborted_replays_and_remembers_nothing(nights: Nights) -> None:
    one(nights, SLOW_IN_A_REPLAY)
    runs = nights.shop.root / "data/work/runs/job"
    child = subprocess.Popen(
        [Path(sys.executable).with_name("kfm-repro"), "nightly", "--vary", "none"], cwd=nights.shop.root,
        env=user_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not [path for path in runs.glob("*/run.yaml") if path.parent.name not in nights.runs["job"]]:
        assert time.monotonic() < deadline
        os.sched_yield()
    child.terminate()
    child.communicate(timeout=120)
    assert child.returncode == 130
    states = {path.parent.name: json.loads(path.read_text())["state"] for path in runs.glob("*/status.json")}
    assert sorted(states.values()) == ["aborted", "success"]
    assert nights.shop.kfm("ledger", "export", "--json").json["trials"] == []


def test_what_is_left_out_and_why_and_the_second_night(nights: Nights) -> None:
    one(nights, STABLE, times=3)
    first = nights.night("--budget", "3s", code=0)
    assert [run["reasons"] for run in first["runs"]][-1] == ["latest", "never"]
    assert {item["reason"] for item in first["left_out"]} == {"budget"}
    assert len(first["runs"]) + len(first["left_out"]) == 3
    second = nights.night("--select", "latest", code=0, night="2026-02-04")
    assert [(run["reasons"], run["bits"] < 1) for run in second["runs"]] == [(["latest"], True)]
    assert {item["reason"] for item in second["left_out"]} == {"not-selected"}
    assert not set(first["vary"]) & set(second["vary"])


def test_names_that_a_log_takes_for_commands_and_runs_that_cannot_be_read(nights: Nights) -> None:
    one(nights, STABLE, times=1)
    runs = nights.shop.root / "data/work/runs"
    (runs / "job").rename(runs / "::error title=owned::job")
    (runs / "\x1b[31mred" / "x").mkdir(parents=True)
    (runs / "\x1b[31mred" / "x" / "run.yaml").write_text("run_id: x\n", encoding="utf-8")
    done = nights.say("--vary", "none")
    assert "owned" in done.err
    for line in (done.out + done.err).splitlines():
        assert not line.lstrip().startswith("::"), line
        assert "\x1b" not in line
    assert "is not read:" in done.out


def test_a_night_without_anything_to_compare_is_no_success(nights: Nights) -> None:
    nights.shop.commit()
    report = nights.night(code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "nothing-compared")
    one(nights, FAILING.replace("untracked.txt", ".git/HEAD"), settings="")
    done = nights.say("--budget", "1s")
    assert done.code == 2
    assert "left out: 1 run, budget" in done.out
    assert done.out.strip().splitlines()[-1].startswith("UNKNOWN: nothing was compared")


def test_a_night_in_every_form_links_to_the_pages_of_its_replays(nights: Nights, tmp_path: Path) -> None:
    nights.script("good", STABLE)
    nights.script("bad", UNSTABLE)
    nights.shop.write("kfm-repro.toml", "")
    nights.shop.commit()
    nights.record("good")
    nights.record("bad")
    site = nights.shop.root / "site of the night"
    site.mkdir()
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    done = nights.shop.kfm(
        "nightly", "--night", WEEKDAY, "--vary", "none", "--html", str(site / "index.html"), "--junit",
        str(site / "night.xml"), "--markdown", str(summary), "--format", "github",
        env={"GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert done.code == 1, done.err
    assert summary.read_text(encoding="utf-8").startswith(f"before\n### ❌ night {WEEKDAY}: not reproducible")
    page = (site / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(\.\./[^"]+)"', page)
    assert len(links) == 1 + len(re.findall("confirming", page)) + 1
    for link in links:
        assert "<title>" in (site / unquote(link)).read_text(encoding="utf-8")
    suites = [*JUnitXml.fromfile(str(site / "night.xml"))]
    assert [[case.name for case in suite] for suite in suites[1:]] == [
        ["data/processed/bad/a.csv"], ["data/processed/good/a.csv"],
    ]  # fmt: skip
    assert "::error title=not-reproducible%3A bad/" in done.out
    refused = nights.shop.kfm(
        "nightly", "merge", "nothing.json", "--junit", str(site / "night.xml"), "--json"
    )
    assert (refused.code, refused.json["verdict"]) == (2, "unknown")
    assert "nothing.json cannot be read" in (site / "night.xml").read_text(encoding="utf-8")
    lost = nights.shop.kfm("nightly", "--accept", "equivalent", "merge", "nothing.json", "--json")
    assert (lost.code, lost.json["error"]["code"]) == (2, "usage")
    assert "--accept before merge would do nothing" in lost.json["error"]["message"]


@pytest.mark.slow
def test_a_regression_stands_until_a_run_as_new_reproduces_and_is_not_lost_with_the_budget(
    nights: Nights,
) -> None:
    one(nights, STABLE, times=2)
    nights.script("job", UNSTABLE)
    nights.bad_commit = nights.shop.commit()
    nights.record("job")
    nights.script("other", STABLE)
    nights.shop.commit()
    nights.record("other")
    assert nights.night("--vary", "none", code=1)["alarms"][0]["commit"] == nights.bad_commit
    path = nights.shop.root / "data/work/runs/.ledger/ledger.sqlite3"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "UPDATE trials SET seconds = 9999, trial = json_set(trial, '$.seconds', 9999) WHERE pipeline = 'job'"
        )
    left = nights.night("--vary", "none", "--budget", "60s", code=1, night="2026-02-04")
    assert {run["run"]["pipeline"] for run in left["runs"]} == {"other"}
    assert (left["verdict"], [alarm["output"] for alarm in left["alarms"]]) == (
        "not-reproducible", ["data/processed/job/a.csv"],
    )  # fmt: skip
    assert "no run as new as that told otherwise" in left["alarms"][0]["message"]
    regressed = nights.shop.run_dir(nights.runs["job"][-1])
    shutil.rmtree(regressed)
    gone = nights.night("--vary", "none", "--select", "latest", code=1, night="2026-02-05")
    assert [alarm["run_id"] for alarm in gone["alarms"]] == [regressed.name]
    assert "no run as new as that is there" in gone["alarms"][0]["message"]
    nights.script("job", STABLE)
    nights.shop.commit()
    nights.record("job")
    assert nights.night("--vary", "none", "--select", "latest", code=0, night="2026-02-06")["alarms"] == []
    shutil.rmtree(regressed.parent)
    (note,) = nights.night("--vary", "none", code=0, night="2026-02-07")["notes"]
    assert note.endswith("no run of it is there any more: job")


def test_what_only_a_varied_axis_shows_is_sensitive_and_no_regression(nights: Nights) -> None:
    body = "import os\ntable((1, 1), (2, os.environ.get('KFM_VARIED', '0')))\n"
    one(nights, body)
    report = nights.night("--vary", "env-order", code=1)
    (run,) = report["runs"]
    assert (run["report"]["verdict"], [*run["status"].values()]) == ("not-reproducible", ["sensitive"])
    assert [trial["verdict"] for trial in run["trials"]] == ["not-reproducible", *["reproducible"] * 3]
    assert report["alarms"] == []
    assert nights.night("--vary", "none", code=0, night="2026-02-04")["verdict"] == "reproducible"


def test_the_ledger_is_no_run_and_damage_to_it_is_said(nights: Nights) -> None:
    one(nights, STABLE)
    assert "knows no night before" in nights.night("--vary", "none", code=0)["notes"][0]
    assert nights.night("--vary", "none", code=0, night="2026-02-04")["notes"] == []
    listed = nights.shop.kfm("list", "--json").json
    assert (listed["total"], listed["notes"]) == (3, [])
    assert "differed in 0 of 2" in nights.shop.kfm("ledger", "export").out
    path = nights.shop.root / "data/work/runs/.ledger/ledger.sqlite3"
    for damage in ("no database", ""):
        path.write_text(damage, encoding="utf-8")
        done = nights.shop.kfm("nightly", "--json")
        assert (done.code, done.json["error"]["code"]) == (2, "record-invalid")
    shutil.rmtree(path.parent)
    assert nights.shop.kfm("ledger", "export", "--json").json["entries"] == []


@pytest.mark.parametrize(
    "args",
    [
        ("--budget", "soon"), ("--shard", "4/3"), ("--select", "some"), ("--vary", "weather"), ("--night", "today"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(nights: Nights, args: tuple[str, str]) -> None:
    nights.shop.commit()
    done = nights.shop.kfm("nightly", "--json", *args)
    assert (done.code, done.json["error"]["code"]) == (2, "usage"), done.out + done.err
    assert done.json["error"]["hint"]


def test_a_night_that_cannot_be_remembered_still_says_what_it_found(nights: Nights, tmp_path: Path) -> None:
    one(nights, UNSTABLE)
    page = tmp_path / "night.html"
    page.write_text("<title>Reproducible: the night before", encoding="utf-8")
    (nights.shop.root / "data/work/runs/.ledger").write_text("no folder", encoding="utf-8")
    report = nights.night("--vary", "none", "--html", str(page), code=1)
    assert (report["verdict"], report["error"]["code"]) == ("not-reproducible", "not-writable")
    assert report["error"]["message"].startswith("this night is not remembered: the ledger cannot be made")
    assert "<title>Not reproducible: night" in page.read_text(encoding="utf-8")
    nights.script("job", STABLE)
    nights.shop.commit()
    nights.record("job")
    done = nights.say("--vary", "none", "--select", "latest")
    assert done.code == 2
    last = done.out.strip().splitlines()[-1]
    assert last.startswith("UNKNOWN: 1 reproducible; this night is not remembered: ")


def test_a_pattern_of_no_pipeline_and_a_clock_that_was_set_back_are_said(nights: Nights) -> None:
    one(nights, STABLE)
    done = nights.shop.kfm("nightly", "--json", "--pipeline", "job", "--pipeline", "jbo*")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "--pipeline 'jbo*' is of no pipeline" in done.json["error"]["message"]
    nights.night("--vary", "none", "--pipeline", "j*", code=0, night="2026-02-05")
    notes = nights.night("--vary", "none", code=0)["notes"]
    assert notes[0].startswith("the ledger knows nights up to 2026-02-05")
