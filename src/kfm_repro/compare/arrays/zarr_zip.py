"""A Zarr store in a zip file: what the zip says of its entries, then the arrays instead of their chunks."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kfm_repro.compare.archive.entries import one_sided
from kfm_repro.compare.archive.zips import compare_zip
from kfm_repro.compare.arrays.chunks import is_stored
from kfm_repro.compare.arrays.stores import METADATA, compare_stores, zipped
from kfm_repro.compare.context import reading
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context, Inner

__all__ = ["compare", "is_store"]


def is_store(names: list[str]) -> bool:
    """Return whether the entries of a zip are a Zarr store: its root is described there."""
    return any(name in METADATA for name in names)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zipped stores. Raises Unreadable, LimitExceeded, NotInstalled."""
    skipped = _Skipped(_names(a) | _names(b), context.inner)
    entries = compare_zip(a, b, replace(context, inner=skipped))
    with reading(a, "Zarr"):
        left, right = zipped(a), zipped(b)
    try:
        arrays = compare_stores(left, right, a, context)
    finally:
        for opened in (left, right):
            # A store that nothing was read from has nothing to close.
            with suppress(AttributeError):
                opened.close()
    kept = (*(f for f in entries if not _is_one_sided(f)), *_strangers(a, b))
    if skipped.met and not arrays and not kept:
        evidence = "the same elements, in chunks that are packed otherwise"
        return (Finding(kind=Kind.CHUNKING, rung=Rung.CONTAINER, evidence=evidence),)
    return (*kept, *arrays)


@dataclass
class _Skipped:
    """Stands in for the comparison of the store's own files: the store compares what they mean."""

    files: frozenset[str]
    other: Inner | None
    met: bool = False

    def __call__(self, a: Path, b: Path, name: str, context: Context) -> tuple[Finding, ...]:
        """Note that a member differs; compare one that is not of the store."""
        if self.other is not None and not is_stored(name, self.files):
            return self.other(a, b, name, replace(context, inner=self.other))
        self.met = True
        return ()


def _names(path: Path) -> frozenset[str]:
    with reading(path, "zip", zipfile.BadZipFile), zipfile.ZipFile(path) as file:
        return frozenset(file.namelist())


def _strangers(a: Path, b: Path) -> list[Finding]:
    """Report the members on one side only that are not of the store; a chunk that is not there holds the fill value."""
    sides = _names(a), _names(b)
    files = sides[0] | sides[1]
    strange = [sorted(n for n in side if not n.endswith("/") and not is_stored(n, files)) for side in sides]
    return one_sided(*strange)


def _is_one_sided(finding: Finding) -> bool:
    """Return whether a finding is of members on one side only."""
    return finding.kind is Kind.VALUE and "missing" in finding.detail
