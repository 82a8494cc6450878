"""Excel workbooks by two real writers: cells by sheet, and what the package says besides."""

from __future__ import annotations

import datetime as dt
import re
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import xlsxwriter
from openpyxl.styles import Font
from tabular_writers import WRITERS

import kfm_repro
from kfm_repro.model.finding import Kind, OutputComparison, OutputVerdict, Rung


def day(number: int) -> dt.datetime:
    """Return a day of January 2020 without a zone: workbooks know none."""
    return dt.datetime(2020, 1, number)  # noqa: DTZ001 - as said


ROWS: tuple[tuple[Any, ...], ...] = (
    ("id", "county", "area", "at"),
    *((i, f"county {i % 7}", i * 1.25 + 0.1, day(1 + i)) for i in range(20)),
)  # fmt: skip
NOON = day(1) + dt.timedelta(hours=12)
SHEET = "xl/worksheets/sheet1.xml"
BOOKKEEPING = {(Kind.TIMESTAMP, Rung.CONTAINER)}


def book(
    path: Path, rows: Iterable[tuple[Any, ...]] = ROWS, created: dt.datetime = NOON, **properties: str
) -> Path:
    """Write one sheet; dates of the package's own are pinned by XlsxWriter, those of the document are ``created``."""
    workbook = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"})
    workbook.set_properties({"created": created, **properties})
    sheet = workbook.add_worksheet("counties")
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    workbook.close()
    return path


def edited(row: int, column: int, value: Any) -> list[tuple[Any, ...]]:
    rows = [list(cells) for cells in ROWS]
    rows[row][column] = value
    return [tuple(cells) for cells in rows]


def outcome(a: Path, b: Path) -> OutputComparison:
    (output,) = kfm_repro.diff(a, b).outputs
    return output


def kinds(output: OutputComparison) -> set[tuple[Kind, Rung]]:
    return {(finding.kind, finding.rung) for finding in output.findings}


@pytest.mark.parametrize(
    ("rows", "kind", "rung"),
    [
        (edited(4, 1, "other"), Kind.VALUE, Rung.VALUE),
        (edited(4, 1, None), Kind.VALUE, Rung.VALUE),
        (edited(4, 3, day(30)), Kind.VALUE, Rung.VALUE),
        (edited(4, 2, 3.8500000000000005), Kind.FLOAT_NOISE, Rung.NOISE),
        ([ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]], Kind.ROW_ORDER, Rung.ORDER),
        ([*ROWS, ROWS[-1]], Kind.DUPLICATE_ROWS, Rung.VALUE),
        (ROWS[:-1], Kind.ROWS_REMOVED, Rung.VALUE),
        ([(row[0], row[1], row[3]) for row in ROWS], Kind.SCHEMA, Rung.VALUE),
        ([(*row, "x" if i else "more") for i, row in enumerate(ROWS)], Kind.SCHEMA, Rung.VALUE),
        ([(row[0], row[2], row[1], row[3]) for row in ROWS], Kind.COLUMN_ORDER, Rung.ORDER),
    ],
    ids=[
        "cell",
        "emptied",
        "date",
        "ulp",
        "row swap",
        "row twice",
        "row less",
        "dropped",
        "added",
        "column order",
    ],
)
def test_a_change_has_its_kind_and_rung(
    tmp_path: Path, rows: list[tuple[Any, ...]], kind: Kind, rung: Rung
) -> None:
    output = outcome(book(tmp_path / "a.xlsx"), book(tmp_path / "b.xlsx", rows))
    assert output.format == "xlsx"
    assert kinds(output) == {(kind, rung)}
    assert {finding.where["layer"] for finding in output.findings} == {"counties"}


def test_when_and_by_whom_it_was_made_is_bookkeeping(tmp_path: Path) -> None:
    a = book(tmp_path / "a.xlsx", author="one")
    b = book(tmp_path / "b.xlsx", created=NOON + dt.timedelta(days=1), author="other")
    output = outcome(a, b)
    assert output.verdict is OutputVerdict.EQUIVALENT
    assert kinds(output) == BOOKKEEPING | {(Kind.ENTRY_METADATA, Rung.CONTAINER)}


