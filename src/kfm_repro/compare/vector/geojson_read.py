"""GeoJSON read feature by feature, so that a file costs its features and not its syntax tree."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfm_repro.compare.context import Limits, reading
from kfm_repro.compare.vector.columns import MISSING, canonical
from kfm_repro.compare.vector.numbers import any_exact, decimal_number, doubles, whole_number
from kfm_repro.errors import LimitExceeded

__all__ = ["Features", "check_size", "decoder", "read_geojson"]

_SIZE_FACTOR = 16
"""A file is not held as a tree, so that it may be larger than other documents by this factor."""
_SPACE = re.compile(r"[ \t\n\r]*")
_TYPES = {
    "Point": (1, 0), "LineString": (2, 1), "Polygon": (3, 2),
    "MultiPoint": (4, 1), "MultiLineString": (5, 2), "MultiPolygon": (6, 3), "GeometryCollection": (7, 0),
}  # fmt: skip
_MAX_NESTING = 16
_ORDINATES = (2, 3, 4)
_WKB_OFFSET = {2: 0, 3: 1000, 4: 3000}


@dataclass
class Features:
    """A GeoJSON file as columns while it is being read.

    ``top`` holds the members of the top level besides the features, ``keys`` the order of the keys there.
    ``properties`` and ``members`` (feature-level, ``geometry`` excepted) have one value per feature, with
    `MISSING` where it has none. ``wkb`` is built from the very doubles of the file; a geometry that does
    not fit is its canonical JSON text instead. ``extras`` are members of geometries beside the coordinates.
    ``orders`` are the orders of the keys of each feature and of its properties. ``exact`` says that the file
    may hold numbers that no double holds.
    """

    top: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    count: int = 0
    properties: dict[str, list[Any]] = field(default_factory=dict)
    members: dict[str, list[Any]] = field(default_factory=dict)
    wkb: list[bytes | None] = field(default_factory=list)
    extras: list[Any] = field(default_factory=list)
    orders: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    seen: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    exact: bool = False

    def add(self, feature: dict[str, Any]) -> None:
        """Take in one feature; raises ValueError when it is none."""
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise ValueError("a member of features is no Feature")
        members = {k: v for k, v in feature.items() if k not in ("type", "geometry", "properties")}
        properties = feature.get("properties", MISSING)
        if not isinstance(properties, dict):
            members["properties"] = properties
            properties = {}
        value = feature.get("geometry", MISSING)
        wkb, extra = _geometry(value, exact=self.exact)
        self.wkb.append(wkb)
        self.extras.append(extra)
        _append(self.properties, properties, self.count)
        _append(self.members, members, self.count)
        self.orders.append((self._shared(tuple(feature)), self._shared(tuple(properties))))
        self.count += 1

    def _shared(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """Return one object for equal orders: most files have one or two."""
        return self.seen.setdefault(order, order)

    def finish(self) -> None:
        """Fill up columns that the last features do not have."""
        for columns in (self.properties, self.members):
            for column in columns.values():
                column.extend([MISSING] * (self.count - len(column)))


def read_geojson(path: Path, limits: Limits) -> Features:
    """Read a FeatureCollection, a Feature or a bare geometry.

    Raises Unreadable for what is no GeoJSON (invalid JSON, duplicate keys, another document), and
    LimitExceeded for a file above 16 times ``limits.document_bytes``.
    """
    check_size(path, limits)
    with reading(path, "GeoJSON", RecursionError, struct.error, OverflowError):
        found = _Reader(path.read_bytes().decode("utf-8-sig")).collection()
        if found.count == 0 and "features" not in found.keys:
            _single(found)
        elif found.top.get("type") != "FeatureCollection":
            raise ValueError("no FeatureCollection")
        found.finish()
        return found


class _Reader:
    """Walks the top level by hand and lets the JSON decoder take one value at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._exact = any_exact(text)
        self._decoder = decoder(exact=self._exact)
        self._at = 0

    def collection(self) -> Features:
        found = Features(exact=self._exact)
        keys = []
        for key in self._object_keys():
            if key in keys:
                raise ValueError(f"duplicate key {key[:80]!r}")
            keys.append(key)
            if key == "features" and self._peek() == "[":
                for feature in self._elements():
                    found.add(feature)
            else:
                found.top[key] = self._value()
        if self._peek():
            raise ValueError("text after the document")
        found.keys = tuple(keys)
        return found

    def _peek(self) -> str:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str) -> str:
        found = self._peek()
        if not found or found not in expected:
            raise ValueError(f"expected one of {expected} at character {self._at}")
        self._at += 1
        return found

    def _value(self) -> Any:  # noqa: ANN401 - any JSON value
        self._peek()
        value, self._at = self._decoder.raw_decode(self._text, self._at)
        return value

    def _object_keys(self) -> Iterator[str]:
        self._take("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("a key is no text")  # noqa: TRY004 - what is wrong is the file
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def _elements(self) -> Iterator[Any]:
        self._take("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return


def decoder(*, exact: bool) -> json.JSONDecoder:
    """Return what decodes a JSON text and refuses duplicate keys; ``exact``: some number may be no double."""
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_float=decimal_number if exact else None,
        parse_int=whole_number if exact else None,
    )


def check_size(path: Path, limits: Limits) -> None:
    """Raise LimitExceeded for a file above 16 times ``limits.document_bytes``."""
    if path.stat().st_size > _SIZE_FACTOR * limits.document_bytes:
        raise LimitExceeded(f"GeoJSON of more than {_SIZE_FACTOR * limits.document_bytes} bytes")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A key that begins with NUL gets another one: such keys are marks in canonical texts.
    found = {"\x00" + key if key.startswith("\x00") else key: value for key, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("an object has duplicate keys")
    return found


def _single(found: Features) -> None:
    """Make a Feature or a bare geometry the one feature of the file."""
    kind = found.top.get("type")
    if kind == "Feature":
        found.add(found.top)
    elif kind in _TYPES:
        found.add({"type": "Feature", "properties": {}, "geometry": found.top})
    else:
        raise ValueError("neither FeatureCollection, Feature nor geometry")
    found.top = {"type": kind if kind == "Feature" else "geometry"}


def _append(columns: dict[str, list[Any]], row: dict[str, Any], count: int) -> None:
    for name, value in row.items():
        column = columns.setdefault(name, [])
        column.extend([MISSING] * (count - len(column)))
        column.append(value)


def _geometry(value: object, *, exact: bool) -> tuple[bytes | None, object]:
    """Return WKB (or canonical text) and what no WKB can hold: further members, numbers beyond a double.

    ``exact`` says that there may be such numbers; the WKB then has the doubles nearest to them.
    """
    if value is None:
        return None, None
    if value is MISSING:
        return None, "missing"
    if isinstance(value, dict):
        extra = {k: v for k, v in value.items() if k not in ("type", "coordinates", "geometries")}
        beyond: list[str] = []
        try:
            wkb = _wkb(doubles(value, beyond) if exact else value, 0)
        except (ValueError, TypeError, KeyError, OverflowError, struct.error):
            pass
        else:
            if beyond:
                extra["\x00exact ordinates"] = beyond
            return wkb, extra or None
    return canonical(value).encode(), None


def _wkb(value: dict[str, Any], depth: int) -> bytes:
    """Return the ISO WKB of a geometry, or raise ValueError when WKB would not hold all that it says."""
    code, level = _TYPES[value["type"]]
    if depth > _MAX_NESTING:
        raise ValueError("too deep")
    if value["type"] == "GeometryCollection":
        if "coordinates" in value or not all(_is_plain(member) for member in value["geometries"]):
            raise ValueError("members that WKB cannot hold")
        inner = [_wkb(member, depth + 1) for member in value["geometries"]]
        return struct.pack("<BII", 1, code, len(inner)) + b"".join(inner)
    if "geometries" in value:
        raise ValueError("members that WKB cannot hold")
    coordinates = value["coordinates"]
    size = _ordinates(coordinates)
    return _BODIES[level](code, coordinates, size)


def _is_plain(member: object) -> bool:
    """Return whether a member of a collection has nothing but its type and its coordinates or members."""
    return isinstance(member, dict) and set(member) <= {"type", "coordinates", "geometries"}


def _ordinates(coordinates: Any) -> int:  # noqa: ANN401 - nested lists
    """Return the number of ordinates of the first position; 2 when there is none."""
    at = coordinates
    while isinstance(at, list) and at and isinstance(at[0], list):
        at = next((member for member in at if member), [])
    size = len(at) if at and not isinstance(at[0], list) else 2
    if size not in _ORDINATES:
        raise ValueError("positions of an odd size")
    return size


def _doubles(position: Any, size: int) -> bytes:  # noqa: ANN401 - whatever stands in the file
    if len(position) != size:
        raise ValueError("positions of several sizes")
    return _floats(position)


def _floats(values: list[Any]) -> bytes:
    for value in values:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError("a coordinate is no finite number")
        if type(value) is int and float(value) != value:
            raise ValueError("a coordinate is no double")
    return struct.pack(f"<{len(values)}d", *values)


def _chain(positions: list[Any], size: int) -> bytes:
    if not isinstance(positions, list) or any(len(position) != size for position in positions):
        raise ValueError("positions of several sizes")
    return struct.pack("<I", len(positions)) + _floats(
        [number for position in positions for number in position]
    )


def _header(code: int, size: int) -> bytes:
    return struct.pack("<BI", 1, code + _WKB_OFFSET[size])


def _point(code: int, position: Any, size: int) -> bytes:  # noqa: ANN401
    if position == []:
        return _header(code, size) + struct.pack("<2d", math.nan, math.nan)
    return _header(code, size) + _doubles(position, size)


def _line_or_points(code: int, positions: Any, size: int) -> bytes:  # noqa: ANN401
    if code == _TYPES["LineString"][0]:
        return _header(code, size) + _chain(positions, size)
    return _many(code, [_point(1, position, size) for position in _full(positions)], size)


def _rings_or_lines(code: int, chains: Any, size: int) -> bytes:  # noqa: ANN401
    if code == _TYPES["Polygon"][0]:
        return _many(code, [_chain(chain, size) for chain in _listed(chains)], size)
    return _many(code, [_header(2, size) + _chain(chain, size) for chain in _listed(chains)], size)


def _polygons(code: int, polygons: Any, size: int) -> bytes:  # noqa: ANN401
    return _many(code, [_rings_or_lines(3, polygon, size) for polygon in _listed(polygons)], size)


def _many(code: int, members: list[bytes], size: int) -> bytes:
    return _header(code, size) + struct.pack("<I", len(members)) + b"".join(members)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _full(value: Any) -> list[Any]:  # noqa: ANN401
    if any(not position for position in _listed(value)):
        raise ValueError("an empty position among others")
    return _listed(value)


_BODIES: dict[int, Callable[[int, Any, int], bytes]] = {
    0: _point,
    1: _line_or_points,
    2: _rings_or_lines,
    3: _polygons,
}
