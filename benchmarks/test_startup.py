"""Start-up against its floor: a bare ``import click`` in the same run, taken in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROUNDS = 15
_LIMIT = 2.5
"""``--help`` may take this many times ``import click``."""


def _seconds(*argv: str) -> float:
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def test_help_against_a_bare_import_of_click(benchmark: Callable[..., Any], capsys: Any) -> None:  # noqa: ANN401
    program = str(Path(sys.executable).with_name("kfm-repro"))
    pairs = [
        (_seconds(program, "--help"), _seconds(sys.executable, "-c", "import click")) for _ in range(_ROUNDS)
    ]
    ratio = statistics.median(ours / floor for ours, floor in pairs)
    benchmark(_seconds, program, "--help")
    with capsys.disabled():
        floor = statistics.median(floor for _, floor in pairs)
        print(f"\n--help / import click: {ratio:.2f} (limit {_LIMIT}; import click {floor * 1000:.0f} ms)")  # noqa: T201
    assert ratio <= _LIMIT
