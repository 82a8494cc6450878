"""Many differing pairs at once: what numpy can tell of them as surely as a look at each would.

Of two numbers or times of one type there is nothing to say but that they differ, unless they are floats within
the noise or may be readings of a clock. The first is arithmetic on whole arrays; where the second can be ruled
out, they are values. All other pairs are left to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise import figures
from kfm_repro.compare.noise.floats import MAX_NOISE_ULP
from kfm_repro.compare.tabular.arrays import filled, numpy_of
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import MAX_EXAMPLES, Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfm_repro.compare.tabular.cells import Pairs, Task
    from kfm_repro.compare.tabular.exact import Ints, Mask
    from kfm_repro.compare.tabular.schema import Column

__all__ = ["Part", "is_plain", "merged", "settle", "settle_cells"]

_NONE: Mapping[str, object] = MappingProxyType({})
_MANY = 2_000
"""Fewer pairs are looked at one by one sooner than numpy would be done."""
_BLOCK = 1 << 15
"""As many pairs are settled at a time: what is computed of them stays in the cache."""
_WIDEST = 64
_FRACTION = r"^-?(0|[1-9][0-9]{0,14})\.[0-9]{1,16}$"
_SURE_LENGTH = 16
"""Length of a text of 15 digits and a point: its number is the nearest binary64 of that spelling and no other's."""


@dataclass(frozen=True)
class Part:
    """Some of the differing pairs of a column, all of one kind: how many, and the first places of them, ascending."""

    kind: str
    rung: str
    count: int
    first: Ints
    evidence: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    metres: Mapping[str, float] | None = None
    figures: Figures | None = None

    @staticmethod
    def of(
        kind: Kind, rung: Rung, places: Ints, evidence: str = "", detail: Mapping[str, object] = _NONE
    ) -> Part:
        """Return the pairs at some places as one part."""
        return Part(str(kind), str(rung), len(places), places[:MAX_EXAMPLES].copy(), evidence, detail)

    def at(self, places: Ints) -> Part:
        """Return the part with places among more pairs, ``places`` being those that it indexes."""
        return replace(self, first=places[self.first])


def merged(parts: Sequence[Part]) -> list[Part]:
    """Put parts of one kind and rung into one, unless they have figures that do not add up."""
    found: dict[tuple[str, str], Part] = {}
    others: list[Part] = []
    for part in parts:
        name = (part.kind, part.rung)
        known = found.get(name)
        if known is None:
            found[name] = part
        elif _measures(known) and _measures(part):
            found[name] = _farther(_together(known, part), known, part)
        elif not known.detail and not part.detail and known.metres is part.metres is None:
            said = dict.fromkeys(filter(None, (known.evidence, part.evidence)))
            found[name] = replace(_together(known, part), evidence="; ".join(said))
        else:
            others.append(part)
    return [*found.values(), *others]


def _together(one: Part, other: Part) -> Part:
    import numpy as np

    first = np.sort(np.concatenate([one.first, other.first]))[:MAX_EXAMPLES]
    drawn = figures.together(one.figures, other.figures)
    return replace(one, count=one.count + other.count, first=first, figures=drawn)


def _measures(part: Part) -> bool:
    return part.kind == Kind.FLOAT_NOISE and "max_ulp" in part.detail


def _farther(both: Part, one: Part, other: Part) -> Part:
    """Return a part of float noise with the larger figures of two."""
    detail: dict[str, Any] = {name: max(one.detail[name], other.detail[name]) for name in one.detail}  # type: ignore[call-overload]
    evidence = one.evidence if one.detail["max_ulp"] == detail["max_ulp"] else other.evidence
    return replace(both, detail=detail, evidence=evidence)


def settle(column: Column, pairs: Pairs, task: Task) -> tuple[list[Part], Ints]:
    """Return the parts of the pairs that are settled, and the places of those that are to be looked at."""
    import numpy as np

    everything = np.arange(len(pairs.rows_a))
    if len(everything) < _MANY or not is_plain(column, task):
        return [], everything
    a, b = column.cells(pairs.rows_a, of_a=True), column.cells(pairs.rows_b, of_a=False)
    return settle_cells(column, a, b, task)


def settle_cells(
    column: Column, a: pa.ChunkedArray, b: pa.ChunkedArray, task: Task
) -> tuple[list[Part], Ints]:
    """Do the same for the cells of a column that `is_plain`, all of which differ."""
    import numpy as np

    parts: list[Part] = []
    left: list[Ints] = []
    for start in range(0, len(a), _BLOCK):
        found, places = _settle_block(column, a.slice(start, _BLOCK), b.slice(start, _BLOCK), task)
        parts = merged([*parts, *(replace(part, first=part.first + start) for part in found)])
        left.append(places + start)
    return parts, np.concatenate(left) if left else np.zeros(0, np.int64)


def _settle_block(
    column: Column, a: pa.ChunkedArray, b: pa.ChunkedArray, task: Task
) -> tuple[list[Part], Ints]:
    import numpy as np

    if _is_text(column):
        return _settle_texts(column, a, b, task)
    held = ~(_is_null(a) | _is_null(b))
    noise = np.zeros(len(held), np.bool_)
    parts: list[Part] = []
    if column.is_float:
        left, right = (_floats(side) for side in (a, b))
        held &= ~(np.isnan(left) | np.isnan(right)) | (np.isnan(left) & np.isnan(right))
        noise, ulp = _noise(left, right)
        noise &= held
        if noise.any():
            parts.append(_noise_part(np.flatnonzero(noise), left[noise], right[noise], ulp[noise]))
    return _beyond_noise(column, parts, noise, held, task)


