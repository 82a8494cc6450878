"""Code in packs: the history of one commit as a git bundle, made and read without any transport.

A bundle is a short header and a git pack. It is read by ``index-pack``, which checks every object and runs no
hook, no filter, no protocol.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from kfm_repro.errors import BadPack, CodeNotAvailable, UnsafePath
from kfm_repro.execute.git import Repository, init_repository
from kfm_repro.runs.paths import real_path

__all__ = ["clone_code", "fetch_code", "object_format", "write_bundle"]

_HEADERS = {"sha1": b"# v2 git bundle\n", "sha256": b"# v3 git bundle\n@object-format=sha256\n"}
_REF = "refs/kfm-repro/packs/"
_MAX_LINE = 1_000


def object_format(repository: Repository) -> str:
    """Return the hash that names a repository's objects: sha1 or sha256."""
    return repository.git("rev-parse", "--show-object-format").decode().strip()


def write_bundle(repository: Repository, commit: str, target: Path) -> None:
    """Write the history of ``commit`` as a git bundle; the same history gives the same bytes.

    Raises CodeNotAvailable, also for a shallow repository.
    """
    if repository.git("rev-parse", "--is-shallow-repository").decode().strip() == "true":
        raise CodeNotAvailable(
            "the repository is shallow: its history cannot be packed whole", hint="git fetch --unshallow"
        )
    with target.open("xb") as file:
        file.write(_HEADERS[object_format(repository)])
        file.write(f"{commit} {_REF}{commit}\n\n".encode())
        file.flush()
        repository.stream(
            "-c", "pack.threads=1", "-c", "pack.useBitmaps=false",
            "pack-objects", "--revs", "--stdout", "--quiet", "--no-reuse-delta", "--no-reuse-object", "--threads=1",
            data=f"{commit}\n".encode(), sink=file,
        )  # fmt: skip


def fetch_code(repository: Repository, bundle: Path, commit: str) -> None:
    """Bring the history of ``commit`` into ``repository``, kept by a ref of ours.

    Raises BadPack when the bundle is not what it says, CodeNotAvailable when git refuses it.
    """
    with bundle.open("rb", buffering=0) as file, Path("/dev/null").open("wb") as nowhere:
        _read_header(file, commit, object_format(repository))
        repository.stream("index-pack", "--stdin", "--strict", source=file, sink=nowhere)
    repository.git("rev-list", "--objects", "--quiet", commit)
    repository.git("update-ref", f"{_REF}{commit}", commit)


def clone_code(bundle: Path, commit: str, format_: str, target: Path) -> Repository:
    """Make a repository in the new folder ``target`` with ``commit`` checked out on ``main``, filters off.

    Raises what ``fetch_code`` raises, and UnsafePath when the code has a symbolic link that leads out of it.
    """
    repository = init_repository(target, format_)
    info = target / ".git/info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("* -filter\n", encoding="utf-8")
    try:
        fetch_code(repository, bundle, commit)
        repository.git("update-ref", "refs/heads/main", commit)
        repository.git("checkout", "--quiet", "--force", "main")
        _refuse_links_out(repository)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return repository


def _read_header(file: BinaryIO, commit: str, format_: str) -> None:
    """Read up to the git pack; a header other than the one that we write is refused."""
    lines = []
    while (line := _line(file)) != b"\n":
        lines.append(line)
        if len(lines) > 3 or not line.endswith(b"\n"):  # noqa: PLR2004 - ours has at most three lines
            raise BadPack("the code in the pack is no git bundle of kfm-repro", hint="get the pack again")
    if b"".join(lines) != _HEADERS[format_] + f"{commit} {_REF}{commit}\n".encode():
        raise BadPack(
            "the code in the pack is no git bundle of its commit, or of another kind of repository",
            hint="unpack it into a new folder: --into DIR",
        )


def _line(file: BinaryIO) -> bytes:
    """Read one line byte by byte, so that git finds the rest where the file stands."""
    line = bytearray()
    while len(line) < _MAX_LINE and (byte := file.read(1)):
        line += byte
        if byte == b"\n":
            break
    return bytes(line)


def _refuse_links_out(repository: Repository) -> None:
    top = repository.top.resolve()
    for line in repository.git("ls-files", "-s", "-z").decode(errors="surrogateescape").split("\0"):
        mode, _, path = line.partition(" ")[0], *line.partition("\t")[1:]
        if mode == "120000" and not real_path(repository.top / path).is_relative_to(top):
            raise UnsafePath(
                f"the code in the pack has a symbolic link that leads out of it: {path!r}",
                hint="do not trust this pack",
            )
