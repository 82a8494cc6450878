"""GML 2 and 3 (ISO 19136): members of a feature collection are features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from kfm_repro.compare.context import Context, Limits, reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.vector.crs import compare_crs, ground_of
from kfm_repro.compare.vector.crs import parse as parse_crs
from kfm_repro.compare.vector.extent import each_extent, whole_extent
from kfm_repro.compare.vector.markup import Features, compare_features, references
from kfm_repro.compare.vector.xml_read import (
    GML_ID,
    NIL,
    canonical,
    local,
    loose_texts,
    parse,
    said_besides,
    take_out,
    text_of,
)
from kfm_repro.compare.vector.xml_shapes import GEOMETRIES, wkb_of
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.vector.extent import Floats

__all__ = ["compare"]

_MEMBERS = ("featureMember", "featureMembers", "member")
_BOX = "boundedBy"
_HOLDERS = frozenset(
    {
        *GEOMETRIES, "coordinates", "pos", "posList", "exterior", "interior", "outerBoundaryIs", "innerBoundaryIs",
        "segments", "LineStringSegment", "patches", "PolygonPatch", "pointMember", "pointMembers", "lineStringMember",
        "curveMember", "curveMembers", "polygonMember", "surfaceMember", "surfaceMembers", "geometryMember",
        "geometryMembers",
    }
)  # fmt: skip
"""Elements of a geometry that hold its coordinates and nothing else."""
_PLAIN_NILS = ("true", "1")
_PLANE = (0, 1, 3, 4)


class _Reader:
    """One document being read: its features, their reference systems, their boxes."""

    def __init__(self, path: Path, root: Element) -> None:
        self.found = Features(path.stem, root, numbers=("@id", "@geometry id"), referred=references(root))
        self.systems: list[str] = []
        self.boxes: list[Element | None] = []
        self.whole: Element | None = None

    def read(self) -> None:
        root = self.found.rest
        for child in list(root):
            if local(child) in _MEMBERS and len(child):
                for feature in child:
                    self._add(feature, child)
                take_out(child, root)
            elif local(child) == _BOX:
                self.whole = child
                take_out(child, root)
        if not self.found.rows and local(root) != "FeatureCollection":
            raise ValueError("no collection of features")
        self._say_of_all("srsName", "geometry property")
        if self._boxes_fit():
            self.found.follows = (_BOX,)

    def _say_of_all(self, *labels: str) -> None:
        """Say of features without a geometry what all others say of theirs: it tells them from none."""
        for label in labels:
            said = {row[label] for row in self.found.rows if label in row}
            for row, wkb in zip(self.found.rows, self.found.wkb, strict=True):
                if wkb is None and len(said) == 1:
                    row.setdefault(label, *said)

    def _add(self, feature: Element, member: Element) -> None:
        row: list[tuple[str, str | None]] = [("feature type", feature.tag)]
        row += [(f"member/@{name}", value) for name, value in sorted(member.items())]
        row += [("@id" if name in GML_ID else f"@{name}", value) for name, value in sorted(feature.items())]
        wkb: bytes | None = None
        box = None
        for child in feature:
            shape = next((inner for inner in child if local(inner) in GEOMETRIES), None)
            if local(child) == _BOX:
                box = child
                row.append((_BOX, canonical(child)))
            elif shape is not None and wkb is None and len(child) == 1:
                wkb = self._shape(shape, row)
                row.append(("geometry property", local(child)))
                row += [(f"geometry property/@{name}", value) for name, value in sorted(child.items())]
            else:
                row.append((_label(child, feature), _value(child)))
        loose = [
            *loose_texts(feature),
            *(text for text in (text_of(member), (feature.tail or "").strip()) if text),
        ]
        if loose:
            row.append(("text between elements", str(loose)))
        self.boxes.append(box)
        self.found.add(row, wkb)

    def _shape(self, shape: Element, row: list[tuple[str, str | None]]) -> bytes:
        system = shape.get("srsName", "")
        if system not in self.systems:
            self.systems.append(system)
        row.append(("srsName", system))
        ids = [part.attrib.pop(name) for part in shape.iter() for name in GML_ID if name in part.attrib]
        if ids:
            row.append(("@geometry id", ids[0]))
        if not all(inner.startswith(f"{ids[0]}.") for inner in ids[1:]):
            row.append(("@ids within the geometry", " ".join(ids[1:])))
        for part in shape.iter():
            if part.get("srsName") == system:
                del part.attrib["srsName"]
        said = said_besides(shape, _HOLDERS, ("srsDimension",))
        if said:
            row.append(("geometry members", said))
        return wkb_of(shape, swap=_northward(system))

    def box(self, element: Element | None) -> list[float] | None:
        """Return west, south, east and north of a bounding box, None when it says no such thing."""
        corners = {local(part): text_of(part).split() for part in (() if element is None else element.iter())}
        envelope = next(
            (part for part in (() if element is None else element) if local(part) == "Envelope"), None
        )
        try:
            low, high = ([float(v) for v in corners[name][:2]] for name in ("lowerCorner", "upperCorner"))
        except (KeyError, ValueError):
            return None
        system = "" if envelope is None else envelope.get("srsName", "")
        if system not in ("", *self.systems):
            return None
        if _northward(system):
            low, high = low[::-1], high[::-1]
        return [*low, *high] if len(low) == len(high) == 2 else None  # noqa: PLR2004 - two corners in the plane

    def _boxes_fit(self) -> bool:
        extents = each_extent(self.found.wkb)
        return all(
            box is None or self.fits(box, extent) for box, extent in zip(self.boxes, extents, strict=True)
        )

    def fits(self, element: Element | None, extent: Floats) -> bool:
        """Return whether a bounding box is that of geometries."""
        stated = self.box(element)
        return stated is not None and stated == extent[list(_PLANE)].tolist()


def _label(child: Element, feature: Element) -> str:
    """Return what a property is called: its local name, with its namespace where that is not the feature's."""
    space, _, name = child.tag.rpartition("}")
    if space == feature.tag.rpartition("}")[0]:
        return name
    return f"gml:{name}" if space.startswith("{http://www.opengis.net/gml") else child.tag


