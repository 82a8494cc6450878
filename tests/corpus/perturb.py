"""The corpus written anew under a clock ten years on, another hash seed, more threads, shuffled rows; and compared."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from corpus.sample import SHUFFLED, THREADS
from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.execute.perturb.agent import AgentSetting, Built, prepare
from kfm_repro.model.finding import FileFacts, OutputComparison

WRITE = Path(__file__).parent / "write.py"
DECADE = timedelta(days=3652)
STOP_S = 900  # only to end what hangs
PERTURBATIONS: dict[str, tuple[timedelta | None, dict[str, str]]] = {
    "again": (None, {}),
    "decade": (DECADE, {}),
    "seed": (None, {"PYTHONHASHSEED": "77"}),
    "threads": (None, {THREADS: "4"}),
    "shuffled": (None, {SHUFFLED: "1"}),
}
"""What is changed by its name: how far the clock goes on, and variables of the environment."""


@dataclass(frozen=True)
class Written:
    """One run over the writers: where the files are, when each writer ran by its clock, and what failed."""

    folder: Path
    windows: dict[str, tuple[float, float]]
    errors: dict[str, str]

    def side(self, name: str, shift: timedelta | None) -> Side:
        """Return when the writer ran by the clock that it saw and by that of the machine."""
        start, stop = self.windows[name]
        back = (shift or timedelta()).total_seconds()
        return Side(
            window=(start, stop), machine_window=(start - back, stop - back), paths=(str(self.folder),)
        )

    def outputs(self, name: str) -> dict[str, Output]:
        root = self.folder / name
        return {
            path.relative_to(root).as_posix(): Output(_facts(path), path)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def write(place: Path, built: Built, perturbation: str = "", names: tuple[str, ...] = ()) -> Written:
    """Run the writers below ``place``; without a perturbation as the first run is."""
    shift, variables = PERTURBATIONS.get(perturbation, (None, {}))
    folder = place / (perturbation or "base")
    agent = prepare(place, AgentSetting(clock_shift=shift, observe=False), built=built)
    env = {**os.environ, "PYTHONHASHSEED": "1", **variables, **agent.variables}
    subprocess.run([sys.executable, WRITE, folder, *names], env=env, check=True, timeout=STOP_S)
    said = json.loads((folder / "writers.json").read_text())
    return Written(
        folder,
        {name: (row["window"][0], row["window"][1]) for name, row in said.items()},
        {name: row["error"] for name, row in said.items() if row["error"]},
    )


def compare(a: Written, b: Written, name: str, perturbation: str) -> tuple[OutputComparison, ...]:
    shift = PERTURBATIONS[perturbation][0]
    context = Context(a=a.side(name, None), b=b.side(name, shift))
    return tuple(compare_outputs(a.outputs(name), b.outputs(name), context).outputs)


def brief(results: tuple[OutputComparison, ...]) -> set[str]:
    """Return every finding as ``kind:rung``, with ``@`` and its place where it has one."""
    found = set()
    for result in results:
        for finding in result.findings:
            if not finding.latent:
                where = ",".join(
                    str(value) for key, value in sorted(finding.where.items()) if key != "offset"
                )
                found.add(f"{finding.kind}:{finding.rung}" + (f"@{where}" if where else ""))
    return found


def _facts(path: Path) -> FileFacts:
    return FileFacts(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size_bytes=path.stat().st_size)
