"""How two arrays of one shape differ, block by block: how many elements, by how much, and where."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.arrays.grid import CountGrid
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.floats import MAX_NOISE_ULP
from kfm_repro.compare.samples import scalar
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kfm_repro.compare.context import Context

__all__ = ["ArrayDiff", "same_bits", "windows"]

_MOST_PAIRS = 20_000
"""Differing elements beyond which nobody asks whether each of them is a time."""
_SCALARS = (str, bytes, bool, int, float, dt.datetime, dt.date)
_SHOWN = MAX_EXAMPLES
_CLOCKS = "iufMOSU"
"""Kinds of dtypes of which an element can be the reading of a clock."""


@dataclass
class _Tally:
    """Elements of one kind while they are being counted: a box of indexes, first examples, the largest gap."""

    count: int = 0
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    examples: list[tuple[tuple[int, ...], Any, Any]] = field(default_factory=list)
    max_abs: float = 0.0
    max_ulp: int = 0
    not_finite: int = 0
    grid: CountGrid | None = None

    def add(self, at: tuple[NDArray[np.intp], ...], origin: Sequence[int], a: Any, b: Any) -> None:  # noqa: ANN401  # NumPy arrays of any dtype
        """Count the elements at the indexes ``at`` of a block that begins at ``origin``."""
        size = len(a)
        if not size:
            return
        self.count += size
        if self.grid is not None:
            self.grid.add(at, origin)
        low = [int(axis.min()) + start for axis, start in zip(at, origin, strict=True)]
        high = [int(axis.max()) + start for axis, start in zip(at, origin, strict=True)]
        self.low = [min(x, y) for x, y in zip(self.low or low, low, strict=True)]
        self.high = [max(x, y) for x, y in zip(self.high or high, high, strict=True)]
        for i in range(min(size, _SHOWN - len(self.examples))):
            place = tuple(int(axis[i]) + start for axis, start in zip(at, origin, strict=True))
            self.examples.append((place, a[i], b[i]))

    def measure(self, gap: NDArray[np.float64] | None, ulp: NDArray[np.uint64] | None) -> None:
        """Keep how far apart elements are at most; those at no finite distance are counted instead."""
        import numpy as np

        if gap is None:
            return
        finite = np.isfinite(gap)
        self.not_finite += len(gap) - int(np.count_nonzero(finite))
        self.max_abs = max(self.max_abs, float(gap[finite].max(initial=0.0)))
        if ulp is not None:
            self.max_ulp = max(self.max_ulp, int(ulp[finite].max(initial=0)))


@dataclass
class ArrayDiff:
    """Collects what differs between the blocks of two arrays of one dtype and shape.

    ``kind`` is that of values that differ; floats at most 4 ulp apart, signed zeros and NaN payloads are
    counted apart as ``float-noise``, and what is within ``tolerance`` (an absolute difference) once more. Of a
    ``picture`` (its rows and columns) the values that differ are counted by place, to be drawn.
    """

    kind: Kind
    where: dict[str, str | int]
    context: Context
    tolerance: float | None = None
    of: int = 0
    axes: tuple[str, ...] = ()
    picture: tuple[int, int] | None = None
    _real: _Tally = field(default_factory=_Tally)
    _noise: _Tally = field(default_factory=_Tally)
    _within: _Tally = field(default_factory=_Tally)
    _pairs: list[tuple[Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have what a picture is drawn of counted."""
        if self.picture is not None:
            self._real.grid = CountGrid(self.picture)

    def add(self, a: NDArray[Any], b: NDArray[Any], origin: Sequence[int]) -> None:
        """Compare two blocks of one dtype and shape; ``origin`` is where they begin in the whole."""
        import numpy as np

        self.of += a.size
        if same_bits(a, b):
            return
        at = np.nonzero(_differing(a, b))
        left, right = a[at], b[at]
        if not len(left):
            return
        ulp: NDArray[np.uint64] | None = None
        if a.dtype.kind in "fc":
            noise, ulp = _noise(left, right)
            self._noise.max_ulp = max(self._noise.max_ulp, int(ulp[noise].max(initial=0)))
            self._noise.add(tuple(axis[noise] for axis in at), origin, left[noise], right[noise])
            at, left, right, ulp = (
                tuple(axis[~noise] for axis in at),
                left[~noise],
                right[~noise],
                ulp[~noise],
            )
        gap = _gap(left, right)
        if gap is not None and self.tolerance is not None:
            within = gap <= self.tolerance
            self._within.max_abs = max(self._within.max_abs, float(gap[within].max(initial=0.0)))
            self._within.add(tuple(axis[within] for axis in at), origin, left[within], right[within])
            at, left, right, gap = (
                tuple(axis[~within] for axis in at),
                left[~within],
                right[~within],
                gap[~within],
            )
            ulp = None if ulp is None else ulp[~within]
        self._real.measure(gap, ulp)
        self._real.add(at, origin, left, right)
        if len(self._pairs) <= _MOST_PAIRS and a.dtype.kind in _CLOCKS:
            self._pairs.extend(zip(_python(left), _python(right), strict=True))

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding per kind of difference that was met."""
        found = []
        if self._real.count:
            found.append(self._values())
        if self._within.count:
            evidence = f"within the tolerance {self.tolerance:g}: at most {self._within.max_abs:g} apart"
            detail = {"max_abs": self._within.max_abs, "tolerance": self.tolerance}
            found.append(self._finding(self.kind, Rung.TOLERANCE, self._within, evidence, detail))
        if self._noise.count:
            evidence = f"at most {self._noise.max_ulp} ulp apart"
            detail = {"max_ulp": self._noise.max_ulp}
            found.append(self._finding(Kind.FLOAT_NOISE, Rung.NOISE, self._noise, evidence, detail))
        return tuple(found)

    def _values(self) -> Finding:
        tally = self._real
        detail: dict[str, Any] = {"max_abs": tally.max_abs} if tally.max_abs else {}
        if tally.max_ulp:
            detail["max_ulp"] = tally.max_ulp
        evidence = f"{tally.count} of {self.of} elements differ"
        if tally.max_abs:
            evidence += f", by at most {tally.max_abs:g}"
        if tally.not_finite:
            detail["not_finite"] = tally.not_finite
            evidence += f", {tally.not_finite} to or from NaN or infinity"
        scalars = all(isinstance(value, _SCALARS) for pair in self._pairs for value in pair)
        if scalars and tally.count <= _MOST_PAIRS and len(self._pairs) == tally.count:
            parts = classify_pairs(self._pairs, self.context)
            if len(parts) == 1 and parts[0].kind in (Kind.TIMESTAMP, Kind.IDENTIFIER, Kind.PATH, Kind.HOST):
                evidence = f"{parts[0].evidence}; {evidence}"
                more = {**detail, **parts[0].detail}
                return self._finding(Kind(parts[0].kind), Rung.VALUE, tally, evidence, more)
        return self._finding(self.kind, Rung.VALUE, tally, evidence, detail)

    def _finding(
        self, kind: Kind, rung: Rung, tally: _Tally, evidence: str, detail: dict[str, Any]
    ) -> Finding:
        names = self.axes or tuple(f"axis {i}" for i in range(len(tally.low)))
        box = {name: [low, high] for name, low, high in zip(names, tally.low, tally.high, strict=False)}
        return Finding(
            kind=kind,
            rung=rung,
            where=self.where,
            count=tally.count,
            of=self.of,
            examples=tuple(
                Example(key={"index": list(place)}, a=scalar(a), b=scalar(b))
                for place, a, b in tally.examples
            ),
            figures=Figures(density=tally.grid.density()) if tally.grid else msgspec.UNSET,
            evidence=evidence + (f"; within {_box_text(box)}" if box else ""),
            detail={**detail, **({"box": box} if box else {})},
        )


def windows(
    shape: Sequence[int], itemsize: int, chunks: Sequence[int] | None = None, most_bytes: int = 32 << 20
) -> Iterator[tuple[slice, ...]]:
    """Yield tuples of slices that cover an array of ``shape`` in whole chunks of about ``most_bytes`` together."""
    if 0 in shape:
        return
    steps = list(chunks or [1] * len(shape))
    for axis in reversed(range(len(steps))):
        size = itemsize
        for step in steps:
            size *= step
        steps[axis] = min(shape[axis], steps[axis] * max(1, most_bytes // max(1, size)))
    ranges = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    for start in product(*ranges):
        yield tuple(
            slice(at, min(at + step, size)) for at, step, size in zip(start, steps, shape, strict=True)
        )


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Return whether two arrays of one dtype and shape hold the same bits."""
    import numpy as np

    if a.dtype.hasobject:
        return False
    left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if left.dtype.itemsize in (1, 2, 4, 8) and left.dtype.kind in "iufb":
        unsigned = f"u{left.dtype.itemsize}"
        return bool(np.array_equal(left.view(unsigned), right.view(unsigned)))
    return left.tobytes() == right.tobytes()


