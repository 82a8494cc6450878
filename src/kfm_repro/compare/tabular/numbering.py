"""Rows as 128-bit numbers, cell by cell, and the rows of two tables paired by them.

The numbering is a pure function of the cells' bits and a seed: the same in every process, version and machine,
compiled (``native/numbers.c``) or not. Two different rows share a number with probability 2**-128; who wants to
bring that about would have to know the seed, which a comparison draws anew. Digests of partitions use seed 0.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.tabular.arrays import filled, numpy_of
from kfm_repro.compare.tabular.exact import exact
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.rows import pair_equal, row_ids
from kfm_repro.compare.tabular.workers import in_parallel

if TYPE_CHECKING:
    import ctypes

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfm_repro.compare.tabular.exact import Ints, Mask

    Words = NDArray[np.uint64]

__all__ = ["ALL_TAKEN", "NOWHERE", "Numbers", "draw_seed", "pair_rows_by_number"]

NOWHERE = -1
"""Partner of a row that the other table does not have."""
ALL_TAKEN = -2
"""Partner of a further copy of a row that the other table has, but less often."""

_SEEDS = (0x2545F4914F6CDD1D, 0x9FB21C651E98DF25)
_MULTIPLIERS = (
    (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9),
    (0xD6E8FEB86659FD93, 0x94D049BB133111EB),
)
_NULL_WORD = 0xA0761D6478BD642F
_WORD = 8
_PARTITION_ROWS = 4096
"""Rows per partition that fit into the second level of cache, table and all."""
_PARTITIONS = 64
"""As many are paired at a time."""


def draw_seed() -> int:
    """Return a fresh seed of 128 bits, for one comparison."""
    return secrets.randbits(128)


@dataclass(frozen=True)
class Numbers:
    """The numbers of some rows: two lanes of 64 bits each."""

    one: Words
    two: Words
    seed: tuple[int, int] = (0, 0)
    """Both halves of the seed. Byte strings are numbered from it, too: they come before they meet their row."""

    @staticmethod
    def of(rows: int, seed: int = 0) -> Numbers:
        """Return the numbers of ``rows`` rows that have no cell yet."""
        numbers = Numbers.unset(rows, seed)
        numbers.begin()
        return numbers

    @staticmethod
    def unset(rows: int, seed: int = 0) -> Numbers:
        """Return room for the numbers of ``rows`` rows: who fills a part of it begins it."""
        import numpy as np

        halves = (seed & (1 << 64) - 1, seed >> 64)
        return Numbers(np.empty(rows, np.uint64), np.empty(rows, np.uint64), halves)

    def begun(self) -> Numbers:
        """Return the numbers of as many rows that have no cell yet, by the same seed."""
        import numpy as np

        numbers = Numbers(np.empty_like(self.one), np.empty_like(self.two), self.seed)
        numbers.begin()
        return numbers

    def begin(self) -> None:
        """Make the numbers those of rows that have no cell yet."""
        for lane, start, half in zip((self.one, self.two), _SEEDS, self.seed, strict=True):
            lane.fill(start ^ half)

    def part(self, start: int, stop: int) -> Numbers:
        """Return a view of some rows in a row."""
        return Numbers(self.one[start:stop], self.two[start:stop], self.seed)

    def unlike(self, other: Numbers) -> Mask:
        """Return at which places other rows stand."""
        mask: Mask = (self.one != other.one) | (self.two != other.two)
        return mask

    def take(self, rows: Ints) -> Numbers:
        """Return the numbers of some rows."""
        return Numbers(self.one[rows], self.two[rows], self.seed)

    def mix(self, column: pa.Array) -> None:
        """Take in the next cell of every row, bit by bit as `exact` says; dictionaries are taken for their values."""
        import pyarrow as pa

        if pa.types.is_dictionary(column.type) and len(column.dictionary) < len(column):
            self._mix_dictionary(column)
            return
        if library() is not None and (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
            self._mix_bytes(column)  # as its offsets are
            return
        array = exact(pa.chunked_array([column])).chunk(0)
        if pa.types.is_null(array.type):
            array = pa.nulls(len(array), pa.int64())
        elif pa.types.is_boolean(array.type):
            array = array.cast(pa.uint8())
        elif pa.types.is_fixed_size_binary(array.type):
            array = array.cast(pa.large_binary())
        if pa.types.is_integer(array.type):
            self._mix_fixed(array)
        else:
            self._mix_bytes(array)

    def _mix_fixed(self, array: pa.Array) -> None:
        loops = library()
        width = array.type.bit_width // 8
        if loops is not None:
            lanes = self.one.ctypes.data, self.two.ctypes.data
            values, valid = _address(array.buffers()[1]), _valid(array)
            loops.kfm_mix_fixed(*lanes, values, width, valid, array.offset, len(array))
            return
        words = numpy_of(filled(array, 0)).view(f"u{width}").astype("u8")
        self._mix_words(words, words, _nulls(array))

    def _mix_bytes(self, array: pa.Array) -> None:
        import pyarrow as pa

        loops = library()
        if loops is not None:
            _, offsets, data = array.buffers()
            lanes = self.one.ctypes.data, self.two.ctypes.data
            width = 4 if pa.types.is_string(array.type) or pa.types.is_binary(array.type) else 8
            where = _address(offsets), width, _address(data), _valid(array)
            loops.kfm_mix_bytes(*lanes, *self.seed, *where, array.offset, len(array))
            return
        self._mix_words(*_numbers_of_bytes(array, self.seed), _nulls(array))

    def _mix_dictionary(self, column: pa.DictionaryArray) -> None:
        import numpy as np
        import pyarrow as pa

        values = exact(pa.chunked_array([column.dictionary])).chunk(0)
        if not pa.types.is_large_binary(values.type) or values.null_count:
            self.mix(column.dictionary_decode())
            return
        places = np.ascontiguousarray(numpy_of(filled(column.indices.cast(pa.int32()), -1)))
        first, second = _numbers_of_bytes(values, self.seed)
        loops = library()
        if loops is not None:
            lanes = self.one.ctypes.data, self.two.ctypes.data
            loops.kfm_mix_places(
                *lanes, places.ctypes.data, first.ctypes.data, second.ctypes.data, len(places)
            )
            return
        nulls = places < 0
        held = np.where(nulls, 0, places)
        if not len(first):
            first = second = np.zeros(1, np.uint64)
        self._mix_words(first[held], second[held], nulls)

    def _mix_words(self, first: Words, second: Words, nulls: Any) -> None:  # noqa: ANN401  # a mask or None
        import numpy as np

        for which, (lane, words) in enumerate(((self.one, first), (self.two, second))):
            mixed = _mixed(lane, words, which)
            if nulls is not None:
                turned = (lane << np.uint64(23)) | (lane >> np.uint64(41))
                mixed = np.where(nulls, _mixed(turned, np.uint64(_NULL_WORD), which), mixed)
            lane[:] = mixed


def _address(buffer: pa.Buffer | None) -> int | None:
    return None if buffer is None else int(buffer.address)


def _valid(array: pa.Array) -> int | None:
    """Return where the bits are that say what is not null, None where nothing is."""
    return _address(array.buffers()[0]) if array.null_count else None


def _nulls(array: pa.Array) -> Any:  # noqa: ANN401  # a mask or None
    return numpy_of(array.is_null()) if array.null_count else None


def _mixed(lane: Words, words: Words | np.uint64, which: int) -> Words:
    import numpy as np

    first, second = map(np.uint64, _MULTIPLIERS[which])
    with np.errstate(over="ignore"):
        lane = (lane ^ words) * first
        lane = (lane ^ (lane >> np.uint64(32))) * second
    mixed: Words = lane ^ (lane >> np.uint64(29))
    return mixed


def _numbers_of_bytes(array: pa.Array, seed: tuple[int, int]) -> tuple[Words, Words]:
    """Return the two numbers of every byte string of a large_binary array; those of nulls mean nothing."""
    import numpy as np

    _, offsets, data = array.buffers()
    one, two = (np.full(len(array), half, np.uint64) for half in seed)
    if not len(array):
        return one, two
    loops = library()
    if loops is not None:
        loops.kfm_number_bytes(
            one.ctypes.data, two.ctypes.data, _address(offsets), _address(data), array.offset, len(array)
        )
        return one, two
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    octets = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    _mix_octets(one, two, octets, ends[:-1], np.diff(ends))
    return one, two


def _mix_octets(one: Words, two: Words, octets: NDArray[np.uint8], starts: Ints, sizes: Ints) -> None:
    import numpy as np

    for at in range(0, int(sizes.max()), _WORD):
        rows = np.flatnonzero(sizes > at)
        places = starts[rows, None] + at + np.arange(_WORD)
        inside = np.arange(at, at + _WORD) < sizes[rows, None]
        words = np.where(inside, octets[np.where(inside, places, 0)], 0).astype(np.uint8)
        packed = np.ascontiguousarray(words).view("<u8").reshape(-1).astype(np.uint64)
        for which, lane in enumerate((one, two)):
            lane[rows] = _mixed(lane[rows], packed, which)
    for which, lane in enumerate((one, two)):
        lane[:] = _mixed(lane, sizes.astype(np.uint64), which)


def pair_rows_by_number(a: Numbers, b: Numbers) -> tuple[Ints, NDArray[np.uint8]]:
    """Pair the n-th row of a number in A with the n-th of that number in B.

    Returns per row of A its partner's place in B, `NOWHERE` or `ALL_TAKEN`; and per row of B 0 if it is a
    partner, 1 if A has no such row, 2 if A has such rows, but fewer.
    """
    import numpy as np

    partner = np.full(len(a.one), NOWHERE, np.int64)
    state = np.ones(len(b.one), np.uint8)
    if not len(partner) or not len(state):
        return partner, state
    loops = library()
    if loops is None or max(len(partner), len(state)) >= 1 << 32:
        _pair_plainly(a, b, partner, state)
    else:
        _pair_compiled(loops, a, b, partner, state)
    return partner, state


def _pair_plainly(a: Numbers, b: Numbers, partner: Ints, state: NDArray[np.uint8]) -> None:
    import numpy as np

    ids_a, ids_b = row_ids(
        [a.one.view(np.int64), a.two.view(np.int64)], [b.one.view(np.int64), b.two.view(np.int64)]
    )
    partner[np.isin(ids_a, ids_b)] = ALL_TAKEN
    state[np.isin(ids_b, ids_a)] = 2
    paired_a, paired_b = pair_equal(ids_a, ids_b)
    partner[paired_a] = paired_b
    state[paired_b] = 0


def _pair_compiled(
    loops: ctypes.CDLL, a: Numbers, b: Numbers, partner: Ints, state: NDArray[np.uint8]
) -> None:
    bits = max(0, (max(len(partner), len(state)) // _PARTITION_ROWS).bit_length() - 1)
    places = list(in_parallel(lambda side: _partitioned(loops, side.one, bits), (a, b)))
    where = [
        address.ctypes.data
        for side, (starts, order) in zip((a, b), places, strict=True)
        for address in (side.one, side.two, order, starts)
    ]

    def pair(first: int) -> int:
        last = min(first + _PARTITIONS, 1 << bits)
        return int(loops.kfm_pair(*where, first, last, partner.ctypes.data, state.ctypes.data))

    if any(list(in_parallel(pair, range(0, 1 << bits, _PARTITIONS)))):
        raise MemoryError("no memory to pair rows")


def _partitioned(loops: ctypes.CDLL, lane: Words, bits: int) -> tuple[Ints, NDArray[np.uint32]]:
    import numpy as np

    starts, order = np.zeros((1 << bits) + 1, np.int64), np.empty(len(lane), np.uint32)
    loops.kfm_partition(lane.ctypes.data, len(lane), bits, starts.ctypes.data, order.ctypes.data)
    if starts[-1] != len(lane):
        raise MemoryError("no memory to order rows")
    return starts, order
