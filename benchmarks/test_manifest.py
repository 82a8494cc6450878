"""A million manifest entries: memory per entry while they are read and checked, verified, and compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SIZES = (250_000, 500_000, 1_000_000)
_LIMIT = 1024
"""Bytes that an entry may cost at the peak, above a process that has loaded the code and no manifest."""
_LINEAR = 1.15
"""Bytes per entry at the full size may be this many times those at a quarter of it."""
_READ = """
read_manifest(RunDir(root / "data/work/runs/p/a"), "manifests/outputs.json", "outputs")
"""
_COMPARE = """
report = diff("a", "b", lambda: find_project(root))
assert report.counts["identical"] == len(report.outputs) == entries, report.counts
"""
_VERIFY = """
verified = verify(find_project(root), "both")
assert verified.lines[1].reason.endswith(f"{entries} of {entries}"), verified.lines[1]
assert f"and {entries - 3} more" in verified.lines[2].reason, verified.lines[2]
"""
_MEASURED = """
import json, sys, time
from pathlib import Path
from kfm_repro.judge.diff import diff
from kfm_repro.judge.verify import verify
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import find_project
from kfm_repro.runs.read import read_manifest, read_run
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
root, entries = Path(sys.argv[1]), int(sys.argv[2])
read_run(RunDir(root / "data/work/runs/p/a"))
before, start = peak(), time.perf_counter()
{work}
print(json.dumps([peak() - before, time.perf_counter() - start]))
"""


def _project(root: Path, entries: int, runs: tuple[str, ...] = ("a", "b", "both")) -> Path:
    """Lay out runs with the same outputs, as many as asked for; in the run "both" they are its inputs, too."""
    for name in runs:
        run = root / "data/work/runs/p" / name
        (run / "manifests").mkdir(parents=True)
        (run / "run.yaml").write_text(f'run_id: "{name}"\n', encoding="utf-8")
        (run / "status.json").write_text('{"state": "success"}', encoding="utf-8")
        (run / "_SUCCESS").touch()
        for which in ("outputs", "inputs") if name == "both" else ("outputs",):
            with (run / f"manifests/{which}.json").open("w", encoding="utf-8") as file:
                file.write(f'{{"run_id": "{name}", "generated_at": "2026-02-03T21:18:43Z", "{which}": [\n')
                file.writelines(
                    ("" if not number else ",\n") + json.dumps(_entry(number)) for number in range(entries)
                )
                file.write("\n]}\n")
    return root


def _entry(number: int) -> dict[str, Any]:
    return {
        "path": f"data/processed/tiles/{number // 1000:04d}/tile_{number:07d}.parquet",
        "sha256": f"{number:064x}",
        "size_bytes": 1_000 + number,
        "row_count": 300 + number,
    }


def _measure(root: Path, entries: int, work: str) -> tuple[float, float]:
    """Return bytes at the peak and seconds, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED.replace("{work}", work), str(root), str(entries)],
        check=True,
        capture_output=True,
        text=True,
    )
    peak, seconds = json.loads(done.stdout)
    return float(peak), float(seconds)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return {size: _project(tmp_path_factory.mktemp(str(size)), size) for size in _SIZES}


@pytest.mark.parametrize(
    ("what", "work", "manifests"),
    [("read and checked", _READ, 1), ("verified", _VERIFY, 2), ("of two runs compared", _COMPARE, 2)],
    ids=["read", "verify", "compare"],
)
def test_memory_per_entry(
    benchmark: Callable[..., Any],
    projects: dict[int, Path],
    what: str,
    work: str,
    manifests: int,
    promise: Callable[..., None],
) -> None:
    """The peak of a process over all entries of the manifests that it holds."""
    per_entry = {}
    for size, root in projects.items():
        peak, took = _measure(root, size, work)
        per_entry[size] = peak / size / manifests
        promise(
            f"bytes per entry, {size} entries {what}", per_entry[size], at_most=_LIMIT, detail=f"{took:.1f} s"
        )
    growth = per_entry[_SIZES[-1]] / per_entry[_SIZES[0]]
    promise(f"growth of that to four times as many entries {what}", growth, at_most=_LINEAR)
    benchmark.pedantic(_measure, (projects[_SIZES[0]], _SIZES[0], _READ), rounds=1)  # type: ignore[attr-defined]


def test_memory_per_entry_of_a_manifest_ten_times_as_large(
    benchmark: Callable[..., Any], tmp_path: Path, scale: int, promise: Callable[..., None]
) -> None:
    size = 100_000 if scale == 1 else _SIZES[-1] * scale
    peak, took = benchmark.pedantic(  # type: ignore[attr-defined]
        _measure, (_project(tmp_path, size, runs=("a",)), size, _READ), rounds=1
    )
    promise(
        f"bytes per entry, {size} entries read and checked",
        peak / size,
        at_most=_LIMIT,
        detail=f"{took:.1f} s",
    )
