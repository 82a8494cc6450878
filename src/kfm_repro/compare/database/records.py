"""Rows of large tables as 128-bit numbers of their records, read from the pages of the file by the compiled loops.

Two records of the same bytes hold the same values where the columns are declared alike and texts are encoded alike;
two of other bytes may hold the same values all the same. So equal numbers prove rows equal, and nothing else is
concluded from them. What does not fit the file format is not numbered at all, and left to SQLite.
"""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.native import library
from kfm_repro.compare.tabular.numbering import Numbers, draw_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kfm_repro.compare.database.header import Header
    from kfm_repro.compare.database.read import Database, Table
    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["Records", "read_records"]

_NOT_A_BLOB = -2
"""The length of what is neither a blob nor null, which has the length -1."""
_LARGE = 4 << 20
"""Bytes of the smaller file from which on it is worth the while."""
_LEAF, _INTERIOR = b"\x0d", b"\x05"
_INTERIOR_HEADER = 12
_BYTES_AT_ONCE = 2 << 20
"""Bytes of pages that are handed to the compiled loop at once."""
_LEAST_CELL = 6
"""Bytes that a row takes in a page at least, its place among the cells counted."""
_LEAST_USABLE = 480
_DEEPEST = 20
"""Levels of a tree: SQLite itself goes no deeper."""
_MARK = int.from_bytes(b"GP", "little")
_SYSTEM = 0xFFFF_FFFF_0100_0000
"""The SRS id of a geometry and the byte order in which it stands (GeoPackage 1.4, clause 2.1.3)."""
_EMPTY = 0x10
"""The flag of an empty geometry in the fourth byte (GeoPackage 1.4, clause 2.1.3)."""


