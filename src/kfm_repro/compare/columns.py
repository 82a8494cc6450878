"""Files of Arrow's family as tables, whichever of them it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.registry import format_by_content
from kfm_repro.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.context import Context

__all__ = ["read_columns"]


def read_columns(file: Path, context: Context) -> tuple[pa.Table, dict[bytes, bytes]]:
    """Return the rows and the key-value metadata of a Parquet, Arrow or ORC file, by its first and last bytes.

    Raises Unreadable for what is none of these, and LimitExceeded.
    """
    name = format_by_content(file)
    if name == "parquet":
        from kfm_repro.compare.tabular import parquet

        with parquet.open_parquet(file) as opened:
            table = parquet.read_table(opened, file, context)
            return table, dict(opened.metadata.metadata or {})
    if name in ("arrow", "arrow-stream", "feather"):
        from kfm_repro.compare.tabular import ipc

        return ipc.read_table(file, context)
    if name == "orc":
        from kfm_repro.compare.tabular import orc

        return orc.read_table(file, context)
    raise Unreadable("it is no table in columns")
