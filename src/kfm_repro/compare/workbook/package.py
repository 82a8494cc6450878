"""The package of a workbook: its members besides the cells, and the bounds within which it is read."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING
from xml.parsers import expat

from kfm_repro.compare.archive.members import entry_metadata
from kfm_repro.compare.context import reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.workbook.sheet import Sheet, events, parser, read_sheet
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = [
    "STRINGS",
    "Differing",
    "attributes_differ",
    "check_package",
    "compare_part",
    "properties",
    "sheet_names",
]

STRINGS = "xl/sharedStrings.xml"
_MOST_CELLS = 20_000_000
_BLOCK = 1 << 20
_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml")
_CELLS = b"sheetData"
_PROPERTIES = re.compile(r"docProps/[^/]+\.xml")
_TIMES = ("created", "modified", "lastPrinted", "creation-date", "date", "print-date")
"""By the names of Office Open XML and of OpenDocument."""
_MAKERS = ("Application", "AppVersion", "generator")


@dataclass
class Differing:
    """The members whose bytes differ, as the comparison of the package came across them."""

    sheets: dict[str, tuple[Sheet, Sheet]] = field(default_factory=dict)
    strings: bool = False
    strings_reordered: bool = False


def check_package(path: Path, context: Context) -> None:
    """Unpack everything once, within the limits, and measure every sheet."""
    limits = context.limits
    with (
        reading(path, "XLSX", zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
        zipfile.ZipFile(path) as file,
    ):
        members = file.infolist()
        if _WORKBOOK not in {member.filename for member in members}:
            raise ValueError("it is a zip file without a workbook")
        whole = sum(member.file_size for member in members)
        if whole > limits.member_bytes or (
            whole > 16 * _BLOCK and whole > limits.ratio * path.stat().st_size
        ):
            raise LimitExceeded(f"the workbook unpacks to {whole} bytes")
        cells = 0
        for member in members:
            if not _SHEETS.fullmatch(member.filename):
                with file.open(member) as source:
                    if not _holds_cells(source):
                        continue
            with file.open(member) as source:
                sheet = read_sheet(_blocks(source), keep=False)
                cells += sheet.rows * sheet.columns
            if cells > _MOST_CELLS:
                raise LimitExceeded(f"the sheets span more than {_MOST_CELLS} cells")


def _holds_cells(source: IO[bytes]) -> bool:
    """Read a member to its end; return whether a reader may take it for a sheet, which may lie anywhere."""
    found, before = False, b""
    while block := source.read(_BLOCK):
        found = found or _CELLS in before + block
        before = block[-len(_CELLS) :]
    return found


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block


def compare_part(a: Path, b: Path, name: str, found: Differing, context: Context) -> tuple[Finding, ...]:
    """Compare one member of the package; sheets and the texts of their cells are only noted in ``found``."""
    with reading(a, "XLSX", expat.ExpatError):
        if _SHEETS.fullmatch(name):
            found.sheets[name] = (
                read_sheet([a.read_bytes()], keep=True),
                read_sheet([b.read_bytes()], keep=True),
            )
            return ()
        if not name.endswith((".xml", ".rels")):
            return attributes_differ("the content of this part of the workbook differs")
        return _document(name, (events(a), events(b)), found, context)


def _document(
    name: str, sides: tuple[list[str], list[str]], found: Differing, context: Context
) -> tuple[Finding, ...]:
    if _PROPERTIES.fullmatch(name):
        return properties(*sides, context)
    if name == STRINGS:
        found.strings = True
        found.strings_reordered = Counter(_items(sides[0])) == Counter(_items(sides[1]))
        return ()
    if name == "xl/calcChain.xml" or sides[0] == sides[1]:
        evidence = "the order of calculation" if sides[0] != sides[1] else "the same XML, spelled otherwise"
        return (Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence),)
    shown = next((pair for pair in zip(*sides, strict=False) if pair[0] != pair[1]), ("", ""))
    return attributes_differ("styles, names or settings of the workbook differ", shown)


def _items(events: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the shared texts, each with its runs in order; how many there are follows from them."""
    item: list[str] = []
    for event in events:
        name = event[1:].split(" ", 1)[0].rpartition(":")[2]
        if event.startswith("<") and name == "si":
            item = []
        item.append(event)
        if event.startswith("</") and name == "/si":
            yield tuple(item)


def sheet_names(path: Path) -> dict[str, str]:
    """Return the sheets of a workbook by the member in which their cells lie, as far as its parts say so."""
    with reading(path, "XLSX", zipfile.BadZipFile, expat.ExpatError), zipfile.ZipFile(path) as file:
        members = set(file.namelist())
        targets = {
            said.get("Id"): said.get("Target", "").removeprefix("/xl/")
            for tag, said in _elements(file, members, _RELATIONS)
            if tag == "Relationship"
        }
        return {
            f"xl/{targets.get(next((said[key] for key in said if key.endswith(':id')), ''))}": said.get(
                "name", ""
            )
            for tag, said in _elements(file, members, _WORKBOOK)
            if tag == "sheet"
        }


def _elements(file: zipfile.ZipFile, members: set[str], name: str) -> list[tuple[str, dict[str, str]]]:
    if name not in members:
        return []
    found: list[tuple[str, dict[str, str]]] = []
    made = parser()
    made.StartElementHandler = lambda tag, said: found.append((tag.rpartition(":")[2], said))
    made.Parse(file.read(name), True)  # noqa: FBT003 - expat takes it by place
    return found


def attributes_differ(evidence: str, shown: tuple[str, str] = ("", "")) -> tuple[Finding, ...]:
    """Return the finding for what a workbook says that is neither a cell nor bookkeeping."""
    examples = (Example(a=scalar(shown[0]), b=scalar(shown[1])),) if any(shown) else ()
    return (Finding(kind=Kind.ATTRIBUTES, rung=Rung.VALUE, examples=examples, evidence=evidence),)


def properties(a: list[str], b: list[str], context: Context) -> tuple[Finding, ...]:
    """Report what the document's properties say otherwise, each as what it is: bookkeeping of the package."""
    left, right = _leaves(a), _leaves(b)
    findings = []
    for name in dict.fromkeys((*left, *right)):
        one, other = left.get(name, ""), right.get(name, "")
        if one == other:
            continue
        if name in _TIMES or name in _MAKERS:
            findings.append(
                Finding(
                    kind=Kind.TIMESTAMP if name in _TIMES else Kind.LIBRARY_VERSION,
                    rung=Rung.CONTAINER,
                    examples=(Example(key={"field": name}, a=scalar(one), b=scalar(other)),),
                    evidence=f"{name} in the document's properties",
                )
            )
        else:
            found = entry_metadata(one, other, name, "", context)
            findings.append(
                Finding(
                    kind=found.kind, rung=found.rung, examples=found.examples,
                    evidence=f"{found.evidence}, in the document's properties",
                )
            )  # fmt: skip
    if not findings:
        return (
            Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence="the same properties, spelled otherwise"),
        )
    return tuple(findings)


def _leaves(events: list[str]) -> dict[str, str]:
    """Return the texts of a document by the names of their elements, the texts of one name joined."""
    found: dict[str, str] = {}
    name = ""
    for event in events:
        if event.startswith("<") and not event.startswith("</"):
            name = event[1:].split(" ", 1)[0].rpartition(":")[2]
            found.setdefault(name, "")
        elif not event.startswith("</"):
            found[name] = f"{found.get(name, '')}{event}".strip()
    return found
