"""The XML of an OpenDocument spreadsheet (ODF 1.3, part 3, chapter 9): rows of cells, and all that is no row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kfm_repro.compare.workbook.sheet import feed
from kfm_repro.compare.workbook.tables import Book
from kfm_repro.errors import LimitExceeded

__all__ = ["Content", "Row", "read_content"]

_SHEET, _ROW = "table:table", "table:table-row"
_CELLS = ("table:table-cell", "table:covered-table-cell")
_ROWS_REPEATED, _CELLS_REPEATED = "table:number-rows-repeated", "table:number-columns-repeated"
_TEXT = "text:p"
_TYPED = {"float": "value", "percentage": "value", "currency": "value", "date": "date-value",
          "time": "time-value", "boolean": "boolean-value", "string": "string-value"}  # fmt: skip
"""The attribute that holds the value of a cell, by its type (section 19.385)."""
_NUMBERS = ("float", "percentage", "currency")
_SHOWN = 3
"""Parts of a cell that shows its value and nothing else: a paragraph, its text, the paragraph's end."""
_MOST_CELLS = 20_000_000


@dataclass
class Row:
    """A row: its values; how exactly they are written; how but for numbers; and everything else about its cells."""

    values: list[Any] = field(default_factory=list)
    written: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    manner: tuple[str, ...] = ()


@dataclass
class Content:
    """The rows of each sheet, and all of the document that is no row, in order."""

    sheets: dict[str, list[Row]] = field(default_factory=dict)
    frame: list[str] = field(default_factory=list)

    def book(self) -> Book:
        """Return the values, the rows of a sheet equally long."""
        wide = {name: max((len(row.values) for row in rows), default=0) for name, rows in self.sheets.items()}
        return {
            name: [[*row.values, *[None] * (wide[name] - len(row.values))] for row in rows]
            for name, rows in self.sheets.items()
        }


@dataclass
class _Cell:
    said: dict[str, str]
    manner: list[str]
    repeated: int
    inside: list[str] = field(default_factory=list)
    """Elements and texts within, in order; elements begin with NUL, which XML has not."""
    text: list[str] = field(default_factory=list)

    @property
    def value(self) -> Any:  # noqa: ANN401  # a cell may hold anything
        kind = self.said.get("office:value-type", "")
        stated = self.said.get(f"office:{_TYPED.get(kind, '')}")
        if stated is None:
            return "".join(self.text).removesuffix("\n") or None
        if kind in _NUMBERS:
            return float(stated)
        return stated == "true" if kind == "boolean" else stated

    @property
    def written(self) -> str:
        return f"{sorted(self.said.items())}{''.join(self.inside)}"

    @property
    def plain(self) -> str:
        """What is written but for a number and how it is shown; comments say more than that."""
        kind = self.said.get("office:value-type", "")
        if kind not in _NUMBERS:
            return self.written
        said = {name: value for name, value in self.said.items() if name != "office:value"}
        return f"{sorted(said.items())}{'' if len(self.inside) <= _SHOWN else ''.join(self.inside)}"

    @property
    def seen(self) -> str:
        elements = [part for part in self.inside if part.startswith("\0")]
        return f"{self.said.get('office:value-type')}{self.manner}{elements}"


def read_content(blocks: Iterable[bytes]) -> Content:
    """Read ``content.xml``. Raises ValueError for damaged XML or numbers, LimitExceeded for too many cells."""
    reader = _Reader()
    feed(blocks, reader)
    return reader.content


class _Reader:
    """Takes the events of a document: what lies within a row belongs to it, wherever rows are grouped."""

    def __init__(self) -> None:
        self.content = Content()
        self._path: list[str] = []
        self._rows: list[Row] = []
        self._row = 0
        """How deep the row lies that is being read, 0 for none."""
        self._said: dict[str, str] = {}
        self._cells: list[_Cell] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if not self._row and tag == _ROW:
            self._row, self._said, self._cells = len(self._path), attributes, []
            return
        if self._row and len(self._path) == self._row + 1:
            values = {name: value for name, value in attributes.items() if name.startswith("office:")}
            rest = {name: value for name, value in attributes.items() if name not in values}
            many = _times(rest.pop(_CELLS_REPEATED, "1")) if tag in _CELLS else 1
            self._cells.append(_Cell(values, [f"{tag} {sorted(rest.items())}"], many))
            return
        self._note(f"\0<{tag} {sorted(attributes.items())}")
        if tag == _SHEET and not self._row:
            self._rows = self.content.sheets.setdefault(attributes.get("table:name", ""), [])

    def end(self, tag: str) -> None:
        if tag == _TEXT and self._row and self._cells:
            self._cells[-1].text.append("\n")
        depth = len(self._path)
        self._path.pop()
        if depth == self._row:
            self._row = 0
            self._close()
        elif not self._row or depth > self._row + 1:
            self._note(f"\0</{tag}")

    def text(self, data: str) -> None:
        within = _TEXT in self._path
        if within or data.strip():
            self._note(data)
            if within and self._row and self._cells:
                self._cells[-1].text.append(data)

    def _note(self, event: str) -> None:
        if self._row and self._cells:
            self._cells[-1].inside.append(event)
        else:
            self.content.frame.append(event)

    def _close(self) -> None:
        """Add the row as often as it says that it stands there; what is empty stands once, and says how often."""
        many = _times(self._said.pop(_ROWS_REPEATED, "1"))
        filled = [i for i, cell in enumerate(self._cells) if cell.value is not None]
        last = filled[-1] + 1 if filled else 0
        row = Row()
        written: list[str] = []
        plain: list[str] = []
        manner = ["/".join(self._path), str(sorted(self._said.items()))]
        for cell in self._cells[:last]:
            self._bound(cell.repeated)
            row.values += [cell.value] * cell.repeated
            written += [cell.written] * cell.repeated
            plain += [cell.plain] * cell.repeated
            manner += [cell.seen] * cell.repeated
        for cell in self._cells[last:]:
            manner.append(f"{cell.repeated} {cell.seen}")
        if not filled:
            manner.append(f"{many} rows")
            many = 1
        row.written, row.plain, row.manner = tuple(written), tuple(plain), tuple(manner)
        self._bound(len(row.values) * (many - 1) + many)
        self._rows += [row] * many
        self.content.frame += ["row"] * many

    def _bound(self, cells: int) -> None:
        self._count += cells
        if self._count > _MOST_CELLS:
            raise LimitExceeded(f"the sheets span more than {_MOST_CELLS} cells")


def _times(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"repeated {text} times")
    return number
