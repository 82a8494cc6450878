"""Lines of styled text: plain for a pipe, coloured for a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

__all__ = ["Line", "plural", "to_text"]

Line = list[tuple[str, str]]
"""Pieces of one line, each with a style of rich; an empty style is plain."""


def plural(count: int, word: str) -> str:
    """Return a count with its word: ``1 output``, ``2 outputs``."""
    return f"{count} {word}{'s' * (count != 1)}"


def to_text(lines: Sequence[Line], *, color: bool) -> str:
    """Return the lines as text that ends with a newline. rich is imported only for colours."""
    if not color:
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)
    from rich.console import Console
    from rich.text import Text

    target = io.StringIO()
    console = Console(
        file=target, force_terminal=True, color_system="standard", width=10_000, highlight=False
    )
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)
    return target.getvalue()
