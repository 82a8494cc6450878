"""Reading XML without running into it: no entities of its own, no external ones, bounded depth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from kfm_repro.compare.prefixes import Prefixes
from kfm_repro.errors import LimitExceeded, Unreadable

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["local_name", "read_xml"]

_MAX_DEPTH = 200
_REFERENCE = re.compile(rb"&(?!#|(?:lt|gt|amp|quot|apos);)[^;&<>\s]+;")
"""An entity that XML itself does not define (XML 1.0, section 4.6)."""
_SPACE = "http://www.w3.org/XML/1998/namespace}space"
"""The attribute ``xml:space`` (section 2.10)."""
_SVG_TEXT = "http://www.w3.org/2000/svg}text"
"""Words of a picture: white space between two of them is drawn."""


def local_name(tag: str) -> str:
    """Return the name of an element or attribute without its namespace."""
    return tag.rpartition("}")[2]


def read_xml(raw: bytes, context: Context) -> list[Any]:
    """Return the root as ``[tag, attributes, child, …]``; children are elements or texts, in order.

    Names are ``namespace}local``; attributes are sorted, comments left out, processing instructions kept as
    ``["?target", data]``, entities that a document type elsewhere declares as ``["&name"]``. Declarations of prefixes
    that texts use are attributes ``xmlns:…``. White space alone between elements is left out where it holds a line
    break: it is indentation, unless ``xml:space`` preserves it or it is between the words of an SVG. Raises Unreadable,
    LimitExceeded (also for a document that declares entities, or has in an attribute one that is declared elsewhere).
    """
    builder = _Builder(context)
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.ProcessingInstructionHandler = builder.instruction
    parser.StartNamespaceDeclHandler = builder.prefixes.declare
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.SkippedEntityHandler = builder.skipped
    try:
        parser.Parse(raw, True)  # noqa: FBT003  # expat takes it by position
    except expat.ExpatError as exc:
        raise Unreadable(f"cannot be read as XML: {exc}") from exc
    builder.check_references(raw)
    builder.prefixes.settle()
    root: list[Any] = builder.root[2]
    root[1].update(builder.prolog)
    return root


def _refuse(*_: object) -> int:
    raise LimitExceeded("the XML declares entities, which are not expanded")


class _Builder:
    """Collects elements as nested lists."""

    def __init__(self, context: Context) -> None:
        self.root: list[Any] = ["", {}]
        self.prolog: dict[str, str] = {}
        self.prefixes = Prefixes()
        self._open: list[list[Any]] = [self.root]
        self._preserving = [False]
        self._typed = False
        self._skipped = 0
        self._left = context.limits.yaml_nodes

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        self._count()
        element: list[Any] = [tag, dict(sorted(attributes.items()))]

        def keep(name: str, value: str) -> None:
            element[1] = dict(sorted({**element[1], name: value}.items()))

        self.prefixes.element(tag.rpartition("}")[0], list(attributes.values()), keep)
        self._open[-1].append(element)
        self._open.append(element)
        space = attributes.get(_SPACE)
        self._preserving.append(space == "preserve" if space else self._preserving[-1] or tag == _SVG_TEXT)
        if len(self._open) > _MAX_DEPTH:
            raise LimitExceeded(f"XML nested more than {_MAX_DEPTH} deep")

    def end(self, _: str) -> None:
        """End an element; its indentation goes, unless it is to be preserved."""
        element = self._open.pop()
        if self._preserving.pop():
            return
        texts = [child for child in element[2:] if isinstance(child, str)]
        blank = all(not text.strip(" \t\r\n") for text in texts)
        if blank and any(isinstance(child, list) for child in element[2:]):
            element[2:] = [child for child in element[2:] if not (isinstance(child, str) and "\n" in child)]

    def text(self, data: str) -> None:
        """Add a text, to the one before if there is one."""
        self.prefixes.text(data)
        last = self._open[-1]
        if len(last) > 2 and isinstance(last[-1], str):  # noqa: PLR2004  # tag, attributes, children
            last[-1] += data
        else:
            self._count()
            last.append(data)

    def doctype(self, _: str, system: str | None, public: str | None, __: int) -> None:
        """Keep the names of a document type as an attribute of the root."""
        self._typed = True
        if system or public:
            self.prolog["!DOCTYPE"] = f"{public or ''} {system or ''}"

    def skipped(self, name: str, _: int) -> None:
        """Keep an entity of which only a document type elsewhere says what it stands for."""
        self._count()
        self._skipped += 1
        self._open[-1].append([f"&{name}", {}])

    def check_references(self, raw: bytes) -> None:
        """Raise LimitExceeded where the parser passed over an entity and told nobody: it does so in attributes.

        Only a document type makes it pass over any. One in a comment is taken for such a one as well.
        """
        if self._typed and len(_REFERENCE.findall(raw.replace(b"\0", b""))) != self._skipped:
            raise LimitExceeded(
                "the XML refers to entities that are declared elsewhere, which are not fetched"
            )

    def instruction(self, target: str, data: str) -> None:
        """Keep a processing instruction; one outside of the root, such as a style sheet, as an attribute of it."""
        if len(self._open) > 1:
            self._open[-1].append([f"?{target}", {}, data])
        else:
            self.prolog[f"?{target}"] = f"{self.prolog.get(f'?{target}', '')}{data}\n"

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise LimitExceeded("an XML document of too many nodes")
