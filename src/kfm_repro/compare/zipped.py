"""Zip files: a Zarr store as such, everything else as an archive."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two zip files. Raises what the comparator of what they are raises."""
    from kfm_repro.compare.arrays.zarr_zip import is_store

    if all(is_store(_names(path)) for path in (a, b)):
        from kfm_repro.compare.arrays import zarr_zip

        return zarr_zip.compare(a, b, context)
    from kfm_repro.compare.archive import compare_zip

    return compare_zip(a, b, context)


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return []  # the archive comparator says what is wrong
