"""Well-known binary, read so that no blob can crash or exhaust the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["geometries", "strip_header", "strip_headers"]

_MAX_NESTING = 32
_HEADER = 5
_POINT, _LINE, _POLYGON, _FIRST_MULTI = 1, 2, 3, 4
_SIMPLE = frozenset(struct.pack("<BI", 1, kind) for kind in (_POINT, _LINE, _POLYGON))
"""How most values begin; they nest nothing."""
_SRID_FLAG = 0x2000_0000
_ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_GPB_HEADER = 8
_GPB_FLAGS = 4
"""Bytes of a GeoPackageBinary blob that say how long its header is."""


def geometries(values: Sequence[bytes | None]) -> npt.NDArray[np.object_]:
    """Return the shapely geometry of each WKB value, None for a null and for what cannot be read.

    Curves, surfaces and collections nested deeper than 32 are not read: the library cannot.
    """
    import numpy as np
    import shapely

    safe = np.empty(len(values), object)
    safe[:] = [
        value if isinstance(value, bytes) and (value[:_HEADER] in _SIMPLE or not _too_deep(value)) else None
        for value in values
    ]
    try:
        return np.asarray(shapely.from_wkb(safe, on_invalid="ignore"), dtype=object)
    except NotImplementedError:
        found = np.empty(len(values), object)
        found[:] = [_one(value) for value in safe]
        return found


def strip_header(blob: bytes) -> tuple[bytes, bytes]:
    """Split a GeoPackageBinary blob into header and WKB; a blob of another shape has no header.

    The header is flags, SRS id and envelope: GeoPackage 1.4, clause 2.1.3.
    """
    if len(blob) < _GPB_HEADER or blob[:2] != b"GP":
        return b"", blob
    size = _GPB_HEADER + _ENVELOPE_BYTES.get((blob[3] >> 1) & 7, len(blob))
    return (b"", blob) if size > len(blob) else (blob[:size], blob[size:])


def strip_headers(values: Sequence[object]) -> tuple[list[bytes], list[bytes]] | None:
    """Return `strip_header` of many blobs at once, headers and bodies; None where they are not all of one layout."""
    if not values or set(map(type, values)) != {bytes}:
        return None
    blobs = cast("Sequence[bytes]", values)
    size = len(strip_header(min(blobs, key=len))[0])
    if not size or len({blob[:_GPB_FLAGS] for blob in blobs}) > 1:
        return None
    return [blob[:size] for blob in blobs], [blob[size:] for blob in blobs]


def _one(value: bytes | None) -> object:
    import shapely

    try:
        return shapely.from_wkb(value, on_invalid="ignore")
    except NotImplementedError:
        return None


def _too_deep(value: bytes) -> bool:
    """Return whether multi-geometries or collections nest deeper than 32, without recursion."""
    if len(value) < _HEADER or value[0] > 1 or _code(value, 0)[0] < _FIRST_MULTI:
        return False
    left: list[int] = []
    offset = 0
    try:
        while True:
            offset, members = _step(value, offset)
            if members:
                left.append(members)
            else:
                while left and left[-1] <= 1:
                    left.pop()
                if not left:
                    return False
                left[-1] -= 1
            if len(left) > _MAX_NESTING:
                return True
    except struct.error:
        return False


def _step(value: bytes, offset: int) -> tuple[int, int]:
    """Read one header and what belongs to it; return the next offset and how many members follow."""
    kind, dimensions, body = _code(value, offset)
    order = "<" if value[offset] == 1 else ">"
    if kind == _POINT:
        return body + 8 * dimensions, 0
    (count,) = struct.unpack_from(order + "I", value, body)
    body += 4
    if kind == _LINE:
        return body + 8 * dimensions * count, 0
    if kind == _POLYGON:
        for _ in range(count):
            (vertices,) = struct.unpack_from(order + "I", value, body)
            body += 4 + 8 * dimensions * vertices
        return body, 0
    return body, count


def _code(value: bytes, offset: int) -> tuple[int, int, int]:
    """Return the base type, the number of ordinates and the offset behind the header (ISO and extended)."""
    order = "<" if value[offset : offset + 1] == b"\x01" else ">"
    (code,) = struct.unpack_from(order + "I", value, offset + 1)
    plain = code & 0x0FFF_FFFF
    extended = bool(code & 0x8000_0000) + bool(code & 0x4000_0000)
    ordinates = 2 + extended + (0, 1, 1, 2, 0)[min(plain // 1000, 4)]
    return plain % 1000, ordinates, offset + (_HEADER + 4 if code & _SRID_FLAG else _HEADER)
