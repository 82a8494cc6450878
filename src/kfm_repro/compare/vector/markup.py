"""KML and GML: features as rows, geometries by meaning, everything else as a tree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from kfm_repro.compare.context import Classified, Context
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import classify_texts
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.xml_read import canonical, local, text_of
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.compare.vector.measure import Ground

__all__ = ["Features", "compare_features", "references"]

_NAMES = ("folder", "schemaUrl", "feature type")
"""Labels that name a layer."""
_NUMBERED = re.compile(r" \([0-9]+\)\Z")
_COUNTED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)


@dataclass
class Features:
    """The features of a document, and the tree that is left without them.

    ``rows`` hold the values of each feature by label, ``wkb`` its geometry. ``numbers`` are labels of which the
    values may merely count the features; ``follows`` those that follow from the geometries of this document;
    ``referred`` the ids that something within it refers to.
    """

    stem: str
    rest: Element
    rows: list[dict[str, str]] = field(default_factory=list)
    wkb: list[bytes | None] = field(default_factory=list)
    numbers: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    referred: frozenset[str] = frozenset()

    def add(self, row: list[tuple[str, str | None]], wkb: bytes | None) -> None:
        """Take in a feature; a second value of the same label gets a label of its own.

        A label that looks like one of those is numbered from its first value on, so that none is taken for another.
        """
        found: dict[str, str] = {}
        counts: Counter[str] = Counter()
        for label, value in row:
            if value is not None:
                counts[label] += 1
                numbered = counts[label] > 1 or _NUMBERED.search(label)
                found[f"{label} ({counts[label]})" if numbered else label] = value
        self.rows.append(found)
        self.wkb.append(wkb)

    def counts(self, label: str) -> bool:
        """Return whether a label's values only count the features, and nothing refers to them.

        A feature without a geometry may have none.
        """
        values = [(at, row[label]) for at, row in enumerate(self.rows) if label in row]
        parts = [_COUNTED.fullmatch(value) for _, value in values]
        whole = all(label in row for row, wkb in zip(self.rows, self.wkb, strict=True) if wkb is not None)
        if not whole or not all(parts) or self.referred & {value for _, value in values}:
            return False
        steps = {(part[1], int(part[2]) - at) for part, (at, _) in zip(parts, values, strict=True) if part}
        return len(steps) == 1


def references(root: Element) -> frozenset[str]:
    """Return what a document refers to within itself: every ``#id`` in a text or an attribute."""
    texts = (text for e in root.iter() for text in ((e.text or "").strip(), *e.attrib.values()))
    return frozenset(text[1:] for text in texts if text.startswith("#"))


def compare_features(a: Features, b: Features, ground: Ground, context: Context) -> tuple[Finding, ...]:
    """Compare what two documents hold: features as rows of texts, and the trees around them."""
    named = tuple(_named_after_files(a, b))
    renumbered = {name for name in (*a.numbers, *b.numbers) if a.counts(name) and b.counts(name)}
    labels = [label for label in _labels(a, b) if label not in renumbered]
    geometry = "geometry"
    while geometry in labels:
        geometry = f"feature.{geometry}"
    shown = ShownGeometries()
    classifiers: dict[str, PairClassifier] = {label: partial(classify_texts, text=True) for label in labels}
    classifiers |= dict.fromkeys(set(a.follows) & set(b.follows), _follows)
    classifiers[geometry] = shown.watch(geometry, partial(classify_geometries, ground=ground))
    left, right = (_table(side, labels, geometry) for side in (a, b))
    rows = compare_tables(left, right, context, text=True, unit="feature", classifiers=classifiers)
    return (
        *named,
        *_trees(a.rest, b.rest, f"/{local(a.rest)}", (a.stem, b.stem), context),
        *shown.render(rows),
    )


