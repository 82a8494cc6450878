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
    """Counts of elements by cell, for a picture of ``shape`` (rows, columns).

    All cells are squares of as many whole elements, but for the last of a row or column: else full cells would count
    differently, and a report would draw a pattern that is not in the picture.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        import numpy as np

        self._step = max(1, -(-max(shape) // _CELLS))
        self._rows, self._columns = (max(1, -(-side // self._step)) for side in shape)
        self._counts = np.zeros(self._rows * self._columns, np.int64)

    def add(self, at: tuple[NDArray[np.intp], ...], origin: Sequence[int]) -> None:
        """Count the elements at the indexes ``at`` (rows, columns) of a block that begins at ``origin``."""
        import numpy as np

        row, column = ((axis + start) // self._step for axis, start in zip(at, origin, strict=True))
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
