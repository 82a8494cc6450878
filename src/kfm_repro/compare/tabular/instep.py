"""Two chunks of byte strings, page beside page: equal pages are not decoded, and of others only what differs.

That is worth it where most values are equal and long, as geometries are. A chunk that is laid out in any other way
than those known here, or in which much differs, is left to Arrow. The encodings are those of Parquet's Encodings.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.tabular.pages import DATA, DICTIONARY, FileBytes, Page, chunk_start, expand, page_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["Chunk", "Unlike", "unlike_values"]

_PLAIN, _PLAIN_DICTIONARY, _RLE, _RLE_DICTIONARY = 0, 2, 3, 8
"""Encoding; the second is what the last was called at first."""
_BY_DICTIONARY = (_PLAIN_DICTIONARY, _RLE_DICTIONARY)
_MOST = 0.2
"""Part of the values that may differ: beyond it all are decoded."""
_SLACK = 1_000
"""So many more may differ, in the first pages."""
_NUMBER = struct.Struct("<I")
"""The length before a value, and before the levels of a page."""
_WIDEST = 32
"""Bits of a place in a dictionary."""


@dataclass
class Unlike:
    """The places, from 0 on and ascending, of values that differ, and what stands there on both sides."""

    places: list[int] = field(default_factory=list)
    a: list[bytes] = field(default_factory=list)
    b: list[bytes] = field(default_factory=list)

    def add(self, place: int, a: bytes, b: bytes) -> None:
        """Add a place beyond all others."""
        self.places.append(place)
        self.a.append(a)
        self.b.append(b)


class Chunk:
    """A column chunk of one side, read a page at a time. ``said`` is what its footer says (ColumnChunkMetaData).

    ``most`` is how large a page may be, decompressed.
    """

    def __init__(self, data: FileBytes, said: Any, most: int) -> None:  # noqa: ANN401  # pyarrow has no types
        self.codec, self.count = str(said.compression), int(said.num_values)
        self._data, self._most = data, most
        self._at = chunk_start(said)
        self._end = self._at + int(said.total_compressed_size)
        self._room = bytearray()
        self.entries: list[bytes] = []
        """The values of its dictionary."""

    def next(self) -> tuple[Page, pa.Buffer]:
        """Return the next page and its bytes, which are there until the next one is asked for. Raises ValueError."""
        import pyarrow as pa

        page = page_at(self._data, self._at, self._end)
        if page.end > self._end or max(page.stored, page.size) > self._most:
            raise ValueError("a page lies outside of its chunk, or is too large")
        if len(self._room) < page.stored:
            self._room = bytearray(page.stored)
        room = memoryview(self._room)[: page.stored]
        if not self._data.read_into(room, page.end - page.stored):
            raise ValueError("a page is cut off")
        self._at = page.end
        return page, pa.py_buffer(room)

    def expanded(self, page: Page, stored: pa.Buffer) -> memoryview:
        """Return the bytes of a page decompressed."""
        return memoryview(expand(stored, page.size, self.codec)).cast("B")


def unlike_values(a: Chunk, b: Chunk, *, nullable: bool) -> Unlike | None:
    """Return in which values two chunks of flat byte strings differ, None where that is not for here to tell.

    ``nullable`` says that pages hold definition levels; a page with a null is left to Arrow, unless both are the
    same bytes.
    """
    import pyarrow as pa

    if a.count != b.count or a.codec != b.codec:
        return None
    found, seen = Unlike(), 0
    try:
        while seen < a.count:
            seen += _walked(a, b, seen, found, nullable=nullable)
            if len(found.places) > _SLACK + _MOST * seen:
                return None
    except (pa.ArrowException, OSError, ValueError, struct.error, IndexError):
        return None  # laid out in another way, or damaged, which Arrow will say
    return found if seen == a.count else None


def _walked(a: Chunk, b: Chunk, first: int, found: Unlike, *, nullable: bool) -> int:
    """Compare the next page of both sides and return how many values it has. Raises ValueError and others."""
    (page, stored), (other, theirs) = a.next(), b.next()
    if (page.kind, page.values, page.encoding, page.levels) != (
        other.kind, other.values, other.encoding, other.levels,
    ):  # fmt: skip
        raise ValueError("pages of another layout")
    same = page.size == other.size and stored.equals(theirs)
    if page.kind == DICTIONARY:
        a.entries = _entries(a.expanded(page, stored), page.values)
        b.entries = a.entries if same else _entries(b.expanded(other, theirs), other.values)
        return 0
    by_dictionary = page.encoding in _BY_DICTIONARY
    if (
        page.kind != DATA
        or not (by_dictionary or page.encoding == _PLAIN)
        or (nullable and page.levels != _RLE)
    ):
        raise ValueError("a page of another kind")
    if same and (a.entries is b.entries or not by_dictionary):
        return page.values
    left = _values(a.expanded(page, stored), page.values, nullable=nullable)
    right = left if same else _values(b.expanded(other, theirs), page.values, nullable=nullable)
    count = page.values
    pairs = _unlike_entries(a, b, left, right, count) if by_dictionary else _unlike_plain(left, right, count)
    for at, mine, their in pairs:
        found.add(first + at, mine, their)
    return page.values


def _values(data: memoryview, count: int, *, nullable: bool) -> memoryview:
    """Return what stands behind the levels of a page. Raises ValueError where one of its values is null."""
    if not nullable:
        return data
    (size,) = _NUMBER.unpack_from(data)
    body = _NUMBER.size + size
    if not (_runs(data[_NUMBER.size : body], 1, count) == 1).all():
        raise ValueError("some values are null")
    return data[body:]


def _entries(data: memoryview, count: int) -> list[bytes]:
    """Return all plain values."""
    starts = _starts(data, count)
    return [bytes(data[at : at + _NUMBER.unpack_from(data, at - _NUMBER.size)[0]]) for at in starts.tolist()]


def _unlike_entries(
    a: Chunk, b: Chunk, mine: memoryview, their: memoryview, count: int
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield where values differ that are places in a dictionary."""
    import numpy as np

    numbers: dict[bytes, int] = {}
    sides = []
    for chunk, data in ((a, mine), (b, their)):
        named = np.array([numbers.setdefault(entry, len(numbers)) for entry in chunk.entries], np.int64)
        places = _runs(data[1:], data[0], count)
        sides.append((places, named[places]))
    (places_a, numbers_a), (places_b, numbers_b) = sides
    for at in np.flatnonzero(numbers_a != numbers_b).tolist():
        yield at, a.entries[places_a[at]], b.entries[places_b[at]]


