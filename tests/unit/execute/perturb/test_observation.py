"""What is seen of a Python program: the line of each read, native libraries, children; and a log nobody can forge."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preloading import Run

from kfm_repro.errors import UsageError
from kfm_repro.execute.perturb.agent import AgentSetting, Event, Kind, Order, Place, read_events

T = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

READS = """\
import os, socket, subprocess, sys, time, uuid
import helper
def pipeline():
    time.time()
    uuid.uuid4()
    os.listdir('.')
    os.cpu_count()
    socket.gethostname()
    time.localtime()
    open('there').read()
    try:
        open('not there')
    except OSError:
        pass
    with socket.socket() as s:
        s.connect_ex(('127.0.0.1', 1))
    subprocess.run(['/bin/true'], env={})
    for _ in range(1000):
        time.time()
pipeline()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.py"
    path.write_text(READS)
    (tmp_path / "helper.py").write_text("import time\ntime.time()\n")
    (tmp_path / "there").write_text("x")
    return path


def at_line(events: tuple[Event, ...], program: Path, line: int) -> list[Event]:
    return [event for event in events if event.own == Place(str(program), line)]


def test_every_read_of_a_python_program_has_its_line(run: Run, python: str, program: Path) -> None:
    events = run(AgentSetting(), python, program).events
    wanted = {
        4: (Kind.CLOCK, "", 0),
        5: (Kind.ENTROPY, "", 0),
        6: (Kind.LISTING, ".", 0),
        7: (Kind.CPU, "", 0),
        8: (Kind.HOSTNAME, "", 0),
        9: (Kind.TZ, "", 0),
        10: (Kind.OPEN, "there", 0),
        12: (Kind.OPEN, "not there", 2),
        16: (Kind.CONNECT, "127.0.0.1:1", 111),
        17: (Kind.EXEC, "/bin/true", 0),
        19: (Kind.CLOCK, "", 0),
    }
    for line, what in wanted.items():
        seen = [(event.kind, event.text, event.error) for event in at_line(events, program, line)]
        assert what in seen, (line, seen)


def test_repeated_reads_are_one_event_with_their_number(run: Run, python: str, program: Path) -> None:
    events = run(AgentSetting(), python, program).events
    assert [event.count for event in at_line(events, program, 19) if event.kind is Kind.CLOCK] == [1000]


def test_reads_of_a_library_name_the_library_and_the_pipeline(run: Run, python: str, program: Path) -> None:
    (drawn,) = (e for e in at_line(run(AgentSetting(), python, program).events, program, 5))
    assert drawn.at is not None
    assert Path(drawn.at.file).name == "uuid.py"


def test_reads_at_import_are_marked(run: Run, python: str, program: Path) -> None:
    events = run(AgentSetting(), python, program).events
    helper = Place(str(program.with_name("helper.py")), 2)
    assert [event.imported for event in events if event.own == helper] == [True]
    assert not any(event.imported for event in at_line(events, program, 4))


def test_the_environment_of_the_program_is_as_if_there_were_no_agent(run: Run, python: str) -> None:
    line = "import os; print(sorted(os.environ.items()))"
    env = {"A": "1"}
    assert (
        run(AgentSetting(), python, "-c", line, env=env).out
        == run(AgentSetting(cpus=3), python, "-c", line, env=env).out
    )
    assert "LD_PRELOAD" not in run(AgentSetting(), python, "-c", line, env=env).out


def test_native_libraries_get_the_frozen_clock_the_seed_and_the_order(
    run: Run, python: str, folder: Path
) -> None:
    line = (
        "import sqlite3, sys, pandas, numpy\nfrom pyarrow import fs\n"
        "d = sqlite3.connect(':memory:')\n"
        "print('now', d.execute(\"select strftime('%s', 'now')\").fetchone()[0])\n"
        "print('blob', d.execute('select hex(randomblob(8))').fetchone()[0])\n"
        "print('pandas', pandas.Timestamp.now('UTC').timestamp())\n"
        "print('numpy', numpy.random.default_rng().integers(1 << 62))\n"
        "found = fs.LocalFileSystem().get_file_info(fs.FileSelector(sys.argv[1]))\n"
        "print('arrow', *(i.base_name for i in found))"
    )
    setting = AgentSetting(clock_frozen_at=T, entropy_seed=7, order=Order.REVERSED)
    first = run(setting, python, "-c", line, folder).values
    assert (first["now"], first["pandas"]) == ("1700000000", "1700000000.0")
    assert first["arrow"].split() == sorted((path.name for path in folder.iterdir()), reverse=True)
    assert run(setting, python, "-c", line, folder).values == first


