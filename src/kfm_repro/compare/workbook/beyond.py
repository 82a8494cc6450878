"""What the sheets of a workbook say besides the values of their cells: formulas, types, styles, digits, the rest."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.samples import scalar
from kfm_repro.compare.workbook.package import STRINGS, Differing, sheet_names
from kfm_repro.compare.workbook.sheet import number_of
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.workbook.sheet import Sheet
    from kfm_repro.compare.workbook.tables import Book

__all__ = ["beyond_values"]

_ROW = re.compile(r"(?<=[A-Z])([0-9]+)")
"""The number of a row in a formula, where it is no fixed one."""
_TEXTS = ("s", "inlineStr")
"""The types of cells whose own text is a number or lies elsewhere."""
_EXACT = Context(prec=1_000)
_NEAR = 2.0**-50
"""How far numbers of at most 4 ulp lie apart, of themselves."""

Raw = tuple[str, str, str]


@dataclass(frozen=True)
class _Told:
    """What was told of the values of one sheet, and so is not told again."""

    rungs: frozenset[Rung]
    columns: bool

    @property
    def moved(self) -> bool:
        return Rung.ORDER in self.rungs

    def digits(self, raw: Raw) -> str:
        """Return as much of the text of a cell as equal values share, wherever the cell went."""
        if Rung.TOLERANCE in self.rungs or (raw[0] == "n" and Rung.NOISE in self.rungs):
            return ""
        return raw[2] if _number(raw) is None else _number_text(raw[2])

    def alike(self, a: Raw | None, b: Raw | None) -> bool:
        """Return whether two cells of one place differ in nothing but what was told."""
        if a is None or b is None or a == b:
            return a == b
        if a[:2] != b[:2]:
            return False
        left, right = _number(a), _number(b)
        if left is not None and right is not None and _number_text(a[2]) == _number_text(b[2]):
            return True
        near = left is not None and right is not None and math.isclose(left, right, rel_tol=_NEAR)
        return Rung.TOLERANCE in self.rungs or (Rung.NOISE in self.rungs and near)


def beyond_values(
    found: Differing, paths: tuple[Path, Path], books: tuple[Book, Book], told: list[Finding]
) -> list[Finding]:
    """Report what sheets say besides their values. Where values differ, so do sheets, and nothing is added.

    In place; where rows or columns of a sheet were moved, by its rows, wherever they are.
    """
    if any(finding.rung is Rung.VALUE for finding in told):
        return []
    findings: list[Finding] = []
    names = [sheet_names(path) for path in paths]
    for member, sides in found.sheets.items():
        layers = [side.get(member, "") for side in names]
        mine = [finding for finding in told if [finding.where.get("layer")] * 2 == layers]
        known = _Told(
            frozenset(finding.rung for finding in mine),
            any(finding.kind is Kind.COLUMN_ORDER for finding in mine),
        )
        values = tuple(book.get(layer, []) for book, layer in zip(books, layers, strict=True))
        findings += _sheet(member, sides, values, known)
    rungs = {finding.rung for finding in told}
    if found.strings and not found.strings_reordered and not findings and Rung.TOLERANCE not in rungs:
        findings += _placed("the texts of cells differ in format, or some are not used", STRINGS)
    return findings if findings or told else _respelled()


def _sheet(
    member: str, sides: tuple[Sheet, Sheet], values: tuple[list[list[Any]], ...], told: _Told
) -> list[Finding]:
    a, b = sides
    formulas = [cell for cell in {**a.formulas, **b.formulas} if a.formulas.get(cell) != b.formulas.get(cell)]
    if told.moved:
        rows = [_rows(side, cells, told) for side, cells in zip(sides, values, strict=True)]
        if rows[0] != rows[1]:
            return _placed("rows at another place differ in formula, type, style or digits", member)
    elif formulas:
        return _formulas(member, formulas, a, b)
    elif not all(told.alike(a.cells.get(cell), b.cells.get(cell)) for cell in {**a.cells, **b.cells}):
        return _placed("cells differ in type, style or digits that their values do not show", member)
    if a.frame != b.frame:
        return _placed("what the sheet says besides its cells differs", member)
    return []


def _rows(sheet: Sheet, values: list[list[Any]], told: _Told) -> Counter[tuple[Any, ...]]:
    """Count the rows of a sheet by what their cells say; a formula that names its own row says so wherever it is."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for cell, raw in sheet.cells.items():
        name = cell.rstrip("0123456789")
        column, row = number_of(name), cell[len(name) :]
        formula = sheet.formulas.get(cell)
        if formula is not None:
            formula = "\0".join("" if part == row else part for part in _ROW.split(formula))
        text = _text(values, column, int(row)) if raw[0] in _TEXTS else told.digits(raw)
        rows.setdefault(row, []).append((0 if told.columns else column, *raw[:2], text, formula or ""))
    return Counter(tuple(sorted(cells)) for cells in rows.values())


def _text(values: list[list[Any]], column: int, row: int) -> str:
    """Return the text of a cell, which may lie beyond those that have values."""
    return str(values[row - 1][column - 1]) if row <= len(values) and column <= len(values[row - 1]) else ""


def _formulas(member: str, cells: list[str], a: Sheet, b: Sheet) -> list[Finding]:
    shown = tuple(
        Example(key={"cell": cell}, a=scalar(a.formulas.get(cell)), b=scalar(b.formulas.get(cell)))
        for cell in cells[:MAX_EXAMPLES]
    )
    return [
        Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            where={"member": member},
            count=len(cells),
            examples=shown,
            evidence="formulas differ; the values that are stored for them do not",
        )
    ]


def _number(raw: Raw) -> float | None:
    try:
        return float(raw[2]) if raw[0] == "n" else None
    except ValueError:
        return None


def _number_text(text: str) -> str:
    """Return one text for all spellings of a number: of a whole one all digits count, any other is a double."""
    value = Decimal(text)
    return str(value.normalize(_EXACT)) if value == value.to_integral_value() else repr(float(value))


def _placed(evidence: str, member: str) -> list[Finding]:
    return [Finding(kind=Kind.ATTRIBUTES, rung=Rung.VALUE, where={"member": member}, evidence=evidence)]


def _respelled() -> list[Finding]:
    evidence = "the same cells, written otherwise or with their texts in another order"
    return [Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence)]
