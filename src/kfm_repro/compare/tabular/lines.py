"""The records of a delimited text as places in a file, found and compared by the compiled loops."""

from __future__ import annotations

import codecs
import csv
import io
import mmap
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.arrays import texts
from kfm_repro.compare.tabular.dialect import header
from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.numbering import Numbers
from kfm_repro.compare.tabular.quotes import has_quoted_empty
from kfm_repro.compare.tabular.workers import in_parallel, workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from kfm_repro.compare.tabular.exact import Ints, Mask

__all__ = [
    "TextSource",
    "Unsure",
    "changed_columns",
    "decoded",
    "differing_lines",
    "number_lines",
]

_HEAD_BYTES = 1 << 19
_HEAD_ROWS = 2_000
_BLOCK_ROWS = 1 << 17
_SHORT = 1 << 20
"""Bytes of text that one thread has read before others have started."""
_NATURAL = 2
"""What the compiled loop answers of rising cells that are natural numbers."""


class Unsure(Exception):  # no error: the other reader is asked
    """The text is written in a way for which the strict reader is to be asked."""


class TextSource:
    """One side of a comparison: a text whose quoting, line ends and blank lines leave no doubt where records are.

    Rows are the records after the header. It answers for its columns as `ParquetSource` does.
    """

    def __init__(
        self, path: Path, data: mmap.mmap, delimiter: str, lines: Ints, unlike: Mask | None = None
    ) -> None:
        import numpy as np
        import pyarrow as pa

        self.path = path
        self.data = data
        self.delimiter = delimiter
        self.lines = lines
        """Where every record begins, the header first, and the end of the text."""
        self.unlike = unlike
        """Which records, the header first, are not those in place on the other side, if that is known."""
        self.rows = len(lines) - 2
        self.header = data[: int(lines[1])]
        self.names, _ = header(decoded(self.header), delimiter)
        self.schema: pa.Schema = pa.schema([(name, pa.string()) for name in self.names])
        self.starts: Ints = np.append(np.arange(0, self.rows, _BLOCK_ROWS), self.rows)
        self.groups = len(self.starts) - 1
        self._known: dict[int, int] = {}

    @cached_property
    def is_utf8(self) -> bool:
        """Whether the whole text is UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for at in range(0, len(self.data), _HEAD_BYTES):
                decoder.decode(self.data[at : at + _HEAD_BYTES])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True

    @property
    def address(self) -> int:
        """Where the text lies in memory."""
        import numpy as np

        return int(np.frombuffer(self.data, np.uint8).ctypes.data)

    def text(self, row: int) -> bytes:
        """Return a record with its end of line."""
        return self.data[int(self.lines[row + 1]) : int(self.lines[row + 2])]

    def records(self, rows: Ints) -> list[list[str]]:
        """Return the cells of some rows. Raises Unsure where the strict reader finds more or less than a record."""
        texts = [decoded(self.text(row)) for row in rows.tolist()]
        try:
            found = list(
                csv.reader(
                    io.StringIO("".join(_ended(text) for text in texts), newline=""),
                    delimiter=self.delimiter,
                    strict=True,
                )
            )
        except csv.Error as exc:
            raise Unsure from exc
        if len(found) != len(texts):
            raise Unsure
        return found

    @cached_property
    def _head(self) -> list[pa.Array]:
        import numpy as np

        rows = np.arange(min(self.rows, _HEAD_ROWS))
        read = self.columns_of(rows, range(len(self.names)))
        if read is not None:
            return [_whole(column) for column in read]
        records = self.records(rows)
        return [_cells(records, column) for column in range(len(self.names))]

    def head(self, column: int, rows: int) -> pa.Array:
        """Return the first cells of a column, at most ``rows``."""
        return self._head[column][:rows]

    def piece(self, column: int, group: int) -> pa.Array:
        """Return the cells of a column in a block of rows."""
        import numpy as np

        start, stop = (int(row) for row in self.starts[group : group + 2])
        block = self.data[int(self.lines[start + 1]) : int(self.lines[stop + 1])]
        read = self._read(block, [column], stop - start)
        if read is None:
            return _cells(self.records(np.arange(start, stop)), column)
        return _whole(read[0])

    def size_of(self, rows: Ints) -> int:
        """Return how many bytes some rows take, with their ends of line."""
        return int((self.lines[rows + 2] - self.lines[rows + 1]).sum())

    def columns_of(self, rows: Ints, columns: Sequence[int]) -> list[pa.ChunkedArray] | None:
        """Return the cells of some columns in some rows; None where the strict reader is to be asked.

        Two sorts of empty cells are one of these places, see `quotes`.
        """
        import numpy as np
        import pyarrow as pa

        loops = library()
        assert loops is not None  # noqa: S101  # open_texts asked
        if not len(rows):
            return [pa.chunked_array([], pa.string()) for _ in columns]
        records = rows + 1
        block = np.empty(self.size_of(rows) + len(rows), np.uint8)
        used = loops.kfm_gather_lines(
            self.address, self.lines.ctypes.data, records.ctypes.data, len(rows), block.ctypes.data
        )
        text = block[:used].tobytes()
        if not text.isascii() and not self.is_utf8:
            return None
        if b'""' in text and has_quoted_empty(text.decode(), self.delimiter):
            return None
        return self._read(text, columns, len(rows))

    def _read(self, text: bytes, columns: Sequence[int], rows: int) -> list[pa.ChunkedArray] | None:
        """Return the cells of some columns of a part of the text; None where it is not read as so many rows."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        names = [f"f{column}" for column in columns]
        try:
            table = arrow_csv.read_csv(
                pa.py_buffer(text),
                read_options=arrow_csv.ReadOptions(
                    column_names=[f"f{i}" for i in range(len(self.names))], use_threads=len(text) > _SHORT
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, ignore_empty_lines=False
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=names,
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
        except pa.ArrowException:
            return None
        if table.num_rows != rows:
            raise Unsure
        return [table.column(name) for name in names]

    def pieces(self, column: int) -> Iterator[tuple[int, pa.Array]]:
        """Yield every piece of a column with the number of its first row."""
        for group in range(self.groups):
            yield int(self.starts[group]), self.piece(column, group)

    def take(self, column: int, rows: Ints) -> pa.ChunkedArray:
        """Return some cells of a column, in the order asked for."""
        import pyarrow as pa

        return pa.chunked_array([_cells(self.records(rows), column)], type=pa.string())

    def rises(self, column: int) -> bool:
        """Return whether the cells of a column rise strictly, by length and then by bytes: none occurs twice."""
        return self._risen(column) > 0

    def ascends(self, column: int) -> bool:  # noqa: ARG002 - texts have another order than numbers
        """Return False: how a text is sorted is not how its cells rise."""
        return False

    def counts_up(self, column: int) -> bool:
        """Return whether the cells of a column are natural numbers, without leading zeros, that rise strictly."""
        return self._risen(column) == _NATURAL

    def _risen(self, column: int) -> int:
        loops = library()
        assert loops is not None  # noqa: S101  # open_texts asked
        if column not in self._known:
            self._known[column] = loops.kfm_column_rises(
                self.address, self.lines.ctypes.data, 1, self.rows + 1, ord(self.delimiter), column
            )
        return self._known[column]


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def decoded(data: bytes) -> str:
    """Return what bytes say in UTF-8. Raises Unsure where they are none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Unsure from exc


def _cells(records: list[list[str]], column: int) -> pa.Array:
    return texts([record[column] if column < len(record) else None for record in records])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def differing_lines(a: TextSource, b: TextSource, rows: int) -> Ints:
    """Return which of the first ``rows`` have records that differ in place; both texts have as many."""
    import numpy as np

    if b.unlike is not None:
        return np.flatnonzero(b.unlike[1 : rows + 1])
    loops = library()
    assert loops is not None  # noqa: S101  # open_texts asked
    mask: Mask = np.zeros(rows + 1, np.bool_)
    ends = np.linspace(1, rows + 1, workers() + 1).astype(int).tolist()

    def compare(part: tuple[int, int]) -> int:
        return int(
            loops.kfm_lines_differ(
                a.address, a.lines.ctypes.data, b.address, b.lines.ctypes.data, *part, mask.ctypes.data
            )
        )

    list(in_parallel(compare, pairwise(ends)))
    return np.flatnonzero(mask[1:])


def changed_columns(a: TextSource, b: TextSource, rows: Ints) -> Ints:
    """Return per column in how many of some rows its cells are not the same bytes in place.

    Raises Unsure where a record has more or fewer cells than there are names.
    """
    import numpy as np

    loops = library()
    assert loops is not None  # noqa: S101  # open_texts asked
    records, counts = rows + 1, np.zeros(len(a.names), np.int64)
    sides = (a.address, a.lines.ctypes.data, b.address, b.lines.ctypes.data)
    if loops.kfm_cells_differ(
        *sides, records.ctypes.data, len(records), ord(a.delimiter), len(counts), counts.ctypes.data
    ):
        raise Unsure
    return counts


def number_lines(source: TextSource, seed: int) -> Numbers:
    """Return the numbers of all rows, each taken as one byte string without its end of line."""
    loops = library()
    assert loops is not None  # noqa: S101  # open_texts asked
    numbers = Numbers.of(source.rows + 1, seed)

    def mixed(group: int) -> None:
        start, stop = (int(row) + 1 for row in source.starts[group : group + 2])
        lanes = numbers.one.ctypes.data, numbers.two.ctypes.data
        loops.kfm_mix_lines(*lanes, *numbers.seed, source.address, source.lines.ctypes.data, start, stop)

    for _ in in_parallel(mixed, range(source.groups)):
        pass
    return numbers.part(1, source.rows + 1)
