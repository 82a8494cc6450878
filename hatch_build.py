"""Build hook: compiles what is written in C into the wheel where there is a C compiler, and says so in its tag.

Without a compiler the wheel is pure Python: the preloaded library is then built on the machine that uses it, or
not at all, and large tables are compared by the same functions in numpy, more slowly.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_AGENT = "kfm_repro/execute/perturb/agent"
_ROWS = "kfm_repro/compare/tabular/native"
_ROWS_SOURCES = ("lines.c", "numbers.c", "pages.c", "pairs.c", "rings.c", "sieve.c", "sqlite.c")
_ROWS_FLAGS = (
    "-std=c11",
    "-O3",
    "-g0",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wl,--build-id=none",
    "-Wl,-s",
)


class AgentBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library and the platform to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library; anything but a standard wheel is left as it is."""
        if self.target_name != "wheel" or version != "standard":
            return
        build = _load(Path(self.root, "src", _AGENT, "build.py"))
        self._place = tempfile.TemporaryDirectory(prefix="kfm-repro-build-")
        built = build.compile_agent(Path(self._place.name, build.LIBRARY_NAME))
        if built.library is None:
            self.app.display_warning(f"the wheel is built without the preloaded library: {built.reason}")
            return
        import platform

        build_data["force_include"][str(built.library)] = f"{_AGENT}/{build.LIBRARY_NAME}"
        rows = Path(self._place.name, "librows.so")
        compiler = build.compiler(os.environ) or ["cc"]
        command = [*compiler, *_ROWS_FLAGS, "-o", str(rows), *_ROWS_SOURCES]
        subprocess.run(command, cwd=Path(self.root, "src", _ROWS), check=True)
        build_data["force_include"][str(rows)] = f"{_ROWS}/librows.so"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled."""
        del version, build_data, artifact_path
        if hasattr(self, "_place"):
            self._place.cleanup()


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kfm_repro_agent_build", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
