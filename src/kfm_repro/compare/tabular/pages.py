"""The pages of a Parquet column, without decoding them: how much its cells take once they are spelled out.

A footer may say anything, and pages of a few bytes may name one long text a million times (by dictionary, or as the
beginning that a text shares with the one before). So the headers of the pages are read, which is what Arrow
allocates by, and where what they allow is too much, the cells are counted. The layout of the headers is that of
parquet.thrift (``PageHeader``) in Thrift's compact protocol.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from kfm_repro.compare.tabular.expanded import expanded, leaf_bytes
from kfm_repro.compare.tabular.thrift import I32, STRUCT, Fields
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow.parquet as pq

__all__ = ["FileBytes", "Pages", "chunk_bytes", "chunk_start", "reads_by_dictionary", "scan"]

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
"""PageType."""
_DELTA_BYTE_ARRAY = 7
"""Encoding."""
_HEADERS = {_DATA: (5, 2), _DICTIONARY: (7, 2), _DATA_2: (8, 4)}
"""By type of page: its field in the header, and in that the field of the encoding; the first one counts values."""
_HEADER_BYTES = (256, 1 << 16, 1 << 24)
"""How much is read of a page at first, for its header, and where that is not enough."""


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

    def read(self, at: int, size: int) -> bytes:
        """Return some bytes; fewer at the end of the file."""
        return os.pread(self._file, size, at)


def chunk_start(chunk: Any) -> int:  # noqa: ANN401  # pyarrow has no types
    """Return where a column chunk begins: at its dictionary, where it has one."""
    offsets = (chunk.dictionary_page_offset, chunk.data_page_offset)
    return min(int(offset) for offset in offsets if offset is not None and offset > 0)


def scan(data: FileBytes, chunk: Any) -> Pages:  # noqa: ANN401  # pyarrow has no types
    """Read the headers of all pages of a chunk, as far as Arrow would. Raises ValueError."""
    at = chunk_start(chunk)
    end = at + int(chunk.total_compressed_size)
    if not 0 <= at <= end <= data.size:
        raise ValueError("a column chunk lies outside of the file")
    values = decompressed = largest = 0
    dictionary, prefixed = None, False
    while at < end and values < chunk.num_values:
        at, stored, kind, size, count, encoding = _page(data, at, end)
        decompressed += size
        largest = max(largest, size)
        if kind == _DICTIONARY:
            dictionary = (at - stored, stored, size)
        elif kind in _HEADERS:
            values += count
            prefixed = prefixed or encoding == _DELTA_BYTE_ARRAY
    return Pages(values, decompressed, largest, dictionary, prefixed)


def _page(data: FileBytes, at: int, end: int) -> tuple[int, int, int, int, int, int]:
    """Return where a page ends, its bytes there, its type, its size decompressed, its values and their encoding."""
    for size in _HEADER_BYTES:
        try:
            length, *said = _header(Fields(data.read(at, min(size, end - at))))
        except IndexError:  # its statistics hold long texts
            continue
        return at + length + said[0], said[0], said[1], said[2], said[3], said[4]
    raise ValueError("a page's header is cut off")


def _header(reader: Fields) -> tuple[int, int, int, int, int, int]:
    """Return the length of a page's header and what `_page` wants of it."""
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
    return reader.at, stored, kind, size, max(0, said.get(1, 0)), said.get(encoding, 0)


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
    data = opened.read(start, stored)
    try:
        if codec != "UNCOMPRESSED":
            named = "lz4_raw" if codec == "LZ4" else codec.lower()  # pyarrow calls the block format so
            data = pa.decompress(data, size, named, asbytes=True)
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
