"""``main`` called from Python, as a notebook or a test does it: more than once in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from keeping import shelf
from workshop import REPOSITORY

from kfm_repro.cli import main
from kfm_repro.cli.group import cli


def test_commands_do_not_disturb_one_another_in_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shelf(tmp_path).project.root
    for _ in range(2):
        for command in ("list", "prune"):
            assert main([command, "--root", str(root), "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["command"] == command


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_reader_that_has_gone_is_no_fault_of_ours_and_never_exit_1(tmp_path: Path, *, both: bool) -> None:
    root = shelf(tmp_path).project.root
    program = Path(sys.executable).with_name("kfm-repro")
    for args in (
        ["list", "--root", str(root)],
        ["list", "--json", "--root", str(root)],
        ["doctor", "--help"],
    ):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [program, *args], stdout=writing, stderr=writing if both else subprocess.PIPE, check=False
        )
        os.close(writing)
        assert done.returncode in (0, 2), args
        assert not done.stderr, done.stderr


def test_without_a_command_the_help_comes_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err[:6]) == ("", "Usage:")
    assert "replay" in said.err


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_the_page_on_the_command_line_has_every_command_and_option(name: str) -> None:
    page = (REPOSITORY / "docs/cli.md").read_text(encoding="utf-8")
    assert f"(#{name})" in page
    _, _, section = page.partition(f"\n## {name}\n")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    options = {option for item in command.params if isinstance(item, click.Option) for option in item.opts}
    told = section.partition("\n## ")[0]
    assert sorted(option for option in options if option.startswith("--") and f"`{option}" not in told) == []
    _, _, missing = page.partition("\n## Not yet\n")
    assert f"`{name}`" not in missing


@pytest.mark.parametrize(
    ("args", "code", "said"), [(["--version"], 0, "kfm-repro"), (["diff", "a", "b"], 2, "no such file")]
)
def test_the_process_ends_with_its_exit_code_behind_all_who_wait_for_its_end(
    tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    program = (
        "import atexit, sys, threading, kfm_repro.cli as cli\n"
        "main = cli.main\n"
        "def waited_for():\n"
        "    atexit.register(print, 'last words')\n"
        "    threading.Timer(0.1, print, ['a thread']).start()\n"
        "    return main()\n"
        "cli.main = waited_for\n"
        "cli.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["a thread", "last words"]
