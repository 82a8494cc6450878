"""Excel workbooks (XLSX): every sheet as a table; what the package holds besides, member by member.

The package is compared as the zip file that it is. Sheets are read by calamine after each member was unpacked
within the limits and the sheets were measured here: a reader allocates whatever the farthest cell asks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kfm_repro.compare.archive import compare_zip
from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.extras import need
from kfm_repro.compare.workbook.beyond import beyond_values
from kfm_repro.compare.workbook.package import Differing, check_package, compare_part
from kfm_repro.compare.workbook.tables import Book, compare_books
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.model.finding import Finding


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
    return (*package, *told, *beyond_values(found, (a, b), books, told))


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
