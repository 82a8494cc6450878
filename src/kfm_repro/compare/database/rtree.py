"""The nodes of an R-tree as SQLite stores them, and whether they lead to every feature (sqlite.org/rtree.html, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from kfm_repro.compare.vector.extent import Floats

__all__ = ["leads_to"]

_CELL = [("id", ">i8"), ("box", ">f4", 4)]
_ROOT, _HEAD, _DEEPEST = 1, 4, 40
"""The number of the root, the bytes before the cells of a node, and the deepest tree that SQLite reads."""
_LOW, _HIGH = [0, 2], [1, 3]
"""Places of the lower and the upper bounds in a box."""


def leads_to(nodes: Mapping[int, bytes], numbers: Sequence[int], extents: Floats) -> bool:
    """Return whether the tree has one entry for each feature, at its number, that a search of its extent finds.

    ``extents`` are float64 of shape (n, 6), as `each_extent` returns them; features without one have no entry. A box
    may be larger than its feature: a search then finds more, and what it finds is looked at anyway.
    """
    import numpy as np

    try:
        ids, boxes = _entries(nodes)
    except (KeyError, ValueError, TypeError):
        return False
    present = ~np.isnan(extents[:, 0])
    wanted, there = np.asarray(numbers, np.int64)[present], extents[present]
    by_number, by_id = np.argsort(wanted), np.argsort(ids)
    if not np.array_equal(wanted[by_number], ids[by_id]):
        return False
    there, boxes = there[by_number], boxes[by_id]
    low = (boxes[:, _LOW] <= there[:, [0, 1]]).all()
    return bool(low and (boxes[:, _HIGH] >= there[:, [3, 4]]).all())


def _entries(nodes: Mapping[int, bytes]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the entries of all leaves. Raises KeyError or ValueError for a tree on which a search goes astray."""
    import numpy as np

    depth = int.from_bytes(nodes[_ROOT][:2], "big")
    if depth > _DEEPEST:
        raise ValueError("too deep")
    level = [(_ROOT, np.array([-np.inf, np.inf, -np.inf, np.inf], np.float32))]
    read = 0
    for _ in range(depth + 1):
        read += len(level)
        if read > len(nodes):
            raise ValueError("a node is reached twice")
        cells = [_cells(nodes[number], bounds) for number, bounds in level]
        found = np.concatenate(cells) if cells else np.empty(0, _CELL)
        level = list(zip(found["id"].tolist(), found["box"], strict=True)) if depth else []
    return found["id"].astype(np.int64), found["box"].astype(np.float32)


def _cells(node: bytes, bounds: npt.NDArray[np.float32]) -> npt.NDArray[np.void]:
    import numpy as np

    cells = np.frombuffer(node, _CELL, int.from_bytes(node[2:_HEAD], "big"), _HEAD)
    boxes = cells["box"]
    inside = (boxes[:, _LOW] >= bounds[_LOW]).all() and (boxes[:, _HIGH] <= bounds[_HIGH]).all()
    if not inside:
        raise ValueError("a node lies outside of the box that leads to it")
    return cells