def _settle_texts(
    column: Column, a: pa.ChunkedArray, b: pa.ChunkedArray, task: Task
) -> tuple[list[Part], Ints]:
    """Do the same for texts: of decimal fractions that a writer of binary64 wrote, what the numbers tell.

    Only what `classify_pairs` would answer without a doubt: different numbers, no zero among them.
    """
    import numpy as np

    left, right = _fractions(a), _fractions(b)
    both = (left != 0) & (right != 0) & (left != right)
    noise, ulp = _noise(left, right)
    noise &= both
    parts = []
    if noise.any():
        parts.append(_noise_part(np.flatnonzero(noise), left[noise], right[noise], ulp[noise]))
    return _beyond_noise(column, parts, noise, both, task)


def _beyond_noise(
    column: Column, parts: list[Part], noise: Mask, held: Mask, task: Task
) -> tuple[list[Part], Ints]:
    """Add the values among the pairs that are ``held`` to differ, where nothing else may be said of them."""
    import numpy as np

    if _may_be_more(column, task):
        return parts, np.flatnonzero(~noise)
    values = held & ~noise
    if values.any():
        parts.append(Part.of(Kind.VALUE, Rung.VALUE, np.flatnonzero(values)))
    return parts, np.flatnonzero(~held & ~noise)


def _fractions(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the binary64 that each text spells; 0 for a text that is not surely the spelling of one.

    Sure are plain decimal fractions of at most 15 digits, and those that are the shortest spelling.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.fill_null(pc.match_substring_regex(column, _FRACTION), False)  # noqa: FBT003  # a value
    numbers = pc.if_else(plain, column, "0").cast(pa.float64())
    short = pc.less_equal(pc.utf8_length(column), _SURE_LENGTH)
    sure = pc.and_(plain, pc.or_(short, pc.equal(numbers.cast(column.type), column)))
    found: NDArray[np.float64] = numpy_of(pc.if_else(pc.fill_null(sure, False), numbers, 0.0))  # noqa: FBT003
    return found


def is_plain(column: Column, task: Task) -> bool:
    """Return whether pairs may be settled at once.

    Both sides are floats, integers, dates or times of one type that Python tells apart whole, or cells of an
    untyped text.
    """
    import pyarrow as pa

    kind, types = column.a.type, pa.types
    if kind != column.b.type or column.label in task.classifiers:
        return False
    if _is_text(column):
        return task.text
    if types.is_timestamp(kind):
        return kind.tz is None and kind.unit != "ns"
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_date(kind))


def _is_text(column: Column) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(column.a.type) or pa.types.is_large_string(column.a.type))


def _may_be_more(column: Column, task: Task) -> bool:
    """Return whether two differing values may be clock readings, or the settings have a word to say."""
    options = task.context.options
    if column.label in options.ignore or column.label in options.tolerance or "*" in options.tolerance:
        return True
    return bool(task.context.a.windows and task.context.b.windows)


def _is_null(column: pa.ChunkedArray) -> Mask:
    mask: Mask = numpy_of(column.is_null())
    return mask


def _floats(column: pa.ChunkedArray) -> NDArray[np.floating]:
    """Return floats with their own width and bits; 0 for null."""
    values: NDArray[np.floating] = numpy_of(filled(column, 0))
    return values


def _noise(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[Mask, NDArray[np.uint64]]:
    """Return where two floats are the same but for noise, and how many units in the last place apart."""
    import numpy as np

    left, right = _ordered(a), _ordered(b)
    # The two ends of the scale lie up to 2**64 apart: unsigned arithmetic wraps to the right answer.
    ulp = np.maximum(left, right).view(np.uint64) - np.minimum(left, right).view(np.uint64)
    both_nan = np.isnan(a) & np.isnan(b)
    ulp[both_nan] = 0
    noise = (np.isfinite(a) & np.isfinite(b) & (ulp <= MAX_NOISE_ULP)) | both_nan
    return noise, ulp


def _ordered(values: NDArray[np.floating]) -> Ints:
    """Map floats to integers so that neighbouring floats are neighbouring integers."""
    import numpy as np

    bits = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits).astype(np.int64)


def _noise_part(
    places: Ints, a: NDArray[np.floating], b: NDArray[np.floating], ulp: NDArray[np.uint64]
) -> Part:
    import numpy as np

    width = a.dtype.itemsize * 8
    with np.errstate(all="ignore"):
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        gap = np.nan_to_num(np.abs(wide_a - wide_b), nan=0.0)
        rel = np.nan_to_num(gap / np.maximum(np.abs(wide_a), np.abs(wide_b)), nan=0.0)
    most = int(ulp.max())
    evidence = f"at most {most} ulp apart" + (f" (binary{width})" if width != _WIDEST else "")
    detail = {"max_ulp": most, "max_rel": float(rel.max()), "max_abs": float(gap.max())}
    counts = {apart: count for apart, count in enumerate(np.bincount(ulp.view(np.int64)).tolist()) if count}
    return replace(
        Part.of(Kind.FLOAT_NOISE, Rung.NOISE, places, evidence, detail), figures=figures.of_ulps(counts)
    )