def _value(child: Element) -> str | None:
    """Return the value of a property: its text, none when it is nil, the whole of it when it says more."""
    nil = child.get(NIL) in _PLAIN_NILS
    if len(child) or set(child.attrib) - {NIL} or (nil and text_of(child)):
        return canonical(child)
    return None if nil else text_of(child)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two GML documents. Raises Unreadable for another document and LimitExceeded beyond the limits."""
    left, right = (_read(path, context.limits) for path in (a, b))
    found = list(_whole(left, right))
    if left.systems != right.systems and max(len(left.systems), len(right.systems)) == 1:
        found += _systems(left, right)
    ground = ground_of(parse_crs(next(iter(left.systems or right.systems), "")))
    return (*found, *compare_features(left.found, right.found, ground, context))


def _read(path: Path, limits: Limits) -> _Reader:
    root = parse(path, limits)
    with reading(path, "GML"):
        reader = _Reader(path, root)
        reader.read()
    return reader


def _systems(a: _Reader, b: _Reader) -> Iterator[Finding]:
    """Report the one reference system of each side, and take it out of the rows."""
    names = [next(iter(side.systems), "") for side in (a, b)]
    for side in (a, b):
        for row in side.found.rows:
            row.pop("srsName", None)
    same, evidence = compare_crs(*names)
    kind, rung = (Kind.LAYOUT, Rung.CONTAINER) if same else (Kind.CRS, Rung.VALUE)
    example = Example(a=scalar(names[0]), b=scalar(names[1]))
    where: dict[str, str | int] = {"column": "geometry"}
    yield Finding(kind=kind, rung=rung, where=where, examples=(example,), evidence=evidence)


def _whole(a: _Reader, b: _Reader) -> Iterator[Finding]:
    """Report the extent of the collection."""
    texts = [None if side.whole is None else canonical(side.whole) for side in (a, b)]
    if texts[0] == texts[1]:
        return
    fit = all(side.whole is None or side.fits(side.whole, whole_extent(side.found.wkb)) for side in (a, b))
    words = "is that of the features on both sides" if fit else "is not that of the features"
    rung = Rung.CONTAINER if fit else Rung.VALUE
    yield Finding(
        kind=Kind.EXTENT_METADATA, rung=rung, where={"pointer": f"/{_BOX}"},
        evidence=f"the extent of the collection {words}",
    )  # fmt: skip


def _northward(system: str) -> bool:
    """Return whether coordinates come north first: names of the OGC keep the order of the authority."""
    if not system.startswith(("urn:", "http://www.opengis.net/", "https://www.opengis.net/")):
        return False
    crs = parse_crs(system)
    return crs is not None and bool(crs.axis_info) and crs.axis_info[0].direction.lower() == "north"
