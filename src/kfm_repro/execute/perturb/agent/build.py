"""The library that is preloaded: found in the installed package, or built with the C compiler of this machine.

Only the standard library is used, and nothing of kfm-repro: the hook that builds the wheel loads this file by its path.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIBRARY_NAME", "PREBUILT", "Built", "build_agent", "compile_agent", "compiler", "source_digest"]

LIBRARY_NAME = "libkfm-agent.so"
PREBUILT = Path(__file__).parent / LIBRARY_NAME
"""Where a wheel has the library; absent where it was built without a C compiler."""

_SOURCES = Path(__file__).parent
_MACHINES = ("x86_64", "aarch64")
_WARNINGS = ("-Wall", "-Wextra", "-Wshadow")
_LINKED = ("-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-Wl,-s")
_FLAGS = (
    "-std=c11",
    "-O2",
    "-g0",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-pthread",
    *_WARNINGS,
    *_LINKED,
)
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Built:
    """The library, or why there is none (then ``library`` is None and ``reason`` says it in half a sentence)."""

    library: Path | None
    reason: str = ""


def source_digest() -> str:
    """Return the digest of the sources, the flags and the machine: the name of what is built from them."""
    digest = hashlib.sha256(repr((_FLAGS, platform.machine(), platform.libc_ver()[0])).encode())
    for path in _source_files("*.[ch]"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def compiler(environ: Mapping[str, str]) -> list[str] | None:
    """Return the command of the C compiler: CC, or the first of cc, gcc and clang on PATH; None without one."""
    wanted = shlex.split(environ.get("CC", ""))
    candidates = [wanted] if wanted else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if found := shutil.which(command[0], path=environ.get("PATH", os.defpath)):
            return [found, *command[1:]]
    return None


def compile_agent(target: Path, environ: Mapping[str, str] | None = None) -> Built:
    """Compile the library into ``target``, whole or not at all; the same sources and compiler give the same bytes."""
    environ = os.environ if environ is None else environ
    if not sys.platform.startswith("linux"):
        return Built(None, "nothing can be preloaded on this system")
    if platform.machine() not in _MACHINES:
        return Built(None, f"the library is not written for this machine ({platform.machine()})")
    command = compiler(environ)
    if command is None:
        return Built(None, "there is no C compiler (cc, gcc or clang)")
    with tempfile.TemporaryDirectory(prefix=".agent-", dir=target.parent) as place:
        made = Path(place, LIBRARY_NAME)
        sources = [path.name for path in _source_files("*.c")]
        try:
            done = subprocess.run(
                [*command, *_FLAGS, "-o", str(made), *sources, "-ldl"],
                cwd=_SOURCES,
                env={**environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            return Built(None, f"the C compiler could not be run: {exc}")
        if done.returncode != 0:
            return Built(None, f"the C compiler refused it: {_first_error(done.stderr)}")
        made.chmod(0o755)
        made.replace(target)
    return Built(target)


def build_agent(cache: Path | None = None, environ: Mapping[str, str] | None = None) -> Built:
    """Return the library: the one of the package, else the one in the cache, else built into the cache.

    ``cache`` is ``$XDG_CACHE_HOME/kfm-repro/agent``. Two processes may build at once: each puts a whole file there.
    """
    environ = os.environ if environ is None else environ
    if PREBUILT.is_file():
        return Built(PREBUILT)
    try:
        folder = (cache or _cache(environ)) / source_digest()[:32]
        library = folder / LIBRARY_NAME
        if library.is_file():
            return Built(library)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return compile_agent(library, environ)
    except (OSError, RuntimeError) as exc:  # RuntimeError: there is no home
        return Built(None, f"the library could not be built: {exc}")


def _cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "kfm-repro" / "agent"


def _source_files(pattern: str) -> list[Path]:
    return sorted(_SOURCES.glob(pattern))


def _first_error(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if "error" in line]
    return (lines or ["no reason given"])[0][:300]
