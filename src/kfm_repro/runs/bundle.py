"""Write a pack: a zip whose bytes depend on the run alone.

Members are sorted and stored (no compression: what deflate makes of the same bytes differs between versions of
zlib), with fixed dates and modes. ``kfm-repro-pack.json`` lists each with its sha256.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from kfm_repro.errors import InvalidRecord, LimitExceeded, NotWritable
from kfm_repro.model.pack import PackCode, PackFile, PackList
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.member_names import check_clashes, check_spelling
from kfm_repro.runs.status import packed_status
from kfm_repro.runs.trouble import way_out
from kfm_repro.runs.trust import FOREIGN

__all__ = ["CODE", "LIST", "Member", "Packed", "record_members", "write_pack"]

LIST = "kfm-repro-pack.json"
CODE = "code.bundle"
_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Member:
    """One member of a pack: its name in it, and its bytes or the file that has them."""

    name: str
    source: Path | bytes

    @property
    def facts(self) -> PackFile:
        """Its digest and size."""
        if isinstance(self.source, bytes):
            return PackFile(sha256=hashlib.sha256(self.source).hexdigest(), size_bytes=len(self.source))
        digest = digest_file(self.source)
        return PackFile(sha256=digest.sha256, size_bytes=digest.size_bytes)


@dataclass(frozen=True)
class Packed:
    """A written pack."""

    path: Path
    sha256: str
    size_bytes: int
    members: int


def record_members(run: RunDir) -> list[Member]:
    """Return the members of a run's record: all of it but ``scratch/`` and the mark of a foreign run.

    Its status says that it is kept as an artifact. Raises InvalidRecord for a link or a special file, and for a
    folder that cannot be read.
    """

    def refuse(fault: OSError) -> None:
        folder = Path(os.fsdecode(fault.filename)).relative_to(run.path).as_posix()
        raise InvalidRecord(
            f"a folder of run {run.name} cannot be read: {folder!r}: {fault.strerror}",
            hint="make it readable, or remove it",
        ) from fault

    for name in (run.pipeline, run.name):
        _text(name)
    members = [Member("run/status.json", packed_status(run))]
    for parent, folders, names in os.walk(run.path, onerror=refuse):
        if Path(parent) == run.path:
            folders[:] = [name for name in folders if name != run.scratch.name]
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink())):
            path = Path(parent, name)
            relative = path.relative_to(run.path).as_posix()
            if relative in (FOREIGN, run.status.name):
                continue
            if not stat.S_ISREG(path.lstat().st_mode):
                raise InvalidRecord(
                    f"run {run.name} holds a link or a special file: {relative!r}",
                    hint="replace it by the file itself, or remove it",
                )
            if not (name.startswith(".") and name.endswith(".part")):
                members.append(Member(f"run/{_text(relative)}", path))
    return members


def write_pack(
    target: Path,
    run: RunDir,
    members: Iterable[Member],
    *,
    contents: Sequence[str],
    code: PackCode | None,
    labels: Mapping[str, str],
    max_bytes: int,
) -> Packed:
    """Write a pack beside ``target`` and rename it into place.

    Raises LimitExceeded when the members add up to more than ``max_bytes``, NotWritable when another file is
    in the way or a member changed while it was packed.
    """
    ordered = sorted(members, key=lambda member: member.name)
    for member in ordered:
        check_spelling(member.name)
    check_clashes(member.name for member in ordered)
    facts = {member.name: member.facts for member in ordered}
    total = sum(item.size_bytes for item in facts.values())
    if total > max_bytes:
        largest = max(facts, key=lambda name: (facts[name].size_bytes, name))
        less = "--bundle" if code else "--with-outputs" if "outputs" in contents else ""
        raise LimitExceeded(
            f"the pack would hold {total} bytes, more than {max_bytes}; the largest member is {largest}",
            hint=f'allow it: --max-size "{(total >> 20) + 1} MiB"'
            + (f"; or pack without {less}" if less else ""),
        )
    listed = PackList(
        pipeline=run.pipeline, run_id=run.name, contents=tuple(contents), files=facts,
        code=code or msgspec.UNSET, labels=dict(sorted(labels.items())) or msgspec.UNSET,
    )  # fmt: skip
    head = Member(LIST, msgspec.json.format(msgspec.json.encode(listed), indent=1) + b"\n")
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(part, [head, *ordered], facts)
        digest = digest_file(part)
        _settle(part, target, digest.sha256)
    except OSError as exc:
        raise NotWritable(
            f"the pack cannot be written: {exc.strerror or exc}: {target}",
            hint=f"{way_out(target.parent, exc)}; or name another folder with --output",
        ) from exc
    finally:
        part.unlink(missing_ok=True)
    return Packed(target, digest.sha256, digest.size_bytes, len(ordered) + 1)


def _settle(part: Path, target: Path, sha256: str) -> None:
    if target.is_file() and digest_file(target).sha256 == sha256:
        return
    if os.path.lexists(target):
        raise NotWritable(
            f"there is another file already: {target}", hint="remove it, or name another --output"
        )
    part.rename(target)


def _write(part: Path, members: Sequence[Member], facts: dict[str, PackFile]) -> None:
    with part.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for member in members:
                info = zipfile.ZipInfo(member.name, _DATE)
                info.create_system, info.external_attr = 3, _MODE
                known = facts.get(member.name)
                info.file_size = known.size_bytes if known else 0
                digest = hashlib.sha256()
                with archive.open(info, "w") as writer:
                    for block in _blocks(member):
                        digest.update(block)
                        writer.write(block)
                if known and digest.hexdigest() != known.sha256:
                    raise NotWritable(
                        f"a file changed while it was packed: {member.name}",
                        hint="try again when nothing writes",
                    )
        file.flush()
        os.fsync(file.fileno())


def _blocks(member: Member) -> Iterable[bytes]:
    if isinstance(member.source, bytes):
        yield member.source
        return
    with member.source.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRecord(f"a name in the record is not UTF-8: {name!r}", hint="rename it") from exc
    return name
