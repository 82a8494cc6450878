"""Arrow arrays from numpy arrays and lists of values, without the detour through pandas.

``pyarrow.array`` imports pandas, if it is there at all, to see whether what it was given is a series. That
costs more than comparing a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["empty_table", "filled", "integers", "numpy_of", "texts", "typed"]


def integers(numbers: Ints) -> pa.Array:
    """Return int64 numbers as an array without nulls, sharing their memory."""
    import numpy as np
    import pyarrow as pa

    numbers = np.ascontiguousarray(numbers, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def filled(array: pa.Array, number: int) -> pa.Array:
    """Return integers or floats with a number in the place of nulls."""
    import numpy as np
    import pyarrow.compute as pc

    return pc.coalesce(array, integers(np.array([number]))[0].cast(array.type)) if array.null_count else array


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return texts, None for null, as an array of strings."""
    import pyarrow as pa

    joined = "".join([value or "" for value in values])
    if joined.isascii():  # as many bytes as characters
        return _strings(values, joined.encode(), pa.large_string()).cast(pa.string())
    encoded = [None if value is None else value.encode() for value in values]
    return _strings(encoded, _joined(encoded), pa.large_string()).cast(pa.string())


def typed(values: Sequence[Any], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Return values of one Python type, None for null, as an array; in pieces where one would be too large.

    ``kind`` is bool, int64, double, string or binary, and that of the values. Raises OverflowError for whole
    numbers beyond 64 bits and UnicodeEncodeError for texts that UTF-8 cannot hold.
    """
    import numpy as np
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _in_pieces(values, kind)
    nulls = None in values
    whole = [0 if value is None else value for value in values] if nulls else values
    held = _bits(whole) if pa.types.is_boolean(kind) else np.array(whole, kind.to_pandas_dtype())
    bits = pa.py_buffer(_bits([value is not None for value in values])) if nulls else None
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(held)])


def _in_pieces(values: Sequence[Any], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa

    try:
        if pa.types.is_string(kind):
            return texts(values)
        return _strings(values, _joined(values), pa.large_binary()).cast(kind)
    except pa.ArrowInvalid:  # more than 2 GiB
        if len(values) < 2:  # noqa: PLR2004 - nothing to divide
            raise
    half = len(values) // 2
    parts = [_in_pieces(part, kind) for part in (values[:half], values[half:])]
    chunks = [
        chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])
    ]
    return pa.chunked_array(chunks, type=kind)


def _joined(values: Sequence[bytes | None]) -> bytes:
    return b"".join([value or b"" for value in values])


def _strings(values: Sequence[bytes | str | None], data: bytes, kind: pa.DataType) -> pa.Array:
    """Return strings, None for null, as an array of ``kind``, one with 64-bit offsets, given their bytes in a row."""
    import numpy as np
    import pyarrow as pa

    nulls = None in values
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([len(value or b"") for value in values], out=offsets[1:])
    bits = pa.py_buffer(_bits([value is not None for value in values])) if nulls else None
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(offsets), pa.py_buffer(data)])


def _bits(values: Sequence[Any]) -> Any:  # noqa: ANN401  # uint8
    import numpy as np

    return np.packbits(np.asarray(values, np.bool_), bitorder="little")


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table without rows."""
    import pyarrow as pa

    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def numpy_of(column: pa.Array | pa.ChunkedArray) -> Any:  # noqa: ANN401  # the dtype is the caller's to know
    """Return integers, floats or booleans without nulls as a numpy array, in their own width."""
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        parts = [numpy_of(chunk) for chunk in column.chunks]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else numpy_of(pa.nulls(0, column.type))
    if pa.types.is_boolean(column.type):
        bits = np.frombuffer(column.buffers()[1] or b"", np.uint8)
        return np.unpackbits(bits, count=column.offset + len(column), bitorder="little")[
            column.offset :
        ].view(np.bool_)
    kind = np.dtype(column.type.to_pandas_dtype())
    if not len(column):
        return np.zeros(0, kind)
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)
