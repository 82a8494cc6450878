"""Which packages a record names, how each can be had again, and which cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kfm_repro.errors import EnvironmentNotAvailable, UnsafePath
from kfm_repro.execute.fingerprint import read_fingerprint
from kfm_repro.execute.lockfiles import normal_name
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside

__all__ = ["Package", "RecordedPackages", "read_packages"]

_LOCK = "environment/requirements.lock"
_LARGEST = 64 << 20
_SAID = 12
_OURSELVES = "kfm-repro"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,100}\Z")
_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?/[A-Za-z0-9._~%/+=,@!-]+\Z")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(==|@)\s*([^\s;]+)")
_HASH = re.compile(r"--hash[= ]sha256:([0-9a-fA-F]{64})(?![0-9a-fA-F])")


@dataclass(frozen=True)
class Package:
    """One recorded package: the digests of its wheels (``hashes``), and of its RECORD as it was installed.

    ``url`` is where it came from when not from an index.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    record_sha256: str | None = None
    url: str = ""


@dataclass(frozen=True)
class RecordedPackages:
    """What a record says of the packages. ``import_roots`` are folders of the project that it was installed from."""

    python: str
    implementation: str
    executable: str
    packages: tuple[Package, ...]
    import_roots: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_packages(original: RunDir, run: Run) -> RecordedPackages:
    """Return the packages of a run. Raises EnvironmentNotAvailable, naming every package that cannot be had again."""
    known = read_fingerprint(original, run)
    python = str(known.get("python") or "")
    lock = _read_lock(original, run)
    versions = known.get("packages")
    if not re.match(r"\d+\.\d+", python):
        raise _nothing(original, "does not say which Python ran")
    if not isinstance(versions, Mapping) or not versions:
        if not any(any(versions.values()) for versions in lock.values()):
            raise _nothing(original, "has no list of packages: no fingerprint and no lock with hashes")
        versions = {name: " or ".join(sorted(found)) for name, found in lock.items()}
    records = known.get("package_records")
    conda = known.get("conda")
    if isinstance(conda, Mapping) and conda:
        raise _nothing(original, f"is of a conda environment ({len(conda)} packages), which uv cannot make")
    sorted_out = _Sorted(run.environment.root if run.environment else None)
    for name, version in sorted((normal_name(str(key)), str(value)) for key, value in versions.items()):
        about = records.get(name) if isinstance(records, Mapping) else None
        sorted_out.add(name, version, about if isinstance(about, Mapping) else {}, lock.get(name, {}))
    if sorted_out.problems:
        raise _cannot(original, sorted_out.problems)
    return RecordedPackages(
        python=python,
        implementation=str(known.get("implementation") or "CPython"),
        executable=str(known.get("executable") or ""),
        packages=tuple(sorted_out.packages),
        import_roots=tuple(sorted_out.roots),
        left_out=tuple(sorted_out.left_out),
    )


