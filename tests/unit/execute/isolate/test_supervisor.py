"""Under supervision: exact exit codes, an exact environment, clear errors, an end in order when we are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from misbehaving import Arena

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Isolation,
    Limits,
    Place,
    arrange_inputs,
    bubblewrap,
    detect,
    interpreter_places,
    new_place,
    readable,
    system,
    writable,
)
from kfm_repro.execute.isolate.jail import Jail
from kfm_repro.execute.process import Outcome, Process, run_command

LEVELS = [
    pytest.param(state.level, marks=[] if state.available else pytest.mark.skip(reason=state.reason))
    for state in detect()
]
NAMESPACE, LANDLOCK = LEVELS[0], LEVELS[1]


class Bench:
    """A locked place with an empty cell in it."""

    def __init__(self, base: Path) -> None:
        self.place: Place = new_place(base)
        self.logs = base / "logs"
        self.logs.mkdir()
        for name in ("work", "home", "tmp", "scratch"):
            (self.place.path / name).mkdir()
        self.work = self.place.path / "work"

    def cell(self, *places: object, **changes: object) -> Cell:
        base = (writable(self.work), writable(self.place.path / "home"), writable(self.place.path / "tmp"))
        every = (*base, *interpreter_places(Path(sys.executable)), *places)
        return Cell(places=every, scratch=self.place.path / "scratch", **changes)  # type: ignore[arg-type]

    def run(
        self, level: Isolation, code: str, *args: str, cell: Cell | None = None, limits: Limits | None = None,
        env: dict[str, str] | None = None, cwd: Path | None = None, umask: int | None = None,
    ) -> Outcome:  # fmt: skip
        how = Confinement(cell or self.cell(), level, limits or Limits(timeout_s=60), self.place, umask)
        argv = [sys.executable, "-c", code, *args]
        environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} if env is None else env
        return run_command(Process(argv, cwd or self.work, environ, self.logs, confinement=how))

    def said(self) -> list[str]:
        with (self.logs / "pipeline.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line)["text"] for line in file]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("code", "stated"),
    [
        ("", ("success", 0)),
        ("raise SystemExit(1)", ("failed", 1)),
        ("import os; os._exit(255)", ("failed", 255)),
        ("import os; os._exit(137)", ("failed", 137)),
        ("import os; os.kill(os.getpid(), 15)", ("killed", -15)),
        ("import os; os.kill(os.getpid(), 11)", ("killed", -11)),
    ],
)
def test_the_exit_code_is_exact_and_a_signal_is_negative(
    bench: Bench, level: Isolation, code: str, stated: tuple[str, int]
) -> None:
    outcome = bench.run(level, code)
    assert (outcome.outcome, outcome.exit_code) == stated


@pytest.mark.parametrize("level", LEVELS)
def test_the_command_sees_the_given_environment_folder_umask_and_nothing_else(
    bench: Bench, level: Isolation
) -> None:
    env = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "ODD": "a\nb é \\"}
    code = (
        "import json, os\nhandles = sorted(os.listdir('/proc/self/fd'))\n"
        "print(json.dumps([dict(os.environ), os.getcwd(), os.umask(0), handles]))"
    )
    bench.run(level, code, env=env, umask=0o027)
    seen_env, folder, umask, handles = json.loads(bench.said()[-1])
    assert seen_env == env
    assert Path(folder) == bench.work
    assert umask == 0o027
    assert handles == ["0", "1", "2", "3"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_that_does_not_exist_is_the_same_clear_error_at_every_level(
    bench: Bench, level: Isolation
) -> None:
    how = Confinement(bench.cell(), level, Limits(), bench.place)
    with pytest.raises(NotReplayable, match=r"cannot be started: /no/such/program: No such file"):
        run_command(Process(["/no/such/program"], bench.work, {}, bench.logs, confinement=how))


@pytest.mark.parametrize("level", LEVELS)
def test_a_working_folder_that_does_not_exist_is_named(bench: Bench, level: Isolation) -> None:
    with pytest.raises(NotReplayable, match=r"the working folder .*/gone: No such file"):
        bench.run(level, "", cwd=bench.work / "gone")


@pytest.mark.parametrize("level", LEVELS)
def test_stdout_and_stderr_come_apart_and_whole(bench: Bench, level: Isolation) -> None:
    outcome = bench.run(level, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert sorted(bench.said()) == ["err", "out"]
    assert (bench.logs / "stderr.log").read_text(encoding="utf-8") == "err\n"
    assert sorted(outcome.last_lines) == ["err", "out"]


@pytest.mark.parametrize("level", LEVELS)
def test_what_the_command_used_is_measured(bench: Bench, level: Isolation) -> None:
    outcome = bench.run(level, "data = bytearray(200 << 20)\nfor n in range(1_000_000): pass")
    assert outcome.peak_memory_bytes > 200 << 20
    assert outcome.user_s > 0


@pytest.mark.parametrize("level", LEVELS)
def test_no_core_is_dumped(bench: Bench, level: Isolation) -> None:
    outcome = bench.run(level, "import os, resource; assert resource.getrlimit(4)[1] == 0; os.abort()")
    assert (outcome.outcome, outcome.exit_code) == ("killed", -signal.SIGABRT)
    assert list(bench.work.iterdir()) == []


@pytest.mark.parametrize("level", [NAMESPACE, LANDLOCK])
def test_no_capability_is_left_and_none_comes_back(bench: Bench, level: Isolation) -> None:
    bench.run(level, "import os; os.execv('/bin/cat', ['cat', '/proc/self/status'])")
    status = dict(line.split(":\t", 1) for line in bench.said() if ":\t" in line)
    assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("level", [NAMESPACE])
def test_a_namespace_has_paths_host_and_user_of_our_choosing(bench: Bench, level: Isolation) -> None:
    fixed = Path("/kfm/a b/work")
    places = (writable(bench.work, fixed), writable(bench.place.path / "home", Path("/home/capture")))
    cell = Cell(
        (*places, *interpreter_places(Path(sys.executable))), bench.place.path / "scratch",
        host="kfm-b", user="capture", home=Path("/home/capture"), uid=1234,
    )  # fmt: skip
    code = (
        "import json, os, pwd, socket, pathlib\npathlib.Path('out').write_text('x'); me = pwd.getpwuid(os.getuid())\n"
        "print(json.dumps([os.getcwd(), socket.gethostname(), me.pw_name, me.pw_dir, os.getuid(), os.getpid(), "
        "open('/etc/hostname').read().strip(), sorted(os.listdir('/kfm')), sorted(os.listdir('/home'))]))"
    )
    outcome = bench.run(level, code, cell=cell, cwd=cell.seen(bench.work))
    assert outcome.outcome == "success", outcome
    assert json.loads(bench.said()[-1]) == [
        "/kfm/a b/work", "kfm-b", "capture", "/home/capture", 1234, 2, "kfm-b", ["a b"], ["capture"],
    ]  # fmt: skip
    assert (bench.work / "out").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("level", [NAMESPACE, LANDLOCK])
@pytest.mark.parametrize("shown", ["place", "system"])
def test_a_hidden_folder_is_not_shown_by_the_folder_it_lies_in(
    bench: Bench, level: Isolation, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("opt/app/data", "opt/app/venv", "opt/tool"):
        (tmp_path / name / "file").parent.mkdir(parents=True)
        (tmp_path / name / "file").write_text(name, encoding="utf-8")
    (tmp_path / "opt/link").symlink_to("app")
    places = [readable(tmp_path / "opt/app/venv")]
    if shown == "system":
        monkeypatch.setattr(system, "_PROGRAMS", (*system._PROGRAMS, str(tmp_path / "opt")))
        # The command's own /tmp would cover this one.
        monkeypatch.setattr(bubblewrap, "TEMPORARY", "/kfm-tmp")
    else:
        places.append(readable(tmp_path / "opt"))
    code = (
        "import sys\nfor name in ('app/data', 'link/data', 'app/venv', 'tool'):\n"
        "    try: print(open(f'{sys.argv[1]}/{name}/file').read())\n"
        "    except OSError: print('hidden')\n"
        "try: open(f'{sys.argv[1]}/app/new', 'w')\nexcept OSError: print('read-only')\n"
    )
    cell = bench.cell(*places, hidden=(tmp_path / "opt/link", tmp_path / "opt/app"))
    bench.run(level, code, str(tmp_path / "opt"), cell=cell)
    assert bench.said() == ["hidden", "hidden", "opt/app/venv", "opt/tool", "read-only"]


def test_a_level_that_cannot_move_paths_says_so(bench: Bench) -> None:
    cell = Cell((writable(bench.work, Path("/kfm/work")),), bench.place.path / "scratch")
    with pytest.raises(NotReplayable, match=r"cannot show .* elsewhere"):
        bench.run(Isolation.AGENT, "", cell=cell)


@pytest.mark.parametrize("level", [NAMESPACE])
def test_local_sockets_work_without_a_network(bench: Bench, level: Isolation) -> None:
    code = (
        "import socket\nwith socket.create_server(('127.0.0.1', 0)) as server:\n"
        "    with socket.create_connection(server.getsockname()) as out: out.send(b'x')\n"
        "    print(server.accept()[0].recv(9), [name for _, name in socket.if_nameindex()])"
    )
    bench.run(level, code)
    assert bench.said()[-1] == "b'x' ['lo']"


@pytest.mark.parametrize("level", LEVELS)
def test_threads_processes_locks_and_pools_work(bench: Bench, level: Isolation) -> None:
    short = new_place()  # a UNIX socket has a short path
    code = (
        "import concurrent.futures as f, multiprocessing as m, operator\n"
        "if __name__ == '__main__':\n"
        "    lock = m.Lock()\n"
        "    with f.ProcessPoolExecutor(2, m.get_context('fork')) as pool, f.ThreadPoolExecutor(4) as more:\n"
        "        sums = sum(pool.map(abs, range(9))), sum(more.map(abs, range(9)))\n"
        "    print(*sums, lock.acquire(), m.Manager().list([1])[0])\n"
    )
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(short.path)}
    try:
        outcome = bench.run(level, code, env=env, cell=bench.cell(writable(short.path)))
    finally:
        short.remove()
    assert bench.said()[-1] == "36 36 True 1", outcome.last_lines


@pytest.mark.parametrize("level", [NAMESPACE])
def test_inputs_are_shown_from_where_they_lie_few_many_and_whole_folders(
    tmp_path: Path, level: Isolation
) -> None:
    bench, source = Bench(tmp_path), tmp_path / "originals"
    whole, mixed = source / "whole", source / "mixed"
    for folder in (whole, mixed):
        folder.mkdir(parents=True)
    sources = {}
    for n in range(150):
        (whole / f"{n}").write_text(f"whole {n}", encoding="utf-8")
        sources[f"data/whole/{n}"] = whole / f"{n}"
    for n in range(20):
        (mixed / f"{n}").write_text(f"mixed {n}", encoding="utf-8")
        sources[f"data/mixed/{n}"] = mixed / f"{n}"
    (mixed / "undeclared").write_text("no", encoding="utf-8")
    arranged = arrange_inputs(sources, bench.work, level, written=["data/mixed/0"])
    assert arranged.copies == ("data/mixed/0",)
    assert len(arranged.mounts) == 20
    code = (
        "import os, pathlib\nd = pathlib.Path('data'); t = [p.read_text() for p in d.rglob('*') if p.is_file()]\n"
        "print(sum(map(len, t)), len(os.listdir(d / 'whole')), "
        "os.path.exists('data/mixed/undeclared'), os.access('data/whole/3', os.W_OK))"
    )
    bench.run(level, code, cell=bench.cell(*arranged.mounts))
    length = sum(len(f"whole {n}") for n in range(150)) + sum(len(f"mixed {n}") for n in range(1, 20))
    assert bench.said()[-1] == f"{length} 150 False False"


def test_below_namespace_and_beyond_a_hundred_single_files_inputs_are_copied(tmp_path: Path) -> None:
    sources = {}
    for n in range(120):
        sources[f"in/{n}"] = tmp_path / f"other{n}"
        sources[f"in/{n}"].write_text("x", encoding="utf-8")
    few = dict(list(sources.items())[:100])
    assert arrange_inputs(sources, tmp_path, Isolation.NAMESPACE).copies == tuple(sorted(sources))
    assert arrange_inputs(few, tmp_path, Isolation.NAMESPACE).copies == ()
    assert arrange_inputs(few, tmp_path, Isolation.LANDLOCK).copies == tuple(sorted(few))


@pytest.mark.parametrize("level", LEVELS)
def test_an_interruption_ends_the_command_in_order_and_everything_it_started(
    tmp_path: Path, level: Isolation
) -> None:
    code = (
        "import os, signal, sys, time, subprocess\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "def heard(number, frame): os.write(1, b'heard %d\\n' % number); sys.exit(5)\n"
        "signal.signal(signal.SIGINT, heard); print('ready', flush=True); time.sleep(600)"
    )
    bench = Bench(tmp_path)
    jail = Jail(
        [sys.executable, "-c", code], bench.work, {}, Confinement(bench.cell(), level, Limits(), bench.place)
    )
    assert jail.stdout is not None
    assert jail.stdout.readline() == b"ready\n"
    jail.stop()
    assert jail.stdout.read() == b"heard 2\n"
    assert jail.stderr is not None
    assert jail.stderr.read() == b""
    jail.stdout.close()
    jail.stderr.close()


@pytest.mark.parametrize("level", LEVELS)
def test_two_commands_at_once_do_not_meet(tmp_path: Path, level: Isolation) -> None:
    seen: dict[int, list[str]] = {}

    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(folder)
        bench.run(level, f"open('out', 'x').write('{number}'); print({number})")
        seen[number] = [*bench.said(), (bench.work / "out").read_text(encoding="utf-8")]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: [str(number)] * 2 for number in range(4)}


@pytest.mark.parametrize("level", [NAMESPACE])
def test_a_cell_that_cannot_be_set_up_is_a_clear_error(bench: Bench, level: Isolation) -> None:
    cell = bench.cell(readable(bench.work, Path("/proc/nowhere")))
    with pytest.raises(NotReplayable, match="isolation could not be set up"):
        bench.run(level, "", cell=cell)
    with pytest.raises(NotReplayable, match=r"does not exist: .*/gone"):
        bench.run(level, "", cell=bench.cell(readable(bench.work / "gone")))


@pytest.mark.parametrize("level", [LANDLOCK])
def test_a_setuid_program_gives_nothing(bench: Bench, level: Isolation) -> None:
    done = bench.run(level, "import os; os.execv('/bin/sh', ['sh', '-c', 'date -s @0 2>&1; id -u'])")
    assert done.outcome == "success"
    assert bench.said()[-1] == str(os.geteuid())
    assert any("not permitted" in line for line in bench.said())


def test_the_supervisor_starts_without_what_is_installed(tmp_path: Path) -> None:
    from kfm_repro.execute.isolate.levels import CONFINE

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(CONFINE), "--probe"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        check=True,
    )
    assert "abi" in json.loads(done.stdout)
    assert Arena.__doc__
