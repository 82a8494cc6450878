"""Read a pack that anybody may have made: everything is checked before a byte is written, and again after.

Limits: members, their sum, the ratio of expansion, the size of the directory of the zip. A name must be one that
our own packs have, spelt in the one way in which they spell it.
"""

from __future__ import annotations

import errno
import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from kfm_repro.errors import BadPack, KfmReproError, LimitExceeded, UnsafePath
from kfm_repro.model.pack import PACK_SCHEMA, PackCode, PackList
from kfm_repro.runs.bundle import CODE, LIST
from kfm_repro.runs.member_names import check_clashes, check_spelling
from kfm_repro.runs.paths import is_safe_component, safe_relative

__all__ = ["Limits", "Pack", "open_pack"]

_HINT = "do not trust this file; get the pack again from where it was made"
_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_OBJECT = re.compile(r"objects/[0-9a-f]{64}\Z")
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_BLOCK = 1 << 20
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, NotImplementedError, ValueError,
    OverflowError, LookupError,
)  # fmt: skip
"""What the library raises on zips that are not whole."""


@dataclass(frozen=True)
class Limits:
    """What a pack may hold. ``ratio`` is how many bytes may come out of one, beyond the first mebibyte."""

    total_bytes: int = 8 << 30
    members: int = 100_000
    directory_bytes: int = 64 << 20
    list_bytes: int = 64 << 20
    ratio: int = 200


