"""From places that differ to findings: one per kind and pointer, array indexes taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.context import Classified
from kfm_repro.compare.document.scalars import Members, OrderedMap, Pairs, Plain, Stream
from kfm_repro.compare.document.walk import ANY, MISSING, Leaf, Order, Parts, Walk
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.grouping import merge_many
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context

__all__ = ["findings_of", "pointer"]


def pointer(parts: Parts) -> str:
    """Return the JSON pointer of a place (RFC 6901); the root is the empty text."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def findings_of(walk: Walk, a: object, b: object, context: Context) -> tuple[Finding, ...]:
    """Return everything in which two parsed documents differ; empty only if they are exactly equal."""
    if walk.compare(a, b):
        return ()
    findings: list[Finding] = []
    for array in (True, False):
        findings.extend(_order_findings([order for order in walk.orders if order.array is array]))
    renaming = _Renaming(walk.leaves, context)
    by_place = frozenset(walk.by_place)
    groups: dict[tuple[Parts, bool], list[Leaf]] = {}
    for leaf in walk.leaves:
        hurried = any(leaf.parts[:depth] in by_place for depth in range(len(leaf.parts)))
        groups.setdefault((_pattern(leaf.parts), hurried), []).append(leaf)
    for (_, hurried), leaves in groups.items():
        found = _leaf_findings(leaves, context, renaming)
        findings.extend(map(_noted, found) if hurried else found)
    return merge_many(findings, "pointer")


def _noted(finding: Finding) -> Finding:
    import msgspec

    note = "the members of the array are too many to pair by likeness: compared place by place"
    evidence = f"{finding.evidence}; {note}" if finding.evidence else note
    return msgspec.structs.replace(finding, evidence=evidence)


def _pattern(parts: Parts) -> Parts:
    return tuple(ANY if isinstance(part, int) else part for part in parts)


def _order_findings(orders: list[Order]) -> list[Finding]:
    groups: dict[tuple[Parts, bool], list[Order]] = {}
    for order in orders:
        groups.setdefault((_pattern(order.parts), order.meant), []).append(order)
    return [
        Finding(
            kind=_order_kind(group[0]),
            rung=Rung.VALUE if group[0].meant else Rung.ORDER,
            where=_where([order.parts for order in group]),
            count=len(group),
            examples=_examples([(order.parts, order.a, order.b) for order in group]),
            evidence=_order_evidence(group),
            detail={"moved": sum(order.moved for order in group)},
        )
        for group in groups.values()
    ]


def _order_kind(order: Order) -> Kind:
    """Return what another order is: where it is data, another order is another value."""
    if order.meant:
        return Kind.VALUE
    return Kind.ARRAY_ORDER if order.array else Kind.KEY_ORDER


def _order_evidence(group: list[Order]) -> str:
    what = "array" if group[0].array else "object"
    members = "members" if group[0].array else "keys"
    places = f"{len(group)} {what}s hold" if len(group) > 1 else f"the {what} holds"
    return f"{places} the same {members} in another order" + (
        ", which is data here" if group[0].meant else ""
    )


def _leaf_findings(leaves: list[Leaf], context: Context, renaming: _Renaming) -> list[Finding]:
    """Return the findings of the places that share one pattern."""
    findings: list[Finding] = []
    for side, note in (("b", "only in A"), ("a", "only in B")):
        lone = [leaf for leaf in leaves if getattr(leaf, side) is MISSING]
        if lone:
            findings.append(_finding(lone, Kind.VALUE, Rung.VALUE, note, {"missing": side}))
    both = [leaf for leaf in leaves if leaf.a is not MISSING and leaf.b is not MISSING]
    mixed = [leaf for leaf in both if _is_container(leaf.a) or _is_container(leaf.b)]
    if mixed:
        kind = Kind.TYPE if _shape(mixed[0].a) != _shape(mixed[0].b) else Kind.VALUE
        evidence = f"{_shape(mixed[0].a)} against {_shape(mixed[0].b)}"
        findings.append(_finding(mixed, kind, Rung.VALUE, evidence, {}))
    plain = [leaf for leaf in both if not (_is_container(leaf.a) or _is_container(leaf.b))]
    odd = [leaf for leaf in plain if _tag(leaf.a) != _tag(leaf.b)]
    if odd:
        evidence = "a scalar that YAML 1.1 and 1.2 read differently against one that they do not"
        findings.append(_finding(odd, Kind.TYPE, Rung.VALUE, evidence, {}))
    alike = [leaf for leaf in plain if _tag(leaf.a) == _tag(leaf.b)]
    parts = classify_pairs([_pair(leaf) for leaf in alike], context)
    findings.extend(_of_class(part, alike, renaming) for part in parts)
    return findings


