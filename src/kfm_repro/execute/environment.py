"""Interpreter and environment of a pipeline: which one runs it, what it sees."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import NotReplayable
from kfm_repro.model.report import Precondition
from kfm_repro.model.run import Run
from kfm_repro.runs.project import Project
from kfm_repro.runs.reach import is_file

__all__ = [
    "ASSUMED",
    "Interpreter",
    "choose_interpreter",
    "recorded_variables",
    "replay_environment",
    "unrecorded_variables",
]

ASSUMED: Mapping[str, str] = {
    "KFM_NO_NETWORK": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}
"""KFM's own environment, for records that say nothing of theirs (rule 20)."""

_KEPT_NAMES = frozenset((
    "CPL_DEBUG", "KFM_NO_NETWORK", "LANG", "LANGUAGE", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED",
    "PYTHONOPTIMIZE", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONWARNINGS", "SOURCE_DATE_EPOCH", "TZ",
))  # fmt: skip
_KEPT_PREFIXES = (
    "LC_", "GDAL_", "OGR_", "PROJ_", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "POLARS_", "ARROW_", "DUCKDB_",
    "NPY_", "SHAPE_", "RAYON_", "VECLIB_", "BLIS_",
)  # fmt: skip
_OF_SESSION = frozenset((
    "_", "COLORTERM", "COLUMNS", "DISPLAY", "EDITOR", "HOME", "HOSTNAME", "KFM_CONFIG_DIR", "KFM_PARAMS",
    "KFM_RUNS_ROOT", "KFM_RUN_DIR", "KFM_RUN_ID", "KFM_RUN_STARTED_AT", "LESSCLOSE", "LESSOPEN", "LINES", "LOGNAME",
    "LS_COLORS", "MAIL", "OLDPWD", "PAGER", "PATH", "PS1", "PS2", "PWD", "SHELL", "SHLVL", "TERM", "TMPDIR", "USER",
    "VISUAL", "WAYLAND_DISPLAY", "WINDOWID",
))  # fmt: skip
_OF_SESSION_PREFIXES = ("DBUS_", "HIST", "SSH_", "TERM_", "VTE_", "XDG_SE", "XDG_RUNTIME")
"""What a terminal session sets for itself, and what a replay has of its own: nobody misses it in a record."""
_SECRET_WORDS = (
    "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PWD", "CREDENTIAL", "KEY", "AUTH", "BEARER", "COOKIE", "HEADER",
    "PROXY", "SIGNATURE",
)  # fmt: skip
_SECRET_VALUE = re.compile(
    r"://[^/\s]+@|[?&](?:token|key|sig|signature|password|access_token)=", re.IGNORECASE
)


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs a pipeline, and how it was chosen."""

    path: str
    chosen: str
    state: str = "ok"
    code: str = ""

    @property
    def precondition(self) -> Precondition:
        """What a report says of the choice."""
        code = self.code or ("ENVIRONMENT_DRIFT" if self.state == "drift" else "")
        return Precondition(name="interpreter", state=self.state, detail=self.chosen, code=code)


def choose_interpreter(project: Project, run: Run) -> Interpreter:
    """Return the interpreter for a run: the recorded one, the setting, the project's .venv, our own (rule 14).

    A relative path is one below the project root. Raises NotReplayable when the setting names none that exists.
    """
    recorded = run.environment.executable if run.environment else None
    named = project.root / recorded if recorded else None
    # os.path, because it may lie in the home of a user whose folders are closed to us.
    if named is not None and is_file(named) and os.access(named, os.X_OK):
        return Interpreter(str(named), "the interpreter that the record names")
    missing = " (the recorded one is not on this machine)" if recorded else ""
    state = "drift" if recorded else "assumed"
    if project.settings.python:
        path = (project.root / project.settings.python).absolute()
        if not is_file(path):
            raise NotReplayable(
                f"the setting python = {project.settings.python!r} names no file",
                hint="correct it in the settings of the project",
            )
        return Interpreter(str(path), f"the setting python{missing}", state)
    venv = project.root / ".venv" / "bin" / "python"
    if is_file(venv):
        return Interpreter(str(venv), f"the project's .venv{missing}", state)
    return Interpreter(sys.executable, f"the interpreter that runs kfm-repro{missing}", state)


def recorded_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``environ`` that a record keeps: those that can change a result, no secrets."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if (name in _KEPT_NAMES or name.startswith(_KEPT_PREFIXES))
        and not any(word in name for word in _SECRET_WORDS)
        and not _SECRET_VALUE.search(value)
    }


def unrecorded_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that a command sees and no replay will have, sorted."""
    kept = recorded_variables(environ)
    return tuple(
        name
        for name in sorted(environ)
        if name.isascii()
        and name.isprintable()
        and name not in kept
        and name not in _OF_SESSION
        and not name.startswith(_OF_SESSION_PREFIXES)
    )


def replay_environment(
    run: Run, interpreter: Interpreter, *, home: Path, temporary: Path, given: Mapping[str, str]
) -> tuple[dict[str, str], Precondition]:
    """Return the environment of a replay, and a precondition that says where it comes from (rule 20).

    Nothing of our own environment gets through but PATH; ``given`` are the KFM_* variables.
    """
    bin_folder = str(Path(interpreter.path).parent)
    system = os.environ.get("PATH", os.defpath)
    environ = {
        "PATH": os.pathsep.join(
            [bin_folder, *(part for part in system.split(os.pathsep) if part != bin_folder)]
        ),
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }
    if run.environment is None:
        values, state, detail = (
            dict(ASSUMED),
            "assumed",
            "the record names none: KFM's own variables are assumed",
        )
    else:
        values, state, detail = (
            dict(run.environment.env),
            "ok",
            f"{len(run.environment.env)} recorded variables",
        )
    return environ | values | dict(given), Precondition(name="environment", state=state, detail=detail)
