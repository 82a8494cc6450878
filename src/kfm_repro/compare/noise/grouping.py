"""Keeping a report readable: very many findings of one kind become one that counts them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.model.finding import MAX_EXAMPLES, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfm_repro.model.finding import Kind, Rung

__all__ = ["MOST_FINDINGS", "merge_many"]

MOST_FINDINGS = 100
"""Findings beyond which those of one kind and rung are counted together."""


def merge_many(findings: Sequence[Finding], place: str) -> tuple[Finding, ...]:
    """Return the findings, or if there are more than `MOST_FINDINGS` one per kind and rung.

    A merged finding keeps the counts and the first examples; its ``where[place]`` is the common beginning of
    the merged places followed by ``*``, and the evidence says how many there were.
    """
    if len(findings) <= MOST_FINDINGS:
        return tuple(findings)
    groups: dict[tuple[Kind, Rung], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.rung), []).append(finding)
    return tuple(group[0] if len(group) == 1 else _merged(group, place) for group in groups.values())


def _merged(group: list[Finding], place: str) -> Finding:
    places = [str(finding.where.get(place, "")) for finding in group]
    low, high = min(places), max(places)
    shared = next(
        (i for i, (x, y) in enumerate(zip(low, high, strict=False)) if x != y), min(len(low), len(high))
    )
    return Finding(
        kind=group[0].kind,
        rung=group[0].rung,
        where={place: low[: low[:shared].rfind("/") + 1] + "*"},
        count=sum(finding.count for finding in group),
        examples=tuple(example for finding in group for example in finding.examples)[:MAX_EXAMPLES],
        evidence=f"at {len(group)} places, the first: {group[0].evidence}",
    )
