"""The preloaded library, from C: every function that it stands before, pinned, varied and left alone."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from preloading import Run

from kfm_repro.execute.perturb.agent import AgentSetting, Kind, Order, build_agent
from kfm_repro.execute.perturb.agent.build import compile_agent, compiler

T = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
ORDERED = ("readdir", "rewinddir", "readdir_r", "scandir", "glob", "fts", "nftw", "getdents64")


def test_a_frozen_clock_stands_still_for_every_function(run: Run, driver: Path) -> None:
    values = run(AgentSetting(clock_frozen_at=T), driver, "clocks").values
    assert values.pop("monotonic_off") == "0"
    assert len(values) >= 7
    assert {float(value) for value in values.values()} == {1_700_000_000.0}


def test_a_shifted_clock_is_as_far_away_as_asked_for_and_goes_on(run: Run, driver: Path) -> None:
    before = time.time() + timedelta(days=464).total_seconds()
    values = run(AgentSetting(clock_shift=timedelta(days=464)), driver, "clocks").values
    after = time.time() + timedelta(days=464).total_seconds()
    assert values.pop("monotonic_off") == "0"
    assert all(before - 2 <= float(value) <= after + 2 for value in values.values())


def test_nothing_is_changed_where_nothing_is_asked_for(run: Run, driver: Path, folder: Path) -> None:
    before = time.time()
    seen = run(AgentSetting(), driver, "clocks").values
    assert before - 2 <= float(seen["time"]) <= time.time() + 2
    assert (
        run(AgentSetting(), driver, "entropy").values["getrandom"]
        != run(AgentSetting(), driver, "entropy").values["getrandom"]
    )
    bare = subprocess.run([driver, "machine"], capture_output=True, text=True, check=True).stdout
    assert run(AgentSetting(), driver, "machine").out == bare
    bare = subprocess.run([driver, "listings", folder], capture_output=True, text=True, check=True).stdout
    assert run(AgentSetting(), driver, "listings", folder).out == bare


def test_a_loop_that_waits_for_the_frozen_clock_ends(run: Run, driver: Path) -> None:
    assert run(AgentSetting(clock_frozen_at=T), driver, "spin").values == {"spun": "1"}


@pytest.mark.parametrize(
    "setting",
    [AgentSetting(clock_frozen_at=T), AgentSetting(clock_shift=timedelta(days=464)), AgentSetting()],
    ids=["frozen", "shifted", "real"],
)
def test_a_deadline_on_a_moved_clock_is_neither_at_once_nor_never(
    run: Run, driver: Path, setting: AgentSetting
) -> None:
    assert set(run(setting, driver, "waits").values.values()) == {"1 1"}


def test_seeded_entropy_is_the_same_twice_and_never_twice_the_same_value(run: Run, driver: Path) -> None:
    first = run(AgentSetting(entropy_seed=11), driver, "entropy").values
    again = run(AgentSetting(entropy_seed=11), driver, "entropy").values
    other = run(AgentSetting(entropy_seed=12), driver, "entropy").values
    fixed = {name: first.pop(name) for name in ("device_0", "device_1", "zero_0", "zero_1")}
    assert fixed == {"device_0": "1", "device_1": "1", "zero_0": "0" * 16, "zero_1": "0" * 16}
    assert {"getrandom", "getentropy", "syscall_getrandom", "random_device", "mkdtemp", "mkstemps"} <= set(
        first
    )
    assert len(set(first.values())) == len(first)
    assert all(again[name] == value for name, value in first.items())
    assert all(other[name] != value for name, value in first.items())


def test_forked_processes_have_streams_of_their_own_that_repeat(run: Run, driver: Path) -> None:
    first = run(AgentSetting(entropy_seed=11), driver, "forks").values
    assert len(set(first.values())) == 3
    assert run(AgentSetting(entropy_seed=11), driver, "forks").values == first


def test_two_processes_with_the_same_command_line_have_different_streams(run: Run) -> None:
    line = "for i in 1 2 3; do head -c 8 /dev/urandom | od -An -tx1; done"
    first = run(AgentSetting(entropy_seed=11), "/bin/sh", "-c", line).out
    assert len(set(first.splitlines())) == 3
    assert run(AgentSetting(entropy_seed=11), "/bin/sh", "-c", line).out == first


@pytest.mark.parametrize("order", [Order.SORTED, Order.REVERSED, Order.SHUFFLED])
def test_every_way_to_list_a_folder_gives_the_order_asked_for(
    run: Run, driver: Path, folder: Path, order: Order
) -> None:
    values = run(AgentSetting(order=order, order_seed=3), driver, "listings", folder).values
    assert values["seekdir"] == "1"
    seen = {name: [part for part in values[name].split() if part not in {".", ".."}] for name in ORDERED}
    names = sorted(path.name for path in folder.iterdir())
    wanted = {Order.SORTED: names, Order.REVERSED: names[::-1], Order.SHUFFLED: seen["readdir"]}[order]
    assert all(listed == wanted for listed in seen.values())
    if order is Order.SHUFFLED:
        assert wanted not in (names, names[::-1])
        assert sorted(wanted) == names
        other = run(AgentSetting(order=order, order_seed=4), driver, "listings", folder).values
        assert other["readdir"] != values["readdir"]


def test_the_machine_is_what_it_is_told_to_be(run: Run, driver: Path) -> None:
    values = run(AgentSetting(host="box-1.example", cpus=7, memory_pages=1000), driver, "machine").values
    values.pop("page_size")
    hosts = {values.pop(name) for name in ("gethostname", "uname", "syscall_uname", "etc_hostname")}
    assert hosts == {"box-1.example"}
    assert values.pop("gethostname_short") == "-1 1"
    assert values.pop("sys_online") == "0-6"
    assert {values.pop("pages"), values.pop("sysinfo")} == {"1000"}
    assert set(values.values()) == {"7"}
    assert len(values) == 7


def test_every_way_to_start_a_program_takes_the_agent_along(run: Run, driver: Path) -> None:
    ran = run(AgentSetting(clock_frozen_at=T), driver, "programs")
    lines = ran.out.splitlines()
    assert lines[0] == "preload 0"  # what it was started with is not seen
    assert lines.count("child-x 1700000000") == 6
    assert lines[-4:] == ["system 1700000000", "system 3", "popen 1700000000", "pclose 0"]


def test_another_preloaded_library_stays_where_it_was(run: Run) -> None:
    line = "echo ${LD_PRELOAD-none}; LD_PRELOAD=libc.so.6 /bin/sh -c 'echo $LD_PRELOAD; date +%s'"
    out = run(AgentSetting(clock_frozen_at=T), "/bin/sh", "-c", line).out
    assert out.splitlines() == ["none", "libc.so.6", "1700000000"]


def test_forks_among_busy_threads_never_hang(run: Run, driver: Path, folder: Path) -> None:
    setting = AgentSetting(clock_frozen_at=T, entropy_seed=1, order=Order.SORTED, thread_seed=1, cpus=3)
    ran = run(setting, driver, "stress", folder, "200")
    assert ran.out == "stress 0\n"
    # 8 threads and 200 children looked for what is not there: every one of them got its line.
    missing = {event.process for event in ran.events if event.text.endswith("not-there-19")}
    assert len(missing) == 201


def test_the_log_outlives_a_command_that_closes_everything_and_never_writes_elsewhere(
    run: Run, driver: Path, folder: Path
) -> None:
    ran = run(AgentSetting(), driver, "close", folder)
    assert ran.values == {"mine": "0"}
    assert [event.error for event in ran.events if event.text.endswith("after-closing")] == [2]


def test_a_limit_on_file_size_does_not_end_the_command(run: Run, driver: Path) -> None:
    assert run(AgentSetting(), driver, "limit").values == {"alive": "1"}


def test_the_log_stops_at_its_bound_and_says_so(run: Run, driver: Path, folder: Path) -> None:
    ran = run(AgentSetting(log_bytes=20_000), driver, "stress", folder, "20")
    assert (ran.prepared.folder / "log/events").stat().st_size < 25_000
    assert ran.events[-1].kind is Kind.NOTE
    assert ran.events[-1].how == "full"


def test_without_observation_nothing_is_written(run: Run, driver: Path) -> None:
    ran = run(AgentSetting(clock_frozen_at=T, observe=False), driver, "clocks")
    assert ran.values["time"] == "1700000000"
    assert (ran.events, (ran.prepared.folder / "log/events").stat().st_size) == ((), 0)


def test_a_static_program_is_named_as_one_that_cannot_be_covered(run: Run, tmp_path: Path) -> None:
    source, program = tmp_path / "s.c", tmp_path / "static"
    source.write_text("int main(void) { return 0; }")
    command = compiler(os.environ)
    if (
        command is None
        or subprocess.run([*command, "-static", "-o", program, source], check=False).returncode != 0
    ):
        pytest.skip("no static C library")
    ran = run(AgentSetting(), "/bin/sh", "-c", f"{program}; true")
    assert [(event.how, event.kind) for event in ran.events if event.text == str(program)] == [
        ("static", Kind.EXEC)
    ]


def test_threads_start_late_when_asked_to(run: Run, python: str) -> None:
    line = (
        "import threading, time\nwaits = []\nfor _ in range(21):\n"
        "    begun = []; start = time.monotonic()\n"
        "    t = threading.Thread(target=lambda: begun.append(time.monotonic())); t.start(); t.join()\n"
        "    waits.append(begun[0] - start)\nprint('median', sorted(waits)[10])"
    )
    assert float(run(AgentSetting(thread_seed=5), python, "-c", line).values["median"]) > 0.0005


def test_the_library_is_built_from_its_sources_and_the_same_twice(tmp_path: Path) -> None:
    if compiler(os.environ) is None:
        pytest.skip("no C compiler")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert compile_agent(tmp_path / name / "x.so").reason == ""
    assert (tmp_path / "a/x.so").read_bytes() == (tmp_path / "b/x.so").read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.so"]


def test_without_a_compiler_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfm_repro.execute.perturb.agent.build.PREBUILT", tmp_path / "none")
    built = build_agent(tmp_path / "cache", {"PATH": str(tmp_path)})
    assert built.library is None
    assert built.reason == "there is no C compiler (cc, gcc or clang)"
    built = build_agent(tmp_path / "cache", {"PATH": "/bin:/usr/bin", "CC": "false"})
    assert built.library is None
    assert "refused" in built.reason
    assert list((tmp_path / "cache").glob("*/*")) == []
