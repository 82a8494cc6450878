"""From a recorded entrypoint to the argument list that runs, and from a command line to an entrypoint."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.entrypoints import Place, check_makefile, check_module, find_file, need_packages
from kfm_repro.execute.placeholders import PLACEHOLDER, Values, fill, fill_shell
from kfm_repro.execute.runners import runner
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
_TARGET = re.compile(r"\w[\w.-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_]\w*=")


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
    found = (
        _describe_notebook(program, rest) or _describe_python(program, rest) or _describe_make(program, rest)
    )
    if found is not None:
        return found
    words = [portable(program, root), *rest] if program.startswith("/") else [program, *rest]
    return Entrypoint("sh: " + shlex.join(words))


def _describe_notebook(program: str, rest: tuple[str, ...]) -> Entrypoint | None:
    """Return ``papermill IN.ipynb OUT.ipynb …`` as the notebook and what follows it."""
    if is_python(program) and rest[:2] == ("-m", "papermill"):
        rest = rest[2:]
    elif PurePosixPath(program).name != "papermill":
        return None
    notebook = rest[0].removeprefix("{root}/") if rest else ""
    both = [PurePosixPath(word).suffix for word in rest[:2]] == [".ipynb"] * 2
    absolute = PurePosixPath(notebook).is_absolute()
    return Entrypoint(notebook, rest[1:]) if both and not absolute else None


def _describe_python(program: str, rest: tuple[str, ...]) -> Entrypoint | None:
    if not is_python(program) or not rest:
        return None
    script = rest[0].removeprefix("{root}/")
    if script.endswith(".py") and not PurePosixPath(script).is_absolute():
        return Entrypoint(script, rest[1:])
    if rest[0] == "-m" and len(rest) > 1 and _MODULE.match(rest[1]):
        return Entrypoint(rest[1], rest[2:])
    return None


def _describe_make(program: str, rest: tuple[str, ...]) -> Entrypoint | None:
    plain = program == "make" and rest and _TARGET.match(rest[0]) and all(map(_VARIABLE.match, rest[1:]))
    return Entrypoint(f"make:{rest[0]}", rest[1:]) if plain else None


def portable(word: str, root: Path) -> str:
    """Return a word of a command line with every path below ``root`` as ``{root}/…``, placeholders kept literal."""
    word = PLACEHOLDER.sub(lambda match: "{literal:" + match.group(1) + "}", word)
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


def build_command(
    pipeline: Pipeline, workspace: Path, python: str, values: Values, search: Sequence[Path] = ()
) -> list[str]:
    """Return the argument list that runs ``pipeline`` in ``workspace`` with the interpreter ``python``.

    ``values`` are what the placeholders stand for (``config``, ``params``, ``outputs``, ``run``,
    ``inputs.NAME``), ``search`` the folders that the interpreter will import from besides its own. Raises
    NotReplayable with the reason when the entrypoint is missing or unclear.
    """
    entrypoint = (pipeline.entrypoint or "").strip()
    if not entrypoint:
        raise NotReplayable(
            "not replayable: run.yaml has no pipeline.entrypoint",
            hint='say what ran, for example entrypoint: "pipelines/import_census.py"',
        )
    args = [fill(arg, values) for arg in pipeline.args]
    place = Place(workspace, working_folder(pipeline, workspace), python, search)
    if entrypoint.startswith("sh:"):
        line = fill_shell(entrypoint.removeprefix("sh:").strip(), values)
        return ["/bin/sh", "-c", " ".join([line, *map(shlex.quote, args)])]
    if entrypoint.startswith("make:"):
        check_makefile(place, args)
        return ["make", entrypoint.removeprefix("make:").strip(), *args]
    if entrypoint.endswith(".py"):
        return [python, find_file(place, entrypoint, what="script"), *args]
    if entrypoint.endswith(".ipynb"):
        return _notebook(place, entrypoint, args, values)
    if _FUNCTION.match(entrypoint):
        check_module(place, entrypoint.partition(":")[0], run=False)
        return [python, "-c", runner("call"), entrypoint, *args]
    if _MODULE.match(entrypoint):
        check_module(place, entrypoint, run=True)
        return [python, "-m", entrypoint, *args]
    raise NotReplayable(
        f"not replayable: the entrypoint {entrypoint!r} is none of x.py, pkg.mod, pkg.mod:func, "
        "make:target, notebook.ipynb, sh: command line",
        hint='write a command line as entrypoint: "sh: …"',
    )


def _notebook(place: Place, entrypoint: str, args: Sequence[str], values: Values) -> list[str]:
    """Return what executes a notebook: as recorded, or into the scratch of the run with the run's parameters."""
    notebook = find_file(place, entrypoint, what="notebook")
    need_packages(place, ("papermill", "ipykernel"), entrypoint)
    if not args or not args[0].endswith(".ipynb"):
        given = fill("{params}", values) if "params" in values else ""
        parameters = ["-f", given] if not args and given and Path(given).is_file() else []
        args = [f"{fill('{run}', values)}/scratch/{PurePosixPath(entrypoint).name}", *args, *parameters]
    return [place.python, "-c", runner("notebook"), notebook, *args]


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
