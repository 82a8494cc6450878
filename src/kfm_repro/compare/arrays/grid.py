"""Where the elements of a picture differ, as a grid of counts that a report can draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.model.figures import Density

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CountGrid"]

_CELLS = 48
"""Cells along the longer side."""


class CountGrid:
    """Counts of elements by cell, for a picture of ``shape`` (rows, columns); no cell is smaller than an element."""

    def __init__(self, shape: tuple[int, int]) -> None:
        import numpy as np

        self._shape = shape
        longest = max(shape)
        cells = min(_CELLS, longest)
        self._rows, self._columns = (max(1, round(cells * side / longest)) for side in shape)
        self._counts = np.zeros(self._rows * self._columns, np.int64)

    def add(self, at: tuple[NDArray[np.intp], ...], origin: Sequence[int]) -> None:
        """Count the elements at the indexes ``at`` (rows, columns) of a block that begins at ``origin``."""
        import numpy as np

        row, column = (
            (axis + start) * cells // size
            for axis, start, cells, size in zip(
                at, origin, (self._rows, self._columns), self._shape, strict=True
            )
        )
        self._counts += np.bincount(row * self._columns + column, minlength=len(self._counts))

    def density(self) -> Density:
        """Return the grid as a figure."""
        return Density(
            columns=self._columns,
            rows=self._rows,
            cells=tuple(
                (at % self._columns, at // self._columns, int(self._counts[at]))
                for at in self._counts.nonzero()[0].tolist()
            ),
        )
