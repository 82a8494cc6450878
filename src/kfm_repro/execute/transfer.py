"""Code in packs: the history of one commit as a git bundle, made and read without any transport.

A bundle is a short header and a git pack. It is read by ``index-pack``, which checks every object and runs no
hook, no filter, no protocol.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from kfm_repro.errors import BadPack, CodeNotAvailable, UnsafePath
from kfm_repro.execute.git import Repository, init_repository
from kfm_repro.execute.lfs import LARGEST_POINTER, is_pointer_text
from kfm_repro.execute.tracked import read_blobs, tracked_files
from kfm_repro.runs.paths import real_path

__all__ = ["clone_code", "fetch_code", "object_format", "pointers_in", "remove_code", "write_bundle"]

_HEADERS = {"sha1": b"# v2 git bundle\n", "sha256": b"# v3 git bundle\n@object-format=sha256\n"}
_REF = "refs/kfm-repro/packs/"
_PACKING = (
    "-c", "pack.window=10", "-c", "pack.depth=50", "-c", "pack.compression=6", "-c", "pack.windowMemory=0",
    "-c", "pack.packSizeLimit=0", "-c", "pack.useBitmaps=false", "-c", "pack.usePathWalk=false",
    "-c", "core.bigFileThreshold=512m", "-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false",
)  # fmt: skip
"""What else would come from the settings of the user, or from a later git."""
_MAX_LINE = 1_000


def object_format(repository: Repository) -> str:
    """Return the hash that names a repository's objects: sha1 or sha256."""
    return repository.git("rev-parse", "--show-object-format").decode().strip()


def write_bundle(repository: Repository, commit: str, target: Path) -> None:
    """Write the history of ``commit`` as a git bundle; the same history gives the same bytes.

    Only the objects of ``repository`` are used: its tags, packs and settings, and those of the user, would
    change which object is written first and how. Raises CodeNotAvailable, also for a repository that has not
    the whole history.
    """
    _refuse_partial(repository)
    format_ = object_format(repository)
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        bare = init_repository(Path(folder) / "objects.git", format_, bare=True)
        objects = repository.top / os.fsdecode(repository.git("rev-parse", "--git-path", "objects")).rstrip(
            "\n"
        )
        (bare.top / "objects/info").mkdir(exist_ok=True)
        (bare.top / "objects/info/alternates").write_bytes(
            os.fsencode(f"{_quoted(str(objects.resolve()))}\n")
        )
        with target.open("xb") as file:
            file.write(_HEADERS[format_])
            file.write(f"{commit} {_REF}{commit}\n\n".encode())
            file.flush()
            bare.stream(
                *_PACKING, "pack-objects", "--revs", "--stdout", "--quiet", "--no-reuse-delta", "--no-reuse-object",
                "--threads=1", data=f"{commit}\n".encode(), sink=file,
            )  # fmt: skip


def pointers_in(repository: Repository, commit: str) -> tuple[str, ...]:
    """Return the files of ``commit`` that are only a pointer of Git LFS, by path from the top, sorted."""
    small = {
        file.path: file.name for file in tracked_files(repository, commit) if file.size < LARGEST_POINTER
    }
    texts = read_blobs(repository, sorted(set(small.values())))
    found = {name for name, text in texts if is_pointer_text(text)}
    return tuple(sorted(path for path, name in small.items() if name in found))


def fetch_code(repository: Repository, bundle: Path, commit: str) -> bool:
    """Bring the history of ``commit`` into ``repository``, kept by a ref of ours; return whether that is new.

    It is read and checked beside ``bundle`` first: what is not whole never reaches ``repository``. Raises
    BadPack when the bundle is not what it says, CodeNotAvailable when git refuses it.
    """
    ref = f"{_REF}{commit}"
    with TemporaryDirectory(prefix=f".{bundle.name}.", dir=bundle.parent) as folder:
        stage = init_repository(Path(folder) / "code.git", object_format(repository), bare=True)
        with bundle.open("rb", buffering=0) as file, Path(os.devnull).open("wb") as nowhere:
            _read_header(file, commit, object_format(repository))
            try:
                stage.stream("index-pack", "--stdin", "--strict", source=file, sink=nowhere)
                stage.git("rev-list", "--objects", "--quiet", commit)
            except CodeNotAvailable as exc:
                raise BadPack(
                    f"the code in the pack is not whole: {exc.message}", hint="get the pack again"
                ) from exc
        new = not repository.git("for-each-ref", ref)
        _bring_missing(stage, repository, commit, Path(folder))
        repository.git("update-ref", ref, commit)
    return new


def _bring_missing(stage: Repository, repository: Repository, commit: str, folder: Path) -> None:
    """Copy what ``repository`` lacks of the history of ``commit``; every object is asked for, whatever holds it."""
    listed = stage.git("rev-list", "--objects", "--no-object-names", commit)
    answers = repository.git("cat-file", "--batch-check", "--buffer", data=listed).splitlines()
    missing = b"".join(line.split()[0] + b"\n" for line in answers if line.endswith(b" missing"))
    if not missing:
        return
    with (folder / "missing.pack").open("w+b", buffering=0) as pack, Path(os.devnull).open("wb") as nowhere:
        stage.stream("pack-objects", "--stdout", "--quiet", data=missing, sink=pack)
        pack.seek(0)
        repository.stream("index-pack", "--stdin", source=pack, sink=nowhere)


def remove_code(repository: Repository, commit: str) -> None:
    """Take back what ``fetch_code`` brought in: its ref; git itself removes what no ref holds."""
    repository.git("update-ref", "-d", f"{_REF}{commit}")


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
    """Refuse links out of the code, and into git's own folder: what is written there may be run by git."""
    top = repository.top.resolve()
    for line in repository.git("ls-files", "-s", "-z").decode(errors="surrogateescape").split("\0"):
        mode, _, path = line.partition(" ")[0], *line.partition("\t")[1:]
        if mode != "120000":
            continue
        real = real_path(repository.top / path)
        if not real.is_relative_to(top) or real.is_relative_to(top / ".git"):
            where = "out of it" if not real.is_relative_to(top) else "into git's own folder"
            raise UnsafePath(
                f"the code in the pack has a symbolic link that leads {where}: {path!r}",
                hint="do not trust this pack",
            )


def _refuse_partial(repository: Repository) -> None:
    """Refuse a repository whose history is not all here: the pack could not be replayed elsewhere."""
    if repository.git("rev-parse", "--is-shallow-repository").decode().strip() == "true":
        raise CodeNotAvailable(
            "the repository is shallow: its history cannot be packed whole", hint="git fetch --unshallow"
        )
    listed = (
        repository.git("config", "--null", "--list").decode(errors="surrogateescape").casefold().split("\0")
    )
    if any(line.startswith("remote.") and line.endswith(".promisor\ntrue") for line in listed):
        raise CodeNotAvailable(
            "the repository is a partial clone: not all of its history is here",
            hint="git fetch --refetch --no-filter, or make a full clone and pack there",
        )


def _quoted(path: str) -> str:
    """Return a path as ``info/alternates`` has it, whatever characters are in it."""
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        path = path.replace(char, escaped)
    return f'"{path}"'
