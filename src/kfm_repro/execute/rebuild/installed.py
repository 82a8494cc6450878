"""What is installed in a virtual environment, read from its files: nothing of it is run."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kfm_repro.execute.lockfiles import normal_name
from kfm_repro.execute.rebuild.recorded import Package

__all__ = ["Installed", "differing", "read_installed", "site_packages", "strangers", "unfaithful"]

_OF_INSTALLER = (
    ".pyc",
    "/RECORD",
    "/INSTALLER",
    "/REQUESTED",
    "/direct_url.json",
    "/provenance_url.json",
    "/uv_cache.json",
)
"""As in ``probe.py``: what an installer writes says nothing of the package."""
_OF_VENV = frozenset(("_virtualenv.pth", "_virtualenv.py"))
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Installed:
    """One installed package, and its RECORD as rows of path, hash, size."""

    name: str
    version: str
    record: str

    @property
    def record_sha256(self) -> str | None:
        """The digest of its RECORD that a fingerprint has, computed as ``probe.py`` does."""
        lines = sorted(
            line
            for line in self.record.splitlines()
            if ",sha256=" in line
            and not line.split(",")[0].endswith(_OF_INSTALLER)
            and not line.startswith("..")
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield each file of the package, relative to site-packages, with its recorded hash (may be empty)."""
        for row in csv.reader(self.record.splitlines()):
            if row:
                yield row[0], row[1] if len(row) > 1 else ""


def site_packages(venv: Path) -> Path:
    """Return where a virtual environment has its packages."""
    return next(iter(sorted((venv / "lib").glob("*/site-packages"))), venv / "lib")


def read_installed(site: Path) -> dict[str, Installed]:
    """Return every package in a site-packages folder by its normal name."""
    found: dict[str, Installed] = {}
    for item in metadata.distributions(path=[str(site)]):
        name = normal_name(item.metadata["Name"] or "")
        if name:
            found.setdefault(name, Installed(name, item.version, item.read_text("RECORD") or ""))
    return found


def differing(packages: tuple[Package, ...], found: dict[str, Installed]) -> tuple[str, ...]:
    """Return the packages that are not there in the recorded version with the recorded RECORD."""
    names = []
    for package in packages:
        there = found.get(package.name)
        same = there is not None and there.version == package.version
        if not same or package.record_sha256 not in (None, there.record_sha256 if there else None):
            names.append(package.name)
    return tuple(names)


def unfaithful(site: Path, found: dict[str, Installed]) -> tuple[str, ...]:
    """Return the packages of which a file is not what their own RECORD says, or lies outside of the environment."""
    base = site.parents[2].resolve()
    return tuple(
        name
        for name, package in sorted(found.items())
        if any(text and not _is(site / path, text, base) for path, text in package.files())
    )


def strangers(site: Path, found: dict[str, Installed]) -> tuple[str, ...]:
    """Return the files in site-packages that no RECORD names with a hash, and no installer writes."""
    known = {path for package in found.values() for path, text in package.files() if text}
    return tuple(
        name
        for name in sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if not path.is_dir())
        if name not in known and name not in _OF_VENV and not f"/{name}".endswith(_OF_INSTALLER)
    )


def _is(path: Path, text: str, base: Path) -> bool:
    kind, _, expected = text.partition("=")
    if kind not in ("sha256", "sha384", "sha512") or not path.resolve().is_relative_to(base):
        return False
    digest = hashlib.new(kind)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == expected.rstrip("=")
