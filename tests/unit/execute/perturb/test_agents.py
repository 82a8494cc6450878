"""The Python agent where nothing can be preloaded, and the canary that tells what took effect."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from preloading import Run

from kfm_repro.execute.perturb.agent import AgentSetting, Built, Kind, Mechanism, Order, Place, prepare
from kfm_repro.execute.perturb.canary import CANARY, Seen, effective, parse

T = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
PINNED = AgentSetting(
    clock_frozen_at=T, entropy_seed=5, order=Order.SORTED, host="pinned", cpus=4, thread_seed=1
)
VARIED = AgentSetting(
    clock_shift=timedelta(days=464),
    entropy_seed=6,
    order=Order.REVERSED,
    host="varied",
    cpus=7,
    thread_seed=2,
)
NO_LIBRARY = Built(None, "for this test")


def look(run: Run, python: str, tmp_path: Path, setting: AgentSetting, built: Built | None = None) -> Seen:
    out = run(setting, python, CANARY, tmp_path, env={"PYTHONHASHSEED": "0"}, built=built).out
    return parse(out)


@pytest.mark.parametrize("setting", [PINNED, VARIED], ids=["pinned", "varied"])
def test_the_canary_sees_every_axis_of_the_library_everywhere(
    run: Run, python: str, tmp_path: Path, setting: AgentSetting
) -> None:
    seen = [look(run, python, tmp_path, setting) for _ in range(2)]
    effects = effective(setting, seen[0], again=seen[1])
    assert set(effects) == {"clock", "cpu-count", "directory-order", "entropy", "hostname", "schedule"}
    assert {axis: effect.reason for axis, effect in effects.items() if not effect.effective} == {}
    assert seen[0]["agent"] == {"self": True, "child": True, "empty environment": True, "python": False}


def test_the_canary_denies_what_did_not_happen(run: Run, python: str, tmp_path: Path) -> None:
    real = look(run, python, tmp_path, AgentSetting())
    other = look(run, python, tmp_path, AgentSetting())
    effects = effective(PINNED, real, again=other, expected={"umask": "nonsense"})
    effects.pop("schedule")  # a loaded machine may start threads late by itself
    effects.pop("directory-order")  # and a file system may sort
    assert not any(effect.effective for effect in effects.values())
    assert all(effect.reason for effect in effects.values())


def test_the_canary_says_where_the_python_agent_does_not_reach(run: Run, python: str, tmp_path: Path) -> None:
    seen = look(run, python, tmp_path, PINNED, built=NO_LIBRARY)
    effects = effective(PINNED, seen)
    assert effects["clock"].reason == "not seen by: datetime.now, sqlite, child, empty environment"
    assert effects["hostname"].reason == "not seen by: child, empty environment"
    assert effects["entropy"].reason == "not proved: the canary ran once"


def test_the_canary_loses_a_child_that_the_agent_loses(run: Run, python: str, tmp_path: Path) -> None:
    line = f"import json, sys; sys.path.insert(0, {str(CANARY.parent)!r}); import canary, pathlib\n"
    seen = json.loads(
        run(
            AgentSetting(),
            python,
            "-c",
            line + f"print(json.dumps(canary.look(pathlib.Path({str(tmp_path)!r}))))",
        ).out
    )
    seen["hostname"]["child"] = "another"
    assert effective(AgentSetting(host="x"), seen)["hostname"].reason.endswith("child, empty environment")


def test_what_is_no_canary_is_refused() -> None:
    for text in ("[]", "{}", "no"):
        with pytest.raises(ValueError, match=r".*"):
            parse(text)


def test_the_python_agent_pins_what_python_reads(run: Run, python: str, folder: Path) -> None:
    line = (
        "import os, random, socket, sys, time, uuid, glob, numpy\n"
        "print('time', time.time(), time.time_ns(), time.strftime('%Y', time.gmtime()))\n"
        "print('drawn', uuid.uuid4(), random.random(), random.Random().random(), numpy.random.default_rng().random())\n"
        "print('listed', *os.listdir(sys.argv[1]))\nprint('walked', *next(os.walk(sys.argv[1]))[2])\n"
        "print('globbed', *(os.path.basename(p) for p in glob.glob(sys.argv[1] + '/*')))\n"
        "print('host', socket.gethostname(), os.uname().nodename)\nprint('cpus', os.cpu_count())\n"
        "print('path', sum('agent-' in p for p in sys.path))\n"
        "sys.stdout.flush()\npid = os.fork()\n"
        "os.write(1, f\"{'parent' if pid else 'child'} {uuid.uuid4()}\\n\".encode())\n"
        "if pid: os.waitpid(pid, 0)\nelse: os._exit(0)"
    )
    first = run(PINNED, python, "-c", line, folder, built=NO_LIBRARY).values
    assert first["time"] == "1700000000.0 1700000000000000000 2023"
    names = sorted(path.name for path in folder.iterdir())
    assert [first[way].split() for way in ("listed", "walked", "globbed")] == [names] * 3
    assert (first["host"], first["cpus"], first["path"]) == ("pinned pinned", "4", "0")
    assert len({first["child"], first["parent"], *first["drawn"].split()}) == 6
    assert run(PINNED, python, "-c", line, folder, built=NO_LIBRARY).values == first
    assert run(VARIED, python, "-c", line, folder, built=NO_LIBRARY).values["drawn"] != first["drawn"]


def test_the_python_agent_observes_with_the_line(run: Run, python: str, tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text(
        "import os, time\nos.listdir('.')\ntry:\n    open('none')\nexcept OSError: time.time()\n"
    )
    events = run(PINNED, python, program, built=NO_LIBRARY).events
    seen = {
        (event.kind, event.text, event.error, event.own.line)
        for event in events
        if event.own == event.at and event.own
    }
    assert {(Kind.LISTING, ".", 0, 2), (Kind.OPEN, "none", 2, 4), (Kind.CLOCK, "", 0, 5)} <= seen
    assert Place(str(program), 4) in [event.own for event in events]


def test_the_python_agent_runs_the_sitecustomize_behind_it(python: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import builtins\nbuiltins.theirs = 'ran'\n")
    prepared = prepare(tmp_path, PINNED, built=NO_LIBRARY, python_path=str(theirs))
    import os
    import subprocess

    line = "import time, sitecustomize; print(theirs, time.time(), sitecustomize.__file__)"
    out = subprocess.run(
        [python, "-c", line],
        env={**os.environ, **prepared.variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == ["ran", "1700000000.0", str(theirs / "sitecustomize.py")]


def test_a_folder_that_the_loader_cannot_name_gets_the_python_agent(library: Built, tmp_path: Path) -> None:
    prepared = prepare(tmp_path, PINNED, built=library, seen_at=Path("/a b/agent"))
    assert prepared.mechanism is Mechanism.PYTHON
    assert "space" in prepared.reason
    assert prepare(tmp_path, PINNED, built=library, seen_at=Path("/run/kfm/agent")).variables == {
        "LD_PRELOAD": "/run/kfm/agent/libkfm-agent.so"
    }


def test_agent_folders_have_names_of_one_length(library: Built, tmp_path: Path) -> None:
    folders = [prepare(tmp_path, setting, built=library).folder for setting in (PINNED, VARIED)]
    assert len({len(str(folder)) for folder in folders}) == 1
    assert folders[0] != folders[1]
