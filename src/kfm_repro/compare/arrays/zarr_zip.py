"""A Zarr store in a zip file: what the zip says of its entries, then the arrays instead of their chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kfm_repro.compare.archive.zips import compare_zip
from kfm_repro.compare.arrays.stores import METADATA, compare_stores, zipped
from kfm_repro.compare.context import reading
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare", "is_store"]


def is_store(names: list[str]) -> bool:
    """Return whether the entries of a zip are a Zarr store: its root is described there."""
    return any(name in METADATA for name in names)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zipped stores. Raises Unreadable, LimitExceeded, NotInstalled."""
    skipped = _Skipped()
    entries = compare_zip(a, b, replace(context, inner=skipped))
    with reading(a, "Zarr"):
        left, right = zipped(a), zipped(b)
    try:
        arrays = compare_stores(left, right, a, context)
    finally:
        left.close()
        right.close()
    kept = tuple(finding for finding in entries if not _is_chunk(finding))
    if skipped.met and not arrays and not kept:
        evidence = "the same elements, in chunks that are packed otherwise"
        return (Finding(kind=Kind.CHUNKING, rung=Rung.CONTAINER, evidence=evidence),)
    return (*kept, *arrays)


@dataclass
class _Skipped:
    """Stands in for the comparison of members: the store compares what they mean."""

    met: bool = False

    def __call__(self, a: Path, b: Path, name: str, context: Context) -> tuple[Finding, ...]:
        """Note that a member differs."""
        del a, b, name, context
        self.met = True
        return ()


def _is_chunk(finding: Finding) -> bool:
    """Return whether a finding is of members on one side only: a chunk that is not there holds the fill value."""
    return finding.kind is Kind.VALUE and "missing" in finding.detail
