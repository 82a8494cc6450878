"""An interpreter of the recorded version on this machine; none is ever downloaded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import EnvironmentNotAvailable
from kfm_repro.execute.rebuild.recorded import RecordedPackages
from kfm_repro.execute.rebuild.tool import Uv, UvFailed
from kfm_repro.runs.reach import is_file

__all__ = ["BasePython", "find_python"]

_ASK = (
    "import json, platform, sys, sysconfig; "
    "print(json.dumps([getattr(sys, '_base_executable', None) or sys.executable, "
    "platform.python_version(), platform.python_implementation(), sysconfig.get_platform()]))"
)
_TIMEOUT_S = 60


@dataclass(frozen=True)
class BasePython:
    """An installed Python, outside of any virtual environment."""

    path: str
    version: str
    implementation: str
    platform: str

    def exact(self, wanted: RecordedPackages) -> bool:
        """Whether it is the recorded version."""
        return self.version == wanted.python and self.implementation == wanted.implementation

    def same_minor(self, wanted: RecordedPackages) -> bool:
        """Whether it takes the same wheels as the recorded version."""
        return _minor(self.version) == _minor(wanted.python) and self.implementation == wanted.implementation


def find_python(wanted: RecordedPackages, uv: Uv, cwd: Path) -> BasePython:
    """Return the recorded version of Python, else another patch of the same minor version.

    Looked at are the recorded interpreter, the one that runs kfm-repro, and what uv finds on this machine.
    Raises EnvironmentNotAvailable when no Python of the minor version is here.
    """
    similar: BasePython | None = None
    for candidate in _candidates(wanted, uv, cwd):
        if candidate.exact(wanted):
            return candidate
        if similar is None and candidate.same_minor(wanted):
            similar = candidate
    if similar is not None:
        return similar
    minor = _minor(wanted.python)
    raise EnvironmentNotAvailable(
        f"the run was recorded with {wanted.implementation} {wanted.python}, and no {minor} is on this machine",
        hint=f"install Python {wanted.python}, for example: uv python install {wanted.python}",
    )


def _candidates(wanted: RecordedPackages, uv: Uv, cwd: Path) -> Iterator[BasePython]:
    kind = wanted.implementation.lower()
    for path in (wanted.executable, sys.executable):
        yield from _ask(path)
    for version in (wanted.python, _minor(wanted.python)):
        try:
            found = uv.run("python", "find", "--no-project", "--system", f"{kind}@{version}", cwd=cwd)
        except UvFailed:
            continue
        yield from _ask(found.strip())


def _ask(path: str) -> Iterator[BasePython]:
    if not path.startswith("/") or not is_file(path):
        return
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _ASK], cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_TIMEOUT_S, check=True,
        )  # fmt: skip
        yield BasePython(*map(str, json.loads(done.stdout)))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
