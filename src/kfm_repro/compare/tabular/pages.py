"""The pages of a Parquet column, without decoding them: how much its cells take once they are spelled out.

A footer may say anything, and pages of a few bytes may name one long text a million times (by dictionary, or as the
beginning that a text shares with the one before). So the headers of the pages are read, which is what Arrow
allocates by, and where what they allow is too much, the cells are counted. The layout of the headers is that of
parquet.thrift (``PageHeader``) in Thrift's compact protocol.
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kfm_repro.compare.tabular.expanded import expanded, leaf_bytes
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.thrift import I32, STRUCT, Fields
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = [
    "DATA",
    "DICTIONARY",
    "FileBytes",
    "Page",
    "Pages",
    "chunk_bytes",
    "chunk_start",
    "expand",
    "page_at",
    "reads_by_dictionary",
    "scan",
]

DATA, DICTIONARY, _DATA_2 = 0, 2, 3
"""PageType."""
_DELTA_BYTE_ARRAY = 7
"""Encoding."""
_HEADERS = {DATA: (5, 2), DICTIONARY: (7, 2), _DATA_2: (8, 4)}
"""By type of page: its field in the header, and in that the field of the encoding; the first one counts values."""
_HEADER_BYTES = (256, 1 << 16, 1 << 24)
"""How much is read of a page at first, for its header, and where that is not enough."""


class Page(NamedTuple):
    """Where a page ends, its bytes there, its type, its size decompressed, its values and their encoding.

    ``levels`` is the encoding of the definition levels (of pages of the first version).
    """

    end: int
    stored: int
    kind: int
    size: int
    values: int
    encoding: int
    levels: int


@dataclass(frozen=True)
class Pages:
    """What the pages of a column chunk say: values, bytes once decompressed, of all pages and of the largest.

    ``dictionary`` is where the dictionary starts, its bytes there, and its bytes once decompressed. ``prefixed``
    says that texts may begin as the one before does without repeating it.
    """

    values: int = 0
    decompressed: int = 0
    largest: int = 0
    dictionary: tuple[int, int, int] | None = None
    prefixed: bool = False


class FileBytes:
    """The bytes of a file, read where they are asked for, by any thread: a mapping would count as memory taken."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._file).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file

    def read(self, at: int, size: int) -> bytes:
        """Return some bytes; fewer at the end of the file."""
        return os.pread(self._file, size, at)

    def read_into(self, room: memoryview, at: int) -> bool:
        """Fill some room with bytes and return whether there are as many: memory that is at hand costs least."""
        return os.preadv(self._file, [room], at) == len(room)


def chunk_start(chunk: Any) -> int:  # noqa: ANN401  # pyarrow has no types
    """Return where a column chunk begins: at its dictionary, where it has one; 0 for one without any page.

    Arrow writes no page for a column without values that has no dictionary, and states no place for it.
    """
    offsets = (chunk.dictionary_page_offset, chunk.data_page_offset)
    return min((int(offset) for offset in offsets if offset is not None and offset > 0), default=0)


def scan(data: FileBytes, chunk: Any) -> Pages:  # noqa: ANN401  # pyarrow has no types
    """Read the headers of all pages of a chunk, as far as Arrow would. Raises ValueError."""
    at = chunk_start(chunk)
    end = at + int(chunk.total_compressed_size)
    if not 0 <= at <= end <= data.size:
        raise ValueError("a column chunk lies outside of the file")
    return _scanned(data, at, end, int(chunk.num_values)) or _scan(data, at, end, int(chunk.num_values))


def _scanned(data: FileBytes, at: int, end: int, most: int) -> Pages | None:
    """Return `_scan` where all pages are as usual and the loop is compiled, else None."""
    loops = library()
    if loops is None or max(end, most) >= 1 << 48:
        return None
    found = (ctypes.c_int64 * 7)()
    if loops.kfm_scan_pages(data.fileno(), at, end, most, _DELTA_BYTE_ARRAY, ctypes.addressof(found)):
        return None
    values, decompressed, largest, start, stored, size, prefixed = found
    dictionary = None if start < 0 else (start, stored, size)
    return Pages(values, decompressed, largest, dictionary, bool(prefixed))


def _scan(data: FileBytes, at: int, end: int, most: int) -> Pages:
    """Scan the pages between two places of a file until ``most`` values are told of. Raises ValueError."""
    values = decompressed = largest = 0
    dictionary, prefixed = None, False
    while at < end and values < most:
        page = page_at(data, at, end)
        at = page.end
        decompressed += page.size
        largest = max(largest, page.size)
        if page.kind == DICTIONARY:
            dictionary = (at - page.stored, page.stored, page.size)
        elif page.kind in _HEADERS:
            values += page.values
            prefixed = prefixed or page.encoding == _DELTA_BYTE_ARRAY
    return Pages(values, decompressed, largest, dictionary, prefixed)


