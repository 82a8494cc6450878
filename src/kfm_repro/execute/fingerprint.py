"""What an interpreter is made of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kfm_repro.errors import CodeNotAvailable, RunError
from kfm_repro.execute.git import find_repository
from kfm_repro.execute.sources import source_state
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.secrets import redact, redact_variables

__all__ = ["fingerprint", "read_fingerprint"]

_PROBE = Path(__file__).with_name("probe.py")
_START = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); sys.argv.pop(0); "
    "exec(compile(open(sys.argv[0], 'rb').read(), sys.argv[0], 'exec'), "
    "{'__name__': '__main__', '__file__': sys.argv[0]})"
)
"""Runs the probe with the search path that a pipeline has, without the working folder and the probe's own."""
_NOT_ASKED_WITH = (
    "PYTHONINSPECT",
    "PYTHONWARNINGS",
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDEVMODE",
)
"""Variables that change what an interpreter says, and not what it is."""
_TIMEOUT_S = 60


def fingerprint(
    python: str | None,
    root: Path,
    environ: Mapping[str, str] | None = None,
    *,
    copies: Sequence[Path] = (),
) -> dict[str, Any]:
    """Return what the interpreter ``python`` says of itself in ``environ``, asked in the project ``root``.

    Interpreter, packages, native libraries, CPU, locale, time zone and thread variables; see ``probe.py``. Code
    that is imported from a folder is named by its commit; that of the project (or of ``copies`` of it) is not, for
    the record names it. Where no interpreter answers, only what holds for the machine is returned: no ``python``.
    """
    answer = _ask(python, root, environ) if python else {}
    if not answer.get("python"):
        return _ask(sys.executable, root, environ, "--host")
    _name_sources(answer, _own_folders([path.resolve() for path in (root, *copies)]))
    answer["threads"] = redact_variables(answer.get("threads", {}))
    return answer


def _ask(python: str, root: Path, environ: Mapping[str, str] | None, *options: str) -> dict[str, Any]:
    program = python if "/" in python else shutil.which(python) or python
    given = os.environ if environ is None else environ
    try:
        done = subprocess.run(
            [program, "-W", "ignore", "-c", _START, str(_PROBE), *options],
            cwd=root,
            env={name: value for name, value in given.items() if name not in _NOT_ASKED_WITH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        # What a sitecustomize prints stands in the lines before.
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}
    return answer if isinstance(answer, dict) else {}


def read_fingerprint(directory: RunDir, run: Run) -> dict[str, Any]:
    """Return the fingerprint that a record keeps; what is known without one, often nothing, when it cannot be read."""
    environment = run.environment
    if environment is None:
        return {}
    known: dict[str, Any] = {"python": environment.python} if environment.python else {}
    if environment.fingerprint:
        try:
            path = inside(directory.path, environment.fingerprint, what="environment.fingerprint")
            document: Any = json.loads(path.read_bytes()) if kind_of(path) == "file" else {}
        except (OSError, ValueError, RecursionError, RunError):
            return known
        if isinstance(document, dict):
            known |= {str(name): value for name, value in document.items()}
    return known


def _own_folders(roots: Sequence[Path]) -> dict[Path, str]:
    """Return the folders whose code the record names: the project, copies of it, and the repository around each."""
    try:
        depth = len(Path(find_repository(roots[0]).prefix).parts)
    except CodeNotAvailable:
        depth = 0
    tops = [[root, *root.parents][depth] for root in roots if depth]
    return dict.fromkeys(tops, "{top}") | dict.fromkeys(roots, "{root}")


def _name_sources(answer: dict[str, Any], own: Mapping[Path, str]) -> None:
    """Say of every folder that is imported from, and of every editable package, which commit it is."""
    states: dict[str, dict[str, Any]] = {}

    def state(folder: str) -> dict[str, Any]:
        if folder not in states:
            states[folder] = source_state(Path(folder))
        return states[folder]

    folders = {}
    for path, kind in answer.get("folders", {}).items():
        base = max(
            (base for base in own if Path(path).is_relative_to(base)),
            key=lambda base: len(base.parts), default=None,
        )  # fmt: skip
        if base is not None:
            folders[f"{own[base]}/{Path(path).relative_to(base).as_posix()}"] = {"kind": kind}
        else:
            folders[path] = {"kind": kind, **({} if kind == "user" else state(path))}
    answer["folders"] = folders
    for about in answer.get("package_records", {}).values():
        for source in (about[key] for key in ("direct_url", "provenance_url") if key in about):
            folder = unquote(source["url"].removeprefix("file://")) if source.get("editable") else ""
            source["url"] = redact(source["url"])
            if folder and any(Path(folder).resolve().is_relative_to(base) for base in own):
                source["in_project"] = True
            elif folder:
                source["source"] = state(folder)
