"""Shapefiles: one dataset of several files, of which each is an output of its own.

What lies in ``.shp`` and ``.dbf`` is only told together: a feature is a shape and the record at the same place.
ESRI Shapefile Technical Description, July 1998; dBASE III headers.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import classify_texts
from kfm_repro.compare.vector.crs import compare_crs, ground_of, parse
from kfm_repro.compare.vector.dbf_digits import digit_findings
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.measure import UNKNOWN_GROUND
from kfm_repro.compare.vector.shapefile_read import (
    Dbf,
    Parts,
    read_boxes,
    read_dataset,
    read_dbf,
    read_offsets,
)
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.compare.vector.measure import Ground

__all__ = ["compare_part", "compare_shapes", "compare_table"]

_ORDERS = (Kind.FEATURE_ORDER, Kind.ROW_ORDER)
_INDEXES = (".qix", ".sbn", ".sbx", ".fix", ".idm", ".ind")


def compare_shapes(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two files of shapes (.shp), or the indexes of two (.shx), with their attributes where those are at hand.

    Attributes that differ are told of the ``.dbf``, which is an output of its own. Raises Unreadable for a
    damaged file.
    """
    if _suffix(context) == ".shx":
        return tuple(_offsets(a, b, context))
    sides = _sides(a, b, context)
    found, geometry = _rows(sides, context)
    kept = [f for f in found if f.where.get("column", geometry) == geometry]
    return (*_headers(a, b), *_boxes(a, b, kept), *_doubtful(kept, sides, ".dbf"))


