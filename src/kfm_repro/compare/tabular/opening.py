"""Two delimited texts opened: what they begin with is looked at, and the compiled loops find their records.

Nothing here waits for NumPy, which is loaded meanwhile.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.dialect import sniff
from kfm_repro.compare.tabular.lines import TextSource, Unsure, decoded
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.workers import workers

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["MARKS", "Places", "Plain", "address_of", "find_lines", "follow", "open_texts"]

MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00")
"""First bytes of texts that say how they are encoded, and of what is none in UTF-8."""
_HEAD_BYTES = 1 << 19
_GLANCE = 1 << 16
_TOO_MANY = -3
"""What the compiled loop answers where there are more records than room for them."""
_PLACE = ctypes.sizeof(ctypes.c_int64)


class Places:
    """Where the records of a text begin, and its end: 64-bit numbers, as many as there are ``records`` and one."""

    def __init__(self, most: int) -> None:
        self._memory = _room((most + 1) * _PLACE)
        self.records = most

    @property
    def address(self) -> int:
        """Where the first number lies."""
        return address_of(self._memory)

    def end(self) -> int:
        """Return where the last record ends."""
        return int.from_bytes(self._memory[self.records * _PLACE :][:_PLACE], sys.byteorder)

    def array(self) -> Ints:
        """Return the numbers as an array of int64, which shares them."""
        import numpy as np

        return np.frombuffer(self._memory, np.int64, self.records + 1)


def find_lines(address: int, size: int, delimiter: str, *, per_line: int, whole: bool = True) -> Places:
    """Return where the records of a text lie: of one that is not ``whole``, those that are complete.

    ``per_line`` is a guess of how many bytes most of them take. Raises Unsure for a text that is not written plainly.
    """
    loops = library()
    assert loops is not None  # noqa: S101  # open_texts asked
    most = size // max(1, per_line) + 1
    while True:
        places = Places(most)
        places.records = loops.kfm_find_lines(address, size, ord(delimiter), int(whole), places.address, most)
        if places.records >= 0:
            return places
        if places.records != _TOO_MANY:
            raise Unsure
        most *= 2


def open_texts(a: Path, b: Path) -> tuple[TextSource, TextSource]:
    """Return both sides of a comparison. Raises Unsure where one is not written plainly, or the headers differ."""
    if library() is None:
        raise Unsure
    left, right = Plain(a), Plain(b)
    if left.delimiter != right.delimiter:
        raise Unsure
    sources = _in_step(left, right) if _begin_alike(left.head, right.head) else _each_by_itself(left, right)
    if sources[0].header != sources[1].header or len(sources[0].names) < 2:  # noqa: PLR2004
        raise Unsure
    return sources


def _in_step(a: Plain, b: Plain) -> tuple[TextSource, TextSource]:
    places = a.find()
    followed = follow(a, places, b)
    if followed is None:
        return a.source(places), b.source(b.find())
    return a.source(places), b.source(*followed)


def _each_by_itself(a: Plain, b: Plain) -> tuple[TextSource, TextSource]:
    with ThreadPoolExecutor(workers()) as pool:
        of_a, of_b = pool.map(Plain.find, (a, b))
    return a.source(of_a), b.source(of_b)


def _begin_alike(a: bytes, b: bytes) -> bool:
    """Return whether most of the first lines of two texts are the same in place."""
    pairs = list(zip(a[:_GLANCE].split(b"\n"), b[:_GLANCE].split(b"\n"), strict=False))
    return 2 * sum(left == right for left, right in pairs) > len(pairs)


class Plain:
    """A text whose first bytes have been looked at. Raises Unsure where they are not plain."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise Unsure
            self.data = _mapped(file.fileno())
        self.head = self.data[:_HEAD_BYTES]
        if self.head.startswith(MARKS):
            raise Unsure
        cut = self.head.rfind(b"\n") + 1 if len(self.head) < len(self.data) else len(self.head)
        self.delimiter = sniff(decoded(self.head[:cut]))
        self.address = address_of(self.data)

    def find(self) -> Places:
        """Return where every record begins, and the end. Raises Unsure where the text is not written plainly."""
        per_line = len(self.head) // (self.head.count(b"\n") + 1) * 3 // 4
        places = find_lines(self.address, len(self.data), self.delimiter, per_line=per_line)
        if not places.records:
            raise Unsure
        return places

    def source(self, places: Places, unlike: mmap.mmap | None = None) -> TextSource:
        """Return the text as a source; ``unlike`` marks its records that are not those of the other side."""
        import numpy as np

        mask = None if unlike is None else np.frombuffer(unlike, np.bool_, places.records)
        return TextSource(self.path, self.data, self.delimiter, places.array(), mask)


def follow(a: Plain, places_a: Places, b: Plain) -> tuple[Places, mmap.mmap] | None:
    """Return the records of B, found by those of A at ``places_a``, and marks of those that differ in place.

    None where there are not as many. Raises Unsure where one is not written plainly.
    """
    records = places_a.records
    places, unlike = Places(records), _room(records)
    loops = library()
    assert loops is not None  # noqa: S101  # open_texts asked
    found = loops.kfm_follow_lines(
        a.address, places_a.address, records, b.address, len(b.data), ord(a.delimiter),
        places.address, address_of(unlike),
    )  # fmt: skip
    if found < 0:
        raise Unsure
    return (places, unlike) if found else None


def _mapped(file: int) -> mmap.mmap:
    """Map a file; what is written there would stay here, but only of memory that can be written is the place told."""
    reserved_by_nobody = getattr(mmap, "MAP_NORESERVE", 0)
    return mmap.mmap(
        file, 0, flags=mmap.MAP_PRIVATE | reserved_by_nobody, prot=mmap.PROT_READ | mmap.PROT_WRITE
    )


def _room(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def address_of(memory: mmap.mmap | bytearray) -> int:
    """Return where memory lies that can be written."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