class _Sorted:
    """Packages, sorted into those that can be had again, those that are left out, and the problems."""

    def __init__(self, root: str | None) -> None:
        self.root = root
        self.packages: list[Package] = []
        self.problems: list[str] = []
        self.left_out: list[str] = []
        self.roots: list[str] = []

    def add(
        self, name: str, version: str, about: Mapping[str, Any], locked: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Look at one package; ``locked`` are the hashes that the lock has for each version of it."""
        said = f"{name} {version}"
        if not _NAME.match(name) or not _VERSION.match(version):
            self.problems.append(f"{said!r} is no name and version of a package")
            return
        source = about.get("direct_url")
        hashes = locked.get(version) or locked.get("@") or ()
        provenance = about.get("provenance_url")
        if not hashes and isinstance(provenance, Mapping):
            hashes = _archive_hashes(provenance.get("archive_info"))
        digest = about.get("record_sha256")
        digest = digest if isinstance(digest, str) else None
        if about.get("from") == "pythonpath":
            self.left_out.append(f"{said} (found by PYTHONPATH, not installed)")
        elif isinstance(source, Mapping):
            self._from_url(name, version, source, hashes, digest)
        elif hashes or digest:
            self.packages.append(Package(name, version, hashes, digest))
        else:
            self.problems.append(f"{said}: neither a hash nor the digest of its files was recorded")

    def _from_url(
        self, name: str, version: str, source: Mapping[str, Any], hashes: tuple[str, ...], digest: str | None
    ) -> None:
        said, url = f"{name} {version}", str(source.get("url") or "")
        archive = source.get("archive_info")
        directory = source.get("dir_info")
        editable = source.get("editable") or (isinstance(directory, Mapping) and directory.get("editable"))
        if name == _OURSELVES and not url.startswith("https://"):
            self.left_out.append(f"{said} (this tool)")
        elif editable and (folder := self._in_project(url)) is not None:
            self.roots += [folder, f"{folder}/src".removeprefix("./")]
            self.left_out.append(f"{said} (editable; its code comes from the checkout)")
        elif editable:
            self.problems.append(f"{said}: an editable install from outside of the project")
        elif isinstance(source.get("vcs_info"), Mapping) or url.startswith("git+"):
            self.problems.append(f"{said}: installed from version control, and would have to be built")
        elif url.startswith("file:"):
            kind = "file" if isinstance(archive, Mapping) else "folder"
            self.problems.append(f"{said}: installed from a local {kind}, which is not part of the record")
        else:
            found = hashes or _archive_hashes(archive)
            if found and _URL.match(url) and url.endswith(".whl"):
                self.packages.append(Package(name, version, found, digest, url))
            else:
                self.problems.append(
                    f"{said}: installed from an address that is no https wheel with a sha256"
                )

    def _in_project(self, url: str) -> str | None:
        parts = urlsplit(url)
        folder = Path(unquote(parts.path))
        if (
            parts.scheme != "file"
            or not self.root
            or ".." in folder.parts
            or not folder.is_relative_to(self.root)
        ):
            return None
        return folder.relative_to(self.root).as_posix()


def _archive_hashes(archive: object) -> tuple[str, ...]:
    """Return the sha256 of ``archive_info`` (PEP 610: ``hashes``, or the older ``hash``)."""
    if not isinstance(archive, Mapping):
        return ()
    hashes = archive.get("hashes")
    text = hashes.get("sha256") if isinstance(hashes, Mapping) else None
    text = text or str(archive.get("hash") or "").removeprefix("sha256=")
    return (str(text).lower(),) if re.fullmatch(r"[0-9a-fA-F]{64}", str(text)) else ()


def _read_lock(original: RunDir, run: Run) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the hashes by name and version (``@``: from an address). What else stands in a lock is not run."""
    environment = run.raw.get("environment")
    named = environment.get("lock") if isinstance(environment, dict) else None
    text = _read(original.path, named if isinstance(named, str) else _LOCK).decode(errors="replace")
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        match = _REQUIREMENT.match(line.strip())
        if match is not None:
            versions = found.setdefault(normal_name(match[1]), {})
            version = match[3] if match[2] == "==" else "@"
            known = {*versions.get(version, ()), *(digest.lower() for digest in _HASH.findall(line))}
            versions[version] = tuple(sorted(known))
    return found


def _read(folder: Path, name: str) -> bytes:
    try:
        path = inside(folder, name, what="a file of the recorded environment")
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else b""
    except (OSError, UnsafePath):
        return b""


def _nothing(original: RunDir, why: str) -> EnvironmentNotAvailable:
    return EnvironmentNotAvailable(
        f"the environment of {original.name} cannot be rebuilt: its record {why}",
        hint="record again with this version of kfm-repro, or replay in today's environment: --env current",
    )


def _cannot(original: RunDir, problems: list[str]) -> EnvironmentNotAvailable:
    lines = problems[:_SAID] + ([f"… and {len(problems) - _SAID} more"] if len(problems) > _SAID else [])
    listed = "".join(f"\n  {line}" for line in lines)
    return EnvironmentNotAvailable(
        f"the environment of {original.name} cannot be rebuilt from its record:{listed}",
        hint="install these packages from an index as wheels and record again, or replay in today's environment: "
        "--env current",
    )
