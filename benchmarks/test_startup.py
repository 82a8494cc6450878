"""Start-up against its floor: a bare ``import click`` in the same run, taken in turn."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROUNDS = 15


def test_help_against_a_bare_import_of_click(
    benchmark: Callable[..., Any], run: Callable[..., float], promise: Callable[..., None]
) -> None:
    ours = (str(Path(sys.executable).with_name("kfm-repro")), "--help")
    floor = (sys.executable, "-c", "import click")
    pairs = [(run(ours), run(floor)) for _ in range(_ROUNDS)]
    benchmark.pedantic(run, (ours,), rounds=3)  # type: ignore[attr-defined]
    bare = statistics.median(floor for _, floor in pairs)
    ratio = statistics.median(ours / floor for ours, floor in pairs)
    promise("--help / import click", ratio, at_most=2.5, detail=f"import click {bare * 1000:.0f} ms")
