"""Progress on stderr: a moving line on a terminal, plain lines everywhere else, silence when asked for."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

CODE = """
from kfm_repro.cli.progress import working
with working("replaying [red]x[/red]\\u202e", 3, loud={loud}) as begin:
    for number in (1, 2, 3):
        begin(number)
"""


def on_terminal(**extra: str) -> bytes:
    """Return what a terminal gets."""
    main, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "CI": "", **extra}
    subprocess.run([sys.executable, "-c", CODE.format(loud=True)], env=environ, stderr=terminal, check=True)
    os.close(terminal)
    said = b""
    try:
        while chunk := os.read(main, 65_536):
            said += chunk
    except OSError:
        pass
    os.close(main)
    return said


def test_a_terminal_gets_a_line_that_moves_and_goes() -> None:
    said = on_terminal()
    assert b"3 of 3" in said
    assert b"[red]x" in said
    assert "\u202e".encode() not in said
    assert b"\x1b[2K" in said


def test_a_terminal_without_utf_8_gets_signs_that_it_has() -> None:
    said = on_terminal(PYTHONIOENCODING="ascii")
    assert said.isascii()
    assert b"\\u28" not in said
    assert b"3 of 3" in said


@pytest.mark.parametrize("extra", [{"CI": "true"}, {"TERM": "dumb"}])
def test_ci_and_dumb_terminals_get_plain_lines(extra: dict[str, str]) -> None:
    said = on_terminal(**extra)
    assert said.count(b"\r\n") == 3
    assert b"\x1b" not in said


def test_a_pipe_gets_plain_lines_and_quiet_nothing() -> None:
    for loud, lines in ((True, 3), (False, 0)):
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(loud=loud)], capture_output=True, text=True, check=True
        )
        assert len(done.stderr.splitlines()) == lines
        assert done.stdout == ""
