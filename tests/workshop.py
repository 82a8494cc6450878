"""Real projects in temporary folders, and the real command line on them."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDS = REPOSITORY / "fixtures" / "records"

_GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "KFM",
    "GIT_AUTHOR_EMAIL": "kfm@example.org",
    "GIT_COMMITTER_NAME": "KFM",
    "GIT_COMMITTER_EMAIL": "kfm@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def hear_ctrl_c() -> None:
    """Let a child hear Ctrl-C again: what runs in the background of a shell ignores it, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@lru_cache(maxsize=1)
def plain_python() -> str:
    """Return an interpreter without packages, as most pipelines of the tests need none: asking it takes a sixth."""
    place = tempfile.TemporaryDirectory(prefix="kfm-tests-")
    atexit.register(place.cleanup)
    # As nobody, too, some pipelines run.
    Path(place.name).chmod(0o755)
    venv.create(place.name, with_pip=False, symlinks=True)
    return str(Path(place.name) / "bin" / "python")


def user_environ() -> dict[str, str]:
    """Return the variables of one who works in an environment without packages."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("KFM_", "GIT_", "PYTHON", "COLUMNS"))}
    return environ | {"PATH": os.pathsep.join([str(Path(plain_python()).parent), os.environ["PATH"]])}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout, which is one JSON document and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Workshop:
    """A project folder with the tools that a user has: an editor, git, kfm-repro."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def git(self, *args: str) -> str:
        """Run git."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.root,
            env=os.environ | _GIT_IDENTITY,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit everything and return the commit."""
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "work", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def kfm(self, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Done:
        """Run the installed kfm-repro in the project, as one whose environment has no packages."""
        program = Path(sys.executable).with_name("kfm-repro")
        done = subprocess.run(
            [str(program), *args],
            cwd=cwd or self.root,
            env=user_environ() | (env or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def record(
        self,
        *options: str,
        script: str = "pipelines/job.py",
        python: str = "",
        env: dict[str, str] | None = None,
    ) -> str:
        """Record a script of the project, with ``python`` (else without packages), and return the run id."""
        done = self.kfm("record", *options, "--", python or plain_python(), script, env=env)
        assert done.code == 0, done.err
        return done.out.strip().splitlines()[-1]

    def run_dir(self, run_id: str) -> Path:
        """Return the folder of a run."""
        (found,) = (self.root / "data/work/runs").glob(f"*/{run_id}")
        return found

    def edit_json(self, path: Path, **changes: Any) -> None:
        """Change keys of a JSON document."""
        document = json.loads(path.read_text(encoding="utf-8")) | changes
        path.write_text(json.dumps(document), encoding="utf-8")
