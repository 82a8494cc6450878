"""What a replay runs on, as one digest: asked of files, starting nothing, so that a night can look at every run."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

__all__ = ["environment_key"]

_DIGITS = 16
_INSTALLED = frozenset((".dist-info", ".egg-info", ".pth"))
"""How the names of what stands for an installed package end."""


@cache
def environment_key(python: str) -> str:
    """Return a digest of kernel, C library, machine, kfm-repro, and the interpreter with its installed packages.

    Where it is the same, today's environment is taken to be that of the night before.
    """
    told = [
        platform.system(),
        platform.release(),
        platform.machine(),
        *platform.libc_ver(),
        version("kfm-repro"),
    ]
    told += [python, *_facts(Path(python))] if python else []
    text = "\n".join(told)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]


def _facts(python: Path) -> list[str]:
    """Return what of an interpreter changes when it or its packages do."""
    try:
        real = python.resolve(strict=True)
        stat = real.stat()
    except OSError:
        return ["not there"]
    facts = [str(real), str(stat.st_size), str(int(stat.st_mtime))]
    # A virtual environment has its packages beside the link, and not beside what it leads to.
    for prefix in dict.fromkeys((python.parent.parent, real.parent.parent)):
        for folder in sorted(prefix.glob("lib*/python3*/*-packages")):
            names = sorted(path.name for path in folder.iterdir() if path.suffix in _INSTALLED)
            facts += [folder.name, *names]
    return facts