def compare_table(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two dBASE tables, with the shapes that they belong to where those are at hand."""
    heads = read_dbf(a), read_dbf(b)
    sides = _sides(a, b, context)
    found, geometry = _rows(sides, context)
    kept = [f for f in found if not geometry or f.where.get("column") != geometry]
    if context.depth or _has_shapes(context):
        kept = _doubtful(kept, sides, ".shp")
    declared = tuple(_declared(*heads, found))
    if any(finding.rung in (Rung.VALUE, Rung.UNKNOWN) for finding in (*declared, *found)):
        return (*declared, *kept)
    moved = any(finding.kind in _ORDERS for finding in found)
    told = {str(finding.where.get("column")) for finding in found if _is_told(finding, heads[0])}
    skipped = told | set(context.options.ignore)
    return (*declared, *kept, *digit_findings((a, b), heads, skipped, moved=moved))


def _is_told(finding: Finding, head: Dbf) -> bool:
    """Return whether a finding leaves nothing to say of its column: whole numbers are no more than near as doubles."""
    decimals = head.fields.get(str(finding.where.get("column")), ("", 0, 0))[2]
    return finding.rung is Rung.TOLERANCE or (finding.kind is Kind.FLOAT_NOISE and decimals > 0)


def compare_part(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare what stands beside shapes: the reference system, the code page, spatial indexes."""
    suffix = _suffix(context)
    if suffix in _INDEXES:
        evidence = "a spatial index that is not read: whether it leads to the shapes is not known"
        return (Finding(kind=Kind.SPATIAL_INDEX, rung=Rung.UNKNOWN, evidence=evidence),)
    texts = []
    for path in (a, b):
        with reading(path, suffix):
            texts.append(path.read_bytes()[: 1 << 20].decode("utf-8-sig").strip())
    if texts[0] == texts[1]:
        return ()
    example = (Example(a=scalar(texts[0]), b=scalar(texts[1])),)
    if suffix == ".prj":
        same, evidence = compare_crs(*texts)
        kind, rung = (Kind.LAYOUT, Rung.CONTAINER) if same else (Kind.CRS, Rung.VALUE)
        return (Finding(kind=kind, rung=rung, examples=example, evidence=evidence),)
    same = _codec(texts[0]) == _codec(texts[1]) != ""
    evidence = "the same code page by another name" if same else "the texts are read in another code page"
    rung = Rung.CONTAINER if same else Rung.VALUE
    return (Finding(kind=Kind.ENCODING, rung=rung, examples=example, evidence=evidence),)


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def _suffix(context: Context) -> str:
    return PurePosixPath(context.name).suffix.lower()


def _sides(a: Path, b: Path, context: Context) -> tuple[Parts, Parts]:
    """Return the files of both datasets that are at hand, under the suffixes that they go by."""
    own = _suffix(context)
    found: tuple[Parts, Parts] = ({own: a}, {own: b})
    if not any(context.siblings):
        return found
    mains = context.beside(context.name)
    name = PurePosixPath(context.name)
    for suffix in (".shp", ".dbf", ".prj", ".cpg"):
        other = [context.beside(str(name.with_suffix(form))) for form in (suffix, suffix.upper())]
        for parts, path in zip(found, (a, b), strict=True):
            side = 1 if path == mains[1] != mains[0] else 0
            file = other[0][side] or other[1][side]
            if file is not None:
                parts.setdefault(suffix, file)
    for suffix in (".shp", ".dbf"):
        if not all(suffix in parts for parts in found):
            # The other half of the features counts where both sides have it.
            for parts in found:
                parts.pop(suffix, None)
    return found


def _has_shapes(context: Context) -> bool:
    """Return whether a table belongs to shapes on either side, even if they are not at hand on both."""
    name = PurePosixPath(context.name)
    beside = context.beside
    return beside is not None and any(
        file for suffix in (".shp", ".SHP") for file in beside(str(name.with_suffix(suffix)))
    )


def _rows(sides: tuple[Parts, Parts], context: Context) -> tuple[tuple[Finding, ...], str]:
    """Return what differs between the features, and the name of their geometries ("" without shapes)."""
    with ExitStack() as stack:
        (table_a, geometry), (table_b, _) = (stack.enter_context(read_dataset(parts)) for parts in sides)
    shown = ShownGeometries()
    classify = partial(classify_geometries, ground=_ground(sides[0]))
    classifiers: dict[str, PairClassifier] = {
        name: classify_texts for name in table_a.column_names if name != geometry
    }
    if geometry:
        classifiers[geometry] = shown.watch(geometry, classify)
    unit = "feature" if geometry else "row"
    found = compare_tables(table_a, table_b, context, unit=unit, classifiers=classifiers)
    return shown.render(found), geometry


def _boxes(a: Path, b: Path, found: list[Finding]) -> Iterator[Finding]:
    """Report extents that differ over the same shapes: readers choose by them what they draw."""
    if any(finding.rung not in (Rung.CONTAINER, Rung.ORDER) for finding in found):
        return
    (whole_a, each_a), (whole_b, each_b) = read_boxes(a), read_boxes(b)
    for what, left, right in (("the header", [whole_a], [whole_b]), ("a shape", each_a, each_b)):
        pairs = [(x, y) for x, y in zip(left, right, strict=False) if x != y]
        if pairs or len(left) != len(right):
            examples = tuple(Example(a=scalar(list(x)), b=scalar(list(y))) for x, y in pairs[:1])
            evidence = f"the extents that {what} states differ over the same shapes"
            yield Finding(
                kind=Kind.EXTENT_METADATA, rung=Rung.VALUE, count=max(1, len(pairs)), examples=examples,
                evidence=evidence,
            )  # fmt: skip


def _ground(parts: Parts) -> Ground:
    if ".prj" not in parts:
        return UNKNOWN_GROUND
    with reading(parts[".prj"], "a reference system"):
        return ground_of(parse(parts[".prj"].read_bytes()[: 1 << 20].decode("utf-8-sig").strip()))


def _doubtful(found: list[Finding], sides: tuple[Parts, Parts], other: str) -> list[Finding]:
    """Return the findings; an order is only one when the other half of the features went the same way."""
    if all({".shp", ".dbf"} <= set(parts) for parts in sides):
        return found
    return [
        msgspec.structs.replace(
            finding,
            rung=Rung.UNKNOWN,
            evidence=f"{finding.evidence}; whether the {other} follows is not known",
        )
        if finding.kind in _ORDERS
        else finding
        for finding in found
    ]


def _headers(a: Path, b: Path) -> Iterator[Finding]:
    """Report the type of the shapes and the extent in the headers of two files of shapes."""
    heads = []
    for path in (a, b):
        with reading(path, "Shapefile", struct.error), path.open("rb") as file:
            heads.append(struct.unpack("<32xi8d", file.read(100)))
    if heads[0][0] != heads[1][0]:
        example = (Example(a=heads[0][0], b=heads[1][0]),)
        evidence = "the declared type of the shapes"
        yield Finding(kind=Kind.SCHEMA, rung=Rung.VALUE, examples=example, evidence=evidence)


def _declared(a: Dbf, b: Dbf, found: tuple[Finding, ...]) -> Iterator[Finding]:
    """Report what the headers of two tables declare."""
    if a.date != b.date:
        evidence = f"the date in the header: {a.date} against {b.date}"
        yield Finding(
            kind=Kind.TIMESTAMP, rung=Rung.CONTAINER, where={"pointer": "/header/date"}, evidence=evidence,
            examples=(Example(a=a.date, b=b.date),),
        )  # fmt: skip
    if a.code_page != b.code_page:
        evidence = f"the code page in the header: {a.code_page} against {b.code_page}"
        yield Finding(
            kind=Kind.ENCODING, rung=Rung.CONTAINER, where={"pointer": "/header/code page"}, evidence=evidence
        )
    told = {f.where.get("column") for f in found if f.kind in (Kind.TYPE, Kind.SCHEMA)}
    for name, field in a.fields.items():
        other = b.fields.get(name)
        if other is not None and other != field and name not in told:
            kind = Kind.TYPE if other[0] != field[0] else Kind.SCHEMA
            evidence = "the field is declared otherwise: type, width, decimals"
            example = Example(a="{} {}.{}".format(*field), b="{} {}.{}".format(*other))
            yield Finding(
                kind=kind, rung=Rung.VALUE, where={"column": name}, examples=(example,), evidence=evidence
            )


def _offsets(a: Path, b: Path, context: Context) -> Iterator[Finding]:
    """Report two indexes of shapes: they follow from the shapes, or they do not."""
    shapes: tuple[Path | None, Path | None] = (None, None)
    if any(context.siblings):
        name = PurePosixPath(context.name)
        shapes = context.beside(str(name.with_suffix(".shp")))
        if shapes == (None, None):
            shapes = context.beside(str(name.with_suffix(".SHP")))
    for path, shape, side in ((a, shapes[0], "A"), (b, shapes[1], "B")):
        stated = read_offsets(path, index=True)
        if shape is None:
            evidence = f"the shapes of {side}, from which its index follows, are not at hand"
            yield Finding(kind=Kind.SPATIAL_INDEX, rung=Rung.UNKNOWN, evidence=evidence)
        elif stated != read_offsets(shape, index=False):
            evidence = f"the index of {side} does not lead to its shapes"
            yield Finding(kind=Kind.SPATIAL_INDEX, rung=Rung.VALUE, evidence=evidence)
