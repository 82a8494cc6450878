"""What differs between two geometries of the same feature: the order of the questions is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.vector import exact, reshape, vertices
from kfm_repro.compare.vector.claims import Pairs, Rule, apply, claim
from kfm_repro.compare.vector.draw import drawing_of
from kfm_repro.compare.vector.measure import GEOGRAPHIC, Ground
from kfm_repro.compare.vector.turned import UNTOLD, turned
from kfm_repro.compare.vector.wkb import geometries
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["classify_geometries"]

_DRAWN = (Kind.GEOMETRY, Kind.PRECISION, Kind.DENSIFIED)
"""Kinds that a map shows more of than a sentence."""
_TURNED = (Kind.RING_START, Kind.RING_ORIENTATION)


def classify_geometries(
    a: Sequence[bytes | None],
    b: Sequence[bytes | None],
    context: Context,
    ground: Ground = GEOGRAPHIC,
) -> tuple[Classified, ...]:
    """Name what differs between the geometries of paired features, given as WKB (ISO or extended) or None.

    Every pair is in exactly one group; what no rule can name is ``geometry`` at rung ``value``. ``ground``
    says what a unit of the coordinates is; ``context.options.tolerance["geometry"]`` allows displacements
    up to so many metres. The classes and their order: ``docs/findings.md``, geometries.
    """
    told = turned(a, b)
    seen = told != UNTOLD
    with _quiet():
        pairs = Pairs(
            a=geometries(_unseen(a, seen)),
            b=geometries(_unseen(b, seen)),
            wkb_a=_objects(a),
            wkb_b=_objects(b),
            ground=ground,
            tolerance=context.options.tolerance.get("geometry"),
        )
        found = apply((lambda _: vertices.as_told(told), *_RULES), pairs)
        return tuple(_drawn(group, pairs) for group in _merge(found))


def _unseen(values: Sequence[bytes | None], seen: npt.NDArray[np.bool_]) -> Sequence[bytes | None]:
    """Return the values with None for what need not be built."""
    if not seen.any():
        return values
    return [None if known else value for value, known in zip(values, seen.tolist(), strict=True)]


def _drawn(group: Classified, pairs: Pairs) -> Classified:
    if group.kind not in _DRAWN or group.rung != Rung.VALUE:
        return group
    drawing = drawing_of(pairs, group.indexes)
    return replace(group, figures=Figures(drawing=drawing)) if drawing else group


def _judge(pairs: Pairs) -> list[Classified]:
    return apply(_RULES, pairs)


def _anything(pairs: Pairs) -> list[Classified]:
    import numpy as np

    return claim(np.ones(len(pairs.a), bool), Kind.GEOMETRY, Rung.VALUE, "the geometries differ")


_ALIGNED: tuple[Rule, ...] = (
    vertices.orders,
    vertices.parts,
    vertices.axes,
    vertices.noise(normal=False),
    vertices.noise(normal=True),
)
_READABLE: tuple[Rule, ...] = (
    exact.same_spelling,
    exact.single_or_multi(_judge),
    exact.types,
    exact.dimensions,
    exact.collections(_judge),
    vertices.signed_zero,
    *_ALIGNED,
    reshape.repeated,
    reshape.repeated_besides(_ALIGNED),
    vertices.displaced,
    reshape.densified,
    reshape.reshaped,
    _anything,
)
_RULES: tuple[Rule, ...] = (exact.empty_or_null, exact.unreadable, *_READABLE)


def _merge(groups: list[Classified]) -> list[Classified]:
    """Return the groups with ascending indexes, in the order of their first pair."""
    once: dict[object, Classified] = {}
    for group in groups:
        # Rings that were told from their bytes and rings that a rule has turned are one group.
        one = (group.kind, group.evidence) if group.kind in _TURNED else id(group)
        known = once.get(one)
        once[one] = group if known is None else replace(known, indexes=known.indexes + group.indexes)
    ordered = [
        Classified(g.kind, g.rung, tuple(sorted(g.indexes)), g.evidence, g.detail, g.metres)
        for g in once.values()
    ]
    return sorted(ordered, key=lambda group: group.indexes[0])


def _objects(values: Sequence[bytes | None]) -> npt.NDArray[np.object_]:
    import numpy as np

    result = np.empty(len(values), object)
    result[:] = list(values)
    return result


def _quiet() -> np.errstate:
    """Return a context in which endless and missing numbers raise no warnings: they are expected here."""
    import numpy as np

    return np.errstate(all="ignore")
