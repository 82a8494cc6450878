"""What an entrypoint names in the recorded code: a script, a module, a make target, a notebook. Never a guess."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import NotReplayable
from kfm_repro.runs.paths import inside

__all__ = ["Place", "check_makefile", "check_module", "find_file", "need_packages"]

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_OTHER_MAKEFILE = ("-f", "-C", "--file", "--makefile", "--directory")
_MODULE_FILES = (".py", ".pyc", ".so", ".abi3.so")
_PROBE = (
    "import importlib.util as u, json, sys; sys.path[:0] = json.loads(sys.argv[1]); "
    "print(json.dumps([n for n in sys.argv[2:] if u.find_spec(n) is None]))"
)
_PROBE_TIMEOUT_S = 60


@dataclass(frozen=True)
class Place:
    """Where an entrypoint is looked for: the workspace, the folder to start in, what is imported from besides."""

    workspace: Path
    cwd: Path
    python: str
    search: Sequence[Path] = ()


def find_file(place: Place, entrypoint: str, *, what: str) -> str:
    """Return how a script or notebook is named on the command line, from the folder that the pipeline starts in.

    Raises NotReplayable when it is not there, or when there is one below the root and another one below the
    working folder.
    """
    here, there = place.cwd / entrypoint, inside(place.workspace, entrypoint, what="pipeline.entrypoint")
    if here.is_file() and there.is_file() and not here.samefile(there):
        raise NotReplayable(
            f"not replayable: {entrypoint} is ambiguous: there is one in the root and another one in "
            f"{place.cwd.relative_to(place.workspace).as_posix()}/",
            hint="name it from the root, and let pipeline.cwd be the root or the folder of no other script",
        )
    if what == "script" and (place.cwd / entrypoint.removesuffix(".py") / "py.py").is_file():
        raise _module_and_script(entrypoint)
    if here.is_file():
        return entrypoint
    if not there.is_file():
        raise NotReplayable(
            f"not replayable: the entrypoint {entrypoint} is not in the recorded code",
            hint="check pipeline.entrypoint and pipeline.version.git_commit in run.yaml",
        )
    return str(there)


def check_module(place: Place, name: str, *, run: bool) -> None:
    """Check that a module is there and is meant; ``run`` when it is to be run, not only imported.

    Raises NotReplayable.
    """
    parts = name.split(".")
    bases = [folder.joinpath(*parts) for folder in (place.cwd, *place.search)]
    packages = [base for base in bases if base.is_dir()]
    found = [base for base in bases if _is_module(base)]
    runnable = [base for base in packages if _is_module(base / "__main__")]
    script = place.cwd / name
    if script.is_file() and (found or packages):
        raise _module_and_script(name)
    if found or runnable or (packages and not run):
        return
    packaged = [base for base in packages if _is_module(base / "__init__")]
    if packaged:
        raise NotReplayable(
            f"not replayable: {name} is a package that cannot be run: it has no __main__.py",
            hint=f"name the module: {name}.something, or a function: {name}:main",
        )
    top_here = any(_is_module(base) or _is_module(base / "__init__") for base in (
        folder / parts[0] for folder in (place.cwd, *place.search)
    ))  # fmt: skip
    if top_here or _missing(place, [parts[0]]):
        also = f"; the file {name} is, run it as: sh: ./{name}" if script.is_file() else ""
        raise NotReplayable(
            f"not replayable: the module {name} is neither in the recorded code nor in the interpreter",
            hint=f"check pipeline.entrypoint in run.yaml, and the interpreter: {place.python}{also}",
        )


def check_makefile(place: Place, args: Sequence[str]) -> None:
    """Check that there is a makefile, unless ``args`` name one. Raises NotReplayable."""
    if any(word.startswith(_OTHER_MAKEFILE) for word in args):
        return
    if not any((place.cwd / name).is_file() for name in _MAKEFILES):
        raise NotReplayable(
            "not replayable: there is no makefile in the recorded code",
            hint="check pipeline.entrypoint and pipeline.cwd in run.yaml",
        )


def need_packages(place: Place, packages: Sequence[str], entrypoint: str) -> None:
    """Check that the pipeline's interpreter has what runs an entrypoint. Raises NotReplayable."""
    missing = _missing(place, packages)
    if missing:
        raise NotReplayable(
            f"not replayable: {entrypoint} needs {' and '.join(missing)} in the pipeline's interpreter, {place.python}",
            hint=f"{place.python} -m pip install {' '.join(missing)}; or record the command that runs it",
        )


def _is_module(base: Path) -> bool:
    return any(base.with_name(base.name + suffix).is_file() for suffix in _MODULE_FILES) or any(
        base.parent.glob(f"{base.name}.cpython-*.so")
    )


def _module_and_script(name: str) -> NotReplayable:
    return NotReplayable(
        f"not replayable: {name} is ambiguous: it names a script and a module",
        hint=f'say which: entrypoint: "sh: python {name}" or "sh: python -m {name}"',
    )


def _missing(place: Place, names: Sequence[str]) -> list[str]:
    """Return those of the top-level modules ``names`` that the interpreter does not find; none when it cannot tell."""
    import json

    folders = json.dumps([str(folder) for folder in place.search])
    try:
        done = subprocess.run(
            [place.python, "-I", "-c", _PROBE, folders, *names],
            cwd="/", capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=True,
        )  # fmt: skip
        return [str(name) for name in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
