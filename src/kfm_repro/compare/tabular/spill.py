"""Rows paired by their numbers where these do not fit into memory: part by part, through files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.numbering import NOWHERE, Numbers, pair_rows_by_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kfm_repro.compare.tabular.exact import Ints

__all__ = ["BYTES_PER_ROW", "pair_spilled"]

BYTES_PER_ROW = 64
"""What a row of both sides takes while it is paired in memory: numbers, order, table and partner."""
_MOST_PARTS = 256
_SHARE = 16
"""A part takes one in so many of the bytes that there are: pieces, partners and the libraries take the others."""

Blocks = Iterator[tuple["Ints", Numbers]]
"""The numbers of rows, block by block, with the places of the rows, ascending."""


def pair_spilled(
    blocks: tuple[Blocks, Blocks], rows: tuple[int, int], budget: int
) -> tuple[Ints, NDArray[np.uint8]]:
    """Return `pair_rows_by_number` of rows that are written to files first, below TMPDIR, removed whatever happens.

    Rows of one number are in one part: parts are paired by themselves. Rows that no block holds have no partner.
    ``budget`` is in bytes.
    """
    import numpy as np

    parts = min(_MOST_PARTS, max(2, _SHARE * sum(rows) * BYTES_PER_ROW // max(1, budget)))
    partner = np.full(rows[0], NOWHERE, np.int64)
    state = np.ones(rows[1], np.uint8)
    with tempfile.TemporaryDirectory(prefix="kfm-repro-rows-") as folder:
        files = [_write(side, Path(folder, name), parts) for side, name in zip(blocks, "ab", strict=True)]
        for path_a, path_b in zip(*files, strict=True):
            a, b = _read(path_a), _read(path_b)
            here, taken = pair_rows_by_number(Numbers(a[0], a[1]), Numbers(b[0], b[1]))
            places_a, places_b = a[2].view(np.int64), b[2].view(np.int64)
            found = here >= 0
            here[found] = places_b[here[found]]
            partner[places_a] = here
            state[places_b] = taken
            path_a.unlink()
            path_b.unlink()
    return partner, state


def _write(blocks: Blocks, prefix: Path, parts: int) -> list[Path]:
    """Write every row as its number and its place into the file of its part; rows of a part stay in order."""
    import numpy as np

    paths = [prefix.with_name(f"{prefix.name}{part}") for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for places, numbers in blocks:
            record = np.empty((len(numbers.one), 3), np.uint64)
            record[:, 0], record[:, 1] = numbers.one, numbers.two
            record[:, 2] = places.view(np.uint64)
            part = (numbers.one % np.uint64(parts)).astype(np.int64)
            order = np.argsort(part, kind="stable")
            cuts = np.searchsorted(part[order], np.arange(parts + 1))
            record = record[order]
            for at, file in enumerate(files):
                record[cuts[at] : cuts[at + 1]].tofile(file)
    return paths


def _read(path: Path) -> NDArray[np.uint64]:
    """Return the columns of a part: both lanes and the places."""
    import numpy as np

    return np.ascontiguousarray(np.fromfile(path, np.uint64).reshape(-1, 3).T)
