"""The preloaded library against the bare command: each pair of runs taken in turn, ratios of medians in one session."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.execute.perturb.agent import AgentSetting, Mechanism, prepare

_SMALL_OPENS = (
    "import os, sys\n"
    "names = [os.path.join(sys.argv[1], f'{n}') for n in range(20_000)]\n"
    "for name in names:\n    with open(name, 'rb') as f:\n        f.read()\n"
)
_GEOPANDAS = (
    "import sys, numpy, geopandas\nfrom shapely import box\n"
    "x = numpy.random.default_rng(1).random((60_000, 2))\n"
    "a = geopandas.GeoDataFrame({'n': range(60_000)}, geometry=geopandas.points_from_xy(*x.T), crs=4326)\n"
    "b = geopandas.GeoDataFrame({'m': range(400)}, geometry=[box(i % 20 / 20, i // 20 / 20, i % 20 / 20 + .05,"
    " i // 20 / 20 + .05) for i in range(400)], crs=4326)\n"
    "joined = a.sjoin(b).to_crs(3857)\n"
    "joined[:8000].to_file(sys.argv[1] + '/out.gpkg')\njoined.to_parquet(sys.argv[1] + '/out.parquet')\n"
)
_ROUNDS = 5
_CASES = {"20 000 small opens": (_SMALL_OPENS, 1.3), "geopandas": (_GEOPANDAS, 1.1)}


def _seconds(argv: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


@pytest.mark.parametrize("case", list(_CASES))
def test_the_library_against_the_bare_command(
    benchmark: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    case: str,
) -> None:
    code, limit = _CASES[case]
    for number in range(20_000 if "opens" in case else 0):
        (tmp_path / str(number)).write_bytes(b"x")
    program = tmp_path / "program.py"
    program.write_text(code)
    argv = [sys.executable, str(program), str(tmp_path)]
    bare = dict(os.environ)

    def under(*, observe: bool, frames: bool = True) -> dict[str, str]:
        prepared = prepare(tmp_path, AgentSetting(observe=observe, frames=frames))
        if prepared.mechanism is not Mechanism.LIBRARY:
            pytest.skip(prepared.reason)
        return bare | prepared.variables

    ways: dict[str, Callable[[], tuple[list[str], dict[str, str]]]] = {
        "bare": lambda: (argv, bare),
        "library, no log": lambda: (argv, under(observe=False)),
        "library, log": lambda: (argv, under(observe=True, frames=False)),
        "library, log and lines": lambda: (argv, under(observe=True)),
    }
    if strace := shutil.which("strace"):
        ways["strace -f"] = lambda: (
            [strace, "-f", "-o", os.devnull, "-e", "trace=file,network", *argv],
            bare,
        )
    _seconds(argv, bare)  # fills the caches
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            if name != "strace -f" or not taken[name]:
                taken[name].append(_seconds(*way()))
    floor = statistics.median(taken["bare"])
    ratios = {name: statistics.median(seconds) / floor for name, seconds in taken.items() if name != "bare"}
    benchmark.pedantic(_seconds, args=ways["library, log and lines"](), rounds=1)  # type: ignore[attr-defined]
    with capsys.disabled():
        listed = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"\n{case}: bare {floor:.2f} s; {listed} (limit {limit})")  # noqa: T201
    assert ratios["library, log and lines"] <= limit
