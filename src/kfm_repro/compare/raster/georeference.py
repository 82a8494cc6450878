"""What a GeoTIFF says of its place that GDAL does not hand out: heights, further tie points, vertical keys.

OGC GeoTIFF 1.1 (19-008r4), sections 7.1 and 7.2; the RPC tag of the RPCs in GeoTIFF note of 2003.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kfm_repro.compare.noise.floats import distance
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfm_repro.compare.raster.tiff import Directory

__all__ = ["place_findings"]

_SCALE, _TIES, _MATRIX, _RPC = 33550, 33922, 34264, 50844
_KEYS, _DOUBLES, _TEXTS = 34735, 34736, 34737
_HORIZONTAL = range(1024, 4096)
"""Keys from which GDAL makes the reference system that is compared as such; the heights begin at 4096."""
_RASTER_TYPE = 1025
_ROTATED = frozenset((0, 1, 3, 4, 5, 7))
"""Elements of the matrix that the geotransform holds."""


def place_findings(a: Directory, b: Directory, told: Sequence[Finding]) -> list[Finding]:
    """Return what differs in the georeference beside what was ``told`` of the page by its meaning."""
    kinds = {finding.kind for finding in told if finding.rung is Rung.VALUE}
    found: list[Finding] = []
    if Kind.GEOTRANSFORM not in kinds:
        for what, of in (("heights and tie points", _heights), ("rational polynomials", _polynomials)):
            values = of(a), of(b)
            if not _alike(*values):
                found.append(_one(Kind.GEOTRANSFORM, what, *values, _rung(*values)))
    if Kind.CRS not in kinds:
        keys = _keys(a), _keys(b)
        found += [
            _one(Kind.CRS, f"GeoKey {key}", keys[0].get(key), keys[1].get(key), Rung.VALUE)
            for key in sorted({*keys[0], *keys[1]})
            if keys[0].get(key) != keys[1].get(key)
        ]
    return found


def _one(kind: Kind, what: str, a: object, b: object, rung: Rung) -> Finding:
    example = Example(key={"field": what}, a=scalar(a), b=scalar(b))
    return Finding(kind=kind, rung=rung, examples=(example,), evidence=what)


def _alike(a: list[float], b: list[float]) -> bool:
    return struct.pack(f"<{len(a)}d", *a) == struct.pack(f"<{len(b)}d", *b)


def _rung(a: list[float], b: list[float]) -> Rung:
    near = len(a) == len(b) and all(distance(x, y).noise for x, y in zip(a, b, strict=True))
    return Rung.NOISE if near else Rung.VALUE


def _heights(directory: Directory) -> list[float]:
    """Return the heights of scale and tie points, further tie points, the rest of the matrix and what it overrides."""
    scale, ties, matrix = (directory.doubles(tag) for tag in (_SCALE, _TIES, _MATRIX))
    if matrix:
        return [*(value for place, value in enumerate(matrix) if place not in _ROTATED), *scale, *ties]
    return [
        *(scale[2:] or (0.0,)),
        *(ties[2:3] or (0.0,)),
        *(ties[5:6] or (0.0,)),
        *ties[6:],
    ]


def _polynomials(directory: Directory) -> list[float]:
    return list(directory.doubles(_RPC))


def _keys(directory: Directory) -> dict[int, object]:
    """Return the keys that are of no horizontal reference system, by number, with their values."""
    entries = directory.numbers(_KEYS)
    doubles, texts = directory.doubles(_DOUBLES), directory.fields.get(_TEXTS, (0, b""))[1]
    found: dict[int, object] = {}
    for at in range(4, len(entries) - 3, 4):
        key, place, count, value = entries[at : at + 4]
        if key in _HORIZONTAL and key != _RASTER_TYPE:
            continue
        if place == _DOUBLES:
            found[key] = list(doubles[value : value + count])
        elif place == _TEXTS:
            found[key] = texts[value : value + count].rstrip(b"|\0").decode("utf-8", "replace")
        else:
            found[key] = value
    return found