def _named_after_files(a: Features, b: Features) -> Iterator[Finding]:
    """Call layers of B as in A where both sides name them after their files, and report that."""
    for label in _NAMES:
        sides = [{row[label] for row in side.rows if label in row} for side in (a, b)]
        bare = [
            {name.replace(side.stem, "\0") for name in names}
            for side, names in zip((a, b), sides, strict=True)
        ]
        if sides[0] != sides[1] and bare[0] == bare[1]:
            for row in b.rows:
                if label in row:
                    row[label] = row[label].replace(b.stem, a.stem)
            example = Example(a=scalar(min(sides[0])), b=scalar(min(sides[1])))
            yield Finding(
                kind=Kind.LAYER_NAME, rung=Rung.CONTAINER, where={"column": label}, examples=(example,),
                evidence="named after the file on both sides",
            )  # fmt: skip


def _labels(*sides: Features) -> list[str]:
    return list(dict.fromkeys(label for side in sides for row in side.rows for label in row))


def _table(side: Features, labels: list[str], geometry: str) -> pa.Table:
    import pyarrow as pa

    own = [label for label in _labels(side) if label in labels] if side.rows else labels
    columns = {label: pa.array([row.get(label) for row in side.rows], pa.string()) for label in own}
    return pa.table({**columns, geometry: pa.array(side.wkb, pa.large_binary())})


def _follows(a: list[str], b: list[str], context: Context) -> tuple[Classified, ...]:
    del b, context
    evidence = "the bounding box is that of the geometry on both sides"
    return (Classified(Kind.EXTENT_METADATA, Rung.CONTAINER, tuple(range(len(a))), evidence),)


def _trees(
    a: Element, b: Element, pointer: str, stems: tuple[str, str], context: Context
) -> Iterator[Finding]:
    """Report in what two trees differ, element by element; where their forms differ, as a whole."""
    if canonical(a) == canonical(b):
        return
    if local(a) == local(b) == "Schema" and a.items() == b.items() and _bag(a) == _bag(b):
        evidence = "the same fields in another order"
        yield Finding(
            kind=Kind.COLUMN_ORDER,
            rung=Rung.ORDER,
            where={"pointer": pointer},
            count=len(a),
            evidence=evidence,
        )
        return
    if a.tag != b.tag or [child.tag for child in a] != [child.tag for child in b]:
        shown = (local(a), local(b)) if a.tag != b.tag else (len(a), len(b))
        evidence = "other elements" if a.tag != b.tag else "other elements within"
        example = Example(a=scalar(shown[0]), b=scalar(shown[1]))
        yield Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            where={"pointer": pointer},
            examples=(example,),
            evidence=evidence,
        )
        return
    for name in sorted({*a.attrib, *b.attrib}):
        place = f"{pointer}/@{name.rpartition('}')[2]}"
        yield from _texts(a.get(name), b.get(name), place, stems, context)
    yield from _texts(text_of(a), text_of(b), pointer, stems, context)
    for at, (left, right) in enumerate(zip(a, b, strict=True)):
        yield from _trees(left, right, f"{pointer}/{at}/{local(left)}", stems, context)
        yield from _texts((left.tail or "").strip(), (right.tail or "").strip(), pointer, stems, context)


def _bag(element: Element) -> list[str]:
    return sorted(map(canonical, element))


def _texts(
    a: str | None, b: str | None, pointer: str, stems: tuple[str, str], context: Context
) -> Iterator[Finding]:
    if a == b:
        return
    where: dict[str, str | int] = {"pointer": pointer}
    examples = (Example(a=scalar(a), b=scalar(b)),)
    if a and b and stems[0] != stems[1] and a.replace(stems[0], "\0") == b.replace(stems[1], "\0"):
        evidence = "named after the file on both sides"
        yield Finding(
            kind=Kind.LAYER_NAME, rung=Rung.CONTAINER, where=where, examples=examples, evidence=evidence
        )
        return
    for group in classify_pairs([(a, b)], context, text=True):
        yield Finding(
            kind=Kind(group.kind), rung=Rung(group.rung), where=where, examples=examples,
            evidence=group.evidence, detail=dict(group.detail),
        )  # fmt: skip
