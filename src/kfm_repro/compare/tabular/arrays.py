"""Arrow arrays from numpy arrays and lists of texts, without the detour through pandas.

``pyarrow.array`` imports pandas, if it is there at all, to see whether what it was given is a series. That
costs more than comparing a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["empty_table", "filled", "integers", "numpy_of", "texts"]


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
    import numpy as np
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    valid = np.packbits(np.array([value is not None for value in values], np.bool_), bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers).cast(pa.string())


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
