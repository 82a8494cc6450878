"""The few questions that we ask git, with hooks and prompts off and our own index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git_trouble import OLDEST_GIT, explain_failure, git_missing, git_too_old

__all__ = ["CodeState", "Repository", "clone_at", "find_repository", "init_repository"]

_SAFE = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.splitIndex=false",
    "-c", "core.autocrlf=false",
    "-c", "core.quotePath=false",
    "-c", "protocol.ext.allow=never",
    "-c", "advice.detachedHead=false",
)  # fmt: skip

_MAX_PATCH_BYTES = 64 << 20
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


@dataclass(frozen=True)
class CodeState:
    """The code of a project at one moment: a commit and, when dirty, the patch from it to ``tree``."""

    commit: str
    dirty: bool
    tree: str
    patch: bytes


@dataclass(frozen=True)
class Repository:
    """A git repository; ``prefix`` is where the project root lies below its top, empty or ending in ``/``."""

    top: Path
    prefix: str

    def git(self, *args: str, index: Path | None = None, data: bytes | None = None) -> bytes:
        """Run git at the top and return its output. Raises CodeNotAvailable with what git said."""
        return _git(self.top, args, index=index, data=data)

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

    def state(self, excluded: Sequence[str]) -> CodeState:
        """Return the code as it is now, leaving index and working tree alone.

        ``excluded`` are folders from the top that are data, not code. New files that git does not ignore
        belong to the patch. Raises CodeNotAvailable when there is no commit yet.
        """
        try:
            commit = self.git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        except CodeNotAvailable as exc:
            raise CodeNotAvailable(
                "the repository has no commit yet", hint="commit the code first: a run records its commit"
            ) from exc
        with tempfile.TemporaryDirectory(prefix="kfm-repro-index-") as folder:
            index = Path(folder) / "index"
            self.git("read-tree", commit, index=index)
            outside = [f":(exclude,top,literal){name}" for name in excluded]
            changed = self.git(
                "ls-files", "--modified", "--deleted", "--others", "--exclude-standard", "--full-name", "-z",
                "--", ":/", *outside, index=index,
            )  # fmt: skip
            if changed:
                self._refuse_large(changed)
                # A file that became a folder is replaced by what lies in the folder now.
                names = [n for n in changed.split(b"\0") if n and not self._is_folder(n)]
                self.git(
                    "update-index", "--add", "--remove", "--replace", "-z", "--stdin",
                    index=index, data=b"".join(name + b"\0" for name in names),
                )  # fmt: skip
            tree = self.git("write-tree", index=index).decode().strip()
            patch = self.git(
                "diff", "--cached", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
                "--no-textconv", "--no-color", "-O/dev/null", "--src-prefix=a/", "--dst-prefix=b/", commit, index=index,
            )  # fmt: skip
        return CodeState(commit, bool(patch), tree, patch)

    def _is_folder(self, name: bytes) -> bool:
        path = self.top / os.fsdecode(name)
        return path.is_dir() and not path.is_symlink()

    def visible(self, path: Path) -> bool:
        """Return whether git sees ``path``: it lies in the repository and no rule ignores it."""
        if not path.is_relative_to(self.top):
            return False
        try:
            self.git("check-ignore", "--quiet", "--", str(path / "x"))
        except CodeNotAvailable:
            return True
        return False

    def _refuse_large(self, names: bytes) -> None:
        """Refuse a patch that would hold a whole environment or data set. Raises CodeNotAvailable."""
        sizes = [
            (path.lstat().st_size, name)
            for name in names.decode(errors="surrogateescape").split("\0")
            if name and os.path.lexists(path := self.top / name)
        ]
        total = sum(size for size, _ in sizes)
        if total > _MAX_PATCH_BYTES:
            size, name = max(sizes)
            raise CodeNotAvailable(
                f"uncommitted changes add up to {total >> 20} MiB; the largest is {name} ({size >> 20} MiB)",
                hint="put what is not code into .gitignore, or below a data root; commit the rest",
            )


def find_repository(root: Path) -> Repository:
    """Return the repository that ``root`` lies in. Raises NotARepository, or what git said of it."""
    _require_git(os.environ.get("PATH", os.defpath))
    top = _git(root, ["rev-parse", "--show-toplevel"])
    prefix = _git(root, ["rev-parse", "--show-prefix"])
    return Repository(Path(os.fsdecode(top).rstrip("\n")), os.fsdecode(prefix).rstrip("\n"))


@lru_cache
def _require_git(path: str) -> None:
    """Refuse a git that is too old, once for each PATH. Raises CodeNotAvailable."""
    del path
    said = _git(Path("/"), ["--version"]).decode(errors="replace").strip()
    version = re.match(r"git version (\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < OLDEST_GIT:
        raise git_too_old(said.removeprefix("git version "))


def clone_at(source: Repository, commit: str, target: Path) -> Repository:
    """Make a clean clone of ``source`` in ``target`` with ``commit`` checked out, sharing nothing with it.

    The clone has a real .git and no remote. Raises CodeNotAvailable.
    """
    options = ("--no-checkout", "--no-hardlinks", "--origin=origin", "--no-reject-shallow", "--template=")
    with tempfile.TemporaryDirectory(prefix="kfm-repro-git-") as folder:
        # Who reads the source asks for trust by another path than who found it, and gets no settings of ours.
        trust = Path(folder) / "config"
        trust.write_text("[safe]\n\tdirectory = *\n", encoding="ascii")
        _git(
            source.top.parent,
            ["clone", "--quiet", *options, "--", str(source.top), str(target)],
            settings=trust,
        )
        clone = Repository(target, source.prefix)
        if not _has_commit(clone, commit):
            wanted = f"{commit}:refs/kfm-repro/run"
            _git(target, ["fetch", "--quiet", "--no-tags", str(source.top), wanted], settings=trust)
    clone.git("checkout", "--quiet", "--detach", commit)
    clone.git("remote", "remove", "origin")
    return clone


def _has_commit(repository: Repository, commit: str) -> bool:
    try:
        repository.git("cat-file", "-e", f"{commit}^{{commit}}")
    except CodeNotAvailable:
        return False
    return True


def init_repository(target: Path, object_format: str, *, bare: bool = False) -> Repository:
    """Make an empty repository in the new folder ``target``, without templates. Raises CodeNotAvailable."""
    _require_git(os.environ.get("PATH", os.defpath))
    target.mkdir()
    kind = ["--bare"] if bare else []
    _git(
        target,
        [
            "init",
            "--quiet",
            *kind,
            "--template=",
            "--initial-branch=main",
            f"--object-format={object_format}",
        ],
    )
    return Repository(target, "")


def _git(
    folder: Path,
    args: Sequence[str],
    *,
    index: Path | None = None,
    data: bytes | None = None,
    source: BinaryIO | None = None,
    sink: BinaryIO | None = None,
    settings: Path | None = None,
) -> bytes:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    environ |= {"GIT_ALLOW_PROTOCOL": "file", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
    if settings is not None:
        environ["GIT_CONFIG_GLOBAL"] = str(settings)
    if index is not None:
        environ["GIT_INDEX_FILE"] = str(index)
    try:
        done = subprocess.run(
            ["git", *_SAFE, *args],
            cwd=folder,
            env=environ,
            input=(data or b"") if source is None else None,
            stdin=source,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
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
