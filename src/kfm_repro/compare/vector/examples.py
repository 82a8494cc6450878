"""Geometries as examples: the first vertex in which two differ, in place of the start of their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.samples import MAX_TEXT, scalar
from kfm_repro.compare.vector.wkb import geometries
from kfm_repro.model.finding import Example, Finding

if TYPE_CHECKING:
    from kfm_repro.compare.context import Classified, Context
    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = ["ShownGeometries"]

_SHORT = 90
"""Longest well-known text that is shown whole, in characters."""
_MOST_COORDINATES = 1_000_000
Pair = tuple[bytes | None, bytes | None]


@dataclass(frozen=True)
class ShownGeometries:
    """Remembers the pairs that a classifier was asked about, and writes them into the findings' examples.

    An example of bytes is cut; two pairs that were cut to the same text keep it.
    """

    pairs: dict[tuple[str, Any, Any], Pair | None] = field(default_factory=dict)

    def watch(self, column: str, classify: PairClassifier) -> PairClassifier:
        """Return a classifier that remembers the pairs of a column before it asks ``classify``."""

        def watching(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
            for pair in zip(a, b, strict=True):
                key = (column, scalar(pair[0]), scalar(pair[1]))
                self.pairs[key] = pair if self.pairs.get(key, pair) == pair else None
            return classify(a, b, context)

        return watching

    def render(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return the findings with geometries in place of the bytes that they were shown as."""
        return tuple(self._rendered(finding) for finding in findings)

    def _rendered(self, finding: Finding) -> Finding:
        column = str(finding.where.get("column", ""))
        examples = tuple(self._example(column, example) for example in finding.examples)
        if examples == finding.examples:
            return finding
        return msgspec.structs.replace(finding, examples=examples)

    def _example(self, column: str, example: Example) -> Example:
        pair = self.pairs.get((column, example.a, example.b))
        if pair is None:
            return example
        left, right = _shown(pair)
        return Example(key=example.key, a=left or example.a, b=right or example.b)


def _shown(pair: Pair) -> tuple[str | None, str | None]:
    """Return both geometries as short well-known text, or the first vertex in which they differ."""
    import numpy as np
    import shapely

    found = geometries(pair)
    if any(shapely.get_num_coordinates(found) > _MOST_COORDINATES):
        return None, None
    short = [_short(geometry) for geometry in found]
    if all(text is not None for text, value in zip(short, pair, strict=True) if value is not None):
        return short[0], short[1]
    if any(geometry is None for geometry in found):
        return short[0] or _summary(found[0]), short[1] or _summary(found[1])
    sides = [shapely.get_coordinates(geometry, include_z=geometry.has_z) for geometry in found]
    width, common = min(side.shape[1] for side in sides), min(map(len, sides))
    apart = (sides[0][:common, :width] != sides[1][:common, :width]).any(axis=1)
    at = int(np.flatnonzero(apart)[0]) if apart.any() else common
    left, right = (_vertex(geometry, side, at) for geometry, side in zip(found, sides, strict=True))
    return left, right


def _short(geometry: Any) -> str | None:  # noqa: ANN401 - a shapely geometry or None
    import shapely

    if geometry is None or shapely.get_num_coordinates(geometry) > 4:  # noqa: PLR2004 - longer ones are cut
        return None
    text = str(shapely.to_wkt(geometry, rounding_precision=-1))
    return text if len(text) <= _SHORT else None


def _summary(geometry: Any) -> str | None:  # noqa: ANN401 - a shapely geometry or None
    import shapely

    if geometry is None:
        return None
    return f"{geometry.geom_type} of {shapely.get_num_coordinates(geometry)} vertices"


def _vertex(geometry: Any, coordinates: Any, at: int) -> str:  # noqa: ANN401 - arrays of shape (n, 2 or 3)
    count = len(coordinates)
    if at >= count:
        return f"{geometry.geom_type} of {count} vertices"[:MAX_TEXT]
    numbers = " ".join(repr(float(value)) for value in coordinates[at])
    return f"{geometry.geom_type}, vertex {at + 1} of {count}: {numbers}"[:MAX_TEXT]
