"""Projects for a night: pipelines that are reproducible, flaky, broken, regressed and waived, recorded for real."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workshop import Done, Workshop

HEAD = """
import datetime, pathlib, random, sys, uuid
out = pathlib.Path("data/processed/NAME"); out.mkdir(parents=True, exist_ok=True)
def table(*rows): (out / "a.csv").write_text("id,n\\n" + "".join(f"{id},{n}\\n" for id, n in rows))
"""
STABLE = "table((1, 1), (2, 7))\n"
FLAKY = "table((1, 1), (2, 8 if random.SystemRandom().random() < PROBABILITY else 7))\n"
UNSTABLE = "table((1, 1), (2, random.SystemRandom().randrange(10**12)))\n"
FAILING = "sys.exit(0 if pathlib.Path('untracked.txt').exists() and not table((1, 1)) else 'no such file')\n"
STAMPED = """
(out / "a.csv").write_text("id,generated_at\\n" + f"1,{datetime.datetime.now(datetime.UTC).isoformat()}\\n")
"""
WEEKDAY = "2026-02-03"
"""A Tuesday; another day has other axes."""
WAIVER = """
[[waivers]]
output = "data/processed/NAME/a.csv"
where = { column = "generated_at" }
kind = "timestamp"
rung = "value"
count = 1
cause = "clock"
reason = "the portal wants the time of the export; issue 12"
expires = 2999-12-31
"""


@dataclass
class Nights:
    """A project, its runs by pipeline in the order of recording, and the commit at which one of them regressed."""

    shop: Workshop
    runs: dict[str, list[str]] = field(default_factory=dict)
    bad_commit: str = ""

    def script(self, name: str, body: str, probability: float = 0.0) -> None:
        """Write the code of a pipeline."""
        code = (HEAD + body).replace("NAME", name).replace("PROBABILITY", str(probability))
        self.shop.write(f"pipelines/{name}.py", code)

    def record(self, name: str, times: int = 1, *, must: str = "") -> None:
        """Record a pipeline; ``must`` is what its output has to hold, for one that does not always write the same."""
        output = self.shop.root / f"data/processed/{name}/a.csv"
        for _ in range(times):
            while True:
                run = self.shop.record(
                    "--pipeline", name, "--output", f"data/processed/{name}/**", script=f"pipelines/{name}.py"
                )
                if must in output.read_text(encoding="utf-8"):
                    break
                shutil.rmtree(self.shop.run_dir(run))
            self.runs.setdefault(name, []).append(run)

    def night(self, *args: str, code: int, night: str = WEEKDAY) -> dict[str, Any]:
        """Do a night and return its report."""
        done = self.shop.kfm("nightly", "--json", "--night", night, *args)
        assert done.code == code, done.out[-3000:] + done.err
        return done.json

    def say(self, *args: str, night: str = WEEKDAY) -> Done:
        """Do a night as a person reads it."""
        return self.shop.kfm("nightly", "--night", night, *args)


def mixed(root: Path, *, each: int, copies: int = 1) -> Nights:
    """Return a project with six sorts of pipeline, ``copies`` of each, recorded ``each`` times."""
    nights = Nights(Workshop(root))
    shop = nights.shop
    shop.write(".gitignore", "data/work/\ndata/processed/\nuntracked.txt\n")
    (root / "data/work/runs").mkdir(parents=True)
    shop.write("untracked.txt", "x")
    numbers = range(copies)
    for number in numbers:
        for name, body in {
            "stable": STABLE, "flaky": FLAKY, "unstable": UNSTABLE, "failing": FAILING, "regressed": STABLE,
            "waived": STAMPED,
        }.items():  # fmt: skip
            nights.script(f"{name}-{number}", body, probability=0.5)
    waivers = "".join(WAIVER.replace("NAME", f"waived-{number}") for number in numbers)
    shop.write("kfm-repro.toml", waivers)
    shop.commit()
    for number in numbers:
        for name in ("stable", "unstable", "failing", "waived"):
            nights.record(f"{name}-{number}", each)
        nights.record(f"flaky-{number}", each, must="2,7")
        nights.record(f"regressed-{number}", each - 1)
    for number in numbers:
        nights.script(f"regressed-{number}", UNSTABLE)
    nights.bad_commit = shop.commit()
    for number in numbers:
        nights.record(f"regressed-{number}")
    return nights
