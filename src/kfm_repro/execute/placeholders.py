"""Placeholders of recorded arguments: what they stand for in a replay, and how they are filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from kfm_repro.errors import NotReplayable

__all__ = ["PLACEHOLDER", "Values", "fill", "fill_shell", "folder_of", "input_values"]

PLACEHOLDER = re.compile(r"\{(config|params|outputs|run|root|inputs\.[^{}]+|literal:[^{}]*)\}")

Values = Mapping[str, str | tuple[str, ...]]
"""What each placeholder stands for; a tuple holds what it could mean, and so means nothing."""


def input_values(paths: Iterable[str]) -> dict[str, str | tuple[str, ...]]:
    """Return ``inputs.NAME`` for every input: NAME is its path, its file name, or that without the suffix."""
    named: dict[str, set[str]] = {}
    whole = sorted(set(paths))
    for path in whole:
        for name in (PurePosixPath(path).name, PurePosixPath(path).stem):
            named.setdefault(name, set()).add(path)
    values: dict[str, str | tuple[str, ...]] = {}
    for name, meant in sorted(named.items()):
        values[f"inputs.{name}"] = min(meant) if len(meant) == 1 else tuple(sorted(meant))
    return values | {f"inputs.{path}": path for path in whole}


def folder_of(paths: Iterable[str]) -> str | tuple[str, ...]:
    """Return the folder that all ``paths`` lie in, or all of their folders."""
    folders = sorted({PurePosixPath(path).parent.as_posix() for path in paths})
    return folders[0] if len(folders) == 1 else tuple(folders)


def fill(text: str, values: Values) -> str:
    """Return ``text`` with its placeholders replaced. Raises NotReplayable for one that is unknown or unclear."""
    return PLACEHOLDER.sub(lambda match: _value(match.group(1), values), text)


def fill_shell(line: str, values: Values) -> str:
    """Return a shell command line with its placeholders replaced, each still part of the word that it stood in.

    Raises what ``fill`` raises.
    """
    parts, at, quote = [], 0, ""
    for match in PLACEHOLDER.finditer(line):
        between = line[at : match.start()]
        quote = _quote_after(between, quote)
        parts += [between, _quoted(_value(match.group(1), values), quote)]
        at = match.end()
    return "".join([*parts, line[at:]])


def _value(name: str, values: Values) -> str:
    if name.startswith("literal:"):
        return "{" + name.removeprefix("literal:") + "}"
    value = values.get(name, ())
    if isinstance(value, str):
        return value
    if not value:
        raise NotReplayable(
            f"not replayable: nothing is known for the placeholder {{{name}}}",
            hint="inputs are named by file name, with or without its suffix, or by path: {inputs.census_1900}",
        )
    raise NotReplayable(
        f"not replayable: the placeholder {{{name}}} is ambiguous: {' and '.join(value[:3])}",
        hint="name an input by its path: {inputs.data/raw/a.csv}; {outputs} needs outputs in one folder",
    )


def _quote_after(text: str, quote: str) -> str:
    """Return in which quotes a shell is after ``text``: ``'``, ``"``, or none."""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
    return quote


def _quoted(value: str, quote: str) -> str:
    """Return a value as a shell reads it back where it stands in ``quote``."""
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", value)
    return shlex.quote(value)
