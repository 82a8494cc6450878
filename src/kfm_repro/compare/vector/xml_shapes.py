"""Geometries of KML (OGC 12-007r2) and GML 2 and 3 (ISO 19136) as well-known binary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from kfm_repro.compare.vector.xml_read import canonical, local, text_of

if TYPE_CHECKING:
    Positions = list[list[float]]

__all__ = ["GEOMETRIES", "wkb_of"]

GEOMETRIES = frozenset(
    {
        "Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiCurve", "MultiPolygon",
        "MultiSurface", "MultiGeometry", "Curve", "Surface", "CompositeCurve", "CompositeSurface", "Solid", "Model",
        "Track", "MultiTrack",
    }
)  # fmt: skip
_OUTER, _INNER = ("exterior", "outerBoundaryIs"), ("interior", "innerBoundaryIs")
_WRAPPED = {"Curve": ("segments", "LineStringSegment"), "Surface": ("patches", "PolygonPatch")}
_MULTI = {
    "MultiPoint": "multipoints", "MultiLineString": "multilinestrings", "MultiCurve": "multilinestrings",
    "MultiPolygon": "multipolygons", "MultiSurface": "multipolygons", "MultiGeometry": "geometrycollections",
}  # fmt: skip
_TYPES = {"multipoints": {0}, "multilinestrings": {1}, "multipolygons": {3}}
_SIZES = (2, 3)


def wkb_of(element: Element, *, swap: bool = False) -> bytes:
    """Return the ISO WKB of a geometry; ``swap`` exchanges the first two ordinates.

    What is no plain geometry is the text of the element instead, which no reader takes for WKB.
    """
    import shapely

    _hand_down(element)
    try:
        shape = _shape(element)
        if swap:
            shape = shapely.transform(
                shape, lambda c: c[:, [1, 0, *range(2, c.shape[1])]], include_z=shape.has_z
            )
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, shapely.errors.GEOSException):
        return canonical(element).encode()
    found: bytes = shapely.to_wkb(shape, output_dimension=4, byte_order=1, flavor="iso")
    return found


def _shape(element: Element) -> Any:  # noqa: ANN401 - a shapely geometry
    import shapely

    name = local(element)
    if name in _MULTI:
        kind = _MULTI[name]
        members = [_shape(member) for member in _members(element)]
        types = {shapely.get_type_id(member) for member in members}
        if kind in _TYPES and not types <= _TYPES[kind]:
            raise ValueError("members of another type")
        # KML has one multi-geometry for all; readers take one of points for a MultiPoint, and so on.
        kind = next((multi for multi, own in _TYPES.items() if types == own), kind)
        return getattr(shapely, kind)(members) if members else shapely.from_wkt(f"{kind[:-1]} EMPTY")
    if name in _WRAPPED:
        outer, inner = _WRAPPED[name]
        (held,) = [child for child in element if local(child) == outer]
        (element,) = [child for child in held if local(child) == inner]
        name = "LineString" if name == "Curve" else "Polygon"
    if name == "Point":
        (position,) = _positions(element)
        return shapely.Point(position)
    if name in ("LineString", "LinearRing"):
        return shapely.LineString(_positions(element))
    if name != "Polygon":
        raise ValueError("no plain geometry")
    (shell,) = _rings(element, _OUTER)
    return shapely.Polygon(shell, list(_rings(element, _INNER)))


def _hand_down(element: Element) -> None:
    """Give every part the number of ordinates that its geometry states (GML 3.2.1, clause 10.1.3.2)."""
    for child in element:
        if "srsDimension" in element.attrib:
            child.attrib.setdefault("srsDimension", element.attrib["srsDimension"])
        _hand_down(child)


def _members(element: Element) -> Iterable[Element]:
    """Return the geometries in a multi-geometry: children themselves (KML), or held by members (GML)."""
    for child in element:
        if local(child) in GEOMETRIES:
            yield child
        elif local(child).endswith(("Member", "Members")):
            yield from child


def _rings(element: Element, names: tuple[str, str]) -> Iterable[Positions]:
    for side in element:
        if local(side) in names:
            for ring in side:
                if local(ring) != "LinearRing":
                    raise ValueError("a boundary that is no ring of lines")
                yield _positions(ring)


def _positions(element: Element) -> Positions:
    """Return the positions of a point, a line or a ring, in whichever way they are written."""
    found: Positions = []
    for child in element:
        reader = _READERS.get(local(child))
        if reader is not None:
            found += reader(child, element)
    if len({len(position) for position in found}) != 1 or len(found[0]) not in _SIZES:
        raise ValueError("positions of several sizes, or none")
    if not all(math.isfinite(number) for position in found for number in position):
        raise ValueError("a coordinate is no finite number")
    return found


def _coordinates(element: Element, parent: Element) -> Positions:
    """Read ``x,y[,z]`` between white space; other separators of GML 2 are not read."""
    del parent
    if set(element.attrib) & {"decimal", "cs", "ts"} and (
        element.get("decimal", "."), element.get("cs", ","), element.get("ts", " ")
    ) != (".", ",", " "):  # fmt: skip
        raise ValueError("other separators")
    return [[_number(number) for number in position.split(",")] for position in text_of(element).split()]


def _number(text: str) -> float:
    """Return a number as XML writes it; Python reads underscores and digits of other scripts as well."""
    if "_" in text or not text.isascii():
        raise ValueError("a coordinate is no number")
    return float(text)


def _pos(element: Element, parent: Element) -> Positions:
    del parent
    return [[_number(number) for number in text_of(element).split()]]


def _pos_list(element: Element, parent: Element) -> Positions:
    size = int(element.get("srsDimension") or parent.get("srsDimension") or 2)
    numbers = [_number(number) for number in text_of(element).split()]
    if size not in _SIZES or len(numbers) % size:
        raise ValueError("a list of no whole positions")
    return [numbers[at : at + size] for at in range(0, len(numbers), size)]


_READERS: dict[str, Callable[[Element, Element], Positions]] = {
    "coordinates": _coordinates,
    "pos": _pos,
    "posList": _pos_list,
}
