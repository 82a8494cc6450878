"""The name of a pipeline: as given, else taken from what the command runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kfm_repro.errors import UsageError
from kfm_repro.execute.command import is_python
from kfm_repro.runs.paths import is_safe_component

__all__ = ["pipeline_name"]

_SHELLS = frozenset(("sh", "bash", "dash", "ksh", "zsh"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class _Wrapper:
    """A program that runs another one: which of its options take a value, how many words come before the command."""

    valued: str = ""
    positional: int = 0


_WRAPPERS: Mapping[str, _Wrapper] = {
    "env": _Wrapper("uC"),
    "ionice": _Wrapper("cn"),
    "nice": _Wrapper("n"),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(),
    "stdbuf": _Wrapper("ioe"),
    "time": _Wrapper("fo"),
    "timeout": _Wrapper("ks", 1),
}


def pipeline_name(given: str, command: Sequence[str]) -> str:
    """Return the name of the pipeline that ``command`` is: the ``given`` one, else that of its script or module.

    Code on the command line has no name. A name that begins with a dot would be hidden, as the folders of
    kfm-repro itself among the runs are. Raises UsageError.
    """
    name = given or _suggested(command)
    if not name:
        raise UsageError("the command suggests no name for the pipeline", hint="give one: --pipeline NAME")
    if not is_safe_component(name) or name.startswith("."):
        raise UsageError(
            f"a pipeline cannot be called {name!r}: it names a folder of the runs, and a dot hides kfm-repro's own",
            hint="give it a name of letters, digits, '_' and '-': --pipeline NAME",
        )
    return name


def _suggested(command: Sequence[str]) -> str:
    words = _unwrapped(list(command))
    if not words:
        return ""
    program, rest = PurePosixPath(words[0]).name, words[1:]
    if is_python(program):
        return _of_python(rest)
    if program in _SHELLS:
        options, rest = _split(rest, "oO")
        code = any(word.startswith("-") and not word.startswith("--") and "c" in word for word in options)
        return PurePosixPath(rest[0]).stem if rest and not code else ""
    if program == "papermill":
        return _of_notebook(rest)
    if program == "make":
        targets = [word for word in _split(rest, "CfIo")[1] if not _ASSIGNMENT.match(word)]
        return PurePosixPath(targets[0]).stem if targets else program
    return PurePosixPath(program).stem


def _unwrapped(words: list[str]) -> list[str]:
    """Return a command without the programs in front that only say how another one runs."""
    while words and (wrapper := _WRAPPERS.get(PurePosixPath(words[0]).name)) is not None:
        is_env = PurePosixPath(words[0]).name == "env"
        rest = _split(words[1:], wrapper.valued)[1][wrapper.positional :]
        while is_env and rest and _ASSIGNMENT.match(rest[0]):
            rest = rest[1:]
        if not rest:
            break
        words = rest
    return words


def _split(words: Sequence[str], valued: str) -> tuple[list[str], list[str]]:
    """Split the options in front from the rest; an option letter in ``valued`` takes what follows it."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word = words[at]
        at += 1
        if word == "--":
            break
        # The last letter of a group takes the next word: what follows a letter inside of it is its value.
        first = next((n for n, letter in enumerate(word[1:], 1) if letter in valued), 0)
        if not word.startswith("--") and first == len(word) - 1:
            at += 1
    return list(words[:at]), list(words[at:])


def _of_python(words: Sequence[str]) -> str:
    """Return the script's name, or the last part of the module's; none of code and of standard input."""
    for at, word in enumerate(words):
        if word.startswith("-") and not word.startswith("--"):
            letters = re.match(r"-([^cmWX]*)([cmWX]?)(.*)", word, re.DOTALL)
            kind, value = (letters[2], letters[3]) if letters and word != "-" else ("c", "")
            after = words[at + (0 if value else 1) :]
            if kind == "c":
                return ""
            if kind == "m":
                return _of_module(value or (after[0] if after else ""), after[1:])
            if kind and not value:
                return _of_python(after[1:])
        elif not word.startswith("--"):
            return PurePosixPath(word).stem
    return ""


def _of_module(name: str, arguments: Sequence[str]) -> str:
    return _of_notebook(arguments) if name == "papermill" else name.rpartition(".")[2]


def _of_notebook(arguments: Sequence[str]) -> str:
    books = [word for word in arguments if word.endswith(".ipynb")]
    return PurePosixPath(books[0]).stem if books else "papermill"
