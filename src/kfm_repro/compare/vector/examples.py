"""Geometries as examples: the first vertex in which two differ, in place of the start of their bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
_START = 48
"""First bytes of a value that are surely shown of it."""
Pair = tuple[bytes | None, bytes | None]
_Shown = tuple[str, Any, Any]
"""A column, and its values on both sides as an example shows them."""


@dataclass(frozen=True)
class ShownGeometries:
    """Remembers the pairs that a classifier was asked about, and writes them into the findings' examples.

    An example of bytes is cut; two pairs that were cut to the same text keep it.
    """

    asked: list[tuple[str, list[Any], list[Any]]] = field(default_factory=list)

    def watch(self, column: str, classify: PairClassifier) -> PairClassifier:
        """Return a classifier that remembers the pairs of a column before it asks ``classify``."""

        def watching(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
            self.asked.append((column, a, b))
            return classify(a, b, context)

        return watching

    def render(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Return the findings with geometries in place of the bytes that they were shown as."""
        wanted = {
            (str(finding.where.get("column", "")), example.a, example.b)
            for finding in findings
            for example in finding.examples
        }
        pairs = self._meant(wanted)
        return tuple(_rendered(finding, pairs) for finding in findings)

    def _meant(self, wanted: Collection[_Shown]) -> dict[_Shown, Pair | None]:
        """Return the pair that each example shows, None where several are cut to the same."""
        found: dict[_Shown, Pair | None] = {}
        for column, a, b in self.asked:
            starts = {_start(text) for name, text, _ in wanted if name == column}
            for pair in zip(a, b, strict=True):
                if isinstance(pair[0], bytes) and pair[0][:_START] not in starts:
                    continue
                shown = (column, scalar(pair[0]), scalar(pair[1]))
                if shown in wanted:
                    found[shown] = pair if found.get(shown, pair) == pair else None
        return found


def _start(text: object) -> bytes:
    """Return the first bytes of a value that is shown as a text."""
    return bytes.fromhex(str(text)[2 : 2 + 2 * _START]) if str(text).startswith("0x") else b""


def _rendered(finding: Finding, pairs: Mapping[_Shown, Pair | None]) -> Finding:
    column = str(finding.where.get("column", ""))
    examples = tuple(
        _example(example, pairs.get((column, example.a, example.b))) for example in finding.examples
    )
    if examples == finding.examples:
        return finding
    return msgspec.structs.replace(finding, examples=examples)


def _example(example: Example, pair: Pair | None) -> Example:
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
