"""The few questions that we ask git, with hooks and prompts off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git_trouble import OLDEST_GIT, explain_failure, git_missing, git_too_old
from kfm_repro.execute.lfs import local_data, parse_pointer
from kfm_repro.runs.copying import copy_file

__all__ = ["RAW", "UNFILTERED", "Repository", "find_repository", "init_repository", "require_git"]

_SAFE = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.splitIndex=false",
    "-c", "core.quotePath=false",
    "-c", "protocol.ext.allow=never",
    "-c", "advice.detachedHead=false",
)  # fmt: skip

_ALONE = ("-c", "core.excludesFile=/dev/null", "-c", "core.logAllRefUpdates=false")
_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=/dev/null")
"""What the user's own settings say of line ends and attributes is no part of the code."""

RAW = "* -text -ident -filter !working-tree-encoding\n"
"""Attributes under which git writes and reads the very bytes of a file: no line ends, no keywords, no filters."""
UNFILTERED = "* -filter\n"
"""Attributes under which git converts as the commit says, and runs no program of anybody's configuration."""

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


@dataclass(frozen=True)
class Repository:
    """A git repository; ``prefix`` is where the project root lies below its top, empty or ending in ``/``.

    ``alone`` is a clone of ours, for which the configuration and attributes of user and machine do not count.
    ``bare`` is git's own folder of a submodule: ``top`` is that folder, and no files are looked at.
    """

    top: Path
    prefix: str
    alone: bool = False
    bare: bool = False

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
        return _git(
            self.top, (*self._where, *args), own=own, data=data, as_configured=as_configured, alone=self.alone
        )

    def stream(self, *args: str, data: bytes = b"", source: BinaryIO | None = None, sink: BinaryIO) -> None:
        """Run git at the top, reading ``source`` (else ``data``) and writing to ``sink``. Raises CodeNotAvailable."""
        _git(self.top, (*self._where, *args), data=data, source=source, sink=sink, alone=self.alone)

    @property
    def _where(self) -> tuple[str, ...]:
        # The folder of a submodule names its working tree in core.worktree, which may be gone.
        return ("--git-dir=.", "--work-tree=.") if self.bare else ()

    def git_folder(self, which: str = "--git-common-dir") -> Path:
        """Return git's own folder: that of this working tree (``--git-dir``) or the one that all share."""
        said = self.git("rev-parse", "--path-format=absolute", which)
        return Path(os.fsdecode(said).removesuffix("\n"))

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

    def list_tree(self, treeish: str) -> list[str]:
        """Return the files of a commit or tree as ``mode type object<tab>path`` from the top, submodules too."""
        listing = os.fsdecode(self.git("ls-tree", "-r", "-z", "--full-tree", treeish))
        return listing.split("\0")[:-1]

    def blob(self, commit: str, path: str, target: Path) -> bool:
        """Write the file ``path`` (from the top) of ``commit`` to ``target``; False when it is not there.

        Of a pointer of Git LFS the data is written, where it is on this machine.
        """
        try:
            content = self.git("cat-file", "blob", f"{commit}:{path}")
        except CodeNotAvailable:
            return False
        pointer = parse_pointer(content)
        data = local_data(pointer, self.git_folder()) if pointer else None
        if data is not None:
            target.unlink(missing_ok=True)
            copy_file(data, target)
        else:
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
    """Return the repository that ``root`` lies in. Raises NotARepository, or what git said of it."""
    require_git()
    top = _git(root, ["rev-parse", "--show-toplevel"])
    prefix = _git(root, ["rev-parse", "--show-prefix"])
    return Repository(Path(os.fsdecode(top).removesuffix("\n")), os.fsdecode(prefix).removesuffix("\n"))


def require_git() -> None:
    """Refuse a machine without git, or with one that is too old. Raises CodeNotAvailable."""
    _require_git(os.environ.get("PATH", os.defpath))


@lru_cache
def _require_git(path: str) -> None:
    """Ask git for its version, once for each PATH."""
    del path
    said = _git(Path("/"), ["--version"]).decode(errors="replace").strip()
    version = re.match(r"git version (\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < OLDEST_GIT:
        raise git_too_old(said.removeprefix("git version "))


def init_repository(
    target: Path, object_format: str, *, alone: bool = False, bare: bool = False
) -> Repository:
    """Make an empty repository in the new folder ``target``, without templates. Raises CodeNotAvailable."""
    require_git()
    target.mkdir(exist_ok=alone)
    repository = Repository(target, "", alone)
    kind = ["--bare"] if bare else []
    repository.git(
        "init", "--quiet", *kind, "--template=", "--initial-branch=main", f"--object-format={object_format}"
    )
    return repository


def _git(
    folder: Path,
    args: Sequence[str],
    *,
    own: Mapping[str, str] | None = None,
    data: bytes | None = None,
    source: BinaryIO | None = None,
    sink: BinaryIO | None = None,
    as_configured: bool = False,
    alone: bool = False,
) -> bytes:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    # Objects are copied, never transported: a partial clone must not fetch behind our back.
    environ |= {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
    if alone:
        environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environ |= own or {}
    if not as_configured:
        environ["GIT_ATTR_NOSYSTEM"] = "1"
    try:
        done = subprocess.run(
            ["git", *_SAFE, *(() if as_configured else _PLAIN), *(_ALONE if alone else ()), *args],
            cwd=folder,
            env=environ,
            input=(data or b"") if source is None else None,
            stdin=source,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            umask=0o022 if alone else -1,
        )
    except OSError as exc:
        if exc.filename not in (None, "git"):
            raise
        found = shutil.which("git")
        raise git_missing(exc.strerror or str(exc) if found else "there is none on PATH") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise explain_failure(tuple(args), folder, said, done.returncode)
    return done.stdout or b""
