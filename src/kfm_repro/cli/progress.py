"""Progress of long work: a moving line on a terminal, a plain line per step everywhere else; always on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kfm_repro.cli.output import progress

__all__ = ["moves", "working"]


def moves() -> bool:
    """Return whether stderr is a terminal on which a line may move."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


@contextmanager
def working(what: str, steps: int, *, loud: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that hears the number of each step as it begins, from 1; ``loud=False`` says nothing."""
    from kfm_repro.present.visible import visible

    if not loud:
        yield lambda _: None
    elif moves():
        with _bar(visible(what, 200), steps) as begin:
            yield begin
    else:
        yield lambda number: progress(_step(visible(what, 200), number, steps))


def _step(what: str, number: int, steps: int) -> str:
    return what + (f", {number} of {steps}" if steps > 1 else "")


@contextmanager
def _bar(what: str, steps: int) -> Iterator[Callable[[int], None]]:
    """Show what is being done, how long it has taken, and of several steps how many are done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    dots = (sys.stderr.encoding or "").lower().startswith("utf")
    columns = [
        SpinnerColumn("dots" if dots else "line"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    ]
    if steps > 1:
        columns.insert(2, BarColumn(bar_width=24))
    console = Console(stderr=True, no_color=True if os.environ.get("NO_COLOR") else None, highlight=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(what), total=steps)

        def begin(number: int) -> None:
            bar.update(task, description=escape(_step(what, number, steps)), completed=number - 1)

        yield begin
