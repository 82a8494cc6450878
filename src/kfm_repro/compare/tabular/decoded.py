"""Tables that another library decoded: bounded while they are read, compared with clear errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.tabular.expanded import WIDTH, expanded
from kfm_repro.errors import LimitExceeded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["check_size", "collect", "compare_decoded", "most_bytes", "validate"]

_DECODED = 4
"""Decoded tables may be this many times as large as one member of an archive."""
_COPIES = 4
"""So many times its decoded size a table takes while it is compared whole."""
_NOWHERE: Mapping[str, str] = {}


def most_bytes(context: Context) -> int:
    """Return the most bytes that a decoded table may take while it is compared whole with another one.

    Both together take twice what may be taken, all that is free, where nobody said how much that is.
    """
    given = context.options.memory_bytes
    shared = context.memory // _COPIES if given is None else given // _COPIES // 2
    return min(_DECODED * context.limits.member_bytes, shared)


def check_size(declared: int, context: Context) -> None:
    """Raise LimitExceeded for a table that would take, or takes, more bytes in memory than is allowed."""
    most = most_bytes(context)
    if declared > most:
        raise LimitExceeded(f"the table would take {declared} bytes, more than {most}")


def collect(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], context: Context, *, rows: int = 0
) -> pa.Table:
    """Return the batches as one table, each checked to be valid; ``rows`` is how many the file declares.

    Raises LimitExceeded as soon as they take too much memory, and ArrowException for a batch that lies.
    """
    import pyarrow as pa

    check_size(rows * max(1, len(schema)) * WIDTH, context)
    found: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        for column in batch.columns:
            validate(column)
        size += sum(expanded(column, most_bytes(context)) for column in batch.columns)
        check_size(size, context)
        found.append(batch)
    table = pa.Table.from_batches(found, schema)
    for i, column in enumerate(schema):
        nested = pa.types.is_nested(column.type) or pa.types.is_dictionary(column.type)
        if nested and _holds_views(column.type):
            chunks = [_spelled_out(chunk) for chunk in table.column(i).chunks]
            plain = pa.chunked_array(chunks, None if chunks else pa.null())
            table = table.set_column(i, column.with_type(plain.type), plain)
    return table


def _holds_views(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_holds_views(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _holds_views(kind.value_type)
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _spelled_out(array: pa.Array) -> pa.Array:
    """Return an array with the values themselves where it has views of them: Arrow's kernels know no views in lists."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return array.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    if not _holds_views(kind):
        return array
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if array.offset:
            array = pa.concat_arrays([array])
        whole = type(array).from_arrays(array.offsets, _spelled_out(array.values))
        buffers = [array.buffers()[0], whole.buffers()[1]]
        return pa.Array.from_buffers(whole.type, len(array), buffers, children=[whole.values])
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(
            array.indices, _spelled_out(array.dictionary), ordered=kind.ordered
        )
    if pa.types.is_struct(kind):
        parts = [_spelled_out(array.field(i)) for i in range(kind.num_fields)]
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, names, mask=array.is_null())
    return array


def validate(array: pa.Array | pa.ChunkedArray) -> None:
    """Prove that an array reads no memory but its own: every offset, index and child of it.

    Plain texts are compared by their bytes, whatever these are; as texts the proof would demand UTF-8.
    """
    import pyarrow as pa

    if pa.types.is_string(array.type):
        array = array.cast(pa.binary())
    elif pa.types.is_large_string(array.type):
        array = array.cast(pa.large_binary())
    array.validate(full=True)


def compare_decoded(
    a: pa.Table, b: pa.Table, context: Context, *, where: Mapping[str, str] = _NOWHERE
) -> tuple[Finding, ...]:
    """Compare two tables; raises Unreadable for a type of columns that Arrow's kernels do not know."""
    import pyarrow as pa

    try:
        return compare_tables(a, b, context, where=where)
    except (pa.ArrowException, UnicodeDecodeError) as exc:
        raise Unreadable(f"holds columns that cannot be compared: {exc}".splitlines()[0][:300]) from exc
