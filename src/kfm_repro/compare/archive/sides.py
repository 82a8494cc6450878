"""What zip and tar share: sides with entries by name, of which the last counts, and members unpacked within bounds."""

from __future__ import annotations

import hashlib
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Generic, TypeVar

from kfm_repro.compare.archive.members import BLOCK, Meter, compare_member, safe_name
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import IO

    from kfm_repro.compare.context import Context

__all__ = ["MOST_ENTRIES", "Side", "common_names", "compare_members", "repeated", "unknown_member"]

MOST_ENTRIES = 100_000
"""Entries that an archive may have."""
_MOST_TIMES = 4
"""All members together may unpack to so many times the limit of one."""

Entry = TypeVar("Entry")


class Side(ABC, Generic[Entry]):
    """One archive. ``last`` holds the entry that counts for each name, in the order of the last ones."""

    def __init__(self, path: Path, entries: Sequence[Entry], context: Context) -> None:
        self.path = path
        self.entries = tuple(entries)
        self.context = context
        self.last: dict[str, Entry] = {}
        for entry in self.entries:
            self.last.pop(self.name(entry), None)
            self.last[self.name(entry)] = entry
        self._unpacked: Counter[int] = Counter()

    @abstractmethod
    def name(self, entry: Entry) -> str:
        """Return the name of an entry as the archive has it."""

    @abstractmethod
    def offset(self, entry: Entry) -> int:
        """Return where the entry begins: what tells entries of one name apart."""

    @abstractmethod
    def sizes(self, entry: Entry) -> tuple[int, int]:
        """Return the stated sizes of an entry in bytes: unpacked, packed."""

    @abstractmethod
    def opened(self, entry: Entry) -> IO[bytes]:
        """Open the content of an entry. Raises Unreadable when it has none."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Return the context in which errors of the format become Unreadable."""

    def opaque(self, entry: Entry) -> str:
        """Return what stands for the content of an entry that cannot be unpacked; empty when it can."""
        del entry
        return ""

    def blocks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the unpacked bytes of an entry, bounded whatever its header claims. Raises LimitExceeded."""
        meter = Meter(self.context.limits)
        packed = min(self.sizes(entry)[1], self.path.stat().st_size)
        place = self.offset(entry)
        first = place not in self._unpacked
        with self.reading(), self.opened(entry) as source:
            while block := source.read(BLOCK):
                meter.add(len(block), packed)
                self._unpacked[place] += len(block) if first else 0
                if self._unpacked.total() > _MOST_TIMES * self.context.limits.member_bytes:
                    raise LimitExceeded("the archive unpacks to more than the limit")
                yield block

    def digest(self, entry: Entry) -> str:
        """Return the sha256 of the content, or what stands for it."""
        if opaque := self.opaque(entry):
            return opaque
        digest = hashlib.sha256()
        for block in self.blocks(entry):
            digest.update(block)
        return digest.hexdigest()


class _Members(Mapping[str, Path], Generic[Entry]):
    """The members of one archive as files, each unpacked when it is asked for; ``./x`` is ``x``."""

    def __init__(self, side: Side[Entry], folder: Path) -> None:
        self._side = side
        self._folder = folder
        self._names = {str(PurePosixPath(name)): name for name in side.last}
        self._files: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        """Unpack a member. Raises KeyError, Unreadable, LimitExceeded."""
        own = name if name in self._side.last else self._names[str(PurePosixPath(name))]
        if own not in self._files:
            entry = self._side.last[own]
            if self._side.opaque(entry):
                raise KeyError(name)
            path = self._folder / str(len(self._files)) / safe_name(own)
            path.parent.mkdir(parents=True)
            with path.open("wb") as target:
                target.writelines(self._side.blocks(entry))
            self._files[own] = path
        return self._files[own]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and str(PurePosixPath(name)) in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def common_names(a: Side[Entry], b: Side[Entry]) -> list[str]:
    """Return the names that both sides have, in A's order."""
    return [name for name in a.last if name in b.last]


def repeated(
    a: Side[Entry], b: Side[Entry], common: Sequence[str]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each name that either side has more than once, with the digests of all its copies per side."""
    counts = [Counter(side.name(entry) for entry in side.entries) for side in (a, b)]
    for name in common:
        if max(count[name] for count in counts) > 1:
            yield name, _copies(a, name), _copies(b, name)


def _copies(side: Side[Entry], name: str) -> list[str]:
    return [side.digest(entry) for entry in side.entries if side.name(entry) == name]


def compare_members(a: Side[Entry], b: Side[Entry], name: str, context: Context) -> tuple[Finding, ...]:
    """Compare one member by what it is; only members that differ are written to disk."""
    left, right = a.last[name], b.last[name]
    try:
        if a.sizes(left)[0] == b.sizes(right)[0] and a.digest(left) == b.digest(right):
            return ()
        with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
            members = _Members(a, Path(folder, "a")), _Members(b, Path(folder, "b"))
            return compare_member(members[0][name], members[1][name], name, replace(context, members=members))
    except LimitExceeded as exc:
        return (unknown_member(name, f"not compared: {exc}"),)


def unknown_member(name: str, evidence: str) -> Finding:
    """Return the finding for a member that could not be compared."""
    return Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, where={"member": str(scalar(name))}, evidence=evidence)
