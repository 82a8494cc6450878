"""Whether the values of a column name its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_unique"]

_SAMPLES = (20_000, 200_000)


def is_unique(values: pa.ChunkedArray, allowed: int = 0) -> bool:
    """Return whether at most ``allowed`` values repeat another one; samples are asked first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(values.type):
        return len(values) <= 1 + allowed
    return all(
        pc.count_distinct(part, mode="all").as_py() >= len(part) - allowed
        for part in (*(values.slice(0, size) for size in _SAMPLES if size < len(values)), values)
    )