class Pack:
    """An open pack whose list has been checked against its members."""

    def __init__(self, archive: zipfile.ZipFile, listed: PackList) -> None:
        self._archive = archive
        self.listed = listed

    def extract(self, place: Callable[[str], Path | None]) -> None:
        """Write every listed member to the new file that ``place`` names for it, if any. Raises BadPack, OSError."""
        for name in sorted(self.listed.files):
            target = place(name)
            if target is not None:
                self.extract_one(name, target)

    def extract_one(self, name: str, target: Path) -> None:
        """Write one listed member to the new file ``target``. Raises BadPack, OSError."""
        facts = self.listed.files[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with _named(name), self._archive.open(name) as reader, target.open("xb") as writer:
            while size <= facts.size_bytes and (block := reader.read(_BLOCK)):
                size += len(block)
                digest.update(block)
                writer.write(block)
        if (digest.hexdigest(), size) != (facts.sha256, facts.size_bytes):
            raise BadPack(f"a member of the pack is not what its list says: {name!r}", hint=_HINT)


@contextmanager
def open_pack(path: Path, limits: Limits) -> Iterator[Pack]:
    """Open and check a pack; nothing is written. Raises BadPack, UnsafePath, LimitExceeded."""
    try:
        file = path.open("rb")
    except OSError as exc:
        raise BadPack(f"the pack cannot be read: {exc.strerror}: {path}", hint="name a file") from exc
    with file:
        with _named(path.name):
            _check_directory(file, limits)
            archive = zipfile.ZipFile(file)
        with archive:
            _check_members(archive.infolist(), path.stat().st_size, limits)
            _check_overlaps(archive)
            with _named(LIST):
                listed = _read_list(archive, limits)
            yield Pack(archive, listed)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn whatever a broken zip makes the library raise into one clear error."""
    try:
        yield
    except KfmReproError:
        raise
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        raise _broken(name, "a place before its beginning") from exc
    except _BROKEN as exc:
        raise _broken(name, " ".join(str(exc).split())[:200]) from exc


def _broken(name: str, detail: str) -> BadPack:
    return BadPack(f"not a whole zip file: {name!r}: {detail}", hint=_HINT)


def _check_directory(file: BinaryIO, limits: Limits) -> None:
    """Refuse a directory that would fill the memory before it can be looked at."""
    size = file.seek(0, 2)
    start = max(size - (1 << 16) - 22 - 20, 0)
    file.seek(start)
    tail = file.read()
    file.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:  # noqa: PLR2004 - the length of the record
        raise BadPack("not a zip file, or one that is cut off: it has no directory", hint=_HINT)
    if len(tail) - at > 22:  # noqa: PLR2004 - the length of the record
        raise BadPack("not a pack: something stands behind the end of its directory", hint=_HINT)
    members, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR:  # noqa: PLR2004 - the length of the record
        (where,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        for place in (where, start + at - 76):
            if not 0 <= place <= size:
                raise BadPack("not a whole zip file: its directory lies beyond its end", hint=_HINT)
            file.seek(place)
            record = file.read(56)
            if len(record) == 56 and record[:4] == _END64:  # noqa: PLR2004 - the length of the record
                counts = struct.unpack("<QQ", record[32:48])
                members, length = max(members, counts[0]), max(length, counts[1])
        file.seek(0)
    if members > limits.members or length > limits.directory_bytes:
        raise LimitExceeded(
            f"the pack has too many members: {members} in a directory of {length} bytes "
            f"(at most {limits.members} in {limits.directory_bytes})",
            hint=_HINT,
        )


def _check_members(members: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    if len(members) > limits.members:
        raise LimitExceeded(f"the pack has too many members: {len(members)}", hint=_HINT)
    for info in members:
        _check_member(info)
    check_clashes([info.filename for info in members])
    total = sum(info.file_size for info in members)
    if total > limits.total_bytes:
        raise LimitExceeded(
            f"the pack would unpack to {total} bytes, more than {limits.total_bytes}",
            hint="if you trust it, raise --max-size",
        )
    if total > (1 << 20) + limits.ratio * size:
        raise LimitExceeded(
            f"the pack of {size} bytes would unpack to {total}: more than {limits.ratio} times as much",
            hint=_HINT,
        )


def _check_overlaps(archive: zipfile.ZipFile) -> None:
    """Refuse members that share bytes of the file, or leave some to nobody before the first."""
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end or (end == 0 and info.header_offset):
            raise BadPack(
                f"members of the pack do not follow one another: {info.orig_filename!r}", hint=_HINT
            )
        name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", errors="replace")
        end = info.header_offset + 30 + len(name) + info.compress_size
    if end > archive.start_dir:
        raise BadPack("the last member of the pack reaches into its directory", hint=_HINT)


def _check_member(info: zipfile.ZipInfo) -> None:
    name, mode = info.orig_filename, info.external_attr >> 16
    if info.flag_bits & 0x41:
        raise BadPack(f"a member of the pack is encrypted: {name!r}", hint=_HINT)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or info.is_dir() or info.external_attr & 0x10:
        raise UnsafePath(f"a member of the pack is no plain file: {name!r}", hint=_HINT)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadPack(f"a member of the pack is compressed in a way that packs are not: {name!r}", hint=_HINT)
    if name != info.filename or safe_relative(name, what="member of the pack").as_posix() != name:
        raise UnsafePath(
            f"a member of the pack has a name that can be read in two ways: {name!r}", hint=_HINT
        )
    check_spelling(name)
    if name not in (LIST, CODE) and not name.startswith("run/") and not _OBJECT.match(name):
        raise BadPack(f"a member does not belong into a pack: {name!r}", hint=_HINT)


def _read_list(archive: zipfile.ZipFile, limits: Limits) -> PackList:
    sizes = {info.filename: info.file_size for info in archive.infolist()}
    if LIST not in sizes:
        raise BadPack(f"not a pack of kfm-repro: it has no {LIST}", hint="make one with: kfm-repro pack RUN")
    if sizes.pop(LIST) > limits.list_bytes:
        raise LimitExceeded(f"{LIST} of the pack is too large", hint=_HINT)
    try:
        listed = msgspec.json.decode(archive.read(LIST), type=PackList)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadPack(f"{LIST} of the pack is not what it should be: {exc}", hint=_HINT) from exc
    if listed.schema != PACK_SCHEMA:
        raise BadPack(
            f"the pack is of schema {listed.schema[:60]!r}, not {PACK_SCHEMA}", hint="use a newer kfm-repro"
        )
    if {name: facts.size_bytes for name, facts in listed.files.items()} != sizes:
        raise BadPack("the members of the pack are not those of its list", hint=_HINT)
    _check_list(listed)
    return listed


def _check_list(listed: PackList) -> None:
    for what, name in (("pipeline", listed.pipeline), ("run id", listed.run_id)):
        if not is_safe_component(name) or name.startswith("."):
            raise UnsafePath(f"the pack names a {what} that is no folder name: {name[:80]!r}", hint=_HINT)
        check_spelling(name)
    for name, facts in listed.files.items():
        if not _HEX.match(facts.sha256) or (_OBJECT.match(name) and name != f"objects/{facts.sha256}"):
            raise BadPack(f"the pack's list has a digest that is none of {name!r}", hint=_HINT)
    code = listed.code if isinstance(listed.code, PackCode) else None
    if (code is not None) != (CODE in listed.files):
        raise BadPack("the pack's list and its code do not agree", hint=_HINT)
    if code is not None:
        if not _COMMIT.match(code.commit) or code.object_format not in ("sha1", "sha256"):
            raise BadPack(f"the pack names no commit: {code.commit[:80]!r}", hint=_HINT)
        if code.prefix and f"{safe_relative(code.prefix, what='prefix of the pack')}/" != code.prefix:
            raise UnsafePath(f"the pack's code lies at no plain path: {code.prefix[:80]!r}", hint=_HINT)