def _differing(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where elements differ in their bits; of objects, where they are unequal or of two types."""
    import numpy as np

    if a.dtype.hasobject:
        pairs = zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)
        return np.array([not _same_object(x, y) for x, y in pairs], dtype=bool).reshape(a.shape)
    if a.dtype.kind == "f" and a.dtype.itemsize in (2, 4, 8):
        unsigned = f"u{a.dtype.itemsize}"
        return np.asarray(np.ascontiguousarray(a).view(unsigned) != np.ascontiguousarray(b).view(unsigned))
    if a.dtype.kind in "iubSU":
        return np.asarray(a != b)
    raw = [np.ascontiguousarray(x).reshape(-1).view(f"V{x.dtype.itemsize}") for x in (a, b)]
    return np.array([x.tobytes() != y.tobytes() for x, y in zip(*raw, strict=True)], dtype=bool).reshape(
        a.shape
    )


def _same_object(a: object, b: object) -> bool:
    import numpy as np

    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and (bool(np.array_equal(a, b)) if a.dtype.hasobject else a.tobytes() == b.tobytes())
        )
    return type(a) is type(b) and (a == b or repr(a) == repr(b))


def _noise(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Return which floats are at most 4 ulp apart (or both NaN), and how many ulp apart all are."""
    import numpy as np

    if a.dtype.kind == "c":
        width = f"f{a.dtype.itemsize // 2}"
        parts = [np.ascontiguousarray(x).view(width).reshape(-1, 2) for x in (a, b)]
        found = [_noise(parts[0][:, i].copy(), parts[1][:, i].copy()) for i in (0, 1)]
        return found[0][0] & found[1][0], np.maximum(found[0][1], found[1][1])
    if a.dtype.itemsize > 8:  # noqa: PLR2004  # no integer holds the bits of a long double
        return np.asarray((a == b) | (np.isnan(a) & np.isnan(b))), np.zeros(len(a), np.uint64)
    bits = []
    for values in (a, b):
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        signed = np.ascontiguousarray(native).view(f"i{native.dtype.itemsize}")
        bits.append(np.where(signed < 0, np.iinfo(signed.dtype).min - signed, signed).astype(np.int64))
    ulp = np.maximum(*bits).view(np.uint64) - np.minimum(*bits).view(np.uint64)
    both = np.isfinite(a) & np.isfinite(b)
    nan = np.isnan(a) & np.isnan(b)
    ulp = np.where(both, ulp, np.uint64(0))
    return np.asarray(nan | (both & (ulp <= MAX_NOISE_ULP))), ulp


def _gap(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return the absolute differences of numbers; infinite where one side is not finite."""
    import numpy as np

    if a.dtype.kind not in "iufc":
        return None
    with np.errstate(all="ignore"):
        if a.dtype.kind == "c":
            gap = np.abs(a.astype("c16") - b.astype("c16"))
        elif a.dtype.kind == "f":
            gap = np.abs(a.astype("f8") - b.astype("f8"))
        else:
            gap = np.maximum(a, b).astype("f8") - np.minimum(a, b).astype("f8")
    return np.where(np.isfinite(gap), gap, np.inf)


def _python(values: NDArray[Any]) -> list[Any]:
    """Return the elements as Python values; bytes that are text as text."""
    listed = values[: _MOST_PAIRS + 1].tolist()
    return [_text(value) if isinstance(value, bytes) else value for value in listed]


def _text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _box_text(box: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} {low}–{high}" for name, (low, high) in box.items())
