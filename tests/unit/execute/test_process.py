"""Running a command: logged, bounded, ended with everything it started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.process import Outcome, Process, run_command


def run(tmp_path: Path, code: str, timeout_s: float | None = 60) -> Outcome:
    process = Process(
        argv=[sys.executable, "-c", code],
        cwd=tmp_path,
        env=dict(os.environ),
        logs=tmp_path,
        timeout_s=timeout_s,
    )
    return run_command(process)


def events(tmp_path: Path) -> list[dict[str, str]]:
    return [
        json.loads(line) for line in (tmp_path / "pipeline.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def process_state(pid: int) -> str:
    """Return the state letter of a process, empty when there is none: a kill takes a moment to be carried out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_every_line_is_logged_with_its_stream(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import sys; print('one', flush=True); print('two', file=sys.stderr)")
    assert (outcome.outcome, outcome.exit_code) == ("success", 0)
    logged = {(event["stream"], event["level"], event["text"]) for event in events(tmp_path)}
    assert logged == {("stdout", "info", "one"), ("stderr", "error", "two")}
    assert (tmp_path / "stderr.log").read_text(encoding="utf-8") == "two\n"


def test_a_flood_keeps_head_and_tail_and_says_what_was_left_out(tmp_path: Path) -> None:
    run(tmp_path, "for n in range(200_000): print('line', n)")
    logged = events(tmp_path)
    assert logged[0]["text"] == "line 0"
    assert logged[-1]["text"] == "line 199999"
    assert any("left out" in event["text"] for event in logged)
    assert (tmp_path / "pipeline.jsonl").stat().st_size < 8 << 20


def test_output_that_is_no_text_is_no_error(tmp_path: Path) -> None:
    outcome = run(tmp_path, r"import sys; sys.stdout.buffer.write(b'\xff\x00\x1b[0m' + b'x' * 200_000)")
    assert outcome.outcome == "success"
    assert "\ufffd" in events(tmp_path)[0]["text"]


def test_a_failure_keeps_its_last_lines(tmp_path: Path) -> None:
    outcome = run(tmp_path, "raise SystemExit('the disk is a teapot')")
    assert (outcome.outcome, outcome.exit_code) == ("failed", 1)
    assert outcome.last_lines == ("the disk is a teapot",)


def test_a_timeout_ends_the_command_and_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pids', 'w').write(str(child.pid)); time.sleep(600)\n"
    )
    outcome = run(tmp_path, code, timeout_s=2)
    assert outcome.outcome == "timeout"
    child = int((tmp_path / "pids").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 60
    while process_state(child) not in ("", "Z"):
        assert time.monotonic() < deadline, "the child of the command lives on"
        os.sched_yield()


def test_a_daemon_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\nprint('done')\n"
    )
    outcome = run(tmp_path, code, timeout_s=300)
    assert outcome.outcome == "success"
    assert outcome.duration_s < 60


def test_a_program_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotReplayable, match="cannot be started"):
        run_command(Process(argv=["/no/such/program"], cwd=tmp_path, env={}, logs=tmp_path, timeout_s=60))


def test_a_line_that_names_its_level_has_it(tmp_path: Path) -> None:
    run(
        tmp_path,
        "import logging, sys; logging.basicConfig(level='DEBUG', format='%(asctime)s %(levelname)s %(message)s')\n"
        "logging.debug('d'); logging.warning('w'); logging.critical('c'); print('INFORMATION', file=sys.stderr)",
    )
    assert [event["level"] for event in events(tmp_path)] == ["debug", "warning", "critical", "error"]


def test_a_flood_of_stderr_keeps_head_and_tail_there_too(tmp_path: Path) -> None:
    run(tmp_path, "import sys\nfor n in range(600_000): sys.stderr.write(f'line number {n}\\n')")
    lines = (tmp_path / "stderr.log").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("line number 0", "line number 599999")
    (notice,) = (line for line in lines if line.startswith("[kfm-repro]"))
    assert len(lines) - 1 + int(notice.split()[1]) == 600_000
    assert (tmp_path / "stderr.log").stat().st_size < 7 << 20


def test_what_was_used_is_measured_of_the_command_alone(tmp_path: Path) -> None:
    # In a process of its own: what a command is forked from counts until it has started.
    code = (
        "import json, os, sys\nfrom pathlib import Path\nfrom kfm_repro.execute.process import Process, run_command\n"
        "made = []\nfor body in ('data = bytearray(300 << 20)\\nfor n in range(2_000_000): pass', 'pass'):\n"
        "    here = Path()\n"
        "    process = Process(argv=[sys.executable, '-c', body], cwd=here, env=dict(os.environ), logs=here)\n"
        "    outcome = run_command(process)\n    made.append([outcome.peak_memory_bytes, outcome.user_s])\n"
        "print(json.dumps(made))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    heavy, light = json.loads(done.stdout)
    assert heavy[0] > 300 << 20 > light[0]
    assert heavy[1] > light[1]


@pytest.mark.parametrize("own_group", [True, False])
def test_an_interruption_between_the_end_of_the_command_and_our_note_of_it_is_still_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, own_group: bool
) -> None:
    real, interrupted = os.wait4, []

    def wait4(pid: int, options: int) -> object:
        ended = real(pid, options)
        if ended[0] and not interrupted:
            interrupted.append(ended)
            raise KeyboardInterrupt
        return ended

    monkeypatch.setattr(os, "wait4", wait4)
    process = Process([sys.executable, "-c", ""], tmp_path, dict(os.environ), tmp_path, own_group=own_group)
    with pytest.raises(KeyboardInterrupt):
        run_command(process)
    assert interrupted


def test_other_children_of_this_process_are_neither_taken_for_the_commands_nor_ended(tmp_path: Path) -> None:
    started = []

    class Other(Process):
        """Starts a process of somebody else while the command is being started."""

        def __getattribute__(self, name: str) -> object:
            if name == "argv" and not started:
                started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
            return super().__getattribute__(name)

    outcome = run_command(
        Other([sys.executable, "-c", ""], tmp_path, {**os.environ, "KFM_RUN_DIR": str(tmp_path)}, tmp_path)
    )
    (other,) = started
    try:
        assert outcome.left.programs == ()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_rule_24_what_a_failed_command_said_last_is_without_secrets(tmp_path: Path) -> None:
    said = "echo first; echo '403 for https://h/x?token=Zq8Lw3Rt9Kd7' >&2; exit 3"
    done = run_command(
        Process(argv=["/bin/sh", "-c", said], cwd=tmp_path, env={}, logs=tmp_path, timeout_s=60)
    )
    assert done.exit_code == 3
    assert sorted(done.last_lines) == ["403 for https://h/x?token=[redacted: url-token]", "first"]


def test_a_command_that_says_nothing_has_no_last_lines(tmp_path: Path) -> None:
    done = run_command(Process(argv=["/bin/true"], cwd=tmp_path, env={}, logs=tmp_path, timeout_s=60))
    assert done.last_lines == ()