def test_file_times_are_the_real_ones(run: Run, python: str) -> None:
    line = (
        "import os; open('f', 'w').close(); made = os.stat('f').st_mtime; os.utime('f')\n"
        "print('earliest', min(made, os.stat('f').st_mtime))"
    )
    start = time.time()
    assert float(run(AgentSetting(clock_frozen_at=T), python, "-c", line).values["earliest"]) >= start - 2


def test_forks_of_a_threaded_python_never_hang_and_draw_different_values(
    run: Run, python: str, folder: Path
) -> None:
    line = (
        "import os, sys, threading, time, uuid, warnings\nwarnings.simplefilter('ignore')\nover = False\n"
        "def busy():\n    while not over:\n        os.listdir(sys.argv[1]); time.time(); os.urandom(8)\n"
        "threads = [threading.Thread(target=busy) for _ in range(4)]\n[t.start() for t in threads]\n"
        "seen = set()\n"
        "for _ in range(50):\n    r, w = os.pipe()\n    pid = os.fork()\n"
        "    if pid == 0:\n        os.listdir(sys.argv[1]); time.time(); os.write(w, uuid.uuid4().bytes); os._exit(0)\n"
        "    os.close(w); seen.add(os.read(r, 16)); os.close(r); os.waitpid(pid, 0)\n"
        "over = True\nprint('seen', len(seen))"
    )
    assert run(AgentSetting(entropy_seed=1, order=Order.SORTED), python, "-c", line, folder).values == {
        "seen": "50"
    }


def test_an_error_that_is_being_raised_survives_the_look_at_the_frames(run: Run, python: str) -> None:
    line = (
        "import time\nclass D:\n    def __del__(self): time.time()\n"
        "def f():\n    d = D()\n    raise KeyError('kept')\n"
        "try:\n    f()\nexcept KeyError as e:\n    print('error', e.args[0])"
    )
    assert run(AgentSetting(), python, "-c", line).values == {"error": "kept"}


def test_a_file_name_cannot_forge_a_line(run: Run, python: str) -> None:
    name = "x\nE\t1\t1\t1\tnote\t0\tforged\tforged\t\t\t0\nC\t\\x0a"
    events = run(
        AgentSetting(), python, "-c", f"import os\ntry:\n open({name!r})\nexcept OSError: pass"
    ).events
    assert name in [event.text for event in events]
    assert not any(event.how in {"forged", "malformed"} for event in events)


@pytest.mark.parametrize("name", ["é ünï", "a\\b", "x" * 240, "\udcff\udc80"])
def test_a_file_name_is_read_back_as_it_was(run: Run, python: str, name: str) -> None:
    line = f"import os\ntry:\n open(os.fsencode({name!r}))\nexcept OSError: pass"
    assert name in [event.text for event in run(AgentSetting(), python, "-c", line).events]


@given(st.binary(max_size=400))
def test_whatever_stands_in_a_log_reading_it_never_fails(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    place = tmp_path_factory.mktemp("log")
    (place / "log").mkdir()
    good = b"E\t7\tab\tcd\topen\t2\tr\t/x\\x0ay\t\t\t0\nC\t7\tab\tcd\t5\n"
    (place / "log/events").write_bytes(good + noise + b"\nE\t7\tab\tce\tope")  # and torn at its end
    first = read_events(place)[0]
    assert (first.pid, first.text, first.error) == (7, "/x\ny", 2)
    assert not any(
        event.kind is Kind.OPEN and event.text == "" for event in read_events(place)[1:2] if not noise
    )


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log/events").write_bytes(
        b"E\t7\tab\tcd\topen\t0\tr\t/x\t\t\t0\nE\t7\tab\tce\topen\t0\tr\t/y"
    )
    assert [event.text for event in read_events(tmp_path)] == ["/x"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "a\nclock=real"},
        {"host": "x" * 65},
        {"cpus": 0},
        {"cpus": 4096},
        {"entropy_seed": -1},
        {"order_seed": 2**63},
        {"clock_frozen_at": datetime(2024, 1, 1)},  # noqa: DTZ001
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        AgentSetting(**wrong)  # type: ignore[arg-type]