def page_at(data: FileBytes, at: int, end: int) -> Page:
    """Read the header of the page that begins at ``at``. Raises ValueError."""
    for size in _HEADER_BYTES:
        try:
            page = _header(Fields(data.read(at, min(size, end - at))))
        except IndexError:  # its statistics hold long texts
            continue
        return page._replace(end=at + page.end + page.stored)
    raise ValueError("a page's header is cut off")


def _header(reader: Fields) -> Page:
    """Return what the header of a page says; the page ends, for the time being, where its header does."""
    plain: dict[int, int] = {}
    inner: dict[int, dict[int, int]] = {}
    for number, kind in reader.fields():
        if kind == I32:
            plain[number] = reader.integer()
        elif kind == STRUCT:
            inner[number] = reader.numbers(4)
        else:
            reader.skip(kind)
    kind, size, stored = plain.get(1, -1), plain.get(2, -1), plain.get(3, -1)
    if size < 0 or stored < 0:
        raise ValueError("a page's header lacks its size")
    field, encoding = _HEADERS.get(kind, (0, 0))
    said = inner.get(field, {})
    return Page(reader.at, stored, kind, size, max(0, said.get(1, 0)), said.get(encoding, 0), said.get(3, 0))


def reads_by_dictionary(chunk: Any) -> bool:  # noqa: ANN401  # pyarrow has no types
    """Return whether Arrow can read the texts of a chunk as places in a dictionary: none that are told as deltas."""
    return not any(encoding.startswith("DELTA_") for encoding in chunk.encodings)


def chunk_bytes(file: pq.ParquetFile, path: Path, data: FileBytes, place: tuple[int, int], most: int) -> int:
    """Return at most how many bytes a column chunk (row group and leaf in ``place``) takes once decoded.

    Where what its pages allow is more than ``most``, its cells are counted, without decoding more than ``most``
    bytes of them at a time. Raises LimitExceeded when they are more, ValueError and ArrowException when damaged.
    """
    group, leaf = place
    described, chunk = file.schema.column(leaf), file.metadata.row_group(group).column(leaf)
    pages = scan(data, chunk)
    nested = described.max_repetition_level > 0
    values = max(pages.values, int(file.metadata.row_group(group).num_rows))
    size = pages.decompressed + values * leaf_bytes(nested=nested)
    is_text = described.physical_type == "BYTE_ARRAY"
    longest = _longest_at_most(pages) if is_text else max(0, int(described.length or 0))
    if is_text and size <= most < size + values * longest and not pages.prefixed:
        longest = _longest_in_dictionary(data, pages, chunk.compression) or longest
    if size + values * longest <= most:
        return size + values * longest
    by_rows = pages.prefixed or not reads_by_dictionary(chunk)
    if not is_text or size > most or (by_rows and nested):
        raise LimitExceeded(f"a column would take {size + values * longest} bytes, more than {most}")
    return size + _counted(file, path, place, most // longest if by_rows else 0, most - size)


def _longest_at_most(pages: Pages) -> int:
    """Return how long a text can be at most that a few bytes of a page stand for."""
    dictionary = pages.dictionary[2] if pages.dictionary else 0
    return max(dictionary, pages.largest) if pages.prefixed else dictionary


def _longest_in_dictionary(opened: FileBytes, pages: Pages, codec: str) -> int:
    """Return how long the longest text of a dictionary is; 0 where that cannot be read here."""
    import pyarrow as pa

    if pages.dictionary is None:
        return 0
    start, stored, size = pages.dictionary
    try:
        data = expand(opened.read(start, stored), size, codec)
    except (pa.ArrowException, OSError, ValueError):  # a codec of Hadoop's, or damaged: Arrow will say so
        return 0
    at = longest = 0
    lengths = struct.Struct("<I").unpack_from
    last = size - 4
    while at <= last:
        (length,) = lengths(data, at)
        longest = max(longest, length)
        at += 4 + length
    return longest


def expand(data: bytes | pa.Buffer, size: int, codec: str) -> pa.Buffer:
    """Return the bytes of a page decompressed. Raises ArrowException, OSError or ValueError for what is damaged."""
    import pyarrow as pa

    if codec == "UNCOMPRESSED":
        return pa.py_buffer(data)
    named = "lz4_raw" if codec == "LZ4" else codec.lower()  # pyarrow calls the block format so
    return pa.decompress(data, size, named)


def _counted(file: pq.ParquetFile, path: Path, place: tuple[int, int], step: int, most: int) -> int:
    """Count the bytes of the texts of a chunk, read by dictionary, or else ``step`` rows at a time."""
    import pyarrow.parquet as pq

    group, leaf = place
    name = file.metadata.row_group(group).column(leaf).path_in_schema
    found = 0
    with pq.ParquetFile(path, metadata=file.metadata, read_dictionary=[] if step else [name]) as opened:
        rows = step or max(1, file.metadata.row_group(group).num_rows)
        batches = opened.reader.iter_batches(
            rows, row_groups=[group], column_indices=[leaf], use_threads=False
        )
        for batch in batches:
            found += sum(expanded(column, most) for column in batch.columns)
            if found > most:
                raise LimitExceeded(f"a column would take more than {most} bytes")
    return found