def rewritten(source: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """Change a workbook with openpyxl and save it elsewhere."""
    workbook = openpyxl.load_workbook(source)
    change(workbook)
    workbook.save(target)
    return target


@pytest.mark.parametrize(
    "change",
    [
        lambda workbook: workbook["counties"].cell(3, 2).__setattr__("font", Font(bold=True)),
        lambda workbook: workbook["counties"].column_dimensions["A"].__setattr__("width", 40),
        lambda workbook: workbook["counties"].merge_cells("A30:B31"),
        lambda workbook: workbook["counties"].__setattr__("title", "others"),
        lambda workbook: workbook.create_sheet("more"),
        lambda workbook: workbook["counties"].cell(25, 1).__setattr__("value", "=SUM(A2:A9)"),
    ],
    ids=["font", "width", "merged", "renamed", "sheet added", "formula"],
)
def test_what_is_no_value_is_no_value_but_never_equal(tmp_path: Path, change: Callable[[Any], None]) -> None:
    base = book(tmp_path / "base.xlsx")
    a = rewritten(base, tmp_path / "a.xlsx", lambda _: None)
    assert outcome(a, rewritten(base, tmp_path / "b.xlsx", change)).verdict is OutputVerdict.DIFFERENT


def formula(path: Path, text: str) -> Path:
    workbook = xlsxwriter.Workbook(path)
    workbook.set_properties({"created": NOON})
    sheet = workbook.add_worksheet("counties")
    for number, row in enumerate(ROWS):
        sheet.write_row(number, 0, [str(cell) for cell in row])
    sheet.write_formula(25, 0, text, None, 3)
    workbook.close()
    return path


def test_another_formula_of_the_same_value_is_a_difference(tmp_path: Path) -> None:
    output = outcome(formula(tmp_path / "a.xlsx", "=1+2"), formula(tmp_path / "b.xlsx", "=2+1"))
    (finding,) = output.findings
    assert (finding.kind, finding.rung, finding.count) == (Kind.VALUE, Rung.VALUE, 1)
    assert (finding.examples[0].a, finding.examples[0].b) == ("1+2", "2+1")


def repacked(source: Path, target: Path, name: str, old: bytes, new: bytes) -> Path:
    """Copy a workbook with one member changed."""
    with zipfile.ZipFile(source) as file, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as to:
        for info in file.infolist():
            data = file.read(info)
            to.writestr(info, data.replace(old, new) if info.filename == name else data)
    return target


BOLD = b'<rPr><b/><sz val="11"/><color theme="1"/><rFont val="Calibri"/><family val="2"/><scheme val="minor"/></rPr>'


def framed(path: Path) -> Path:
    """Write a sheet with everything that says over which cells it goes, and texts of two formats."""
    workbook = xlsxwriter.Workbook(path)
    workbook.set_properties({"created": NOON})
    bold = workbook.add_format({"bold": True})
    sheet = workbook.add_worksheet("counties")
    for number, row in enumerate(ROWS):
        sheet.write_row(number, 0, [str(cell) for cell in row])
    sheet.merge_range("F1:G1", "merged")
    sheet.autofilter("A1:C9")
    sheet.write_array_formula("I1:I2", "=A1:A2", None, 1)
    sheet.write_url("J1", "internal:'counties'!A1")
    sheet.write_rich_string("K1", "x", bold, "y")
    workbook.close()
    return path


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        (SHEET, b'mergeCell ref="F1:G1"', b'mergeCell ref="F1:H1"'),
        (SHEET, b'autoFilter ref="A1:C9"', b'autoFilter ref="A1:C8"'),
        (SHEET, b'ref="I1:I2"', b'ref="I1:I3"'),
        (SHEET, b'hyperlink ref="J1"', b'hyperlink ref="J2"'),
        (SHEET, b'<c r="I1"', b'<c r="I1" cm="1"'),
        (
            "xl/sharedStrings.xml",
            b"<r><t>x</t></r><r>" + BOLD + b"<t>y</t></r>",
            b"<r>" + BOLD + b"<t>x</t></r><r><t>y</t></r>",
        ),
    ],
    ids=["merged", "filter", "array", "link", "dynamic", "bold"],
)
def test_over_which_cells_something_goes_is_said(tmp_path: Path, member: str, old: bytes, new: bytes) -> None:
    a = framed(tmp_path / "a.xlsx")
    assert zipfile.ZipFile(a).read(member).count(old) == 1
    assert kinds(outcome(a, repacked(a, tmp_path / "b.xlsx", member, old, new))) == {
        (Kind.ATTRIBUTES, Rung.VALUE)
    }