@dataclass(frozen=True)
class Records:
    """The rows of one table in the order in which they are stored: their row numbers, int64, and their numbers.

    ``lengths``, int64, and ``heads``, the first eight bytes as a little-endian uint64, are those of the blobs in one
    column. ``named`` are the whole numbers in the column that may name the rows, by its name; empty where there is no
    such column, or something else is in it.
    """

    rows: Ints
    numbers: Numbers
    lengths: Ints
    heads: NDArray[np.uint64]
    named: Mapping[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def unlike(self, other: Records) -> Ints | None:
        """Return the row numbers of the rows whose records differ; None where the rows are numbered otherwise."""
        import numpy as np

        if not np.array_equal(self.rows, other.rows):
            return None
        apart: Ints = self.rows[self.numbers.unlike(other.numbers)]
        return apart

    @property
    def counts(self) -> bool:
        """Return whether the row numbers go from 1 upwards without gaps."""
        return bool(len(self)) and self.rows[0] == 1 and self.rows[-1] == len(self)

    @property
    def are_of_one_system(self) -> bool:
        """Return whether all values are geometries or null, and those with a header name one SRS id, or none does."""
        import numpy as np

        headed = (self.lengths >= 0) & (self.heads & np.uint64(0xFFFF) == np.uint64(_MARK))
        systems = np.unique(self.heads[headed] & np.uint64(_SYSTEM))
        return not (self.lengths == _NOT_A_BLOB).any() and len(systems) <= 1

    def not_empty(self) -> int | None:
        """Return how many geometries do not say of themselves that they are empty; None where some are none."""
        import numpy as np

        if (self.lengths == _NOT_A_BLOB).any():
            return None
        flagged = (self.lengths > 3) & ((self.heads >> np.uint64(24) & np.uint64(_EMPTY)) != 0)  # noqa: PLR2004
        return int(np.count_nonzero(self.lengths >= 0) - np.count_nonzero(flagged))

    def beginnings(self) -> tuple[list[bytes], int] | None:
        """Return the distinct first eight bytes of the blobs and the length of the shortest; None where there is more.

        There is more where a value is neither a blob nor null.
        """
        import numpy as np

        blobs = self.lengths >= 0
        if (self.lengths == _NOT_A_BLOB).any() or not blobs.any():
            return None
        distinct = np.unique(self.heads[blobs])
        return [int(head).to_bytes(8, "little") for head in distinct], int(self.lengths[blobs].min())


def read_records(
    sides: tuple[Database, Database],
    headers: tuple[Header, Header],
    looked_at: tuple[Callable[[str], str], Callable[[str], str]],
) -> None:
    """Note the records of the tables of two large databases, in `Database.records`.

    ``looked_at`` gives for a table of A and of B the column whose blobs are looked at, "" for none. Tables that are
    not stored as they should be are left out, and all of them where the files are not for this.
    """
    if min(side.path.stat().st_size for side in sides) < _LARGE or library() is None:
        return
    if headers[0].encoding != headers[1].encoding:
        return
    seed = draw_seed()

    def noted(side: Database, header: Header, column: Callable[[str], str]) -> None:
        with _Pages.of(side.path, header) as pages:
            for name in side.tables:
                records = _records(pages, side, name, column(name), seed)
                if records is not None:
                    side.records[name] = records

    # The loops let go of the interpreter; each side has a connection of its own.
    with ThreadPoolExecutor(2 if sqlite3.threadsafety else 1) as pool:
        for _ in pool.map(noted, sides, headers, looked_at):
            pass


@dataclass(frozen=True)
class _Pages:
    """An open database file as pages: how large one is, and how much of it is for use."""

    file: int
    size: int
    usable: int
    count: int

    @staticmethod
    @contextmanager
    def of(path: Path, header: Header) -> Iterator[_Pages]:
        with path.open("rb", buffering=0) as opened:
            size = opened.seek(0, os.SEEK_END)
            usable = header.page_size - header.reserved
            yield _Pages(opened.fileno(), header.page_size, usable, size // header.page_size)

    def read(self, number: int) -> bytes:
        return os.pread(self.file, self.usable, (number - 1) * self.size)


def _records(pages: _Pages, database: Database, name: str, column: str, seed: int) -> Records | None:
    table = database.tables[name]
    leaves = _leaves(pages, _root(database, name))
    if leaves is None:
        return None
    looked_at = table.names.index(column) if column in table.names else -1
    return _numbered(pages, leaves, looked_at, _may_name(table, column), seed)


def _may_name(table: Table, geometry: str) -> tuple[int, str]:
    """Return place and name of the first column of whole numbers besides the row number; -1 for none."""
    whole = (
        (at, column.name)
        for at, column in enumerate(table.columns)
        if "INT" in column.type.upper() and column.name not in (table.row_number, geometry)
    )
    return (-1, "") if table.unnumbered or table.computed else next(whole, (-1, ""))


def _root(database: Database, table: str) -> int:
    """Return the page at which a table begins, 0 for none."""
    query = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
    try:
        pages = database.connection.execute(query, (table,)).fetchall()
    except sqlite3.Error:
        return 0
    return pages[0][0] if len(pages) == 1 and isinstance(pages[0][0], int) else 0


def _leaves(pages: _Pages, root: int) -> list[int] | None:
    """Return the leaves of a tree in the order of their rows; None when it is no tree of a table.

    All leaves lie at one depth, which those of the first way down give.
    """
    depth = _depth(pages, root)
    level = [root]
    for _ in range(depth - 1):
        children = [child for page in level for child in _children(pages, page)]
        if not children or len(children) > pages.count:
            return None
        level = children
    return level if depth else None


def _depth(pages: _Pages, root: int) -> int:
    """Return how many levels a tree has, 0 when it is none of a table."""
    page = root
    for depth in range(1, _DEEPEST):
        content = pages.read(page) if 1 < page <= pages.count else b""
        if content[:1] == _LEAF:
            return depth
        children = _children(pages, page) if content[:1] == _INTERIOR else []
        if not children:
            return 0
        page = children[0]
    return 0


def _children(pages: _Pages, number: int) -> list[int]:
    """Return the pages below an interior page, [] where something does not fit."""
    import numpy as np

    page = np.frombuffer(pages.read(number) if 1 < number <= pages.count else b"", np.uint8)
    if len(page) < pages.usable or page[0] != _INTERIOR[0]:
        return []
    body = _INTERIOR_HEADER + 2 * int(page[3:5].view(">u2")[0])
    if body > pages.usable:
        return []
    places = np.append(page[_INTERIOR_HEADER:body].view(">u2").astype(np.int64), 8)
    if ((places[:-1] < body) | (places[:-1] > pages.usable - 5)).any():
        return []
    found: list[int] = page[places[:, None] + np.arange(4)].view(">u4").ravel().tolist()
    return found


def _numbered(
    pages: _Pages, leaves: list[int], column: int, naming: tuple[int, str], seed: int
) -> Records | None:
    """Return the records in some leaves; None when one of them is not as it should be."""
    import numpy as np

    loops, spread = library(), np.array([pages.size * pages.count], np.int64)
    if loops is None or pages.usable < _LEAST_USABLE:
        return None
    at_once = max(1, _BYTES_AT_ONCE // pages.size)
    room = at_once * (pages.usable // _LEAST_CELL + 1)
    kinds = (np.int64, np.uint64, np.uint64, np.int64, np.uint64, np.int64)
    made = [np.empty(room, kind) for kind in kinds]
    whole = np.ones(1, np.int32)
    parts = []
    for first in range(0, len(leaves), at_once):
        some = np.array(leaves[first : first + at_once], np.int64)
        count = loops.kfm_sqlite_rows(
            *(pages.file, pages.size, pages.usable, some.ctypes.data, len(some), column),
            *(seed & (1 << 64) - 1, seed >> 64, spread.ctypes.data, room),
            *(array.ctypes.data for array in made[:-1]),
            *(naming[0], made[-1].ctypes.data, whole.ctypes.data),
        )
        if count < 0:
            return None
        parts.append([array[:count].copy() for array in made])
    rows, one, two, lengths, heads, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if not (rows[1:] > rows[:-1]).all():
        return None
    if column < 0:
        lengths[:] = _NOT_A_BLOB
    named = {naming[1]: values} if naming[0] >= 0 and whole[0] else {}
    return Records(rows, Numbers(one, two), lengths, heads, named)
