"""From a recorded entrypoint to the argument list that runs, and from a command line to an entrypoint."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.errors import NotReplayable
from kfm_repro.model.run import Pipeline
from kfm_repro.runs.paths import inside

__all__ = [
    "Entrypoint",
    "build_command",
    "describe_command",
    "is_python",
    "portable",
    "root_spellings",
    "working_folder",
]

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z")
_PYTHON = re.compile(r"python(3(\.\d+)?)?\Z")
_PLACEHOLDER = re.compile(r"\{(config|params|outputs|run|root|inputs\.[^{}]+|literal:[^{}]*)\}")
_CALL = (
    "import importlib, inspect, json, os, sys; sys.path.insert(0, os.getcwd()); "
    "name, _, function = sys.argv[1].partition(':'); call = getattr(importlib.import_module(name), function); "
    "path = os.environ.get('KFM_PARAMS'); params = json.load(open(path, encoding='utf-8')) if path else {}; "
    "sys.argv = [sys.argv[1], *sys.argv[2:]]; "
    "sys.exit(call(**params) if inspect.signature(call).parameters and params else call())"
)


@dataclass(frozen=True)
class Entrypoint:
    """A command line as run.yaml records it."""

    entrypoint: str
    args: tuple[str, ...] = ()


def is_python(program: str) -> bool:
    """Return whether a program name is some Python: ``python``, ``python3``, ``/x/bin/python3.12``."""
    return bool(_PYTHON.match(PurePosixPath(program).name))


def describe_command(argv: Sequence[str], root: Path) -> Entrypoint:
    """Return how run.yaml names a command line: a script, a module, a make target, or the line verbatim.

    Paths below the project ``root`` become relative to it: a replay must not reach back into the project.
    """
    program, rest = argv[0], tuple(portable(word, root) for word in argv[1:])
    if is_python(program) and rest:
        script = rest[0].removeprefix("{root}/")
        if script.endswith(".py") and not PurePosixPath(script).is_absolute():
            return Entrypoint(script, rest[1:])
        if rest[0] == "-m" and len(rest) > 1 and _MODULE.match(rest[1]):
            return Entrypoint(rest[1], rest[2:])
    if (
        program == "make"
        and len(rest) == 1
        and re.match(r"[\w.-]+\Z", rest[0])
        and not rest[0].startswith("-")
    ):
        return Entrypoint(f"make:{rest[0]}")
    words = [portable(program, root), *rest] if program.startswith("/") else [program, *rest]
    return Entrypoint("sh: " + shlex.join(words))


def portable(word: str, root: Path) -> str:
    """Return a word of a command line with every path below ``root`` as ``{root}/…``, placeholders kept literal."""
    word = _PLACEHOLDER.sub(lambda match: "{literal:" + match.group(1) + "}", word)
    for base in root_spellings(root):
        word = re.sub(rf"(?<![\w./-]){re.escape(base)}(?=[/:;,'\" ]|$)", "{root}", word)
    return word


def root_spellings(root: Path) -> list[str]:
    """Return the ways in which a path to ``root`` may be written: as given, resolved, and as the shell says it."""
    resolved = root.resolve()
    found = {str(root), str(resolved)}
    shell = Path(os.environ.get("PWD", "/"))
    below = shell.resolve()
    if below.is_relative_to(resolved):
        depth = len(below.relative_to(resolved).parts)
        found.add(str([shell, *shell.parents][depth] if depth < len(shell.parts) else shell))
    return sorted(found - {"/"}, key=lambda text: (-len(text), text))


def build_command(pipeline: Pipeline, workspace: Path, python: str, values: Mapping[str, str]) -> list[str]:
    """Return the argument list that runs ``pipeline`` in ``workspace`` with the interpreter ``python``.

    ``values`` are what the placeholders stand for (``config``, ``params``, ``outputs``, ``run``,
    ``inputs.NAME``). Raises NotReplayable with the reason when the entrypoint is missing or unclear.
    """
    entrypoint = (pipeline.entrypoint or "").strip()
    if not entrypoint:
        raise NotReplayable(
            "not replayable: run.yaml has no pipeline.entrypoint",
            hint='say what ran, for example entrypoint: "pipelines/import_census.py"',
        )
    args = [_fill(arg, values) for arg in pipeline.args]
    cwd = working_folder(pipeline, workspace)
    if entrypoint.startswith("sh:"):
        line = _fill(entrypoint.removeprefix("sh:").strip(), values)
        return ["/bin/sh", "-c", " ".join([line, *map(shlex.quote, args)])]
    if entrypoint.startswith("make:"):
        return ["make", entrypoint.removeprefix("make:").strip(), *args]
    if entrypoint.endswith(".py"):
        script = inside(workspace, entrypoint, what="pipeline.entrypoint")
        if not script.is_file() and not (cwd / entrypoint).is_file():
            raise NotReplayable(
                f"not replayable: the entrypoint {entrypoint} is not in the recorded code",
                hint="check pipeline.entrypoint and pipeline.version.git_commit in run.yaml",
            )
        in_cwd = (cwd / entrypoint).is_file()
        return [python, entrypoint if in_cwd else str(script), *args]
    if entrypoint.endswith(".ipynb"):
        raise NotReplayable(
            f"not replayable: {entrypoint} is a notebook, and this version runs no notebooks",
            hint="record the command that runs it, for example: sh: jupyter execute "
            + shlex.quote(entrypoint),
        )
    if _FUNCTION.match(entrypoint):
        return [python, "-c", _CALL, entrypoint, *args]
    if _MODULE.match(entrypoint):
        return [python, "-m", entrypoint, *args]
    raise NotReplayable(
        f"not replayable: the entrypoint {entrypoint!r} is none of x.py, pkg.mod, pkg.mod:func, "
        "make:target, sh: command line",
        hint='write a command line as entrypoint: "sh: …"',
    )


def working_folder(pipeline: Pipeline, workspace: Path) -> Path:
    """Return the folder that the pipeline starts in. Raises UnsafePath, NotReplayable."""
    if pipeline.cwd in ("", "."):
        return workspace
    folder = inside(workspace, pipeline.cwd, what="pipeline.cwd")
    if not folder.is_dir():
        raise NotReplayable(
            f"not replayable: the working folder {pipeline.cwd} is not in the recorded code",
            hint="check pipeline.cwd in run.yaml",
        )
    return folder


def _fill(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith("literal:"):
            return "{" + name.removeprefix("literal:") + "}"
        if name not in values:
            raise NotReplayable(
                f"not replayable: nothing is known for the placeholder {{{name}}}",
                hint="inputs are named by file name without its suffix: {inputs.census_1900}",
            )
        return values[name]

    return _PLACEHOLDER.sub(value, text)
