"""Code that an interpreter imports straight from the repository: editable installs and path files."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

from kfm_repro.runs.reach import is_folder

__all__ = ["import_roots", "outside_folders"]

_PROBE = """
import importlib.metadata as m, json, sys, sysconfig
from urllib.parse import unquote, urlparse
found = list(sys.path)
for d in m.distributions():
    text = d.read_text("direct_url.json")
    if text:
        document = json.loads(text)
        if document.get("dir_info", {}).get("editable"):
            folder = unquote(urlparse(document["url"]).path)
            found += [folder, folder + "/src"]
print(json.dumps([found, sysconfig.get_path("stdlib"), sys.prefix]))
"""


def import_roots(python: str, top: Path) -> tuple[str, ...]:
    """Return the folders of the repository at ``top``, relative to it, that ``python`` imports from besides its own.

    A replay puts its own checkout of them first, lest today's code run under the name of the recorded commit.
    """
    base = top.resolve()
    inside = (path for path in _imported(python) if path.is_relative_to(base))
    return tuple(dict.fromkeys(path.relative_to(base).as_posix() for path in inside))


def outside_folders(python: str, top: Path) -> tuple[Path, ...]:
    """Return the folders outside of the repository at ``top`` that ``python`` imports from besides its own."""
    base = top.resolve()
    return tuple(dict.fromkeys(path for path in _imported(python) if not path.is_relative_to(base)))


@functools.cache
def _imported(python: str) -> tuple[Path, ...]:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE], cwd="/", capture_output=True, text=True, timeout=60, check=True
        )
        paths, *own = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
    found = [
        path
        for path in map(Path, filter(None, paths))
        if is_folder(path) and not any(path.is_relative_to(prefix) for prefix in own)
    ]
    return tuple(path.resolve() for path in found)
