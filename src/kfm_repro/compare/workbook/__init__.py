"""Excel workbooks (XLSX): every sheet as a table; what the package holds besides, member by member.

The package is compared as the zip file that it is. Sheets are read by calamine after each member was unpacked
within the limits and the sheets were measured here: a reader allocates whatever the farthest cell asks for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from kfm_repro.compare.archive import compare_zip
from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.extras import need
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.workbook.package import STRINGS, Differing, check_package, compare_part
from kfm_repro.compare.workbook.sheet import Sheet
from kfm_repro.compare.workbook.tables import Book, compare_books
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["compare"]

_MOST_SHEETS = 1_000


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two workbooks: cells by sheet, formulas, and everything else that the package says.

    Dates and names in the document's properties are ``container``. Raises Unreadable for what is no workbook or
    cannot be read, LimitExceeded, and NotInstalled where there is no calamine.
    """
    for path in (a, b):
        check_package(path, context)
    found = Differing()

    def inner(left: Path, right: Path, name: str, deeper: Context) -> tuple[Finding, ...]:
        return compare_part(left, right, name, found, deeper)

    package = compare_zip(a, b, replace(context, inner=inner))
    if not found.sheets and not found.strings:
        return package
    books = _books(a, b)
    told = compare_books(*books, context)
    return (*package, *told, *_beyond_values(found, told))


def _books(a: Path, b: Path) -> tuple[Book, Book]:
    """Return the cells of every sheet of both sides, by its name."""
    python_calamine = need("python_calamine", "xlsx", "an Excel workbook")
    sides: list[Book] = []
    for path in (a, b):
        with reading(path, "XLSX", python_calamine.CalamineError), path.open("rb") as file:
            book = python_calamine.CalamineWorkbook.from_filelike(file)
            if len(book.sheet_names) > _MOST_SHEETS:
                raise LimitExceeded(f"a workbook of more than {_MOST_SHEETS} sheets")
            sides.append(
                {
                    name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                    for name in book.sheet_names
                }
            )
    return sides[0], sides[1]


def _beyond_values(found: Differing, told: list[Finding]) -> list[Finding]:
    """Report what sheets say besides their values. Where values differ, so do sheets, and nothing is added."""
    if any(finding.rung is Rung.VALUE for finding in told):
        return []
    findings: list[Finding] = []
    for name, (a, b) in found.sheets.items():
        findings += _sheet(name, a, b, moved=bool(told))
    if found.strings and not found.strings_reordered and not findings and not told:
        findings += _placed("the texts of cells differ in format, or some are not used", STRINGS)
    return findings if findings or told else _respelled()


def _sheet(name: str, a: Sheet, b: Sheet, *, moved: bool) -> list[Finding]:
    """Compare formulas, types, styles and frame of two sheets; by how often they occur where rows were moved."""
    formulas = [cell for cell in {**a.formulas, **b.formulas} if a.formulas.get(cell) != b.formulas.get(cell)]
    if moved and Counter(a.formulas.values()) == Counter(b.formulas.values()):
        formulas = []
    if formulas:
        shown = tuple(
            Example(key={"cell": cell}, a=scalar(a.formulas.get(cell)), b=scalar(b.formulas.get(cell)))
            for cell in formulas[:MAX_EXAMPLES]
        )
        evidence = "formulas differ; the values that are stored for them do not"
        where: dict[str, str | int] = {"member": name}
        return [
            Finding(
                kind=Kind.VALUE,
                rung=Rung.VALUE,
                where=where,
                count=len(formulas),
                examples=shown,
                evidence=evidence,
            )
        ]
    styles = [Counter((kind, style) for kind, style, _ in side.cells.values()) for side in (a, b)]
    if (styles[0] != styles[1]) if moved else (a.cells != b.cells):
        return _placed("cells differ in type, style or digits that their values do not show", name)
    if a.frame != b.frame:
        return _placed("what the sheet says besides its cells differs", name)
    return []


def _placed(evidence: str, member: str) -> list[Finding]:
    return [Finding(kind=Kind.ATTRIBUTES, rung=Rung.VALUE, where={"member": member}, evidence=evidence)]


def _respelled() -> list[Finding]:
    evidence = "the same cells, written otherwise or with their texts in another order"
    return [Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence)]