def _tag(value: object) -> str | None:
    return value.tag if isinstance(value, Plain) else None


def _pair(leaf: Leaf) -> tuple[Any, Any]:
    """Return both values as a classifier knows them: two scalars that are as written are texts."""
    if isinstance(leaf.a, Plain) and isinstance(leaf.b, Plain):
        return leaf.a.text, leaf.b.text
    return leaf.a, leaf.b


def _of_class(part: Classified, leaves: list[Leaf], renaming: _Renaming) -> Finding:
    chosen = [leaves[index] for index in part.indexes]
    if part.kind == Kind.IDENTIFIER and not renaming.holds(chosen):
        evidence = "the identifiers of the document are not renamed one-to-one"
        return _finding(chosen, Kind.VALUE, Rung.VALUE, evidence, {})
    found = _finding(chosen, Kind(part.kind), Rung(part.rung), part.evidence, dict(part.detail))
    return msgspec.structs.replace(found, figures=part.figures or msgspec.UNSET)


def _finding(leaves: list[Leaf], kind: Kind, rung: Rung, evidence: str, detail: dict[str, Any]) -> Finding:
    return Finding(
        kind=kind,
        rung=rung,
        where=_where([leaf.parts for leaf in leaves]),
        count=len(leaves),
        examples=_examples([(leaf.parts, leaf.a, leaf.b) for leaf in leaves]),
        evidence=evidence,
        detail=detail,
    )


def _where(places: list[Parts]) -> dict[str, str | int]:
    """Return the pointer that the places share: an index in which they differ becomes ``*``."""
    shared = (column[0] if len(set(column)) == 1 else ANY for column in zip(*places, strict=True))
    return {"pointer": pointer(tuple(shared))}


def _examples(places: list[tuple[Parts, Any, Any]]) -> tuple[Example, ...]:
    return tuple(
        Example(key={"pointer": pointer(parts)}, a=_shown(a), b=_shown(b))
        for parts, a, b in places[:MAX_EXAMPLES]
    )


def _shown(value: object) -> Any:  # noqa: ANN401  # a JSON scalar
    return None if value is MISSING else scalar(value)


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list | tuple)


def _shape(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    for kind, shape in _SHAPES:
        if isinstance(value, kind):
            return shape
    return "a scalar"


_SHAPES: tuple[tuple[type[Any], str], ...] = (
    (OrderedMap, "an ordered map"),
    (Pairs, "ordered pairs"),
    (Members, "a set"),
    (Stream, "a stream of documents"),
    (list, "an array"),
    (tuple, "an array"),
)


class _Renaming:
    """Whether identifiers are renamed one-to-one over the whole document, not just under one pointer."""

    def __init__(self, leaves: list[Leaf], context: Context) -> None:
        self._leaves = leaves
        self._context = context
        self._proven: frozenset[tuple[str, str]] | None = None

    def holds(self, leaves: list[Leaf]) -> bool:
        """Return whether all pairs of these places are identifiers in the light of the whole document."""
        if self._proven is None:
            pairs = [(a, b) for a, b in map(_pair, self._leaves) if isinstance(a, str) and isinstance(b, str)]
            parts = classify_pairs(pairs, self._context)
            self._proven = frozenset(
                pairs[index] for part in parts if part.kind == Kind.IDENTIFIER for index in part.indexes
            )
        return all(_pair(leaf) in self._proven for leaf in leaves)
