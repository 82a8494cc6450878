"""Ways to start a command as containers start it: as another user, without privileges, on mounts of its own.

Each is tried first; where the machine does not allow it, the test is skipped with what the machine said.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from workshop import Done, Workshop

UID = 54_321
"""A user that no machine has an entry for."""

POWERLESS = (
    "setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search",
)  # fmt: skip
"""Root that has to keep to the permissions of files, as other users have to."""

STRANGER = (
    "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
"""A user without a name, who may read everything (also where this Python lies) and write only what is his."""


def mounted(script: str) -> tuple[str, ...]:
    """Run a command after ``script``, which mounts what nobody else sees."""
    return ("unshare", "--mount", "--propagation=private", "sh", "-c", f'set -e; {script}; exec "$@"', "sh")


def require(prefix: tuple[str, ...]) -> None:
    """Skip the test where a command cannot be started so."""
    if shutil.which(prefix[0]) is None:
        pytest.skip(f"{prefix[0]} (util-linux) is not installed")
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this needs root with its capabilities: {' '.join(tried.stderr.split())}")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder for temporary files that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="kfm-test-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@dataclass(frozen=True)
class Yard:
    """A project with two runs and a pack of a third, and ways to start commands in it."""

    shop: Workshop
    runs: tuple[str, str]
    pack: Path

    def own(self, uid: int, *paths: str) -> None:
        """Give files of the project to a user."""
        for path in paths or (".",):
            subprocess.run(["chown", "-R", str(uid), str(self.shop.root / path)], check=True)

    def commands(self) -> dict[str, list[str]]:
        """Return every command that this is about, as it is started here."""
        first, second = self.runs
        return {
            "list": ["list"],
            "show": ["show", first],
            "diff": ["diff", first, second],
            "verify": ["verify", first],
            "replay": ["replay", first],
            "pack": ["pack", first, "--bundle", "--output", str(self.shop.root.parent / "out/new.zip")],
            "unpack": ["unpack", str(self.pack)],
            "record": [
                "record",
                "--input",
                "data/raw/*",
                "--output",
                "data/processed/**",
                "--",
                "sh",
                "job.sh",
            ],
        }

    def run(
        self,
        command: str,
        prefix: tuple[str, ...],
        env: dict[str, str] | None = None,
        *,
        unset: tuple[str, ...] = (),
    ) -> Done:
        """Start a command with ``--json``."""
        name, *args = self.commands()[command]
        program = Path(sys.executable).with_name("kfm-repro")
        without = [part for name in unset for part in ("-u", name)]
        given = [f"{key}={value}" for key, value in (env or {}).items()]
        done = subprocess.run(
            [*prefix, "env", *without, *given, str(program), name, "--json", *args],
            cwd=self.shop.root, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


def build_yard(folder: Path) -> Yard:
    """Lay out the project in ``folder``."""
    shop = Workshop(folder / "project")
    shop.root.mkdir()
    (shop.root / "data/work/runs").mkdir(parents=True)
    (folder / "out").mkdir()
    shop.write(".gitignore", "data/\n")
    shop.write("job.sh", "mkdir -p data/processed && tr a-z A-Z < data/raw/in.csv > data/processed/out.csv\n")
    shop.commit()
    shop.write("data/raw/in.csv", "id,name\n1,a\n")
    found = []
    for _ in range(3):
        done = shop.kfm(
            "record", "--input", "data/raw/*", "--output", "data/processed/**", "--", "sh", "job.sh"
        )
        assert done.code == 0, done.err
        found.append(done.out.split()[-1])
    pack = folder / "third.zip"
    assert shop.kfm("pack", found[2], "--bundle", "--output", str(pack)).code == 0
    shutil.rmtree(shop.run_dir(found[2]))
    return Yard(shop, (found[0], found[1]), pack)
