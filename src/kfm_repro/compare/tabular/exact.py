"""Columns in a form in which equal means the same bits, and numbers that stand for their values.

Arrow calls -0.0 and 0.0 equal and NaN unequal to itself; a determinism checker may do neither. Every column
is therefore turned into integers, byte strings or booleans first; on those Arrow's kernels are exact.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from kfm_repro.compare.tabular.arrays import filled, integers, numpy_of
from kfm_repro.compare.tabular.native import library

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["codes", "common_values", "exact", "python_values", "taken", "unequal"]

_INTERVAL_BYTES = 16
_LONG = 128
"""Bytes per value from which byte strings are told apart by numbers: Arrow would copy all of them."""


def exact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ``column`` with the same nulls and, per value, the bits it is stored in.

    Floats, dates and times become integers, texts and decimals byte strings, dictionaries their values,
    nested values an unambiguous text of these. Offsets are 64 bit wide, so that nothing overflows later.
    """
    import pyarrow as pa

    target, step = _plan(column.type)
    return pa.chunked_array([step(chunk) for chunk in column.chunks], type=target)


def _plan(kind: pa.DataType) -> tuple[pa.DataType, Callable[[pa.Array], pa.Array]]:  # noqa: PLR0911  # one return per family of types
    """Return the exact type of an Arrow type and the function that converts an array of it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        target, step = _plan(kind.storage_type)
        return target, lambda array: step(array.storage)
    if types.is_dictionary(kind):
        target, step = _plan(kind.value_type)
        return target, lambda array: step(pc.dictionary_decode(array))
    if types.is_run_end_encoded(kind):
        target, step = _plan(kind.value_type)
        return target, lambda array: step(pc.run_end_decode(array))
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind):
        return kind, lambda array: array
    if types.is_fixed_size_binary(kind):
        return kind, lambda array: array
    if _is_text(kind) or _is_bytes(kind):
        return pa.large_binary(), lambda array: array.cast(pa.large_binary())
    viewed = _viewed(kind)
    if viewed is not None:
        return viewed, lambda array: array.view(viewed)
    return pa.large_binary(), _nested_texts


def _viewed(kind: pa.DataType) -> pa.DataType | None:
    """Return the integer or byte type of the same width, for types of fixed width."""
    import pyarrow as pa

    types = pa.types
    if types.is_interval(kind):
        return pa.binary(_INTERVAL_BYTES)
    if types.is_decimal(kind):
        return pa.binary(kind.bit_width // 8)
    if types.is_floating(kind) or types.is_temporal(kind):
        return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]
    return None


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _nested_texts(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    texts = [None if cell is None else repr(cell).encode() for cell in _nested(array)]
    return pa.array(texts, pa.large_binary())


def _nested(array: pa.Array) -> list[Any]:
    """Return the values of an array, nested ones as tuples of exact values, so that equal means same bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, types = array.type, pa.types
    if types.is_map(kind):
        return _entries(array)
    if types.is_struct(kind):
        valid = array.is_valid().to_pylist()
        members = [_nested(array.field(i)) for i in range(kind.num_fields)]
        rows = zip(*members, strict=True) if members else iter([()] * len(array))
        return [row if is_valid else None for row, is_valid in zip(rows, valid, strict=True)]
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)
    if any(is_list(kind) for is_list in (*lists, types.is_large_list_view)):
        members_of = iter(_nested(array.flatten()))
        lengths = pc.list_value_length(array).to_pylist()
        return [None if n is None else tuple(next(members_of) for _ in range(n)) for n in lengths]
    if types.is_union(kind):
        return [_member(cell) for cell in array]
    _, step = _plan(kind)
    return cast("list[Any]", step(array).to_pylist())


def _member(cell: pa.UnionScalar) -> tuple[int, str]:
    """Return the value of a union and which of its members holds it: 1 as an integer is not 1 as a float."""
    return cell.type_code, _canonical(cell.as_py())


def _entries(array: pa.Array) -> list[Any]:
    """Return the maps of an array as tuples of (key, value) in the order that they are stored in.

    Arrow's cast of a map to a list of structs makes invalid arrays of some item types (lists of nulls among
    them) and aborts the process on what follows, so the entries are cut out by their offsets.
    """
    ends = array.offsets.to_pylist()
    members = _nested(array.values.slice(ends[0], ends[-1] - ends[0])) if ends else []
    spans = zip(ends, ends[1:], array.is_valid().to_pylist(), strict=False)
    return [tuple(members[s - ends[0] : e - ends[0]]) if valid else None for s, e, valid in spans]


def unequal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> Mask | None:
    """Return which positions of two exact columns of the same length differ; None when none does."""
    import pyarrow.compute as pc

    if a.equals(b):
        return None
    differing = pc.not_equal(a, b)
    if differing.null_count:
        differing = pc.and_kleene(differing, pc.is_valid(differing))
    mask: Mask = numpy_of(pc.or_(differing, pc.xor(a.is_null(), b.is_null())))
    return mask if mask.any() else None


