"""Fields of a TIFF directory that GDAL does not speak of: dates, programs, hosts, and whatever is unknown."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.raster.tiff import NESTED
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.raster.tiff import Directory

__all__ = ["field_findings"]

_ASCII = 2
_NODATA = 42113
"""GDAL_NODATA: a number as text."""
_KNOWN = {
    305: ("Software", Kind.LIBRARY_VERSION),
    306: ("DateTime", Kind.TIMESTAMP),
    316: ("HostComputer", Kind.HOST),
}
_TOLD = frozenset((254, 339, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844))
"""What `picture` and `georeference` compare by its meaning: types, georeference, GDAL's metadata and nodata."""
_PICTURES = 330
"""SubIFDs: where further pictures lie."""
_NAMES = {34665: "Exif", 34853: "GPS", 40965: "Interoperability"}
_PHOTOMETRIC, _PACKED_COLOURS = 262, frozenset(((2,), (6,)))
"""RGB that JPEG keeps as YCbCr is the same once it is decoded."""


def field_findings(
    a: Directory, b: Directory, layout: Container[int], context: Context, where: dict[str, str | int]
) -> list[Finding]:
    """Return what differs in the fields that are neither layout nor compared by their meaning."""
    found: list[Finding] = []
    for tag in sorted({*a.fields, *b.fields}):
        if tag == _PICTURES:
            evidence = f"TIFF tag {tag} leads to a directory that is not read"
            found.append(Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, where=dict(where), evidence=evidence))
        elif tag in NESTED and tag in a.nested and tag in b.nested:
            found.extend(_nested(a.nested[tag], b.nested[tag], _NAMES[tag], context, where))
        elif a.fields.get(tag) != b.fields.get(tag) and not _is_held(a, b, tag, layout):
            name, kind = _KNOWN.get(tag, (f"TIFF tag {tag}", Kind.ATTRIBUTES))
            found.append(_differing(a, b, tag, (name, kind), context, where))
    return found


def _is_held(a: Directory, b: Directory, tag: int, layout: Container[int]) -> bool:
    """Return whether a field that differs is layout, or is compared by its meaning."""
    if tag == _PHOTOMETRIC and {a.numbers(tag), b.numbers(tag)} == _PACKED_COLOURS:
        return True
    return tag in layout or (tag in _TOLD and (tag != _NODATA or _is_told(a, b)))


def _nested(
    a: Directory, b: Directory, name: str, context: Context, where: dict[str, str | int]
) -> Iterator[Finding]:
    """Compare a directory that holds no picture: what a camera or a program says of one."""
    for tag in sorted({*a.fields, *b.fields}):
        if tag in NESTED and tag in a.nested and tag in b.nested:
            yield from _nested(a.nested[tag], b.nested[tag], f"{name}/{_NAMES[tag]}", context, where)
        elif a.fields.get(tag) != b.fields.get(tag):
            yield _differing(a, b, tag, (f"{name}/{tag}", Kind.ATTRIBUTES), context, where)


def _differing(
    a: Directory,
    b: Directory,
    tag: int,
    called: tuple[str, Kind],
    context: Context,
    where: dict[str, str | int],
) -> Finding:
    name, kind = called
    shown = [_shown(directory, tag) for directory in (a, b)]
    packaging = tag in _KNOWN and "/" not in name
    rung = Rung.CONTAINER if packaging else Rung.VALUE
    evidence = name
    if None not in shown:
        part = classify_pairs([(shown[0], shown[1])], context, packaging=packaging)[0]
        marked = Kind(part.kind) in (Kind.TIMESTAMP, Kind.PATH, Kind.HOST, Kind.IDENTIFIER)
        if marked:
            kind, rung, evidence = Kind(part.kind), Rung(part.rung), f"{name}: {part.evidence}"
    example = Example(key={"field": name}, a=scalar(shown[0]), b=scalar(shown[1]))
    return Finding(
        kind=kind, rung=rung, where={**where, "pointer": f"/{name}"}, examples=(example,), evidence=evidence
    )


def _is_told(a: Directory, b: Directory) -> bool:
    """Return whether two values for nodata differ as doubles as well, or not at all as numbers."""
    try:
        numbers = [Decimal(str(_shown(directory, _NODATA))) for directory in (a, b)]
        return numbers[0] == numbers[1] or float(numbers[0]) != float(numbers[1])
    except (InvalidOperation, ValueError):
        return True


def _shown(directory: Directory, tag: int) -> object:
    if tag not in directory.fields:
        return None
    kind, raw = directory.fields[tag]
    if kind == _ASCII:
        return raw.rstrip(b"\0").decode("utf-8", "replace")
    numbers = directory.numbers(tag)
    return (numbers[0] if len(numbers) == 1 else list(numbers)) if numbers else raw
