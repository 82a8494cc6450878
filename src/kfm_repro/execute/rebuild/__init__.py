"""The recorded environment, made again: the recorded packages, from wheels, in a virtual environment of ours.

Nothing is built from source, and no code of a package runs before its files are known to be the recorded ones: by
the hash of the wheel (from the lock of the record), else by the digest of its RECORD and of every file in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfm_repro.errors import EnvironmentNotAvailable
from kfm_repro.execute.environment import Interpreter
from kfm_repro.execute.rebuild.installed import (
    differing,
    read_installed,
    site_packages,
    strangers,
    unfaithful,
)
from kfm_repro.execute.rebuild.interpreters import BasePython, find_python
from kfm_repro.execute.rebuild.recorded import Package, RecordedPackages, read_packages
from kfm_repro.execute.rebuild.store import Held, hold
from kfm_repro.execute.rebuild.tool import Uv, UvFailed, find_uv
from kfm_repro.model.report import Precondition, RebuiltEnvironment
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir

__all__ = ["Rebuilt", "rebuild"]

_DRIFT = "ENVIRONMENT_DRIFT"
_FORMAT = 1
"""Part of every key: raised when environments are built in another way."""
_NAMED = 12


@dataclass(frozen=True)
class Rebuilt:
    """A rebuilt environment, held as long as this object lives, and what a report says of it.

    ``instead_of`` is the interpreter that a replay in today's environment would have taken.
    """

    held: Held = field(compare=False)
    wanted: RecordedPackages
    python: BasePython
    instead_of: Interpreter
    shell: bool

    @property
    def interpreter(self) -> Interpreter:
        """The Python of the environment; ``drift`` when it is not the recorded version."""
        path = str(self.held.venv / "bin" / "python")
        if self.python.exact(self.wanted):
            return Interpreter(path, f"Python {self.python.version} of the rebuilt environment")
        said = f"Python {self.python.version} instead of the recorded {self.wanted.python}, which is not here"
        return Interpreter(path, said, "drift", _DRIFT)

    @property
    def exact(self) -> bool:
        """Whether interpreter and packages are the recorded ones."""
        return self.python.exact(self.wanted) and not self.differs

    @property
    def differs(self) -> tuple[str, ...]:
        """The packages whose files are not the recorded ones, although their wheel has a recorded hash."""
        return tuple(map(str, self.held.state.get("differs", ())))

    @property
    def document(self) -> RebuiltEnvironment:
        """What a report says of it."""
        proofs = {"wheel hash and RECORD": 0, "RECORD": 0, "wheel hash": 0}
        for package in self.wanted.packages:
            known = package.record_sha256 is not None and package.name not in self.differs
            proofs[
                "wheel hash" if not known else "wheel hash and RECORD" if package.hashes else "RECORD"
            ] += 1
        return RebuiltEnvironment(
            environment=self.held.path.name,
            python=self.python.version,
            packages=len(self.wanted.packages),
            cached=self.held.cached,
            proved_by={name: count for name, count in proofs.items() if count},
            differs=self.differs,
            left_out=self.wanted.left_out,
        )

    def preconditions(self) -> tuple[Precondition, ...]:
        """Say, after the replay, whether the packages are the recorded ones, and still what was built."""
        total = len(self.wanted.packages)
        detail = f"{total - len(self.differs)} of {total} packages have the recorded files"
        if self.differs:
            detail += f"; others than recorded: {_listed(self.differs)}"
        if self.wanted.left_out:
            detail += f"; without {_listed(self.wanted.left_out)}"
        state = "drift" if self.differs else "assumed" if self.wanted.left_out else "ok"
        found = [
            Precondition(name="packages", state=state, detail=detail, code=_DRIFT if self.differs else "")
        ]
        if self.shell:
            detail = (
                "a shell command: python on its PATH is the rebuilt one; all other programs are today's, and so is "
                "an interpreter that it names by its path"
            )
            found.append(Precondition(name="shell", state="unknown", detail=detail))
        if not self.held.intact():
            detail = "the pipeline changed the environment that was rebuilt for it; it will not be used again"
            found.append(Precondition(name="environment-after", state="drift", detail=detail, code=_DRIFT))
        return tuple(found)


def rebuild(original: RunDir, run: Run, instead_of: Interpreter, *, fresh: bool = False) -> Rebuilt:
    """Make the recorded environment of a run, or take it from the cache, and hold it.

    Raises EnvironmentNotAvailable: packages that cannot be had again (each is named), no interpreter of the minor
    version, no uv, no index; and NotWritable. Nothing half-built is left.
    """
    wanted = read_packages(original, run)
    uv = find_uv(os.environ)
    with tempfile.TemporaryDirectory(prefix="kfm-repro-uv-") as folder:
        python = find_python(wanted, uv, Path(folder))
        builder = _Builder(uv, wanted, python, Path(folder))
        held = hold(_key(wanted, python), builder.build, fresh=fresh)
    shell = (run.pipeline.entrypoint or "").startswith(("sh:", "make:"))
    return Rebuilt(held, wanted, python, instead_of, shell)


def _key(wanted: RecordedPackages, python: BasePython) -> str:
    """Return the name of an environment: a digest of its packages, its interpreter and the platform."""
    packages = [(p.name, p.version, p.hashes, p.record_sha256, p.url) for p in wanted.packages]
    base = (python.path, python.version, python.implementation, python.platform)
    text = json.dumps([_FORMAT, packages, base])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Builder:
    """Builds one environment; ``folder`` is an empty one for uv to run in, so that no project's settings count."""

    uv: Uv
    wanted: RecordedPackages
    python: BasePython
    folder: Path

    def build(self, place: Path, lock: int) -> dict[str, Any]:
        """Make ``place/venv`` and return what is to be noted of it. Raises EnvironmentNotAvailable."""
        venv = place / "venv"
        try:
            self.uv.run(
                "venv", "--no-project", "--relocatable", "--link-mode", "copy", "--python", self.python.path,
                str(venv), cwd=self.folder, keep_open=(lock,),
            )  # fmt: skip
        except UvFailed as exc:
            raise _unbuilt("the virtual environment cannot be made", exc.said) from None
        # What has no wheel hash comes last: no program runs in the environment between that and the check of it.
        for packages in _batches(self.wanted.packages):
            self._install(venv, packages, lock)
        differs = self._verified(venv)
        self._compile(venv)
        return {
            "python": self.python.version,
            "packages": {package.name: package.version for package in self.wanted.packages},
            "differs": list(differs),
        }

    def _install(self, venv: Path, packages: tuple[Package, ...], lock: int) -> None:
        """Install from uv's cache alone where it has everything, else with the index."""
        hashed = bool(packages[0].hashes)
        requirements = self.folder / "requirements.txt"
        requirements.write_text("".join(_line(package) for package in packages), encoding="utf-8")
        arguments = [
            "pip", "install", "--python", str(venv / "bin" / "python"), "--no-deps", "--no-build", "--link-mode",
            "copy", "-r", str(requirements), *(["--require-hashes"] if hashed else []),
        ]  # fmt: skip
        try:
            self.uv.run(*arguments, "--offline", cwd=self.folder, keep_open=(lock,))
        except UvFailed:
            try:
                self.uv.run(*arguments, cwd=self.folder, keep_open=(lock,))
            except UvFailed as exc:
                raise _not_installed(packages, exc) from None

    def _verified(self, venv: Path) -> tuple[str, ...]:
        """Return the packages with other files than recorded. Raises EnvironmentNotAvailable without proof."""
        site = site_packages(venv)
        found = read_installed(site)
        broken = set(unfaithful(site, found))
        differs = {*differing(self.wanted.packages, found), *broken}
        unproved = sorted(p.name for p in self.wanted.packages if not p.hashes and p.name in differs)
        foreign = () if all(p.hashes for p in self.wanted.packages) else strangers(site, found)
        if unproved:
            raise EnvironmentNotAvailable(
                "what the index has today are other files than recorded, and no hash of a wheel was recorded: "
                + _listed(unproved),
                hint="the run had another build of the same version; record with a lock that has hashes, or replay in "
                "today's environment: --env current",
            )
        if foreign:
            raise EnvironmentNotAvailable(
                f"a package without a recorded hash brings files that its RECORD does not name: {_listed(foreign)}",
                hint="replay in today's environment: --env current",
            )
        return tuple(sorted(differs))

    def _compile(self, venv: Path) -> None:
        """Write the bytecode now: later, the environment is read-only. What does not compile stays as it is."""
        subprocess.run(
            [self.python.path, "-I", "-S", "-m", "compileall", "-q", "-q", "-j", "2", str(site_packages(venv))],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip


def _batches(packages: tuple[Package, ...]) -> list[tuple[Package, ...]]:
    hashed = tuple(package for package in packages if package.hashes)
    others = tuple(package for package in packages if not package.hashes)
    return [batch for batch in (hashed, others) if batch]


def _line(package: Package) -> str:
    what = f"{package.name} @ {package.url}" if package.url else f"{package.name}=={package.version}"
    return what + "".join(f" --hash=sha256:{digest}" for digest in package.hashes) + "\n"


def _not_installed(packages: tuple[Package, ...], failure: UvFailed) -> EnvironmentNotAvailable:
    if failure.unreachable:
        return _unbuilt(
            "the index of packages cannot be reached, and uv's cache does not have them all", failure.said
        )
    named = [
        p for p in packages if any(f"{p.name}{end}" in failure.said for end in ("==", " ", "`", "-", "\n"))
    ]
    what = _listed([f"{p.name} {p.version}" for p in named or packages])
    return _unbuilt(
        f"not to be had again as a wheel for this Python and platform (removed from the index, only as source, or with "
        f"other bytes than recorded): {what}",
        failure.said,
    )


def _unbuilt(what: str, said: str) -> EnvironmentNotAvailable:
    lines = "".join(f"\n  uv: {line}" for line in said.splitlines())
    return EnvironmentNotAvailable(
        f"the environment cannot be rebuilt: {what}{lines}",
        hint="check the index that uv or pip is configured for, or replay in today's environment: --env current",
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
