"""NumPy's own files (``.npy``): header, then the elements. Arrays of objects are pickles and stay closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.blocks import windows
from kfm_repro.compare.arrays.fields import FieldDiffs
from kfm_repro.compare.context import reading
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare"]


_BLOCK = 1 << 20


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two ``.npy`` files (NumPy enhancement proposal 1): dtype, shape, order of the axes, elements.

    In which order the bytes of a number stand says nothing. Raises Unreadable, and LimitExceeded for arrays of Python
    objects, which are pickles.
    """
    import numpy as np

    left, right = _opened(a), _opened(b)
    dtype = left.dtype.newbyteorder("=")
    if left.shape != right.shape or dtype != right.dtype.newbyteorder("="):
        return (_shape_finding(left, right),)
    diff = FieldDiffs(Kind.VALUE, {}, context, context.options.tolerance.get("*"))
    for window in windows(left.shape, left.dtype.itemsize):
        mine, theirs = (np.asarray(side[window], dtype) for side in (left, right))
        diff.add(mine, theirs, [part.start for part in window])
    found = diff.findings()
    if not _same_rest((a, left), (b, right)):
        evidence = "bytes after the last element"
        found = (*found, Finding(kind=Kind.BYTES, rung=Rung.VALUE, evidence=evidence))
    return found


def _opened(path: Path) -> Any:  # noqa: ANN401  # a memory map of any dtype
    import tokenize

    import numpy as np

    with reading(path, "a NumPy array", OverflowError, SyntaxError, tokenize.TokenError):
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as exc:
            if "object" in str(exc).lower():
                text = "an array of Python objects is a pickle, and pickles are not loaded"
                raise LimitExceeded(text) from None
            if "empty" not in str(exc):
                raise
        return np.load(path, allow_pickle=False)  # no elements, which nothing can map


def _same_rest(*sides: tuple[Path, Any]) -> bool:
    """Return whether the same bytes follow the last element."""
    with sides[0][0].open("rb") as left, sides[1][0].open("rb") as right:
        for file, (path, array) in zip((left, right), sides, strict=True):
            file.seek(getattr(array, "offset", path.stat().st_size) + array.nbytes)
        while True:
            blocks = left.read(_BLOCK), right.read(_BLOCK)
            if blocks[0] != blocks[1] or not blocks[0]:
                return blocks[0] == blocks[1]


def _shape_finding(a: Any, b: Any) -> Finding:  # noqa: ANN401  # as above
    same = a.shape == b.shape
    example = Example(a=f"{a.dtype} {list(a.shape)}", b=f"{b.dtype} {list(b.shape)}")
    evidence = "another dtype" if same else "another shape"
    return Finding(
        kind=Kind.TYPE if same else Kind.SCHEMA, rung=Rung.VALUE, examples=(example,), evidence=evidence
    )
