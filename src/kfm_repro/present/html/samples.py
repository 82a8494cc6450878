"""Examples of a finding as a table, with the part of each pair marked in which the two sides differ."""

from __future__ import annotations

from dataclasses import dataclass

from kfm_repro.model.finding import Example, Finding
from kfm_repro.present.visible import visible

__all__ = ["Cell", "Row", "Table", "table_of"]

_TEXT = 400


@dataclass(frozen=True)
class Cell:
    """A value in three parts: the middle is what differs. ``absent`` says that there is none."""

    before: str = ""
    middle: str = ""
    after: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Row:
    """One example: what names its place, and both values."""

    key: tuple[str, ...]
    a: Cell
    b: Cell


@dataclass(frozen=True)
class Table:
    """Examples under their heads; ``left_out`` places differ besides. A side without any value has no column.

    Examples that name a place and no value have none at all: a tile or a table whose bytes differ is on both sides.
    """

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int
    has_a: bool = True
    has_b: bool = True


def table_of(finding: Finding, most: int) -> Table | None:
    """Return the examples of a finding as a table, None when it has none."""
    if not finding.examples:
        return None
    examples = finding.examples[:most]
    keys = [example.key if isinstance(example.key, dict) else {} for example in examples]
    heads = tuple(dict.fromkeys(name for key in keys for name in key))[:4]
    rows = tuple(
        Row(tuple(visible(key[head], 120) if head in key else "" for head in heads), *_cells(example))
        for key, example in zip(keys, examples, strict=True)
    )
    sides = [any(not cell.absent for cell in cells) for cells in ([r.a for r in rows], [r.b for r in rows])]
    has_a, has_b = sides if any(sides) or heads else (True, True)
    shown = tuple(visible(head) for head in heads)
    return Table(shown, rows, max(0, finding.count - len(rows)), has_a, has_b)


def _cells(example: Example) -> tuple[Cell, Cell]:
    """Return both values, with whole words and numbers marked where they differ."""
    if example.a is None or example.b is None:
        return _whole(example.a), _whole(example.b)
    a, b = visible(_text(example.a), _TEXT), visible(_text(example.b), _TEXT)
    start = _shared(a, b)
    while start and (a[start - 1].isalnum() or b[start - 1 : start].isalnum()):
        start -= 1
    end = _shared(a[start:][::-1], b[start:][::-1])
    while end and a[len(a) - end].isalnum():
        end -= 1
    return _parts(a, start, end), _parts(b, start, end)


def _whole(value: object) -> Cell:
    return Cell(absent=True) if value is None else Cell(before=visible(_text(value), _TEXT))


def _text(value: object) -> str:
    """Return a value as JSON would name it: True is ``true`` there."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parts(text: str, start: int, end: int) -> Cell:
    stop = len(text) - end
    return Cell(text[:start], text[start:stop], text[stop:])


def _shared(a: str, b: str) -> int:
    """Return how many characters two texts share at their start."""
    for at, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return at
    return min(len(a), len(b))
