"""The packages that a run had, as a requirements file with the hashes that can honestly be known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfm_repro.execute.lockfiles import KnownHashes

__all__ = ["requirements_lock"]


def requirements_lock(known: Mapping[str, Any], locked: KnownHashes | None = None) -> str:
    """Return the packages of a fingerprint as a requirements file, sorted by name.

    An installed package does not say the digest of the wheel that it came from. A hash stands beside a package
    where it was installed from a URL that had one, or where a lock file of the project (``locked``) names this
    very version; else the digest of its installed files does, which a rebuilt environment can be checked by.
    """
    locked = locked or KnownHashes()
    records = known.get("package_records")
    records = records if isinstance(records, dict) else {}
    packages = known.get("packages")
    packages = packages if isinstance(packages, dict) else {}
    lines: list[str] = []
    hashed, files = 0, set[str]()
    for name, version in sorted((str(name), str(version)) for name, version in packages.items()):
        about = records.get(name)
        about = about if isinstance(about, dict) else {}
        line, hashes = _requirement(name, version, about)
        if not hashes and line == f"{name}=={version}" and (name, version) in locked.hashes:
            hashes = locked.hashes[name, version]
            files.add(locked.files[name, version])
        hashed += bool(hashes)
        lines.append(" \\\n    ".join([line, *(f"--hash=sha256:{digest}" for digest in hashes)]))
        if not hashes and not line.startswith("#") and about.get("record_sha256"):
            lines.append(f"    # installed files: sha256 {about['record_sha256']}")
    head = [
        f"# The packages that the run had, with Python {known.get('python', 'unknown')}. Written by kfm-repro record.",
        f"# {hashed} of {len(packages)} have hashes"
        + (f", from {', '.join(sorted(files))}." if files else "."),
    ]
    if hashed < len(packages):
        head.append(
            "# What is installed does not say which wheel it came from, so that the others have none."
        )
        head.append("# uv installs from this file as it is; pip wants hashes for all or for none.")
    return "\n".join([*head, *lines]) + "\n"


def _requirement(name: str, version: str, about: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return how a package is asked for, and the hashes that its installer noted."""
    source, index = about.get("direct_url"), about.get("provenance_url")
    if not isinstance(source, dict) or not isinstance(source.get("url"), str):
        return f"{name}=={version}", _hashes(index)
    url, vcs = source["url"], source.get("vcs_info")
    if isinstance(vcs, dict):
        return f"{name} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}", ()
    if "archive_info" in source and not url.startswith("file:"):
        return f"{name} @ {url}", _hashes(source)
    what = "file" if "archive_info" in source else "folder"
    said = [f"# {name}=={version} was installed from a local {what}", *_hashes_told(source)]
    if source.get("editable"):
        said.append("editable")
    state = source.get("source")
    if isinstance(state, dict):
        said.append(f"commit {state['commit']}" if state.get("commit") else str(state.get("reason")))
        said += ["with uncommitted changes"] if state.get("changed") else []
    if source.get("in_project"):
        said.append("part of this project")
    return ", ".join(said), ()


def _hashes(source: object) -> tuple[str, ...]:
    info = source.get("archive_info") if isinstance(source, dict) else None
    if not isinstance(info, dict):
        return ()
    hashes = info.get("hashes")
    found = {str(hashes.get("sha256"))} if isinstance(hashes, dict) else set()
    found.add(str(info.get("hash") or "").removeprefix("sha256="))
    return tuple(sorted(digest for digest in found if _is_sha256(digest)))


def _hashes_told(source: Mapping[str, Any]) -> list[str]:
    return [f"sha256 {digest}" for digest in _hashes(source)]


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)  # noqa: PLR2004 - hex digits of a sha256
