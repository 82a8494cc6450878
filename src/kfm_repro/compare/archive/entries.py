"""What archives say of their members, whatever the format: which there are, their order, what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.ordering import count_moved
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["about", "attribute", "duplicates", "one_sided", "order_of"]


def about(kind: Kind, rung: Rung, names: list[str], evidence: str, **more: Any) -> Finding:  # noqa: ANN401
    """Return a finding about members; one alone is named as its place."""
    where: dict[str, str | int] = {"member": str(scalar(names[0]))} if len(names) == 1 else {}
    return Finding(kind=kind, rung=rung, where=where, count=len(names), evidence=evidence, **more)


def attribute(
    differing: list[tuple[str, Any, Any]],
    rung: Rung,
    evidence: str,
    of: int,
    kind: Kind = Kind.ENTRY_METADATA,
) -> Finding:
    """Return the finding for members (name, A's, B's) of which something is said that differs."""
    shown = tuple(
        Example(key={"member": scalar(name)}, a=scalar(x), b=scalar(y))
        for name, x, y in differing[:MAX_EXAMPLES]
    )
    names = [name for name, _, _ in differing]
    return about(kind, rung, names, evidence, of=of, examples=shown)


def one_sided(a: Iterable[str], b: Iterable[str]) -> list[Finding]:
    """Report members that only one side has."""
    findings: list[Finding] = []
    sides = (dict.fromkeys(a), dict.fromkeys(b))
    for mine, other, side, missing in ((*sides, "A", "b"), (*sides[::-1], "B", "a")):
        names = [name for name in mine if name not in other]
        if names:
            shown = tuple(Example(key={"member": scalar(name)}) for name in names[:MAX_EXAMPLES])
            evidence = f"members only in {side}"
            detail = {"missing": missing}
            findings.append(about(Kind.VALUE, Rung.VALUE, names, evidence, examples=shown, detail=detail))
    return findings


def order_of(a: list[str], b: list[str]) -> list[Finding]:
    """Report that the members which both sides have stand in another order."""
    if a == b:
        return []
    places = {name: place for place, name in enumerate(b)}
    moved = count_moved((i, places[name]) for i, name in enumerate(a))
    displaced = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    shown = tuple(Example(a=scalar(x), b=scalar(y)) for x, y in displaced[:MAX_EXAMPLES])
    evidence = "the same members stand in another order"
    return [
        Finding(
            kind=Kind.ENTRY_ORDER,
            rung=Rung.ORDER,
            count=moved,
            of=len(a),
            examples=shown,
            evidence=evidence,
        )
    ]


def duplicates(copies: Iterable[tuple[str, list[str], list[str]]]) -> list[Finding]:
    """Name entries that a later one of the same name hides; harmless only if all copies are equal.

    ``copies`` are the names that either side has more than once, with the digests of all copies per side.
    """
    differing = [(name, a, b) for name, a, b in copies if a != b]
    findings: list[Finding] = []
    for harmless, rung, evidence in (
        (True, Rung.CONTAINER, "entries of one name, all with the same content"),
        (
            False,
            Rung.VALUE,
            "entries of one name with different contents: it depends on the reader which counts",
        ),
    ):
        counts = [(name, len(a), len(b)) for name, a, b in differing if (len({*a, *b}) == 1) is harmless]
        if counts:
            findings.append(attribute(counts, rung, evidence, len(counts), Kind.DUPLICATE_ENTRY))
    return findings
