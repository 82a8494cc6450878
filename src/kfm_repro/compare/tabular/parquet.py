"""Parquet files: their values, their key-value metadata, and how they were written."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.memory import economise, hold
from kfm_repro.compare.tabular.decoded import check_size, compare_decoded, most_bytes, validate
from kfm_repro.compare.tabular.diff import NO_CLASSIFIERS, compare_sources
from kfm_repro.compare.tabular.encrypted import is_encrypted
from kfm_repro.compare.tabular.expanded import WIDTH
from kfm_repro.compare.tabular.large import can_be_reduced
from kfm_repro.compare.tabular.layout import layout_findings
from kfm_repro.compare.tabular.metadata import key_value_findings
from kfm_repro.compare.tabular.pages import FileBytes, chunk_bytes
from kfm_repro.compare.tabular.source import ParquetSource
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.model.finding import Finding

__all__ = ["compare", "compare_in_pieces", "is_large", "metadata_findings", "open_parquet", "read_table"]

_COPIES = 4
"""So many times its decoded size a table takes while it is compared whole."""


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two Parquet files by schema, values, metadata and layout.

    Raises Unreadable for a damaged file and LimitExceeded for one that would decode to too much.
    """
    if context.options.memory_bytes is not None:
        economise()
    with open_parquet(a) as left, open_parquet(b) as right:
        if is_large(left, right, context):
            findings = compare_in_pieces((left, a), (right, b), context)
        else:
            findings = compare_decoded(read_table(left, a, context), read_table(right, b, context), context)
        return (*findings, *metadata_findings(left, right, context, equal=not findings))


def compare_in_pieces(
    a: tuple[pq.ParquetFile, Path],
    b: tuple[pq.ParquetFile, Path],
    context: Context,
    *,
    unit: str = "row",
    classifiers: Mapping[str, PairClassifier] = NO_CLASSIFIERS,
) -> tuple[Finding, ...]:
    """Compare the columns of two open files for which `is_large` holds; see `compare_tables`.

    Raises LimitExceeded when the smallest pieces do not fit into the memory that is allowed.
    """
    if context.options.memory_bytes is None:
        hold()
    with ParquetSource(*a) as source_a, ParquetSource(*b) as source_b:
        for source in (source_a, source_b):
            source.bound(context.memory)
        return compare_sources(source_a, source_b, context, unit=unit, classifiers=classifiers)


def is_large(a: pq.ParquetFile, b: pq.ParquetFile, context: Context) -> bool:
    """Return whether two files are better compared in pieces, and can be."""
    sizes = _declared(a.metadata), _declared(b.metadata)
    if min(sizes) < context.limits.whole_bytes and sum(sizes) * _COPIES <= context.memory:
        return False
    leaves = len(a.schema.names), len(b.schema.names)
    return can_be_reduced(a.schema_arrow, b.schema_arrow, leaves)


def _declared(metadata: pq.FileMetaData) -> int:
    """Return how many bytes a file's values take at least, decoded."""
    sizes = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(max(sum(sizes), metadata.num_rows * metadata.num_columns * WIDTH))


@contextmanager
def open_parquet(path: Path, *, columns: bool = True) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; raises Unreadable when its footer is none, LimitExceeded when it is encrypted.

    Who is not going to ask for ``columns`` may open a file whose columns alone are encrypted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if is_encrypted(path, columns=columns):
        raise LimitExceeded("a Parquet file is encrypted: decrypt both, and compare what comes of it")
    with reading(path, "Parquet", pa.ArrowException):
        file = pq.ParquetFile(path)
    try:
        yield file
    finally:
        file.close()


def read_table(file: pq.ParquetFile, path: Path, context: Context) -> pa.Table:
    """Return all rows of an open file; raises Unreadable, and LimitExceeded before anything is decoded."""
    import pyarrow as pa

    check_size(_declared(file.metadata), context)
    with reading(path, "Parquet", pa.ArrowException):
        check_size(_decoded(file, path, most_bytes(context)), context)
        table = file.read()
        for column in table.columns:
            validate(column)
        return table


def _decoded(file: pq.ParquetFile, path: Path, most: int) -> int:
    """Return at most how many bytes all values take once decoded; raises LimitExceeded and ValueError."""
    groups, leaves = range(file.metadata.num_row_groups), range(file.metadata.num_columns)
    size = 0
    with FileBytes(path) as data:
        for place in product(groups, leaves):
            size += chunk_bytes(file, path, data, place, most - size)
    return size


def metadata_findings(
    a_file: pq.ParquetFile,
    b_file: pq.ParquetFile,
    context: Context,
    skip: Sequence[bytes] = (),
    *,
    equal: bool = False,
) -> tuple[Finding, ...]:
    """Return in what two open files differ besides their columns: metadata, writer, layout.

    ``skip`` are keys of the metadata that the caller compares. ``equal`` says that schema and values were
    found equal, so that sizes and row counts of the layout tell about nothing but the layout.
    """
    return (
        *key_value_findings(a_file, b_file, context, skip),
        *layout_findings(a_file, b_file, equal=equal),
    )
