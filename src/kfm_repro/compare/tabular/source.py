"""A Parquet file as columns in pieces: a row group's column at a time, decoded when asked for, by any thread."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from kfm_repro.compare.context import reading
from kfm_repro.compare.tabular.arrays import integers
from kfm_repro.compare.tabular.instep import Chunk, unlike_values
from kfm_repro.compare.tabular.pages import FileBytes, chunk_bytes, chunk_start, reads_by_dictionary
from kfm_repro.compare.tabular.rising import Rising
from kfm_repro.compare.tabular.workers import in_parallel, workers
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from kfm_repro.compare.tabular.exact import Ints
    from kfm_repro.compare.tabular.instep import Unlike

__all__ = ["ParquetSource"]

_BLOCK = _READ = 1 << 18
"""Bytes that are compared, or read to be decoded, at a time: they are still in the cache then."""
_LARGEST_PAGE = 1 << 28
"""Bytes of a page that is looked into by itself, where no memory is stated."""
_PIECES = 2
_WIDTH = 8
"""Bytes that a row takes at least in a piece, or in the numbers that are made of it."""
_MUCH = 4
"""Where only cells of the first part in so many are asked for, the rest of a row group is not decoded."""
_HEAD_BYTES = 1 << 20
"""Heads of columns up to this size are kept: they are asked for again and again."""
_DICTIONARY_BYTES = 3
"""A chunk of strings with at most so many bytes per value is coded by a dictionary, and read so."""


class ParquetSource:
    """One side of a comparison. Columns and row groups go by their number; every column is a leaf of its own."""

    def __init__(self, file: pq.ParquetFile, path: Path) -> None:
        import numpy as np

        self.path = path
        self.metadata = file.metadata
        self.schema: pa.Schema = file.schema_arrow
        self._leaves = file.schema
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self.starts: Ints = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.rows = int(self.starts[-1])
        self.groups = len(sizes)
        self.row_bytes = sum(file.metadata.row_group(i).total_byte_size for i in range(self.groups)) // max(
            1, self.rows
        )
        """Bytes of a row, about."""
        self._local = threading.local()
        self._open: list[Any] = []
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, int], pa.Array] = {}
        self._heads: dict[int, tuple[int, pa.Array]] = {}
        self._rising = Rising(self)
        self._bytes = FileBytes(path)
        self._most: int | None = None
        self._checked: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open:
            file.close()
        self._bytes.close()

    def bound(self, memory: int) -> None:
        """Raise LimitExceeded when the smallest pieces would not fit into ``memory`` bytes, two for every thread.

        A run of equal values takes next to nothing in its pages, but every row does once it is decoded.
        """
        groups = [self.metadata.row_group(group) for group in range(self.groups)]
        largest = max(
            (
                max(group.column(column).total_uncompressed_size, group.num_rows * _WIDTH)
                for group in groups
                for column in range(self.metadata.num_columns)
            ),
            default=0,
        )
        if largest * _PIECES * workers() > memory:
            raise LimitExceeded(
                f"one column of one row group takes {largest} bytes: too much for {memory} bytes of memory"
            )
        self._most = memory // _PIECES // workers()

    def _check(self, column: int, group: int) -> None:
        """Raise LimitExceeded for a piece that is larger than its footer says, once it is decoded."""
        if self._most is not None and (column, group) not in self._checked:
            chunk_bytes(self._file(), self.path, self._bytes, (group, column), self._most)
            self._checked.add((column, group))

    @cached_property
    def _coded(self) -> list[str]:
        """The columns of strings that are read as places in a dictionary."""
        import pyarrow as pa

        found = []
        for i, field in enumerate(self.schema):
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                chunks = [self.metadata.row_group(g).column(i) for g in range(self.groups)]
                size = sum(chunk.total_uncompressed_size for chunk in chunks)
                readable = all(reads_by_dictionary(chunk) for chunk in chunks)
                if readable and size <= _DICTIONARY_BYTES * max(1, self.rows):
                    found.append(field.name)
        return found

    def _file(self) -> pq.ParquetFile:
        """Return this thread's own reader."""
        import pyarrow.parquet as pq

        if not hasattr(self._local, "file"):
            self._local.file = pq.ParquetFile(
                self.path,
                metadata=self.metadata,
                read_dictionary=self._coded,
                buffer_size=_READ,
                pre_buffer=False,  # would read a whole chunk, by another thread, before any of it is decoded
            )
            with self._lock:
                self._open.append(self._local.file)
        return self._local.file

    def piece(self, column: int, group: int) -> pa.Array:
        """Return the cells of a column in a row group; strings perhaps by dictionary. Raises Unreadable."""
        import pyarrow as pa

        with reading(self.path, "Parquet", pa.ArrowException):
            self._check(column, group)
            table = self._file().reader.read_row_group(group, column_indices=[column], use_threads=False)
            if table.num_rows != self.starts[group + 1] - self.starts[group]:
                raise ValueError(f"row group {group} holds {table.num_rows} rows, not what the footer says")
            return _joined(table.column(0))

    def kept_piece(self, column: int, group: int) -> pa.Array:
        """Return the same, keeping the last few: a piece that several of the other side overlap is read once."""
        key = (column, group)
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = self.piece(column, group)
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > workers():
                    self._kept.pop(next(iter(self._kept)))
        return found

    def pieces(self, column: int) -> Iterator[tuple[int, pa.Array]]:
        """Yield every piece of a column with the number of its first row."""

        def placed(group: int) -> tuple[int, pa.Array]:
            return int(self.starts[group]), self.piece(column, group)

        yield from in_parallel(placed, range(self.groups))

    def head(self, column: int, rows: int) -> pa.Array:
        """Return the first cells of a column, at most ``rows``, without decoding much more."""
        import pyarrow as pa

        if not self.groups:
            return pa.nulls(0, self.schema.field(column).type)
        asked, cells = self._heads.get(column, (-1, None))
        if asked < rows:
            asked, cells = rows, self._first(column, 0, rows)
            if cells.nbytes <= _HEAD_BYTES:
                self._heads[column] = asked, cells
        return cells.slice(0, rows)

    def _first(self, column: int, group: int, rows: int) -> pa.Array:
        """Return the first cells of a column in a row group, at most ``rows``, without decoding much more."""
        import pyarrow as pa

        with reading(self.path, "Parquet", pa.ArrowException):
            self._check(column, group)
            reader = self._file().reader
            batches = reader.iter_batches(
                rows, row_groups=[group], column_indices=[column], use_threads=False
            )
            found, cells = 0, []
            for batch in batches:
                cells.append(_plain(batch.column(0)))
                found += len(batch)
                if found >= rows:
                    break
        return pa.concat_arrays(cells or [pa.nulls(0, self.schema.field(column).type)]).slice(0, rows)

    def take(self, column: int, rows: Ints) -> pa.ChunkedArray:
        """Return some cells of a column, in the order asked for; their row groups are decoded as far as needed."""
        import numpy as np
        import pyarrow as pa

        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        cuts = np.searchsorted(ascending, self.starts)
        parts = [
            self.take_of(column, group, ascending[cuts[group] : cuts[group + 1]])
            for group in range(self.groups)
            if cuts[group] < cuts[group + 1]
        ]
        kind = self.schema.field(column).type
        found = pa.chunked_array(parts, type=kind)
        if len(rows) and not np.array_equal(order, np.arange(len(rows))):
            back = np.empty(len(order), np.int64)
            back[order] = np.arange(len(order))
            found = found.take(integers(back))
        return found

    def take_of(self, column: int, group: int, rows: Ints) -> pa.Array:
        """Return the cells of some rows, ascending and all in one row group, which is decoded as far as needed."""
        start, stop = (int(row) for row in self.starts[group : group + 2])
        until = int(rows[-1]) + 1 - start
        held = (
            self.piece(column, group)
            if until > (stop - start) // _MUCH
            else self._first(column, group, until)
        )
        return self.cells(column, held, rows - start)

    def cells(self, column: int, piece: pa.Array, places: Ints) -> pa.Array:
        """Return some cells of a piece as the schema types them."""
        kind = self.schema.field(column).type
        cells = _plain(piece.take(integers(places)))
        return cells if cells.type == kind else cells.cast(kind)

    @property
    def piece_bytes(self) -> int:
        """Bytes that a piece may take."""
        return self._most or _LARGEST_PAGE

    def note(self, column: int, group: int, piece: pa.Array) -> None:
        """Note whether a piece rises, so that it is not decoded again when that is asked."""
        self._rising.note(column, group, piece)

    def rises(self, column: int) -> bool:
        """Return whether a column of integers of whatever meaning rises strictly, without null: none occurs twice."""
        return self._rising.rises(column)

    def ascends(self, column: int) -> bool:
        """Return whether the values of a column are known to rise strictly; those of floats are not, by their bits."""
        return self._rising.ascends(column)

    def counts_up(self, column: int) -> bool:  # noqa: ARG002 - texts are not looked at for it
        """Return False: numbers are stored as such."""
        return False

    def same_bytes(self, other: ParquetSource, column: int, group: int) -> bool:
        """Return whether both files hold the same bytes for a piece, decoded by the same rules: then it is equal.

        A piece is decoded from its pages (the dictionary among them), the codec, the number of values and
        the column's schema, and from nothing else.
        """
        mine, theirs = (side.metadata.row_group(group).column(column) for side in (self, other))
        for aspect in ("compression", "num_values", "physical_type", "total_compressed_size", "file_path"):
            if getattr(mine, aspect) != getattr(theirs, aspect):
                return False
        if not self._leaves.column(column).equals(other._leaves.column(column)) or mine.file_path:
            return False
        size, mine_at, theirs_at = mine.total_compressed_size, chunk_start(mine), chunk_start(theirs)
        for at in range(0, size, _BLOCK):
            length = min(_BLOCK, size - at)
            block = self._bytes.read(mine_at + at, length)
            if len(block) != length or block != other._bytes.read(theirs_at + at, length):
                return False
        return True

    def unlike_values(self, other: ParquetSource, column: int, group: int) -> Unlike | None:
        """Return in which values a piece of byte strings differs from the other's of as many rows.

        None where it takes decoding all of both to tell.
        """
        import pyarrow as pa

        leaf = self._leaves.column(column)
        same = leaf.equals(other._leaves.column(column))
        if not same or not pa.types.is_binary(self.schema.field(column).type):
            return None
        mine, theirs = self._chunk(column, group), other._chunk(column, group)
        if mine is None or theirs is None:
            return None
        return unlike_values(mine, theirs, nullable=leaf.max_definition_level > 0)

    def _chunk(self, column: int, group: int) -> Chunk | None:
        """Return a piece page by page; None where its pages lie in another file, or are not those of its rows."""
        said = self.metadata.row_group(group).column(column)
        if said.file_path or said.num_values != self.starts[group + 1] - self.starts[group]:
            return None
        return Chunk(self._bytes, said, self.piece_bytes)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; where Arrow made chunks of its own, they are put together."""
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    if not column.num_chunks:
        return pa.nulls(0, column.type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    elif pa.types.is_binary(column.type):
        column = column.cast(pa.large_binary())
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _plain(array: pa.Array) -> pa.Array:
    """Return an array without dictionary."""
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
