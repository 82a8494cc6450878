"""The few questions that we ask git, with hooks and prompts off."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kfm_repro.errors import CodeNotAvailable

__all__ = ["RAW", "UNFILTERED", "Repository", "clone_at", "find_repository", "init_repository"]

_SAFE = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.splitIndex=false",
    "-c", "core.quotePath=false",
    "-c", "protocol.ext.allow=never",
    "-c", "advice.detachedHead=false",
)  # fmt: skip

_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=/dev/null")
"""What the user's own settings say of line ends and attributes is no part of the code."""

RAW = "* -text -ident -filter !working-tree-encoding\n"
"""Attributes under which git writes and reads the very bytes of a file: no line ends, no keywords, no filters."""
UNFILTERED = "* -filter\n"
"""Attributes under which git converts as the commit says, and runs no program of anybody's configuration."""

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


@dataclass(frozen=True)
class Repository:
    """A git repository; ``prefix`` is where the project root lies below its top, empty or ending in ``/``."""

    top: Path
    prefix: str

    def git(
        self,
        *args: str,
        index: Path | None = None,
        data: bytes | None = None,
        place: Mapping[str, str] | None = None,
        as_configured: bool = False,
    ) -> bytes:
        """Run git at the top and return its output. Raises CodeNotAvailable with what git said.

        ``place`` are variables of git that lead to another repository; ``as_configured`` lets the user's settings
        of line ends and attributes hold.
        """
        own = {**(place or {}), **({"GIT_INDEX_FILE": str(index)} if index else {})}
        return _git(self.top, args, own=own, data=data, as_configured=as_configured)

    def stream(self, *args: str, data: bytes = b"", source: BinaryIO | None = None, sink: BinaryIO) -> None:
        """Run git at the top, reading ``source`` (else ``data``) and writing to ``sink``. Raises CodeNotAvailable."""
        _git(self.top, args, data=data, source=source, sink=sink)

    def resolve_commit(self, commit: str) -> str:
        """Return the full id of a commit. Raises CodeNotAvailable when it is not here or is ambiguous."""
        if not _COMMIT.fullmatch(commit):
            raise CodeNotAvailable(
                f"not a commit: {commit!r}",
                hint="a record names a commit by 4 to 64 hex digits, not a branch or tag",
            )
        known = self.git("rev-parse", f"--disambiguate={commit.lower()}").decode().split()
        commits = [name for name in known if self._is_commit(name)]
        if len(commits) != 1:
            raise CodeNotAvailable(
                f"commit {commit} is {'ambiguous' if commits else 'not'} in this repository",
                hint="fetch it (git fetch --all --unshallow, or from where the run was made), then try again",
            )
        return commits[0]

    def _is_commit(self, name: str) -> bool:
        return self.git("cat-file", "-t", name).decode().strip() == "commit"

    def submodules(self, commit: str) -> list[str]:
        """Return the paths of the submodules of ``commit``, sorted."""
        entries = os.fsdecode(self.git("ls-tree", "-r", "-z", "--full-tree", commit)).split("\0")
        return [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]

    def blob(self, commit: str, path: str, target: Path) -> bool:
        """Write the file ``path`` (from the top) of ``commit`` to ``target``; False when it is not there."""
        try:
            content = self.git("cat-file", "blob", f"{commit}:{path}")
        except CodeNotAvailable:
            return False
        target.write_bytes(content)
        return True

    def visible(self, path: Path) -> bool:
        """Return whether git sees ``path``: it lies in the repository and no rule ignores it."""
        if not path.is_relative_to(self.top):
            return False
        try:
            self.git("check-ignore", "--quiet", "--", str(path / "x"))
        except CodeNotAvailable:
            return True
        return False


def find_repository(root: Path) -> Repository:
    """Return the repository that ``root`` lies in. Raises CodeNotAvailable, saying what git said."""
    try:
        top = _git(root, ["rev-parse", "--show-toplevel"])
        prefix = _git(root, ["rev-parse", "--show-prefix"])
    except CodeNotAvailable as exc:
        if "dubious ownership" in exc.message:
            raise CodeNotAvailable(
                f"git does not trust the repository at {root}: it belongs to another user",
                hint=f"if you trust it: git config --global --add safe.directory {root}",
            ) from exc
        raise CodeNotAvailable(
            f"not a git repository: {root}",
            hint="a run records the commit of its code: put the project under git (git init, git commit)",
        ) from exc
    return Repository(Path(os.fsdecode(top).rstrip("\n")), os.fsdecode(prefix).rstrip("\n"))


def clone_at(source: Repository, commit: str, target: Path, *, attributes: str = UNFILTERED) -> Repository:
    """Make a clean clone of ``source`` in ``target`` with ``commit`` checked out, sharing nothing with it.

    The clone has a real .git and no remote. ``attributes`` (`RAW` or `UNFILTERED`) hold until they are taken out of
    its info/attributes. Raises CodeNotAvailable.
    """
    options = ("--no-checkout", "--no-hardlinks", "--origin=origin", "--no-reject-shallow", "--template=")
    _git(source.top.parent, ["clone", "--quiet", *options, "--", str(source.top), str(target)])
    clone = Repository(target, source.prefix)
    if not _has_commit(clone, commit):
        clone.git("fetch", "--quiet", "--no-tags", str(source.top), f"{commit}:refs/kfm-repro/run")
    (target / ".git/info").mkdir(exist_ok=True)
    (target / ".git/info/attributes").write_text(attributes, encoding="utf-8")
    clone.git("checkout", "--quiet", "--detach", commit)
    clone.git("remote", "remove", "origin")
    return clone


def _has_commit(repository: Repository, commit: str) -> bool:
    try:
        repository.git("cat-file", "-e", f"{commit}^{{commit}}")
    except CodeNotAvailable:
        return False
    return True


def init_repository(target: Path, object_format: str) -> Repository:
    """Make an empty repository in the new folder ``target``, without templates. Raises CodeNotAvailable."""
    target.mkdir()
    _git(
        target,
        ["init", "--quiet", "--template=", "--initial-branch=main", f"--object-format={object_format}"],
    )
    return Repository(target, "")


def _git(
    folder: Path,
    args: Sequence[str],
    *,
    own: Mapping[str, str] | None = None,
    data: bytes | None = None,
    source: BinaryIO | None = None,
    sink: BinaryIO | None = None,
    as_configured: bool = False,
) -> bytes:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    environ |= {"GIT_ALLOW_PROTOCOL": "file", **(own or {})}
    if not as_configured:
        environ["GIT_ATTR_NOSYSTEM"] = "1"
    try:
        done = subprocess.run(
            ["git", *_SAFE, *(() if as_configured else _PLAIN), *args],
            cwd=folder,
            env=environ,
            input=(data or b"") if source is None else None,
            stdin=source,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError as exc:
        raise CodeNotAvailable("git is not installed", hint="install git; runs record their commit") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CodeNotAvailable(
            f"git {_verb(args)} failed: {said[-1] if said else f'exit code {done.returncode}'}",
            hint="see the message of git above",
        )
    return done.stdout or b""


def _verb(args: Sequence[str]) -> str:
    """Return which command of git was run: what follows its ``-c`` settings."""
    rest = list(args)
    while rest[:1] == ["-c"]:
        rest = rest[2:]
    return rest[0] if rest else ""
