"""Lines of styled text: plain for a pipe, coloured for a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

__all__ = ["Line", "inert", "plural", "to_text", "wrapped"]

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_COMMAND = re.compile(r"^(\s*)::|##\[")
"""Where GitHub Actions takes a line of a log for a command: ``::`` at its beginning, ``##[`` anywhere."""
_NARROWEST = 20
_HANGING = 4

Line = list[tuple[str, str]]
"""Pieces of one line, each with a style of rich; an empty style is plain."""


def plural(count: int, word: str) -> str:
    """Return a count with its word: ``1 output``, ``2 outputs``."""
    return f"{count} {word}{'s' * (count != 1)}"


def to_text(lines: Sequence[Line], *, color: bool) -> str:
    """Return the lines as text that ends with a newline. rich is imported only for colours.

    No line is one that the log of a CI job takes for a command.
    """
    if not color:
        return "".join(inert("".join(text for text, _ in line).rstrip()) + "\n" for line in lines)
    from rich.console import Console
    from rich.text import Text

    target = io.StringIO()
    console = Console(
        file=target, force_terminal=True, color_system="standard", width=10_000, highlight=False
    )
    for line in lines:
        console.print(Text.assemble(*_inert_pieces(line)), soft_wrap=True)
    return target.getvalue()


def _inert_pieces(line: Line) -> Iterator[tuple[str, str]]:
    begun = False
    for text, style in line:
        yield (inert(f".{text}")[1:] if begun else inert(text)), style
        begun = begun or bool(text.strip())


def inert(line: str) -> str:
    """Return a line that no log takes for a command: a backslash stands where one would begin."""
    return _COMMAND.sub(lambda found: "#\\#[" if found[1] is None else f"{found[1]}\\::", line)


def wrapped(text: str, width: int) -> str:
    """Return text whose lines are broken between words where they are wider than ``width`` columns.

    What follows is indented a little more than its line. A word that is wider, such as a path, stays whole: a terminal
    breaks it, and it can still be copied. Colours take no columns, wide characters take two.
    """
    if width < _NARROWEST:
        return text
    return "".join(
        f"{piece}\n"
        for line in text.removesuffix("\n").split("\n")
        for piece in ([line] if _columns(line) <= width else _broken(line, width))
    )


def _broken(line: str, width: int) -> Iterator[str]:
    indent = len(line) - len(line.lstrip(" "))
    hanging = " " * min(indent + _HANGING, width // 2)
    current, begun = " " * indent, False
    for gap, word in re.findall(r"( *)([^ ]+)", line[indent:]):
        if begun and _columns(current) + len(gap) + _columns(word) > width:
            yield current
            current = hanging + word
        else:
            current += gap + word
        begun = True
    yield current


def _columns(text: str) -> int:
    plain = _STYLE.sub("", text)
    if plain.isascii():
        return len(plain)
    from rich.cells import cell_len

    return cell_len(plain)
