"""The program that a command names where that is no Python: a tool, or code of the pipeline that no commit has."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfm_repro.model.report import Precondition
from kfm_repro.model.run import Pipeline
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.reach import exists

__all__ = ["PROGRAM", "program_precondition", "program_today"]

PROGRAM = "program"
"""Name of the precondition that is not met when the recorded command names a program that is another one now."""

_OF_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/nix/", "/snap/")
_MARKS = ("pyvenv.cfg", "conda-meta")


def program_today(pipeline: Pipeline, root: Path, path: str) -> dict[str, Any]:
    """Return path and digest of the program that a command names in the folder ``root``; empty where none is."""
    entrypoint = (pipeline.entrypoint or "").strip()
    try:
        words = ["make"] if entrypoint.startswith("make:") else shlex.split(entrypoint.removeprefix("sh:"))
    except ValueError:
        return {}
    if not words or not entrypoint.startswith(("sh:", "make:")):
        return {}
    word = words[0].replace("{root}", str(root))
    found = shutil.which(root / word if "/" in word else word, path=path)
    try:
        return {"path": str(found), "sha256": digest_file(Path(found)).sha256} if found else {}
    except OSError:
        return {}


def program_precondition(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[Precondition, ...]:
    """Say when the program of the command is another one than was recorded: then other code ran, and no verdict holds.

    What the system or an environment installed is a tool: that it changed is a drift like that of a package.
    """
    then, now = recorded.get(PROGRAM), today.get(PROGRAM)
    if not isinstance(then, Mapping) or not isinstance(now, Mapping) or not now.get("sha256"):
        return ()
    if not then.get("sha256") or then["sha256"] == now["sha256"] or _is_tool(str(now["path"])):
        return ()
    detail = (
        f"the command names {now['path']}, which is not the file that was recorded (sha256 "
        f"{str(then['sha256'])[:12]}, now {str(now['sha256'])[:12]}): other code ran"
    )
    return (Precondition(name=PROGRAM, state="missing", detail=detail, code="CODE_DRIFT"),)


def _is_tool(path: str) -> bool:
    real = Path(os.path.realpath(path))
    prefix = real.parent.parent
    return str(real).startswith(_OF_SYSTEM) or any(exists(prefix / mark) for mark in _MARKS)
