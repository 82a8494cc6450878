"""What recording costs: beside a trivial command, beside 20 000 small files, and for the snapshot of an environment."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.execute.fingerprint import fingerprint

_ROUNDS = 7
_FILES = 2_000
_TRIVIAL = "import pathlib; pathlib.Path('data/out.txt').write_text('1')"
_COPY = """
import pathlib
for path in sorted(pathlib.Path("data/raw").iterdir()):
    pathlib.Path("data/processed", path.name).write_bytes(path.read_bytes()[::-1])
"""
_PROGRAM = str(Path(sys.executable).with_name("kfm-repro"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("data/work/runs", "data/raw", "data/processed"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("data/\n", encoding="utf-8")
    (tmp_path / "trivial.py").write_text(_TRIVIAL, encoding="utf-8")
    (tmp_path / "copy_all.py").write_text(_COPY, encoding="utf-8")
    who = ["-c", "user.name=KFM", "-c", "user.email=kfm@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "code"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_the_snapshot_of_an_environment_with_geopandas_and_arrow(
    benchmark: Callable[..., Any],
    tmp_path: Path,
    timed: Callable[..., float],
    run: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    """Two seconds where a bare interpreter starts in 20 ms: a hundred times as long."""
    known = fingerprint(sys.executable, tmp_path)
    assert {"geopandas", "pyarrow"} <= known["packages"].keys()
    assert {"gdal", "geos", "proj_data", "blas", "arrow"} <= known["native"].keys()
    pairs = [
        (timed(lambda: fingerprint(sys.executable, tmp_path)), run((sys.executable, "-I", "-c", "")))
        for _ in range(_ROUNDS)
    ]
    benchmark.pedantic(fingerprint, (sys.executable, tmp_path), rounds=3)  # type: ignore[attr-defined]
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    took = statistics.median(ours for ours, _ in pairs)
    promise("environment snapshot / bare interpreter", ratio, at_most=100, detail=f"{took:.2f} s")
    loaded = statistics.median(
        run((sys.executable, "-c", "import geopandas, pyarrow")) for _ in range(_ROUNDS)
    )
    promise(
        "environment snapshot / import geopandas, pyarrow",
        took / loaded,
        at_most=1.5,
        detail=f"{loaded:.2f} s",
    )


def test_recording_a_trivial_command_against_its_parts(
    benchmark: Callable[..., Any],
    project: Path,
    timed: Callable[..., float],
    run: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    """The floor is what has to be done anyway: our start, the command, one look at its environment."""
    ours = (_PROGRAM, "record", "--root", str(project), "--", sys.executable, "trivial.py")
    floor = [
        lambda: run((_PROGRAM, "--help")),
        lambda: run((sys.executable, "trivial.py"), cwd=project),
        lambda: fingerprint(sys.executable, project),
    ]
    pairs = [
        (run(ours, stderr=subprocess.DEVNULL), sum(timed(part) for part in floor)) for _ in range(_ROUNDS)
    ]
    benchmark.pedantic(run, (ours,), {"stderr": subprocess.DEVNULL}, rounds=2)  # type: ignore[attr-defined]
    ratio = statistics.median(whole / parts for whole, parts in pairs)
    took = statistics.median(whole for whole, _ in pairs)
    promise(
        "record of a trivial command / start, command, snapshot", ratio, at_most=4, detail=f"{took:.2f} s"
    )


def _fill(project: Path, count: int) -> list[Path]:
    draw = random.Random(3)  # noqa: S311 - bytes to hash, no secret
    paths = [project / f"data/raw/{number:06d}.bin" for number in range(count)]
    for path in paths:
        path.write_bytes(draw.randbytes(draw.randint(200, 8 << 10)))
    return paths


def _keep_each(paths: list[Path], folder: Path) -> None:
    """Hash each file and keep a flushed copy of it, one after the other."""
    folder.mkdir()
    for number, path in enumerate(paths):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        with (folder / str(number)).open("wb") as copy:
            copy.write(path.read_bytes())
            copy.flush()
            os.fsync(copy.fileno())


def test_recording_and_replaying_many_small_files_against_keeping_a_copy_of_each(
    benchmark: Callable[..., Any],
    project: Path,
    scale: int,
    timed: Callable[..., float],
    run: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    count = _FILES * scale
    inputs = _fill(project, count)
    command = (sys.executable, "copy_all.py")
    record = (_PROGRAM, "record", "--root", str(project), "--input", "data/raw", "--", *command)
    quiet = {"stderr": subprocess.DEVNULL}
    ours = run(record, **quiet)
    outputs = sorted((project / "data/processed").iterdir())
    floor = timed(lambda: _keep_each([*inputs, *outputs], project / "copies")) + run(command, cwd=project)
    replay = benchmark.pedantic(  # type: ignore[attr-defined]
        run, ((_PROGRAM, "replay", "--root", str(project), "latest:copy_all"),), quiet, rounds=1
    )
    what = f"{count} small inputs and as many outputs / the command, a flushed copy of each"
    promise(f"record of {what}", ours / floor, at_most=2, detail=f"{ours:.1f} s")
    promise(f"replay of {what}", replay / floor, at_most=2, detail=f"{replay:.1f} s")
