"""What a replay cannot have, or a command does to itself and after its end: said, and never right by luck."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml
from workshop import Done, Workshop, plain_python

HEAD = (
    "import os, pathlib, shutil, subprocess, sys\n"
    "replayed = 'kfm-repro-' in os.environ['KFM_RUN_DIR']\nrun = pathlib.Path(os.environ['KFM_RUN_DIR'])\n"
    "out = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)\n"
)


def pipeline(shop: Workshop, body: str) -> Workshop:
    shop.write("pipelines/job.py", HEAD + body)
    shop.commit()
    return shop


def record(
    shop: Workshop, *options: str, stdin: Any = subprocess.DEVNULL, given: bytes | None = None
) -> Done:
    """Record the pipeline with a standard input of its own."""
    program = Path(sys.executable).with_name("kfm-repro")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KFM_", "GIT_", "PYTHON"))}
    done = subprocess.run(
        [program, "record", "--json", *options, "--", plain_python(), "pipelines/job.py"],
        cwd=shop.root, env=environ, capture_output=True, check=False, timeout=300,
        **({"stdin": stdin} if given is None else {"input": given}),
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def the_run(shop: Workshop) -> Path:
    (run,) = (shop.root / "data/work/runs/job").iterdir()
    return run


def observation(shop: Workshop) -> dict[str, Any]:
    return dict(yaml.safe_load((the_run(shop) / "run.yaml").read_text(encoding="utf-8"))["observation"])


def replay(shop: Workshop, code: int, run: str = "latest:job") -> Any:
    done = shop.kfm("replay", run, "--json")
    assert "Traceback" not in done.err
    assert done.code == code, done.out + done.err
    return done.json


def precondition(report: Any, name: str) -> dict[str, str]:
    return next((item for item in report["preconditions"] if item["name"] == name), {})


READER = "(out / 'a.txt').write_text('made')\nread = {}\nif read: os.read(0, 5)\n"


@pytest.mark.parametrize("kind", ["pipe", "file", "terminal"])
def test_a_command_that_reads_its_standard_input_gets_no_verdict_in_a_replay(
    workshop: Workshop, kind: str, tmp_path: Path
) -> None:
    pipeline(workshop, READER.format("True"))
    (tmp_path / "list.txt").write_text("some text\n", encoding="utf-8")
    if kind == "pipe":
        done = record(workshop, given=b"some text")
    elif kind == "file":
        with (tmp_path / "list.txt").open("rb") as file:
            done = record(workshop, stdin=file)
    else:
        master, slave = os.openpty()
        os.write(master, b"some text\n")
        done = record(workshop, stdin=slave)
        os.close(master)
        os.close(slave)
    assert done.code == 0, done.err
    assert any("read its standard input" in note for note in done.json["notes"])
    assert observation(workshop)["stdin"] == "read"
    report = replay(workshop, 2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "input-missing")
    assert report["counts"]["identical"] == 1
    assert "a replay gets none" in precondition(report, "stdin")["detail"]


@pytest.mark.parametrize("given", [b"", b"never read"])
def test_a_standard_input_that_is_empty_or_not_read_is_no_matter(workshop: Workshop, given: bytes) -> None:
    pipeline(workshop, READER.format(not given))
    done = record(workshop, given=given)
    assert not any("standard input" in note for note in done.json["notes"])
    assert "stdin" not in observation(workshop)
    assert replay(workshop, 0)["verdict"] == "reproducible"


@pytest.mark.parametrize("matters", [True, False])
def test_variables_that_no_record_keeps_are_named_where_they_may_matter(
    workshop: Workshop, *, matters: bool
) -> None:
    pipeline(
        workshop,
        "colour = os.environ.get('MAP_COLOUR', 'grey')\n"
        f"(out / 'a.txt').write_text(colour if {matters} else 'same')\n",
    )
    done = workshop.kfm(
        "record",
        "--",
        plain_python(),
        "pipelines/job.py",
        env={"MAP_COLOUR": "hunter2", "MY_TOKEN": "hunter2"},
    )
    assert done.code == 0, done.err
    document = yaml.safe_load((the_run(workshop) / "run.yaml").read_text(encoding="utf-8"))
    named = document["environment"]["not_recorded"]
    assert {"MAP_COLOUR", "MY_TOKEN"} <= set(named)
    assert not {"PATH", "HOME", "TERM", "KFM_RUN_DIR"} & set(named)
    assert "hunter2" not in (the_run(workshop) / "run.yaml").read_text(encoding="utf-8")
    report = replay(workshop, 1 if matters else 0)
    said = precondition(report, "variables")
    assert said["state"] == ("unknown" if matters else "ok")
    assert f"{len(named)} variables" in said["detail"]
    shown = workshop.kfm("replay", "latest:job").out
    assert ("may matter: " in shown) == matters
    secrets = workshop.kfm("verify", "latest:job", "--json").json["secrets"]
    assert secrets["hits"] == []


def test_packages_of_the_user_that_a_replay_does_not_find_are_drift(
    workshop: Workshop, tmp_path: Path
) -> None:
    python = Path(sys._base_executable)
    base = {"PYTHONUSERBASE": str(tmp_path / "base")}
    asked = [python, "-c", "import site; print(site.getusersitepackages() if site.ENABLE_USER_SITE else '')"]
    place = subprocess.run(asked, env=base, capture_output=True, text=True, check=True).stdout.strip()
    if not place:
        pytest.skip("this Python has no packages of the user")
    info = Path(place) / "county_palette-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: county-palette\nVersion: 1.2\n", encoding="utf-8"
    )
    (Path(place) / "county_palette.py").write_text("COLOUR = 'red'\n", encoding="utf-8")
    pipeline(
        workshop,
        "try: from county_palette import COLOUR\nexcept ImportError: COLOUR = 'grey'\n"
        "(out / 'a.txt').write_text(COLOUR)\n",
    )
    done = workshop.kfm("record", "--", str(python), "pipelines/job.py", env=base)
    assert done.code == 0, done.err
    report = replay(workshop, 1)
    drift = {item["what"]: (item["a"], item["b"]) for item in report["environment"]["drift"]}
    assert drift["county-palette"] == ("1.2", None)
    assert any("of the user" in what for what in drift)


CHANGES_INPUT = (
    "place = pathlib.Path('data/raw/state.txt')\n(out / 'a.txt').write_text(place.read_text())\n"
    "before = place.read_text()\nif {condition}: place.write_text({value})\n"
)


@pytest.mark.parametrize(
    ("condition", "value", "code", "state", "says"),
    [
        ("True", "before + 'x'", 0, "drift", "as it did when it was recorded"),
        ("not replayed", "before + 'x'", 2, "missing", "what the recorded run read is not known"),
        ("True", "'replayed' if replayed else 'recorded'", 2, "missing", "not to what they became then"),
    ],
)
def test_an_input_that_changed_during_the_run_is_never_reproducible_by_luck(
    workshop: Workshop, condition: str, value: str, code: int, state: str, says: str
) -> None:
    workshop.write("data/raw/state.txt", "1")
    pipeline(workshop, CHANGES_INPUT.format(condition=condition, value=value))
    done = record(workshop, "--input", "data/raw/*", "--output", "data/processed/**")
    assert done.code == 0, done.err
    (entry,) = json.loads((the_run(workshop) / "manifests/inputs.json").read_text(encoding="utf-8"))["inputs"]
    assert entry["changed_during_run"] is True
    report = replay(workshop, code)
    said = precondition(report, "inputs-after")
    assert (said["state"], said["code"]) == (state, "SOURCE_SNAPSHOT_DRIFT")
    assert says in said["detail"]
    assert report["counts"]["identical"] == 1
    assert report["verdict"] == ("reproducible" if code == 0 else "unknown")
    assert report.get("error", {"code": "input-changed"})["code"] == "input-changed"


HARM = {
    "removes it": "shutil.rmtree(run)",
    "renames it": "run.rename(run.with_name('elsewhere'))",
    "empties it": "for p in run.iterdir(): shutil.rmtree(p) if p.is_dir() else p.unlink()",
    "puts a link there": "shutil.rmtree(run); run.symlink_to(out.resolve())",
    "puts a file there": "shutil.rmtree(run); run.write_text('x')",
    "puts folders there": "shutil.rmtree(run); (run / 'status.json').mkdir(parents=True); (run / '_SUCCESS').mkdir()",
    "changes the snapshot": "(run / 'config/job.json').write_text('{}')",
}


@pytest.mark.parametrize("how", HARM)
def test_a_command_that_harms_its_own_run_folder_is_a_failed_run_and_one_clear_error(
    workshop: Workshop, how: str
) -> None:
    workshop.write("config/job.json", '{"a": 1}')
    pipeline(workshop, f"(out / 'a.txt').write_text('x')\n{HARM[how]}\n")
    done = record(workshop)
    assert (done.code, done.json["error"]["code"]) == (2, "pipeline-failed"), done.err
    assert "KFM_RUN_DIR" in done.json["error"]["message"]
    assert "Traceback" not in done.err
    listed = workshop.kfm("list", "--json").json["runs"]
    run = next(item for item in listed if item["run_id"] != "elsewhere")
    assert run["state"] == "failed"
    assert "KFM_RUN_DIR" in workshop.kfm("show", run["run_id"]).out
    assert list((workshop.root / "data/processed/job").iterdir()) == [
        workshop.root / "data/processed/job/a.txt"
    ]


@pytest.mark.parametrize("how", ["removes it", "renames it", "puts a link there"])
def test_a_replay_whose_pipeline_harms_its_run_folder_is_a_failed_run_and_one_clear_error(
    workshop: Workshop, how: str
) -> None:
    pipeline(workshop, f"(out / 'a.txt').write_text('x')\nif replayed: {HARM[how]}\n")
    assert record(workshop).code == 0
    report = replay(workshop, 2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "pipeline-failed")
    assert "KFM_RUN_DIR" in report["error"]["message"]
    states = {item["state"] for item in workshop.kfm("list", "--replays", "--json").json["runs"]}
    assert states == {"failed"}


DETACHED = (
    "subprocess.Popen([sys.executable, '-c', {code!r}], start_new_session=True, stdin=subprocess.DEVNULL,\n"
    "                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    "while not pathlib.Path('ready').exists(): os.sched_yield()\npathlib.Path('ready').unlink()\n"
)
IDLE = "import pathlib, signal; pathlib.Path('ready').write_text(''); signal.alarm(60); signal.pause()"
WRITER = (
    "import pathlib, signal; file = open('data/processed/job/late.csv', 'w'); file.write('id'); file.flush()\n"
    "pathlib.Path('ready').write_text(''); signal.alarm(60); signal.pause()"
)


def test_a_process_left_behind_is_named_in_the_record_and_ended_in_the_replay(workshop: Workshop) -> None:
    pipeline(workshop, "(out / 'a.txt').write_text('x')\n" + DETACHED.format(code=IDLE))
    done = record(workshop)
    assert done.code == 0, done.err
    assert any("left processes running" in note for note in done.json["notes"])
    (name,) = observation(workshop)["left_running"]
    assert name.startswith("python")
    report = replay(workshop, 0)
    said = precondition(report, "left-running")
    assert said["state"] == "drift"
    assert "the recorded run left" in said["detail"]
    assert "the replay's were ended" in said["detail"]
    place = report["replays"][0]["run_id"]
    assert not [pid for pid in Path("/proc").glob("[0-9]*/environ") if place in environ_of(pid)]


def environ_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def test_a_process_left_behind_that_still_writes_an_output_makes_the_run_failed(workshop: Workshop) -> None:
    pipeline(workshop, "(out / 'a.txt').write_text('x')\n" + DETACHED.format(code=WRITER))
    done = record(workshop)
    assert (done.code, done.json["error"]["code"]) == (2, "pipeline-failed")
    assert "still wrote to data/processed/job/late.csv" in done.json["error"]["message"]
    run = the_run(workshop)
    assert json.loads((run / "status.json").read_text(encoding="utf-8"))["state"] == "failed"
    assert (run / "manifests/outputs.json").is_file()
    assert replay(workshop, 2, run.name)["verdict"] == "unknown"


def test_an_old_output_that_a_replay_reads_in_the_project_leaves_no_verdict(workshop: Workshop) -> None:
    old = workshop.root / "data/processed/job/a.txt"
    pipeline(
        workshop,
        f"old = pathlib.Path({str(old)!r})\n"
        "(out / 'a.txt').write_text(old.read_text() if old.exists() else os.urandom(9).hex())\n",
    )
    assert record(workshop).code == 0
    done = workshop.kfm("replay", "latest:job", "--json", "--isolation", "agent")
    assert (done.code, done.json["verdict"], done.json["error"]["code"]) == (2, "unknown", "input-missing")
    said = precondition(done.json, "undeclared")
    assert said["state"] == "missing"
    assert said["detail"].endswith("so that no fair replay has it: data/processed/job/a.txt")


def test_what_the_recorded_run_wrote_into_its_environment_leaves_no_verdict(
    workshop: Workshop, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    pipeline(
        workshop,
        "cache = pathlib.Path(sys.prefix, 'cache.txt')\n"
        "if not cache.exists(): cache.write_text(os.urandom(9).hex())\n"
        "(out / 'a.txt').write_text(cache.read_text())\n",
    )
    workshop.record(python=str(tmp_path / "venv/bin/python"))
    report = replay(workshop, 2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "input-changed")
    said = precondition(report, "shared-places")
    assert said["state"] == "missing"
    assert said["detail"].endswith(f"is not known: {tmp_path}/venv/cache.txt")


@pytest.mark.parametrize(("made", "code"), [("str(int(old or 0) + 1)", 2), ("'same'", 0)])
def test_an_output_that_was_read_before_it_was_rewritten_gets_no_verdict_unless_it_is_identical(
    workshop: Workshop, made: str, code: int
) -> None:
    workshop.write("data/processed/job/n.txt", "5")
    pipeline(
        workshop, f"n = out / 'n.txt'; old = n.read_text() if n.exists() else ''\nn.write_text({made})\n"
    )
    assert record(workshop).code == 0
    assert observation(workshop)["read_first"] == ["data/processed/job/n.txt"]
    report = replay(workshop, code)
    assert report["verdict"] == ("unknown" if code else "reproducible")
    assert report.get("error", {"code": "input-missing"})["code"] == "input-missing"
    assert "n.txt" in precondition(report, "read-first")["detail"]
