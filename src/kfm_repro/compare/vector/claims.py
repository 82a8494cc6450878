"""Claiming pairs: every rule looks at the pairs that no rule before it has named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from kfm_repro.compare.context import Classified
from kfm_repro.compare.vector.measure import GEOGRAPHIC, Ground, figures

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kfm_repro.model.finding import Kind, Rung

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

T = TypeVar("T")

__all__ = ["Pairs", "Rule", "apply", "are_finite", "claim"]

_MOST_REFUSED = 64
"""Pairs of finite numbers on which GEOS may give up, per rule: each is found by trying."""


@dataclass(frozen=True)
class Pairs:
    """Differing pairs: shapely geometries (None: null or unreadable) and their WKB, arrays of shape (n,)."""

    a: npt.NDArray[np.object_]
    b: npt.NDArray[np.object_]
    wkb_a: npt.NDArray[np.object_]
    wkb_b: npt.NDArray[np.object_]
    ground: Ground = GEOGRAPHIC
    tolerance: float | None = field(default=None)
    made: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """What rules have made of these very pairs, for the next one."""

    def once(self, name: object, make: Callable[[], T]) -> T:
        """Return what was made under a name, or make it."""
        if name not in self.made:
            self.made[name] = make()
        found: T = self.made[name]
        return found

    def take(self, chosen: npt.NDArray[np.intp] | Bools) -> Pairs:
        """Return only the pairs at an index array or where a mask holds."""
        return replace(
            self,
            a=self.a[chosen],
            b=self.b[chosen],
            wkb_a=self.wkb_a[chosen],
            wkb_b=self.wkb_b[chosen],
            made={},
        )


Rule = Callable[[Pairs], Iterable[Classified]]


def apply(rules: Iterable[Rule], pairs: Pairs) -> list[Classified]:
    """Ask the rules in turn, each about what is left; the indexes of the answers are those of ``pairs``."""
    import numpy as np

    found = []
    left = np.arange(len(pairs.a))
    for rule in rules:
        if not left.size:
            break
        free = np.ones(len(left), bool)
        for group in _answers(rule, pairs):
            local = np.asarray(group.indexes, np.intp)
            local = local[free[local]]
            free[local] = False
            if local.size:
                found.append(replace(group, indexes=tuple(left[local].tolist())))
        if not free.all():
            left, pairs = left[free], pairs.take(free)
    return found


def _answers(rule: Rule, pairs: Pairs) -> list[Classified]:
    """Return what a rule claims; pairs on which GEOS gives up are left to the rules after it.

    GEOS refuses coordinates that are no finite numbers in some of what it computes, and so far apart ones.
    """
    import numpy as np
    import shapely

    try:
        return list(rule(pairs))
    except shapely.errors.GEOSException:
        at = np.flatnonzero(are_finite(pairs.a) & are_finite(pairs.b))
        good = _accepted(rule, pairs, at, [_MOST_REFUSED])
    groups = rule(pairs.take(good)) if good.size else ()
    return [replace(group, indexes=tuple(good[list(group.indexes)].tolist())) for group in groups]


def _accepted(rule: Rule, pairs: Pairs, at: npt.NDArray[np.intp], allowed: list[int]) -> npt.NDArray[np.intp]:
    """Return those of some pairs on which a rule does not fail, by halves. Raises GEOSException for too many."""
    import numpy as np
    import shapely

    if not at.size:
        return at
    try:
        list(rule(pairs.take(at)))
    except shapely.errors.GEOSException:
        if at.size == 1:
            allowed[0] -= 1
            if not allowed[0]:
                raise
            return at[:0]
    else:
        return at
    return np.concatenate([_accepted(rule, pairs, half, allowed) for half in np.array_split(at, 2)])


def are_finite(geometries: npt.NDArray[np.object_]) -> Bools:
    """Return which geometries have only finite numbers for x and y; one that is null has none that is not."""
    import numpy as np
    import shapely

    points, owner = shapely.get_coordinates(geometries, return_index=True)
    finite = np.ones(len(geometries), bool)
    finite[owner[~np.isfinite(points).all(axis=1)]] = False
    return finite


def claim(
    mask: Bools,
    kind: Kind,
    rung: Rung,
    evidence: str,
    *,
    detail: Mapping[str, object] | None = None,
    metres: Floats | None = None,
) -> list[Classified]:
    """Return the pairs where ``mask`` holds as one group, or nothing; ``metres``: of vertices."""
    import numpy as np

    indexes = tuple(np.flatnonzero(mask).tolist())
    if not indexes:
        return []
    numbers = None if metres is None else figures(metres) or None
    return [Classified(str(kind), str(rung), indexes, evidence, detail or {}, numbers)]
