"""How much an array takes once all that it says by reference is spelled out.

Indices of a dictionary, views of a buffer and lengths of a run may say one long value a million times, at any
depth of a nested type; nulls and structs without fields may be any number of values without a byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.arrays import filled, numpy_of
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["WIDTH", "expanded", "leaf_bytes"]

WIDTH = 8
"""Bytes that a decoded value takes at least, offsets and padding counted."""
_NESTED_WIDTH = 16
"""The same for a value inside of a list, which is compared as an object."""


def leaf_bytes(*, nested: bool) -> int:
    """Return the bytes that a value takes at least once it is decoded, alone or inside of a list."""
    return _NESTED_WIDTH if nested else WIDTH


def expanded(array: pa.Array, most: int) -> int:
    """Return the bytes of a valid array once it is spelled out.

    Raises LimitExceeded where even counting them would take more than ``most`` bytes.
    """
    import pyarrow as pa

    kind = array.type
    _check(len(array) * WIDTH, most)
    if isinstance(kind, pa.BaseExtensionType):
        return expanded(array.storage, most)
    if pa.types.is_run_end_encoded(kind):
        return int((_run_lengths(array) * _sizes(_run_values(array), most)).sum())
    if not _says_by_reference(kind):
        return max(int(array.nbytes), len(array) * WIDTH)
    return int(_sizes(array, most).sum())


def _says_by_reference(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _says_by_reference(kind.storage_type)
    views = (types.is_string_view, types.is_binary_view, types.is_list_view, types.is_large_list_view)
    others = (types.is_dictionary, types.is_run_end_encoded, types.is_union, types.is_null)
    if any(test(kind) for test in (*views, *others)):
        return True
    if types.is_struct(kind) and not kind.num_fields:
        return True
    return any(_says_by_reference(kind.field(i).type) for i in range(kind.num_fields))


def _sizes(array: pa.Array, most: int) -> Ints:
    """Return the bytes of every cell, none of which is more than ``most``, so that their sum is a number."""
    _check(len(array) * WIDTH, most)
    found = _sizes_of(array, most)
    _check(int(found.max(initial=0)), most)
    return found


def _check(size: int, most: int) -> None:
    if size > most:
        raise LimitExceeded(f"a column would take {size} bytes, more than {most}")


def _sizes_of(array: pa.Array, most: int) -> Ints:  # noqa: PLR0911  # one return per family of types
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, types = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _sizes(array.storage, most)
    own: Ints = np.full(len(array), WIDTH, np.int64)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return own + _view_lengths(array)
    if any(
        test(kind)
        for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    ):
        lengths: Ints = numpy_of(filled(pc.binary_length(array).cast(pa.int64()), 0))
        return own + lengths
    if types.is_dictionary(kind):
        places = numpy_of(filled(array.indices.cast(pa.int64()), -1))
        said: Ints = np.append(_sizes(array.dictionary, most), 0)[places]
        return own + said
    if types.is_run_end_encoded(kind):
        return np.repeat(_sizes(_run_values(array), most), _run_lengths(array))
    if types.is_struct(kind) or types.is_union(kind):
        return own + _sizes_of_members(array, most)
    if types.is_fixed_size_list(kind):
        inner = array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size)
        summed: Ints = _sizes(inner, most).reshape(len(array), kind.list_size).sum(axis=1)
        return own + summed
    if kind.num_fields:
        return own + _sizes_of_lists(array, most)
    return np.full(len(array), max(WIDTH, _width(kind)), np.int64)


def _width(kind: pa.DataType) -> int:
    import pyarrow as pa

    return 0 if pa.types.is_null(kind) else int(kind.bit_width) // 8


def _sizes_of_members(array: pa.StructArray | pa.UnionArray, most: int) -> Ints:
    """Return the bytes of the members of structs and unions; a dense union may name one member again and again."""
    import numpy as np
    import pyarrow as pa

    kind = array.type
    dense = pa.types.is_union(kind) and kind.mode == "dense"
    found: Ints = np.zeros(len(array), np.int64)
    for i in range(kind.num_fields):
        sizes = _sizes(array.field(i), most)
        if dense:
            here = numpy_of(array.type_codes) == kind.type_codes[i]
            found[here] += sizes[numpy_of(array.offsets)[here]]
        else:
            found += sizes
    return found


def _sizes_of_lists(array: pa.Array, most: int) -> Ints:
    """Return the bytes of the members of lists, maps and views of lists, which may overlap."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    total: Ints = np.append(0, np.cumsum(_sizes(array.values, most)))
    starts: Ints = numpy_of(array.offsets).astype(np.int64)
    if types.is_list_view(array.type) or types.is_large_list_view(array.type):
        lengths = numpy_of(filled(pc.cast(array.sizes, pa.int64()), 0))
        return np.where(numpy_of(array.is_valid()), total[starts + lengths] - total[starts], 0)
    return total[starts[1:]] - total[starts[:-1]]


def _view_lengths(array: pa.Array) -> Ints:
    """Return the bytes of all values: of the four numbers of a view, the first is its length."""
    import numpy as np

    views = np.frombuffer(array.buffers()[1] or b"", np.dtype("<i4"))
    lengths = views[::4][array.offset : array.offset + len(array)].astype(np.int64)
    return np.where(numpy_of(array.is_valid()), lengths, 0)


def _run_lengths(array: pa.RunEndEncodedArray) -> Ints:
    """Return the lengths of the runs that an array touches, cut at its ends."""
    import numpy as np

    ends = numpy_of(array.run_ends).astype(np.int64)[_runs(array)]
    inside: Ints = np.clip(ends - array.offset, 0, len(array))
    return np.diff(inside, prepend=0)


def _run_values(array: pa.RunEndEncodedArray) -> pa.Array:
    runs = _runs(array)
    return array.values.slice(runs.start, runs.stop - runs.start)


def _runs(array: pa.RunEndEncodedArray) -> slice:
    first = array.find_physical_offset()
    return slice(first, first + array.find_physical_length())
