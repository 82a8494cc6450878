"""KML (OGC 12-007r2): placemarks are features, in degrees of WGS 84."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from kfm_repro.compare.context import Context, Limits, reading
from kfm_repro.compare.vector.markup import Features, compare_features, references
from kfm_repro.compare.vector.measure import GEOGRAPHIC
from kfm_repro.compare.vector.xml_read import (
    canonical,
    local,
    loose_texts,
    parse,
    said_besides,
    take_out,
    text_of,
)
from kfm_repro.compare.vector.xml_shapes import GEOMETRIES, wkb_of

if TYPE_CHECKING:
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]

_OWN = frozenset(
    {
        "name", "visibility", "open", "author", "link", "address", "AddressDetails", "phoneNumber", "Snippet",
        "snippet", "description", "Camera", "LookAt", "TimeStamp", "TimeSpan", "styleUrl", "Style", "StyleMap",
        "Region", "Metadata", "folder", "schemaUrl", "drawn as", "geometry members", "text between elements",
    }
)  # fmt: skip
"""Labels of a placemark itself, which a name in its ExtendedData may repeat."""
_OF_SHAPES = ("coordinates", "outerBoundaryIs", "innerBoundaryIs", "LinearRing", *GEOMETRIES)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two KML documents. Raises Unreadable for another document and LimitExceeded beyond the limits."""
    left, right = (_read(path, context.limits) for path in (a, b))
    return compare_features(left, right, GEOGRAPHIC, context)


def _read(path: Path, limits: Limits) -> Features:
    root = parse(path, limits)
    with reading(path, "KML"):
        if local(root) != "kml":
            raise ValueError("the document is no kml")
        found = Features(path.stem, root, numbers=("@id",), referred=references(root))
        _take(root, "", found)
    return found


def _take(element: Element, folder: str, found: Features) -> None:
    """Take the placemarks out of a tree, each with the folders that it lies in; those of one name are numbered."""
    names: Counter[str] = Counter()
    for child in list(element):
        if local(child) == "Placemark":
            _add(child, folder, found)
            take_out(child, element)
        elif local(child) in ("Document", "Folder"):
            name = next((text_of(part) for part in child if local(part) == "name"), local(child))
            names[name] += 1
            number = f" ({names[name]})" if names[name] > 1 else ""
            _take(child, f"{folder}/{name}{number}", found)


def _add(placemark: Element, folder: str, found: Features) -> None:
    row: list[tuple[str, str | None]] = [(f"@{name}", value) for name, value in sorted(placemark.items())]
    row.append(("folder", folder))
    wkb: bytes | None = None
    for child in placemark:
        name = local(child)
        if name in GEOMETRIES and wkb is None:
            wkb = wkb_of(child)
            row += _members(child)
            row.append(("drawn as", "LinearRing" if local(child) == "LinearRing" else None))
        elif name == "ExtendedData":
            row += _data(child)
        else:
            foreign = child.tag.rpartition("}")[0] != placemark.tag.rpartition("}")[0]
            plain = not len(child) and not child.attrib and not foreign
            row.append((name, text_of(child) if plain else canonical(child)))
    loose = loose_texts(placemark)
    if loose:
        row.append(("text between elements", str(loose)))
    found.add(row, wkb)


def _members(shape: Element) -> list[tuple[str, str | None]]:
    """Return what a geometry says besides its coordinates: how it is drawn, its id."""
    said = said_besides(shape, _OF_SHAPES)
    return [("geometry members", said)] if said else []


def _data(element: Element) -> list[tuple[str, str | None]]:
    """Return the values of ExtendedData by their names; anything else whole."""
    row: list[tuple[str, str | None]] = []
    for child in element:
        if (
            local(child) == "Data"
            and set(child.attrib) == {"name"}
            and [local(v) for v in child] == ["value"]
            and _is_plain(child[0])
        ):
            row.append((_label(child.attrib["name"]), text_of(child[0])))
        elif local(child) == "SchemaData" and all(
            local(v) == "SimpleData" and _is_plain(v, "name") for v in child
        ):
            row.append(("schemaUrl", child.get("schemaUrl")))
            row += [(_label(str(value.get("name"))), text_of(value)) for value in child]
        else:
            row.append((local(child), canonical(child)))
    return row


def _label(name: str) -> str:
    """Return what a value of ExtendedData is called: not as anything that the placemark says itself."""
    return f"ExtendedData/{name}" if name in _OWN or name.startswith("@") else name


def _is_plain(element: Element, *attributes: str) -> bool:
    """Return whether an element says nothing but its text, and these attributes."""
    return not len(element) and set(element.attrib) <= set(attributes)
