"""The library that is installed or built here, and a C program that calls every function it stands before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from preloading import Ran, Run, run_under

from kfm_repro.execute.perturb.agent import AgentSetting, Built, build_agent
from kfm_repro.execute.perturb.agent.build import compiler

DRIVER = Path(__file__).parent / "driver.c"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Built:
    built = build_agent(tmp_path_factory.mktemp("agent-cache"))
    if built.library is None:
        pytest.skip(f"no library: {built.reason}")
    return built


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    command = compiler(os.environ)
    if command is None:
        pytest.skip("no C compiler: the driver of the library cannot be built")
    program = tmp_path_factory.mktemp("driver") / "driver"
    flags = ["-std=gnu11", "-O1", "-pthread", "-D_FORTIFY_SOURCE=2", "-Wno-unused-result"]
    subprocess.run([*command, *flags, "-o", program, DRIVER, "-ldl"], check=True)
    return program


@pytest.fixture
def run(library: Built, tmp_path: Path) -> Run:
    """Return a function that runs a command under the library, or under the Python agent where ``built`` has none."""

    def run_it(
        setting: AgentSetting, *argv: object, env: dict[str, str] | None = None, built: Built | None = None
    ) -> Ran:
        return run_under(setting, built or library, tmp_path, argv, env or {})

    return run_it


@pytest.fixture
def python() -> str:
    return sys.executable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with names that have no natural order."""
    place = tmp_path / "listed"
    place.mkdir()
    for name in ("z10", "a", "b2", "c1", "q", "5", "_x", "Ä"):
        (place / name).touch()
    return place