def test_cells_and_rows_need_not_say_where_they_are(tmp_path: Path) -> None:
    a = book(tmp_path / "a.xlsx")
    b, target = tmp_path / "b.xlsx", tmp_path / "c.xlsx"
    with zipfile.ZipFile(a) as file:
        sheet = file.read(SHEET)
    repacked(a, b, SHEET, sheet, re.sub(rb'<(c|row) r="[A-Z0-9]+"', rb"<\1", sheet))
    assert kinds(outcome(a, b)) == {(Kind.LAYOUT, Rung.CONTAINER)}
    repacked(b, target, SHEET, b"<v>0.1</v>", b"<v>9</v>")
    assert kinds(outcome(a, target)) == {(Kind.VALUE, Rung.VALUE)}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("1", "1.0", (Kind.LAYOUT, Rung.CONTAINER)),
        ("0.1", "0.10000000000000001", (Kind.LAYOUT, Rung.CONTAINER)),
        ("300", "3E2", (Kind.LAYOUT, Rung.CONTAINER)),
        ("9007199254740992", "9007199254740993", (Kind.ATTRIBUTES, Rung.VALUE)),
    ],
)
def test_one_number_may_be_spelled_in_several_ways(
    tmp_path: Path, a: str, b: str, expected: tuple[Kind, Rung]
) -> None:
    first, second = (f"<v>{text}</v>".encode() for text in (a, b))
    plain = book(tmp_path / "plain.xlsx", [("id", "n"), (12345, "x"), (2, "y")])
    left = repacked(plain, tmp_path / "a.xlsx", SHEET, b"<v>12345</v>", first)
    right = repacked(plain, tmp_path / "b.xlsx", SHEET, b"<v>12345</v>", second)
    assert kinds(outcome(left, right)) == {expected}


OTHER = "xl/worksheets/sheet2.xml"


def two_sheets(path: Path, rows: Iterable[tuple[Any, ...]] = ROWS) -> Path:
    """Write rows into a first sheet, and into both an error, a date and formulas of one value."""
    workbook = xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"})
    workbook.set_properties({"created": NOON})
    for name, cells in (("counties", rows), ("more", ROWS[:4])):
        sheet = workbook.add_worksheet(name)
        for number, row in enumerate(cells):
            sheet.write_row(number, 0, row)
        sheet.write_datetime(2, 6, NOON)
        sheet.write_formula(2, 8, "=NA()", None, "#N/A")
        sheet.write_formula(2, 9, "=1+2", None, 3)
        sheet.write_formula(3, 9, "=3+0", None, 3)
    workbook.close()
    return path


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (edited(4, 2, 3.8500000000000005), (Kind.FLOAT_NOISE, Rung.NOISE)),
        ([*ROWS[:12], ROWS[13], ROWS[12], *ROWS[14:]], (Kind.ROW_ORDER, Rung.ORDER)),
    ],
    ids=["noise", "order"],
)
def test_a_milder_difference_of_one_cell_excuses_nothing_in_another(
    tmp_path: Path, rows: list[tuple[Any, ...]], told: tuple[Kind, Rung]
) -> None:
    a, b = two_sheets(tmp_path / "a.xlsx"), two_sheets(tmp_path / "b.xlsx", rows)
    assert kinds(outcome(a, b)) == {told}
    for member in (SHEET, OTHER):
        for old, new in (
            (b"#N/A", b"#REF!"),
            (b"<v>43831.5</v>", b"<v>43831.500000001</v>"),
            (b"<f>1+2</f>", b"<f>2+1</f>"),
            (b"<f>1+2</f>", b"<f>3+0</f>"),
        ):
            assert old in zipfile.ZipFile(b).read(member)
            output = outcome(a, repacked(b, tmp_path / "c.xlsx", member, old, new))
            assert output.verdict is OutputVerdict.DIFFERENT, (member, old, new)
        swapped = zipfile.ZipFile(b).read(member).replace(b"1+2", b"-").replace(b"3+0", b"1+2")
        whole = zipfile.ZipFile(b).read(member)
        repacked(b, tmp_path / "c.xlsx", member, whole, swapped.replace(b"<f>-<", b"<f>3+0<"))
        assert outcome(a, tmp_path / "c.xlsx").verdict is OutputVerdict.DIFFERENT, member