def codes(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Return an int64 per value of two exact columns; same number exactly when same value (or both null)."""
    import numpy as np
    import pyarrow as pa

    both = pa.chunked_array([*a.chunks, *b.chunks], type=a.type)
    if pa.types.is_null(a.type) or not len(both):
        numbers: Ints = np.zeros(len(both), np.int64)
    elif pa.types.is_integer(a.type) and both.null_count == 0:
        numbers = numpy_of(both).astype(np.int64, copy=False)
    else:
        # In one piece: of many, each would get a dictionary of all values before it.
        numbers = _places(both.combine_chunks())
    return numbers[: len(a)], numbers[len(a) :]


def _places(values: pa.Array) -> Ints:
    """Return the place of each value among the distinct ones, -1 for null."""
    import numpy as np
    import pyarrow as pa

    long = pa.types.is_large_binary(values.type) and values.nbytes > _LONG * len(values)
    places = _places_of_long(values) if long and library() is not None else None
    if places is None:
        places = numpy_of(filled(values.dictionary_encode().indices, -1)).astype(np.int64)
    return places


def _places_of_long(values: pa.LargeBinaryArray) -> Ints | None:
    """Return the same for long byte strings by their numbers; None in the unheard-of case that two share one."""
    import numpy as np

    from kfm_repro.compare.tabular.numbering import Numbers, draw_seed

    numbers = Numbers.of(len(values), draw_seed())
    numbers.mix(values)
    places: Ints = numpy_of(integers(numbers.one.view(np.int64)).dictionary_encode().indices).astype(np.int64)
    _, first = np.unique(places, return_index=True)
    again = np.flatnonzero(first[places] != np.arange(len(places)))
    if len(again) and not values.take(integers(again)).equals(values.take(integers(first[places[again]]))):
        return None
    places[numpy_of(values.is_null())] = -1
    return places


def common_values(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns of different Arrow types as exact columns in which the same value is the same.

    A lossless cast to one type where there is one; else every value as an unambiguous text, in which numbers
    of all types are alike (1, 1.0 and Decimal 1) and nothing else is.
    """
    import pyarrow as pa

    for target in _common_types(a.type, b.type):
        try:
            return exact(_decoded(a).cast(target)), exact(_decoded(b).cast(target))
        except (pa.ArrowException, ValueError, OverflowError):
            continue
    return _as_canonical(a), _as_canonical(b)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionary, run lengths or extension type."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return _decoded(pa.chunked_array(chunks, type=kind.storage_type))
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return column.cast(kind.value_type)
    return column


def _common_types(a: pa.DataType, b: pa.DataType) -> list[pa.DataType]:  # noqa: PLR0911  # one return per family of types
    """Return the types to which both may be cast without loss, best first; a cast that would lose fails."""
    import pyarrow as pa

    types = pa.types
    pair = [kind.value_type if types.is_dictionary(kind) else kind for kind in (a, b)]
    if any(types.is_null(kind) for kind in pair):
        return [kind for kind in pair if not types.is_null(kind)][:1]
    if all(types.is_integer(kind) or types.is_boolean(kind) for kind in pair):
        return [pa.int64(), pa.uint64()]
    if all(types.is_floating(kind) or types.is_integer(kind) for kind in pair):
        return [pa.float64()]
    if all(types.is_timestamp(kind) for kind in pair):
        finest = max((kind.unit for kind in pair), key=("s", "ms", "us", "ns").index)
        return [pa.timestamp(finest)]
    if all(types.is_date(kind) or types.is_timestamp(kind) for kind in pair):
        return [pa.timestamp("us"), pa.timestamp("ms")]
    if any(_is_text(kind) for kind in pair) and not any(types.is_nested(kind) for kind in pair):
        return [pa.large_string()]
    return []


def _as_canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    values = python_values(column)
    texts = [None if value is None else _canonical(value).encode() for value in values]
    return pa.chunked_array([pa.array(texts, pa.large_binary())])


def _canonical(value: object) -> str:
    """Return a text that two values share exactly when they are the same; numbers of all types are alike."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, float):
        bits = struct.pack(">d", value).hex()
        return f"n{Fraction(value)}" if value - value == 0.0 and bits != "8000000000000000" else f"f{bits}"
    if isinstance(value, int | Decimal):
        return f"n{Fraction(value)}" if not isinstance(value, Decimal) or value.is_finite() else repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_canonical(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return f"{type(value).__name__}{value!r}"


def python_values(column: pa.ChunkedArray, rows: Ints | None = None) -> list[Any]:
    """Return a column's values, or those of some rows, as Python objects.

    Where Python has no such value (a timestamp beyond the year 9999, an unknown time zone, a text that is no
    UTF-8), its bits or bytes.
    """
    import pyarrow as pa

    if rows is not None:
        column = taken(column, rows)
    try:
        return cast("list[Any]", column.to_pylist())
    except (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException):
        return cast("list[Any]", exact(column).to_pylist())


def taken(column: pa.ChunkedArray, rows: Ints) -> pa.ChunkedArray:
    """Return some rows of a column, of any type."""
    import pyarrow as pa

    try:
        return column.take(integers(rows))
    except pa.ArrowNotImplementedError:  # views and run lengths have no such kernel
        parts = [part for row in rows.tolist() for part in column.slice(row, 1).chunks if len(part)]
        return pa.chunked_array(parts, type=column.type)
