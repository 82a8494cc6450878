"""Cells of dBASE tables as they are written.

GDAL reads numbers as doubles, texts without the spaces before them, any other truth value than a plain one as false,
dates of no calendar alike, and some types not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.vector.shapefile_read import Dbf
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["digit_findings"]

_NUMBERS = ("N", "F")
_READ = "M"
"""The type that GDAL tells apart cell by cell: what stands there is a number that another file explains."""
_TRUTHS = {**dict.fromkeys(b"YyTt", b"T"), **dict.fromkeys(b"NnFf", b"F"), **dict.fromkeys(b" ?\0", b"?")}
"""What the first byte of a truth value says; a blank one is not initialised, as is a question mark."""
_DELETED, _SPACE = b"* "


def digit_findings(
    paths: tuple[Path, Path], heads: tuple[Dbf, Dbf], skipped: Container[str], *, moved: bool
) -> Iterator[Finding]:
    """Report columns that differ in digits beyond double precision, in no numbers, or in what else is not read.

    Both tables hold the same for GDAL, in the same order unless ``moved``: then the values of a column are
    compared as a multiset. Columns ``skipped`` are told elsewhere. Raises Unreadable.
    """
    if heads[0].fields != heads[1].fields:
        return
    records = [_records(path, head) for path, head in zip(paths, heads, strict=True)]
    if records[0].shape != records[1].shape:
        return
    columns = [_columns(head) for head in heads]  # which may stand in another order
    for name, (kind, width, decimals) in heads[0].fields.items():
        if kind == _READ or not width or name in skipped:
            continue
        cells = [side[:, own[name]] for side, own in zip(records, columns, strict=True)]
        if kind == "C" and not any((side[:, 0] == _SPACE).any() for side in cells):
            continue
        pairs = _unequal(cells[0], cells[1], kind, moved=moved)
        if pairs:
            yield _finding(name, pairs, len(records[0]), whole=not (kind in _NUMBERS and decimals))


def _columns(head: Dbf) -> dict[str, slice]:
    """Return which bytes of a record each field has; the first one says whether it is deleted."""
    found, at = {}, 1
    for name, (_, width, _) in head.fields.items():
        found[name] = slice(at, at + width)
        at += width
    return found


def _records(path: Path, head: Dbf) -> npt.NDArray[np.uint8]:
    """Return the records that are not deleted, uint8 of shape (records, bytes of a record)."""
    import numpy as np

    with reading(path, "dBASE"):
        size = 1 + sum(width for _, width, _ in head.fields.values())
        if size != head.record:
            raise ValueError("the fields are not as wide as a record")
        raw = np.fromfile(path, np.uint8, count=head.count * size, offset=head.size)
        records = raw.reshape(head.count, size)
    kept: npt.NDArray[np.uint8] = records[records[:, 0] != _DELETED]
    return kept


def _unequal(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], kind: str, *, moved: bool
) -> list[tuple[Any, Any]]:
    """Return the cells that differ: pairs in place, or those that are left of two multisets."""
    import numpy as np

    if not moved:
        rows = np.flatnonzero((a != b).any(axis=1))
        cells = [[_value(cell.tobytes(), kind) for cell in side[rows]] for side in (a, b)]
        return [pair for pair in zip(*cells, strict=True) if pair[0] != pair[1]]
    bags: list[Counter[Any]] = []
    for side in (a, b):
        bag: Counter[Any] = Counter()
        texts = np.ascontiguousarray(side).view(f"S{side.shape[1]}").ravel()
        for cell, count in zip(*np.unique(texts, return_counts=True), strict=True):
            bag[_value(bytes(cell).ljust(side.shape[1], b"\0"), kind)] += int(count)
        bags.append(bag)
    left = [sorted((mine - other).elements(), key=str) for mine, other in (bags, bags[::-1])]
    return [*zip(*left, strict=True)]


def _value(cell: bytes, kind: str) -> Decimal | bytes | None:
    """Return what a cell says: a number or date (None where it is blank or overflowed), else bytes."""
    text = cell.strip(b" \0")
    if kind in _NUMBERS:
        return _number(text)
    if kind == "D":
        return text if text.strip(b"0") else None
    if kind == "C":
        return cell.partition(b"\0")[0].rstrip(b" ")
    return _TRUTHS.get(cell[0], cell) if kind == "L" else cell


def _number(text: bytes) -> Decimal | bytes | None:
    if not text.strip(b"*"):
        return None
    try:
        value = Decimal(text.decode("ascii").replace("_", "?"))
    except (InvalidOperation, UnicodeDecodeError):
        return text
    return value if value.is_finite() else text


def _finding(name: str, pairs: list[tuple[Any, Any]], of: int, *, whole: bool) -> Finding:
    """Return the finding: digits behind the point beyond double precision are noise, all else is a value."""
    noise = not whole and all(isinstance(cell, Decimal) for pair in pairs for cell in pair)
    shown = [Example(a=_shown(x), b=_shown(y)) for x, y in pairs[:MAX_EXAMPLES]]
    words = (
        "the same doubles, written in digits that differ" if noise else "cells that GDAL reads alike differ"
    )
    return Finding(
        kind=Kind.FLOAT_NOISE if noise else Kind.VALUE,
        rung=Rung.NOISE if noise else Rung.VALUE,
        where={"column": name},
        count=len(pairs),
        of=of,
        examples=tuple(shown),
        evidence=words,
    )


def _shown(cell: Decimal | bytes | None) -> Any:  # noqa: ANN401 - a JSON scalar
    return scalar(str(cell) if isinstance(cell, Decimal) else cell)