def test_rows_take_formulas_that_name_their_own_row_with_them(tmp_path: Path) -> None:
    def formulas(name: str, order: Iterable[int]) -> Path:
        workbook = xlsxwriter.Workbook(tmp_path / name)
        workbook.set_properties({"created": NOON})
        sheet = workbook.add_worksheet("counties")
        sheet.write_row(0, 0, ["id", "double", "first"])
        for number, row in enumerate(order, 2):
            sheet.write_row(number - 1, 0, [row])
            sheet.write_formula(number - 1, 1, f"=A{number}*2", None, row * 2)
            sheet.write_formula(number - 1, 2, "=$A$2", None, 0)
        workbook.close()
        return tmp_path / name

    a, b = formulas("a.xlsx", range(12)), formulas("b.xlsx", reversed(range(12)))
    assert kinds(outcome(a, b)) == {(Kind.ROW_ORDER, Rung.ORDER)}
    c = repacked(b, tmp_path / "c.xlsx", SHEET, b"<f>A2*2</f>", b"<f>A3*2</f>")
    assert outcome(a, c).verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'r="A1"', b'r="XFD1048576"', "span more than"),
        (b"</sheetData>", b" " * (64 << 20) + b"</sheetData>", "unpacks to"),
        (b"</sheetData>", b'<row><x:c xmlns:x="y" r="XFD1048576"/></row></sheetData>', "span more than"),
    ],
    ids=["far cell", "bomb", "prefix"],
)
def test_a_workbook_that_asks_for_too_much_is_unknown(
    tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    a = book(tmp_path / "a.xlsx")
    output = outcome(a, repacked(a, tmp_path / "b.xlsx", SHEET, old, new))
    assert output.verdict is OutputVerdict.UNKNOWN
    assert said in output.findings[0].evidence


def test_a_sheet_that_lies_elsewhere_is_bounded_too(tmp_path: Path) -> None:
    a = book(tmp_path / "a.xlsx")
    moved, far = tmp_path / "moved.xlsx", tmp_path / "far.xlsx"
    with zipfile.ZipFile(a) as file, zipfile.ZipFile(moved, "w") as to:
        for info in file.infolist():
            data = file.read(info).replace(b"worksheets/sheet1.xml", b"s/one.bin")
            to.writestr(info.filename.replace("worksheets/sheet1.xml", "s/one.bin"), data)
    assert outcome(a, moved).verdict is not OutputVerdict.UNKNOWN
    output = outcome(moved, repacked(moved, far, "xl/s/one.bin", b'r="A1"', b'r="XFD1048576"'))
    assert "span more than" in output.findings[0].evidence


def test_entities_are_refused(tmp_path: Path) -> None:
    a = book(tmp_path / "a.xlsx")
    declared = b'<!DOCTYPE x [<!ENTITY e "ha">]>\n<worksheet '
    output = outcome(a, repacked(a, tmp_path / "b.xlsx", SHEET, b"<worksheet ", declared))
    assert output.verdict is OutputVerdict.DIFFERENT
    assert "declares a document type" in output.findings[0].evidence


def test_a_zip_that_is_called_a_workbook_is_compared_as_a_zip(tmp_path: Path) -> None:
    for side in "ab":
        with zipfile.ZipFile(tmp_path / f"{side}.xlsx", "w") as file:
            file.writestr("text.txt", f"side {side}\n")
    output = outcome(tmp_path / "a.xlsx", tmp_path / "b.xlsx")
    assert [finding.where["member"] for finding in output.findings if finding.kind is Kind.VALUE] == [
        "text.txt"
    ]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_workbook_is_a_difference(tmp_path: Path, share: float) -> None:
    a, b = book(tmp_path / "a.xlsx"), tmp_path / "b.xlsx"
    b.write_bytes(a.read_bytes()[: int(a.stat().st_size * share)])
    for sides in ((a, b), (b, a)):
        assert outcome(*sides).verdict is OutputVerdict.DIFFERENT


def test_without_the_package_the_answer_is_unknown_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = book(tmp_path / "a.xlsx"), book(tmp_path / "b.xlsx", ROWS[:-1])
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    output = outcome(a, b)
    assert output.verdict is OutputVerdict.UNKNOWN
    assert "not installed" in output.findings[0].evidence


def test_a_member_that_cannot_be_unpacked_is_told_and_no_failure(tmp_path: Path) -> None:
    whole = tmp_path / "a.xlsx"
    WRITERS["xlsx"](pa.table({"a": [1, 2, 3]}), whole)
    raw = whole.read_bytes()
    for at in range(60, 700, 9):
        broken = tmp_path / "b.xlsx"
        broken.write_bytes(raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :])
        (output,) = kfm_repro.diff(whole, broken).outputs
        assert not any("failed on" in finding.evidence for finding in output.findings), at
