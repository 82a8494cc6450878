"""What git says of a commit besides its files, and a pipeline may ask it for: branch, tags, how short it is named."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kfm_repro.errors import InvalidRecord
from kfm_repro.execute.git import Repository
from kfm_repro.model.run import CodeVersion

__all__ = ["UNSAID", "Refs", "read_refs", "recorded_refs", "restore_refs", "tags_of"]

_MOST_TAGS = 2_000
"""More than these (0.02 s to read) are not recorded: a replay then has today's, as with an older record."""
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREV = range(4, 65)


@dataclass(frozen=True)
class Refs:
    """The branch (empty when there is none), the object of each tag, and to how many digits a commit is shortened.

    ``tags`` and ``abbrev`` are None where a record does not say; then today's are taken. ``lost`` are tags that
    were recorded and whose objects are not on this machine.
    """

    branch: str = ""
    tags: Mapping[str, str] | None = None
    abbrev: int | None = None
    lost: tuple[str, ...] = ()


UNSAID = Refs()
"""Of a record that says nothing of them: no branch, today's tags."""


def read_refs(repository: Repository, commit: str) -> Refs:
    """Return what holds now of ``commit``, which is checked out. Raises CodeNotAvailable."""
    head = os.fsdecode(repository.git("rev-parse", "--symbolic-full-name", "HEAD")).removesuffix("\n")
    branch = head.removeprefix(_BRANCH) if head.startswith(_BRANCH) and head.isprintable() else ""
    tags = {name: digest for name, digest in tags_of(repository, commit).items() if name.isprintable()}
    return Refs(branch, tags if len(tags) <= _MOST_TAGS else None, _abbrev(repository, commit))


def tags_of(repository: Repository, commit: str) -> dict[str, str]:
    """Return the tags that describe ``commit`` or one before it, sorted: versions are often made of them."""
    said = repository.git(
        "for-each-ref", f"--merged={commit}", "--format=%(refname)%00%(objectname)", _TAG.rstrip("/")
    )
    pairs = (line.partition("\0") for line in os.fsdecode(said).split("\n") if line)
    return {name.removeprefix(_TAG): digest for name, _, digest in pairs}


def recorded_refs(repository: Repository, version: CodeVersion) -> Refs:
    """Return what a record says, less the tags whose objects ``repository`` has not. Raises InvalidRecord."""
    tags = version.tags
    wrong = [name for name, digest in (tags or {}).items() if not _ID.fullmatch(digest)]
    if wrong or (version.abbrev is not None and version.abbrev not in _ABBREV):
        raise InvalidRecord(
            f"pipeline.version of the record is wrong: {f'tags: {wrong[0]}' if wrong else 'abbrev'}",
            hint="a tag is an object of git, in 40 or 64 hex digits; abbrev is 4 to 64",
        )
    refs = Refs(version.branch or "", tags, version.abbrev)
    if not tags:
        return refs
    names = sorted(tags)
    said = repository.git("cat-file", "--batch-check", data="".join(f"{tags[n]}\n" for n in names).encode())
    lost = [
        n for n, line in zip(names, said.splitlines(), strict=True) if line.rsplit(b" ")[-1] == b"missing"
    ]
    return replace(refs, tags={n: tags[n] for n in names if n not in {*lost}}, lost=tuple(lost))


def restore_refs(clone: Repository, source: Repository, commit: str, refs: Refs) -> None:
    """Let git say of ``commit`` in its clone what it said when it was recorded. Raises CodeNotAvailable."""
    made = [f"create {_TAG}{name}\0{digest}\0" for name, digest in sorted((refs.tags or {}).items())]
    if refs.branch:
        made.append(f"create {_BRANCH}{refs.branch}\0{commit}\0")
    else:
        clone.git("update-ref", "--no-deref", "HEAD", commit)
    clone.git("update-ref", "--stdin", "-z", data=os.fsencode("".join(made)))
    if refs.branch:
        clone.git("symbolic-ref", "HEAD", _BRANCH + refs.branch)
    # Git counts objects to choose it, and a clone has fewer.
    clone.git("config", "core.abbrev", str(refs.abbrev or _abbrev(source, commit)))


def _abbrev(repository: Repository, commit: str) -> int:
    return len(repository.git("rev-parse", "--short", commit).strip())
