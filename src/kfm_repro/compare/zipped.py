"""Zip files: a Zarr store as such, everything else as an archive."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare"]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zip files. Raises what the comparator of what they are raises."""
    from kfm_repro.compare.arrays.zarr_zip import is_store

    if all(is_store(_names(path)) for path in (a, b)):
        from kfm_repro.compare.arrays import zarr_zip

        return zarr_zip.compare(a, b, context)
    from kfm_repro.compare.archive import compare_zip

    found = compare_zip(a, b, context)
    return (*_first_document(a, b, context), *found)


def _first_document(a: Path, b: Path, context: Context) -> list[Finding]:
    """Report which document of a KMZ is shown, where the order of entries decides it.

    It is the first KML file in the root, whatever its name (OGC 07-147r2, on KMZ).
    """
    if not context.name.lower().endswith(".kmz"):
        return []
    names = [_names(path) for path in (a, b)]
    first = [
        next((name for name in side if name.lower().endswith(".kml") and "/" not in name), "")
        for side in names
    ]
    if first[0] == first[1] or first[0] not in names[1] or first[1] not in names[0]:
        return []
    evidence = "another KML file stands first in the archive, which is the one that is shown"
    shown = (Example(key={"field": "document"}, a=scalar(first[0]), b=scalar(first[1])),)
    return [Finding(kind=Kind.VALUE, rung=Rung.VALUE, examples=shown, evidence=evidence)]


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return []  # the archive comparator says what is wrong
