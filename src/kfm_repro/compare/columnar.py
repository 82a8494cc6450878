"""Parquet: as vector data where the file says that it is GeoParquet, else as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.tabular import parquet

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]

_GEO = b"geo"


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Parquet files; one with the ``geo`` key of GeoParquet on either side is vector data.

    Raises Unreadable for a damaged file and LimitExceeded for one that would decode to too much or is encrypted.
    """
    opened = (parquet.open_parquet(path, columns=False) for path in (a, b))
    with next(opened) as left, next(opened) as right:
        geographic = any(_GEO in (file.metadata.metadata or {}) for file in (left, right))
    if geographic:
        from kfm_repro.compare.vector.geoparquet import compare_geoparquet

        return compare_geoparquet(a, b, context)
    return parquet.compare(a, b, context)
