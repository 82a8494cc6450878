"""The headers of geometries in a GeoPackage (GeoPackage 1.4, clause 2.1.3), held against their geometries."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.samples import scalar
from kfm_repro.compare.vector.extent import extents_of, fitting
from kfm_repro.compare.vector.wkb import geometries, strip_header, strip_headers
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from kfm_repro.compare.vector.extent import Bools, Floats

__all__ = ["BEGINNING", "belied", "split", "stated_extents"]

_EMPTY, _EXTENDED = 0x10, 0x20
_ENVELOPES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}
"""Doubles in an envelope by its kind."""
_HIGH = (2, 4)
"""The kinds of envelope in which heights follow."""
_HEAD, BEGINNING = 8, 40
"""Bytes before the envelope, and up to the end of one in two dimensions."""


def split(names: Sequence[str], *sides: dict[str, list[Any]]) -> list[list[bytes | None]]:
    """Cut the headers off the geometries of both sides, in place, and return them.

    ``names`` are the geometry columns of A and of B. A header is empty where a value has none, and None where
    there is no value.
    """
    heads: list[list[bytes | None]] = []
    for name, columns in zip(names, sides, strict=True):
        head, bodies = _split_column(columns.get(name, []))
        heads.append(head)
        if name in columns:
            columns[name] = bodies
    return heads


def _split_column(values: list[Any]) -> tuple[list[bytes | None], list[Any]]:
    """Return the headers of geometries and what follows them."""
    at_once = strip_headers(values)
    if at_once is not None:
        return list(at_once[0]), at_once[1]
    cut = {at: strip_header(value) for at, value in enumerate(values) if isinstance(value, bytes)}
    headless = [None if value is None else b"" for value in values]
    heads = [cut[at][0] if at in cut else headless[at] for at in range(len(values))]
    return heads, [cut[at][1] if at in cut else value for at, value in enumerate(values)]


def belied(
    layer: str, names: Sequence[str], heads: list[list[bytes | None]], *sides: Mapping[str, list[Any]]
) -> list[Finding]:
    """Report headers that say of their geometry what it is not, and that one side alone has.

    Readers take the envelope for the extent of the geometry, and a flag for whether it is empty. ``heads`` is
    what `split` returned, ``sides`` the columns that it left.
    """
    bodies = [columns.get(name, []) for name, columns in zip(names, sides, strict=True)]
    odd = [_wrong(*side) for side in zip(heads, bodies, strict=True)]
    if not any(odd):
        return []
    known = [{*zip(*side, strict=True)} for side in zip(heads, bodies, strict=True)]
    wrong = [
        [row[0] for row in side if row not in other] for side, other in zip(odd, reversed(known), strict=True)
    ]
    if Counter(wrong[0]) == Counter(wrong[1]):
        return []
    a, b = (scalar(found[0]) if found else None for found in wrong)
    which = "A" if len(wrong[0]) > len(wrong[1]) else "B"
    return [
        Finding(
            kind=Kind.EXTENT_METADATA,
            rung=Rung.VALUE,
            where={"layer": layer, "column": names[0]},
            count=max(map(len, wrong)),
            examples=(Example(a=a, b=b),),
            evidence=f"headers of geometries in {which} state an extent, or to be empty, which the geometries are not",
        )
    ]


def stated_extents(beginnings: Sequence[bytes | None]) -> Floats | None:
    """Return the extent of each geometry by its first `BEGINNING` bytes, float64 of shape (n, 6), z as NaN.

    That is the envelope of the header, or a point itself; NaN for none and for empty ones. None where the
    beginning of a geometry does not tell, or has its numbers the other way round.
    """
    import numpy as np

    padded = b"".join((head or b"GP\0\x11").ljust(BEGINNING, b"\0") for head in beginnings)
    heads = np.frombuffer(padded, np.uint8).reshape(-1, BEGINNING)
    flags = heads[:, 3]
    kind, empty = (flags >> 1) & 7, (flags & _EMPTY) != 0
    envelope = heads[:, _HEAD:].copy().view("<f8")
    is_point = (kind == 0) & (heads[:, _HEAD] == 1) & (heads[:, 9:13].copy().view("<u4")[:, 0] % 1000 == 1)
    known = (heads[:, :2] == np.frombuffer(b"GP", np.uint8)).all(axis=1) & ((flags & 1) == 1)
    if not (known & (empty | is_point | np.isin(kind, (1, 2, 3, 4)))).all():
        return None
    point = heads[:, 13:29].copy().view("<f8")
    bounds = np.where(is_point[:, None], point[:, [0, 0, 1, 1]], envelope)
    found = np.full((len(heads), 6), np.nan)
    found[:, [0, 3, 1, 4]] = np.where(empty[:, None], np.nan, bounds)
    return found


def _wrong(heads: Sequence[bytes | None], bodies: Sequence[Any]) -> list[tuple[bytes, Any]]:
    """Return the headers that do not fit the geometry they stand before, with it; those of unreadable ones fit."""
    import numpy as np
    import shapely

    asked = [(head, body) for head, body in zip(heads, bodies, strict=True) if head]
    if not asked:
        return []
    shapes = geometries([body if isinstance(body, bytes) else None for _, body in asked])
    marks = np.frombuffer(b"".join(head[2:4] for head, _ in asked), np.uint8).reshape(-1, 2)
    version, flags = marks[:, 0], marks[:, 1]
    stated, states = _envelopes([head for head, _ in asked], flags)
    odd = (version != 0) | ((flags & _EXTENDED) != 0)
    odd |= ((flags & _EMPTY) != 0) != shapely.is_empty(shapes)
    odd |= states & ~fitting(stated, extents_of(shapes), single=True)
    return [asked[at] for at in np.flatnonzero(odd & ~shapely.is_missing(shapes)).tolist()]


def _envelopes(heads: Sequence[bytes], flags: npt.NDArray[np.uint8]) -> tuple[Floats, Bools]:
    """Return the extents that headers state, float64 of shape (n, 6) with NaN for what they do not, and which do."""
    import numpy as np

    stated, states = np.full((len(heads), 6), np.nan), np.zeros(len(heads), np.bool_)
    for flag in np.unique(flags).tolist():
        kind = (flag >> 1) & 7
        count = _ENVELOPES.get(kind, 0)
        if not count:
            continue
        at = np.flatnonzero(flags == flag)
        numbers = b"".join(heads[i][_HEAD : _HEAD + 8 * count] for i in at.tolist())
        bounds = np.frombuffer(numbers, "<f8" if flag & 1 else ">f8").reshape(-1, count)
        states[at] = True
        stated[at[:, None], [0, 3, 1, 4]] = bounds[:, :4]
        if kind in _HIGH:
            stated[at[:, None], [2, 5]] = bounds[:, 4:6]
    return stated, states
