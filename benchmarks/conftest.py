"""The promises that are measured here: ratios taken in one run, asserted, and printed in a table at the end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest

_ROWS: list[tuple[str, str, str, str, str]] = []


class Promise(Protocol):
    """States what was measured; fails the benchmark when it is beyond its limit."""

    def __call__(
        self, what: str, measured: float, *, at_most: float = 0, at_least: float = 0, detail: str = ""
    ) -> None: ...


@pytest.fixture
def promise() -> Promise:
    """Return the function that notes a measured value in the table and holds it against its limit."""

    def state(
        what: str, measured: float, *, at_most: float = 0, at_least: float = 0, detail: str = ""
    ) -> None:
        kept = measured <= at_most if at_most else measured >= at_least
        limit = f"≤ {at_most:g}" if at_most else f"≥ {at_least:g}"
        _ROWS.append((what, f"{measured:.2f}", limit, "" if kept else "BROKEN", detail))
        assert kept, f"{what}: {measured:.2f}, promised {limit}"

    return state


@pytest.fixture(scope="session")
def scale() -> int:
    """Return how many times larger than usual everything is: ``make bench-full`` says 10."""
    return int(os.environ.get("KFM_BENCH_SCALE", "1"))


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.fixture(scope="session")
def timed() -> Callable[[Callable[[], object]], float]:
    """Return the function that times a call."""
    return seconds


@pytest.fixture(scope="session")
def run() -> Callable[..., float]:
    """Return the function that runs a command, which must succeed, and times it."""

    def timed_command(argv: Sequence[str], **options: Any) -> float:  # noqa: ANN401 - handed on
        return seconds(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **options))

    return timed_command


def pytest_terminal_summary(terminalreporter: Any) -> None:  # noqa: ANN401 - pytest's own
    """Print the table."""
    if not _ROWS:
        return
    terminalreporter.section("promises")
    widths = [max(len(row[column]) for row in _ROWS) for column in range(4)]
    for what, measured, limit, broken, detail in _ROWS:
        cells = (
            what.ljust(widths[0]),
            measured.rjust(widths[1]),
            limit.ljust(widths[2]),
            broken.ljust(widths[3]),
        )
        terminalreporter.write_line("  ".join((*cells, detail)).rstrip())