def _unlike_plain(a: memoryview, b: memoryview, count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield where plain values differ."""
    import numpy as np

    starts_a, starts_b = _starts(a, count), _starts(b, count)
    ends_a, ends_b = (
        np.append(at[1:] - _NUMBER.size, len(side)) for at, side in ((starts_a, a), (starts_b, b))
    )
    which = _unlike_places(a, b, starts_a) if np.array_equal(starts_a, starts_b) else np.arange(count)
    for at in which.tolist():
        mine, their = bytes(a[starts_a[at] : ends_a[at]]), bytes(b[starts_b[at] : ends_b[at]])
        if mine != their:
            yield at, mine, their


def _unlike_places(a: memoryview, b: memoryview, starts: Ints) -> Ints:
    """Return at which values of the same lengths bytes differ, and perhaps their neighbours."""
    import numpy as np

    words = len(a) // 8
    left, right = (np.frombuffer(side, np.uint64, words) for side in (a, b))
    apart = np.flatnonzero(left != right) * 8
    ends = np.concatenate([apart, apart + 7, np.arange(words * 8, len(a))])
    return np.unique(np.maximum(np.searchsorted(starts, ends, "right") - 1, 0))


def _starts(data: memoryview, count: int) -> Ints:
    """Return where each of ``count`` plain values begins, behind its length. Raises ValueError when they do not fit."""
    import numpy as np

    if not count:
        starts = np.zeros(0, np.int64)
        end = 0
    elif _are_even(data, count):
        step = len(data) // count
        return np.arange(count, dtype=np.int64) * step + _NUMBER.size
    else:
        found, end = [], 0
        length_at, size = _NUMBER.unpack_from, _NUMBER.size
        for _ in range(count):
            found.append(end + size)
            end += size + length_at(data, end)[0]
        starts = np.array(found, np.int64)
    if end != len(data):
        raise ValueError("the values do not fill their page")
    return starts


def _are_even(data: memoryview, count: int) -> bool:
    """Return whether all values are of one length."""
    import numpy as np

    step, rest = divmod(len(data), count)
    if rest or step < _NUMBER.size:
        return False
    rows = np.frombuffer(data, np.uint8).reshape(count, step)
    length = np.frombuffer(_NUMBER.pack(step - _NUMBER.size), np.uint8)
    return bool((rows[:, : _NUMBER.size] == length).all())


def _runs(data: memoryview, width: int, count: int) -> NDArray[np.int64]:
    """Return ``count`` numbers of ``width`` bits each, from runs and groups of eight; raises as `_walked`."""
    import numpy as np

    if not 0 <= width <= _WIDEST:
        raise ValueError("no such width")
    size = -(-width // 8)
    parts: list[NDArray[np.int64]] = []
    at = have = 0
    while have < count:
        head, at = _variable(data, at)
        if head & 1:
            step = (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(data[at : at + step], np.uint8), bitorder="little")
            part = (
                bits.reshape(-1, width) @ (1 << np.arange(width))
                if width
                else np.zeros(8 * (head >> 1), np.int64)
            )
        else:
            step = size
            part = np.full(
                min(head >> 1, count - have), int.from_bytes(data[at : at + size], "little"), np.int64
            )
        if at + step > len(data) or not len(part):
            raise ValueError("a run is cut off")
        parts.append(part)
        at, have = at + step, have + len(part)
    return np.concatenate(parts)[:count] if parts else np.zeros(0, np.int64)


def _variable(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return number, at
        if shift > _WIDEST:
            raise ValueError("a number is too long")
