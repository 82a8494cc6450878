"""XML documents as trees, read so that no document can reach another file or the network, or grow on its own."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from kfm_repro.compare.context import Limits, reading
from kfm_repro.compare.prefixes import Prefixes
from kfm_repro.compare.vector.geojson_read import check_size

__all__ = [
    "GML_ID",
    "NIL",
    "canonical",
    "local",
    "loose_texts",
    "parse",
    "said_besides",
    "take_out",
    "text_of",
]

NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
GML_ID: Final = ("{http://www.opengis.net/gml}id", "{http://www.opengis.net/gml/3.2}id")
_DEEPEST = 200


def parse(path: Path, limits: Limits) -> Element:
    """Return the root of a document; names are ``{namespace}local``, processing instructions its attribute ``?``.

    A document type is refused, and with it every entity (XML 1.0, section 2.8). Raises Unreadable for what is
    no well-formed XML, or nests deeper than 200, and LimitExceeded for a file above 16 times
    ``limits.document_bytes``.
    """
    check_size(path, limits)
    with reading(path, "XML", expat.ExpatError):
        return _Parser().read(path.read_bytes())


class _Parser:
    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._depth = 0
        self._instructions: list[str] = []
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._prefixes = Prefixes()
        parser.StartNamespaceDeclHandler = self._prefixes.declare
        parser.StartDoctypeDeclHandler = _refuse
        parser.ProcessingInstructionHandler = lambda *parts: self._instructions.append(" ".join(parts))
        self._parser = parser

    def read(self, raw: bytes) -> Element:
        self._parser.Parse(raw, True)  # noqa: FBT003 - the signature of expat
        root: Element = self._tree.close()
        self._prefixes.settle()
        if self._instructions:
            root.set("?", json.dumps(self._instructions))
        return root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("the document nests too deep")
        element = self._tree.start(_named(tag), {_named(name): value for name, value in attributes.items()})
        self._prefixes.element(tag.rpartition("}")[0], list(attributes.values()), element.set)

    def _text(self, data: str) -> None:
        self._prefixes.text(data)
        self._tree.data(data)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._tree.end(_named(tag))


def _refuse(name: str, *rest: object) -> None:
    del name, rest
    raise ValueError("a document type is declared, which no vector format needs")


def _named(name: str) -> str:
    return "{" + name if "}" in name else name


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: Element) -> str:
    """Return the text of an element: as it stands when it is all that is in it, else without white space around it."""
    text = element.text or ""
    return text if text.strip() and not len(element) else text.strip()


def canonical(element: Element) -> str:
    """Return one text for an element: the same exactly for the same names, attributes, texts and children."""
    return json.dumps(_listed(element), separators=(",", ":"))


def take_out(child: Element, parent: Element) -> None:
    """Take a child out of its parent, which keeps what is written behind it."""
    if child.tail and child.tail.strip():
        parent.text = f"{parent.text or ''}\n{child.tail.strip()}"
    parent.remove(child)


def said_besides(shape: Element, structure: Container[str], plain: Container[str] = ()) -> str:
    """Return what a geometry says besides its coordinates, and of which of its parts; "" when nothing.

    Elements that are ``structure`` only hold others, ``plain`` attributes say nothing of their own.
    """
    parts = [part for part in shape.iter() if local(part) in structure]
    said: list[list[object]] = []
    for at, part in enumerate(parts):
        own = sorted((name, value) for name, value in part.items() if name not in plain)
        others = [canonical(child) for child in part if local(child) not in structure]
        if own or others:
            said.append([at, local(part), own, others])
    return json.dumps(said) if said else ""


def loose_texts(feature: Element) -> list[str]:
    """Return the texts of a feature that stand where none belongs: in it, between its elements and theirs."""
    said = []
    for part in feature.iter():
        if text_of(part) and (len(part) or part is feature):
            said.append(text_of(part))
        said += [child.tail.strip() for child in part if child.tail and child.tail.strip()]
    return said


def _listed(element: Element) -> list[object]:
    children: list[object] = []
    for child in element:
        children.append(_listed(child))
        if child.tail and child.tail.strip():
            children.append(child.tail.strip())
    return [element.tag, sorted(element.items()), text_of(element), children]
