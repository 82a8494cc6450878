"""The hashes of packages that a project's own lock file names: an installed package does not say its wheel's."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["KnownHashes", "known_hashes", "normal_name"]

_MAX_BYTES = 32 << 20
_MAX_FILES = 50
_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*={2,3}\s*([^\s;,\\#]+)")
_HASH = re.compile(r"--hash[= ]sha256:([0-9a-fA-F]{64})")
_SHA256 = re.compile(r"(?:sha256[:=])?([0-9a-fA-F]{64})\Z")
_Found = Iterator[tuple[str, str, set[str]]]


@dataclass(frozen=True)
class KnownHashes:
    """The sha256 of the files that may be installed, by normal name and version, and the lock file that says so."""

    hashes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)


def normal_name(name: str) -> str:
    """Return the name of a package as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def known_hashes(root: Path) -> KnownHashes:
    """Return what the lock files of a project say: uv, PEP 751, Poetry, PDM, Pipenv, requirements with hashes.

    Of two files that lock one version, the first in the order of the names counts. What cannot be read says nothing.
    """
    known = KnownHashes()
    for path, read in _lock_files(root):
        relative = path.relative_to(root).as_posix()
        try:
            if path.stat().st_size > _MAX_BYTES:
                continue
            found = list(read(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            continue
        for name, version, hashes in found:
            key = (normal_name(name), version)
            if hashes and known.files.get(key, relative) == relative:
                known.hashes[key] = tuple(sorted({*known.hashes.get(key, ()), *hashes}))
                known.files[key] = relative
    return known


def _lock_files(root: Path) -> Iterator[tuple[Path, Callable[[str], _Found]]]:
    table: dict[str, Callable[[str], _Found]] = {
        "uv.lock": _packages_of_toml,
        "pylock.toml": _packages_of_toml,
        "pylock.*.toml": _packages_of_toml,
        "poetry.lock": _packages_of_toml,
        "pdm.lock": _packages_of_toml,
        "Pipfile.lock": _pipfile,
        "requirements*.txt": _requirements,
        "requirements*.lock": _requirements,
        "requirements/*.txt": _requirements,
        "requirements/*.lock": _requirements,
    }
    base = root.resolve()
    for pattern, read in table.items():
        for path in sorted(root.glob(pattern))[:_MAX_FILES]:
            if path.is_file() and path.resolve().is_relative_to(base):
                yield path, read


def _requirements(text: str) -> _Found:
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        pin = _PIN.match(line)
        if pin:
            yield pin[1], pin[2], {digest.lower() for digest in _HASH.findall(line)}


def _packages_of_toml(text: str) -> _Found:
    """Read the tables ``package`` (uv, Poetry, PDM) or ``packages`` (PEP 751) and the digests of their files."""
    document = tomllib.loads(text)
    for package in (*document.get("package", ()), *document.get("packages", ())):
        files = [package.get(key) for key in ("sdist", "archive")]
        for key in ("wheels", "files"):
            files += package.get(key) or ()
        hashes = {digest for file in files if isinstance(file, dict) for digest in _digests(file)}
        if isinstance(package.get("version"), str):
            yield package["name"], package["version"], hashes


def _digests(file: dict[str, Any]) -> Iterator[str]:
    hashes = file.get("hashes")
    for value in (file.get("hash"), hashes.get("sha256") if isinstance(hashes, dict) else None):
        if isinstance(value, str) and (match := _SHA256.match(value)):
            yield match[1].lower()


def _pipfile(text: str) -> _Found:
    document = json.loads(text)
    for section in ("default", "develop"):
        for name, package in document.get(section, {}).items():
            version = package.get("version")
            if isinstance(version, str) and version.startswith("=="):
                matches = [_SHA256.match(value) for value in package.get("hashes", ())]
                yield name, version[2:], {match[1].lower() for match in matches if match}
