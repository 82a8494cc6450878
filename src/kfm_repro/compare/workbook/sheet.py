"""The XML of a workbook: what readers of cells do not say of a sheet, within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

__all__ = ["Sheet", "events", "feed", "letters", "number_of", "parser", "read_sheet"]

_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_LETTERS = 26
_VALUES = frozenset(("c", "v", "is", "t", "dimension", "sheetData"))
"""Elements whose content is the value of a cell, or follows from where cells are."""


@dataclass
class Sheet:
    """What calamine does not say of a sheet: its formulas, raw cells, everything that is no cell, its extent.

    A raw cell is its type, its style with whatever else is said of it, and the text of its value.
    """

    formulas: dict[str, str] = field(default_factory=dict)
    cells: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    frame: list[str] = field(default_factory=list)
    rows: int = 0
    columns: int = 0


class Reader(Protocol):
    """What takes the events of an XML document."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""

    def end(self, tag: str) -> None:
        """Take the end of an element."""

    def text(self, data: str) -> None:
        """Take a piece of text."""


class _Reader:
    """Takes the events of one sheet; refuses declarations of types, which may expand without bound."""

    def __init__(self, *, keep: bool) -> None:
        self.sheet = Sheet()
        self._keep = keep
        self._row, self._column = 0, 0
        self._cell = ""
        self._said: dict[str, str] = {}
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
            attributes = {**attributes, "r": str(self._row)}
            attributes.pop("spans", None)  # where its cells begin and end
        elif name == "c":
            self._cell = self._place(attributes.get("r"))
            self._said = attributes
        self._text = []
        if self._keep and name not in _VALUES:
            self.sheet.frame.append(f"<{tag} {sorted(attributes.items())}")

    def end(self, tag: str) -> None:
        text = "".join(self._text)
        self._text = []
        if not self._keep:
            return
        name = tag.rpartition(":")[2] if ":" in tag else tag
        if name == "f":
            self.sheet.formulas[self._cell] = text
        elif name == "v":
            self.sheet.cells[self._cell] = self._raw("" if self._said.get("t") == "s" else text)
        elif name == "c":
            self.sheet.cells.setdefault(self._cell, self._raw(""))
            self._cell = ""
        elif name not in _VALUES and text.strip():
            self.sheet.frame.append(text)

    def text(self, data: str) -> None:
        self._text.append(data)

    def _raw(self, text: str) -> tuple[str, str, str]:
        said = self._said
        kind, style = said.get("t", "n"), said.get("s", "")
        if len(said) > ("r" in said) + ("t" in said) + ("s" in said):
            more = sorted((name, value) for name, value in said.items() if name not in ("r", "s", "t"))
            style = f"{style} {more}"
        return kind, style, text

    def _place(self, stated: str | None) -> str:
        """Return where a cell is, which it need not say: then beside the one before (ECMA-376-1, 18.3.1.4)."""
        if stated is None:
            self._column += 1
        else:
            match = _CELL.fullmatch(stated)
            if match is None:
                raise ValueError("a cell does not say where it is")
            self._column, self._row = number_of(match[1]), int(match[2])
        self.sheet.rows = max(self.sheet.rows, self._row)
        self.sheet.columns = max(self.sheet.columns, self._column)
        return stated or f"{letters(self._column - 1)}{self._row}"


@cache
def number_of(name: str) -> int:
    """Return the number of a column, from 1."""
    column = 0
    for letter in name:
        column = column * _LETTERS + ord(letter) - ord("A") + 1
    return column


def letters(index: int) -> str:
    """Return the name of a column by its number from 0."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, _LETTERS)
        name = chr(ord("A") + letter) + name
    return name


def parser() -> expat.XMLParserType:
    """Return a parser that refuses declarations of types, which may expand without bound."""
    made = expat.ParserCreate()
    made.buffer_text = True

    def refuse(*_: object) -> None:
        raise ValueError("its XML declares a document type")

    made.StartDoctypeDeclHandler = refuse
    made.EntityDeclHandler = refuse
    return made


def feed(blocks: Iterable[bytes], reader: Reader) -> None:
    """Hand the events of a document to a reader. Raises ValueError for damaged XML."""
    made = parser()
    made.StartElementHandler = reader.start
    made.EndElementHandler = reader.end
    made.CharacterDataHandler = reader.text
    try:
        for block in blocks:
            made.Parse(block, False)  # noqa: FBT003 - expat takes it by place
        made.Parse(b"", True)  # noqa: FBT003 - as above
    except expat.ExpatError as exc:
        raise ValueError(f"its XML is damaged: {exc}") from exc


def read_sheet(blocks: Iterable[bytes], *, keep: bool) -> Sheet:
    """Read the XML of one sheet; without ``keep`` only its extent. Raises ValueError."""
    reader = _Reader(keep=keep)
    feed(blocks, reader)
    return reader.sheet


def events(path: Path) -> list[str]:
    """Return the elements and texts of a document in order, attributes sorted; only elements begin with ``<``."""
    found: list[str] = []
    made = parser()

    def start(tag: str, attributes: dict[str, str]) -> None:
        found.append(f"<{tag} {sorted(attributes.items())}")

    def end(tag: str) -> None:
        found.append(f"</{tag}")

    def text(data: str) -> None:
        if data.strip():
            found.append(f" {data}")

    made.StartElementHandler = start
    made.EndElementHandler = end
    made.CharacterDataHandler = text
    made.Parse(path.read_bytes(), True)  # noqa: FBT003 - expat takes it by place
    return found
