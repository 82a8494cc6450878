"""``main`` called from Python, as a notebook or a test does it: more than once in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from keeping import shelf

from kfm_repro.cli import main


def test_commands_do_not_disturb_one_another_in_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shelf(tmp_path).project.root
    for _ in range(2):
        for command in ("list", "prune"):
            assert main([command, "--root", str(root), "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["command"] == command
