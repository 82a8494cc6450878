"""OpenDocument spreadsheets: rows as data, whatever else a cell says as said, packaging as packaging."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyogrio
import pytest

from kfm_repro.judge.diff import compare_paths

ROWS = pd.DataFrame({"county": ["Allen", "Barton", "Clark"], "wells": [3, 1, 2], "depth": [10.5, 20.25, 0.1]})


def written(path: Path, rows: pd.DataFrame = ROWS) -> Path:
    """Write a spreadsheet by GDAL, and its package again as `rewritten` does."""
    raw = path.with_name("raw.ods")
    pyogrio.write_dataframe(rows, raw, driver="ODS", layer="wells")
    rewritten(raw, path, str)
    raw.unlink()
    return path


def rewritten(path: Path, target: Path, change: Callable[[str], str], member: str = "content.xml") -> Path:
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data = source.read(entry)
            changed = change(data.decode()).encode() if entry.filename == member else data
            archive.writestr(entry, changed)
    return target


def found(a: Path, b: Path) -> tuple[str, set[tuple[str, str]]]:
    (output,) = compare_paths(a, b).outputs
    dates = "date of the entry"
    said = {(str(f.kind), str(f.rung)) for f in output.findings if not f.evidence.startswith(dates)}
    return str(output.verdict), said


def test_rows_in_another_order_are_in_another_order(tmp_path: Path) -> None:
    a = written(tmp_path / "a.ods")
    b = written(tmp_path / "b.ods", ROWS.iloc[::-1])
    assert found(a, b) == ("equivalent", {("row-order", "order")})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('office:value="3"', 'office:value="4"', ("different", {("value", "value")})),
        ("Barton", "Butler", ("different", {("value", "value")})),
        ('office:value="3"', 'office:value="3.0"', ("different", {("attributes", "value")})),
        (
            'office:value-type="float" office:value="3"',
            'table:formula="of:=[.C2]" office:value-type="float" office:value="3"',
            ("different", {("attributes", "value")}),
        ),
        ('table:name="wells"', 'table:name="b"', ("different", {("schema", "value")})),
        ('column-width="5cm"', 'column-width="6cm"', ("different", {("attributes", "value")})),
        ("<office:scripts/>", "<office:scripts></office:scripts>", ("equivalent", {("layout", "container")})),
    ],
)
def test_what_cells_and_sheets_say_is_compared(tmp_path: Path, old: str, new: str, told: Any) -> None:
    a = written(tmp_path / "a.ods")
    assert old in zipfile.ZipFile(a).read("content.xml").decode()
    assert found(a, rewritten(a, tmp_path / "b.ods", lambda text: text.replace(old, new, 1))) == told


def test_a_formula_that_went_to_another_row_is_no_order(tmp_path: Path) -> None:
    """Values are shuffled alike; the formula stays behind."""
    plain = 'office:value-type="float" office:value="{}"'
    formula = 'table:formula="of:=1" '
    sides = []
    for name, rows, cell in (("a", ROWS, "3"), ("b", ROWS.iloc[::-1], "2")):
        source = written(tmp_path / "x.ods", rows)
        wanted = plain.format(cell)
        sides.append(
            rewritten(
                source, tmp_path / f"{name}.ods", lambda text, w=wanted: text.replace(w, formula + w, 1)
            )
        )
        source.unlink()
    assert found(*sides) == ("different", {("row-order", "order"), ("attributes", "value")})


CELL = '<table:table-cell office:value-type="float" office:value="3"/>'


@pytest.mark.parametrize(
    ("cell", "other"),
    [
        (
            ">{}<text:p>3</text:p></table:table-cell>",
            ("", "<office:annotation><text:p>b</text:p></office:annotation>"),
        ),
        ("><text:p>{}</text:p></table:table-cell>", ("3.0", "4.0")),
        (' office:currency="{}"/>', ("EUR", "USD")),
    ],
    ids=["comment", "shown", "currency"],
)
def test_noise_in_one_cell_excuses_nothing_in_another(
    tmp_path: Path, cell: str, other: tuple[str, str]
) -> None:
    source = written(tmp_path / "source.ods")
    noise = 'office:value="0.1000000000000000"', 'office:value="0.10000000000000002"'
    a, b, c = (
        rewritten(
            source,
            tmp_path / f"{name}.ods",
            lambda text, new=new, to=to: text.replace(CELL, CELL[:-2] + new).replace(noise[0], to),
        )
        for name, new, to in (
            ("a", cell.format(other[0]), noise[0]),
            ("b", cell.format(other[0]), noise[1]),
            ("c", cell.format(other[1]), noise[1]),
        )
    )
    assert found(a, b) == ("equivalent", {("float-noise", "noise")})
    assert found(a, c) == ("different", {("float-noise", "noise"), ("attributes", "value")})


def test_repeated_rows_and_cells_are_what_they_stand_for(tmp_path: Path) -> None:
    twice = pd.DataFrame({"a": [1, 1, 2], "b": [1, 1, 3]})
    a = written(tmp_path / "a.ods", twice)
    row = (
        '<table:table-row>\n<table:table-cell office:value-type="float" office:value="1"/>\n'
        '<table:table-cell office:value-type="float" office:value="1"/>\n</table:table-row>\n'
    )
    short = row.replace("table-row>", 'table-row table:number-rows-repeated="2">', 1).replace(
        '<table:table-cell office:value-type="float" office:value="1"/>\n', "", 1
    ).replace("<table:table-cell", '<table:table-cell table:number-columns-repeated="2"')  # fmt: skip
    content = zipfile.ZipFile(a).read("content.xml").decode()
    assert row * 2 in content, content[-2000:]
    b = rewritten(a, tmp_path / "b.ods", lambda text: text.replace(row * 2, short))
    assert found(a, b) == ("equivalent", {("layout", "container")})
    more = rewritten(
        b, tmp_path / "c.ods", lambda text: text.replace('rows-repeated="2"', 'rows-repeated="3"')
    )
    assert found(a, more)[0] == "different"


def test_times_and_programs_of_the_package_are_packaging(tmp_path: Path) -> None:
    a = written(tmp_path / "a.ods")
    sides = [
        rewritten(
            a, tmp_path / f"{name}.ods",
            lambda text, t=text: text.replace(
                "</office:document-meta>",
                f"<meta:creation-date xmlns:meta='urn:m'>{t}</meta:creation-date></office:document-meta>",
            ),
            "meta.xml",
        )
        for name, text in (("b", "2026-01-01T00:00:00"), ("c", "2036-01-01T00:00:00"))
    ]  # fmt: skip
    assert found(*sides) == ("equivalent", {("timestamp", "container")})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<table:table-row>", '<table:table-row table:number-rows-repeated="99999999">', "span more than"),
        ('office:value="3"', 'office:value="many"', ""),
        (
            "<office:document-content",
            "<!DOCTYPE x [<!ENTITY y 'z'>]><office:document-content",
            "declares entities",
        ),
        ("</office:spreadsheet>", "", "cannot be read as XML"),
    ],
)
def test_a_hostile_document_is_one_clear_finding(tmp_path: Path, old: str, new: str, said: str) -> None:
    a = written(tmp_path / "a.ods")
    b = rewritten(a, tmp_path / "b.ods", lambda text: text.replace(old, new, 1))
    (output,) = compare_paths(a, b).outputs
    assert output.verdict in ("unknown", "different")
    assert said in " ".join(finding.evidence for finding in output.findings)


def test_a_zip_file_that_is_called_a_spreadsheet_is_compared_as_a_zip_file(tmp_path: Path) -> None:
    for side in "ab":
        with zipfile.ZipFile(tmp_path / f"{side}.ods", "w") as archive:
            archive.writestr(zipfile.ZipInfo("x.txt"), side)
    assert found(tmp_path / "a.ods", tmp_path / "b.ods")[0] == "different"
    shutil.copyfile(tmp_path / "a.ods", tmp_path / "c.ods")
    assert found(tmp_path / "a.ods", tmp_path / "c.ods") == ("identical", set())
