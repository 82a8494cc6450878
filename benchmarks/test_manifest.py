"""A million manifest entries: memory per entry while they are read and checked, and while two runs are compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_ENTRIES = 1_000_000
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
_MEASURED = """
import json, sys, time
from pathlib import Path
from kfm_repro.judge.diff import diff
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


def _project(root: Path, entries: int) -> Path:
    """Lay out two runs with the same outputs, as many as asked for."""
    for name in ("a", "b"):
        run = root / "data/work/runs/p" / name
        (run / "manifests").mkdir(parents=True)
        (run / "run.yaml").write_text(f'run_id: "{name}"\n', encoding="utf-8")
        (run / "status.json").write_text('{"state": "success"}', encoding="utf-8")
        (run / "_SUCCESS").touch()
        with (run / "manifests/outputs.json").open("w", encoding="utf-8") as file:
            file.write(f'{{"run_id": "{name}", "generated_at": "2026-02-03T21:18:43Z", "outputs": [\n')
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


@pytest.mark.parametrize(
    ("what", "work", "manifests"),
    [("read and checked", _READ, 1), ("two runs compared", _COMPARE, 2)],
    ids=["read", "compare"],
)
def test_memory_per_entry(
    benchmark: Callable[..., Any],
    tmp_path: Path,
    what: str,
    work: str,
    manifests: int,
    capsys: Any,  # noqa: ANN401
) -> None:
    each, few = _ENTRIES // manifests, _ENTRIES // manifests // 4
    quarter, _ = _measure(_project(tmp_path / "quarter", few), few, work)
    root = _project(tmp_path / "whole", each)
    whole, seconds = benchmark.pedantic(_measure, (root, each, work), rounds=1)  # type: ignore[attr-defined]
    per_entry, growth = whole / _ENTRIES, whole / 4 / quarter
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{_ENTRIES} entries {what}: {per_entry:.0f} bytes per entry (limit {_LIMIT}), "
            f"{growth:.2f} times as many as with a quarter (limit {_LINEAR}); {seconds:.1f} s"
        )
    assert per_entry < _LIMIT
    assert growth <= _LINEAR
