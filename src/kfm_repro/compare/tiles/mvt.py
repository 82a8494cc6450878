"""Vector tiles (Mapbox Vector Tile specification 2.1): layers, features, tags and geometries."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Layer", "Tile", "features_differ", "read_tile", "unpacked", "varint"]

_MOST_BYTES = 64 << 20
Feature = tuple[Any, ...]
"""Id, type, geometry commands, and (key, type of the value, value) pairs, sorted: what a feature says."""


@dataclass
class Layer:
    """One layer: its version and extent, and its features in drawing order."""

    name: str = ""
    version: int = 1
    extent: int = 4096
    features: list[Feature] = field(default_factory=list)


Tile = dict[str, Layer]


def unpacked(data: bytes) -> bytes:
    """Return a tile unpacked where it is gzip. Raises ValueError when damaged or too large."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    engine = zlib.decompressobj(31)
    try:
        tile = engine.decompress(data, _MOST_BYTES)
    except zlib.error as exc:
        raise ValueError(str(exc)) from exc
    if not engine.eof or engine.unused_data:
        raise ValueError("a tile that is truncated, too large, or followed by something else")
    return tile


def read_tile(data: bytes) -> Tile:
    """Return the layers of an unpacked vector tile by name. Raises ValueError if it is none.

    Fields that the specification does not know are refused: they might say something.
    """
    tile: Tile = {}
    for number, _, value in _fields(data):
        if number != 3 or not isinstance(value, bytes):  # noqa: PLR2004  # Tile.layers
            raise ValueError(f"field {number} of a tile")
        layer = _layer(value)
        if layer.name in tile:
            raise ValueError("two layers of one name")
        tile[layer.name] = layer
    return tile


def features_differ(a: Layer, b: Layer) -> tuple[int, int, bool]:
    """Return how many features only A has, how many only B, and whether the rest stands in another order."""
    left, right = Counter(a.features), Counter(b.features)
    only = sum((left - right).values()), sum((right - left).values())
    return (*only, a.features != b.features)


def _layer(data: bytes) -> Layer:
    layer = Layer()
    keys: list[str] = []
    values: list[tuple[str, Any]] = []
    raw: list[bytes] = []
    for number, _, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            layer.name = value.decode()
        elif number == 2 and isinstance(value, bytes):  # noqa: PLR2004  # Layer.features; the numbers are the format's
            raw.append(value)
        elif number == 3 and isinstance(value, bytes):  # noqa: PLR2004
            keys.append(value.decode())
        elif number == 4 and isinstance(value, bytes):  # noqa: PLR2004
            values.append(_value(value))
        elif number == 5 and isinstance(value, int):  # noqa: PLR2004
            layer.extent = value
        elif number == 15 and isinstance(value, int):  # noqa: PLR2004
            layer.version = value
        else:
            raise ValueError(f"field {number} of a layer")
    layer.features = [_feature(feature, keys, values) for feature in raw]
    return layer


def _feature(data: bytes, keys: list[str], values: list[tuple[str, Any]]) -> Feature:
    known: dict[int, Any] = {}
    for number, _, value in _fields(data):
        if number not in (1, 2, 3, 4):
            raise ValueError(f"field {number} of a feature")
        if number in known:
            raise ValueError("a field that stands twice in a feature")
        known[number] = value
    tags = _packed(known.get(2, b""))
    try:
        said = [(keys[key], *values[value]) for key, value in zip(tags[::2], tags[1::2], strict=True)]
    except IndexError:
        raise ValueError("a tag that the layer does not have") from None
    if len({key for key, *_ in said}) == len(said):
        said.sort()
    return known.get(1), known.get(3, 0), known.get(4, b""), tuple(said)


_VALUES = {1: "text", 2: "float", 3: "double", 4: "int", 5: "uint", 6: "sint", 7: "bool"}


def _value(data: bytes) -> tuple[str, Any]:
    """Return the type and the value; floats as their bytes, so that every bit counts."""
    fields = list(_fields(data))
    if len(fields) != 1 or fields[0][0] not in _VALUES:
        raise ValueError("a value that is none")
    number, _, value = fields[0]
    return _VALUES[number], str(value) if not isinstance(value, bytes) else value.hex()


def _packed(value: object) -> list[int]:
    if not isinstance(value, bytes):
        raise ValueError("tags that are not packed")  # noqa: TRY004  # a damaged file, not a caller's mistake
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (field number, wire type, value) of a Protocol Buffers message."""
    at = 0
    while at < len(data):
        head, at = varint(data, at)
        number, wire = head >> 3, head & 7
        value: int | bytes
        if wire == 0:
            value, at = varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size], at + size
        elif wire == 2:  # noqa: PLR2004  # length-delimited
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data):
            raise ValueError("a message that ends too early")
        yield number, wire, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of Protocol Buffers; return it and where it ends. Raises ValueError."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:  # noqa: PLR2004  # ten bytes hold 64 bits
            raise ValueError("a number that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004  # the highest bit says that more follow
            return value, at
