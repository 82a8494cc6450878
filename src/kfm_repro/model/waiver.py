"""Waivers: differences that a project accepts for a time, with a reason, and what each of them covers.

A waiver covers one kind of difference at one place of one output, up to a rung, a number of places and a day. It is
for that difference alone: where more differs, it does not hold. The rules are those of ``docs/settings.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Literal

import msgspec

from kfm_repro.model.finding import Document, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.verdict import Accept, Verdict

__all__ = ["Waiver", "WaiverState", "WaiverUse", "apply_waivers", "merge_uses", "use_of"]

_LADDER = tuple(Rung)
_PLACES = frozenset(("column", "pointer", "member", "layer", "band", "offset"))


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One waiver of the settings.

    ``output`` is one path, ``where`` the place as the finding names it. ``count`` is the largest number of places that
    may differ there, or ``any``; ``expires`` the last day on which it holds (UTC). ``cause`` is the axis that ``why``
    blames. ``sometimes`` says that the difference does not come every time.
    """

    output: str
    kind: Kind
    rung: Rung
    reason: str
    expires: date
    count: int | Literal["any"]
    where: dict[str, str | int] = {}
    cause: str = ""
    sometimes: bool = False

    def __post_init__(self) -> None:
        """Refuse what would cover more, or say less, than a waiver may."""
        if not self.reason.strip():
            raise ValueError("a waiver needs its reason")
        if any(char in self.output for char in "*?["):
            raise ValueError("a waiver is for one output: name it without wildcards")
        if isinstance(self.count, int) and self.count < 1:
            raise ValueError("count is at least 1, or 'any'")
        if self.rung in (Rung.IDENTICAL, Rung.UNKNOWN):
            raise ValueError(f"nothing of rung {self.rung} can be waived")
        if unknown := sorted(set(self.where) - _PLACES):
            raise ValueError(f"where has no {unknown[0]!r}: {', '.join(sorted(_PLACES))}")


class WaiverState(StrEnum):
    """What became of a waiver: it was needed, was not, is past its day, covers too little, or was not asked."""

    USED = "used"
    UNMATCHED = "unmatched"
    EXPIRED = "expired"
    OUTGROWN = "outgrown"
    NOT_CHECKED = "not-checked"


class WaiverUse(Document, frozen=True, kw_only=True):
    """A waiver and what became of it. ``found`` is the largest number of places that differed where it applies."""

    output: str
    where: dict[str, str | int] = {}
    kind: str
    rung: str
    count: int | str
    reason: str
    expires: str
    cause: str = ""
    sometimes: bool = False
    state: WaiverState
    found: int = 0


def apply_waivers(
    verdict: Verdict,
    outputs: Sequence[OutputComparison],
    waivers: Iterable[Waiver],
    today: date,
    accept: Callable[[str], Accept],
) -> tuple[Verdict, tuple[WaiverUse, ...]]:
    """Return the verdict with waivers, and what became of each that is for one of ``outputs``.

    ``accept`` says what is accepted for a path. ``waived`` it is when every finding that would make it worse is
    covered; an output that could not be compared, and a run without a verdict, never are.
    """
    by_path = {output.path: output for output in outputs}
    relevant = [waiver for waiver in waivers if waiver.output in by_path]
    uses = tuple(_use(waiver, by_path[waiver.output], today) for waiver in relevant)
    if verdict not in (Verdict.NOT_REPRODUCIBLE, Verdict.EQUIVALENT):
        return verdict, uses
    valid = [
        waiver
        for waiver, use in zip(relevant, uses, strict=True)
        if use.state in (WaiverState.USED, WaiverState.OUTGROWN)
    ]
    needed = not all(_passes(output, (), accept(output.path)) for output in outputs)
    passes = all(_passes(output, valid, accept(output.path)) for output in outputs)
    return (Verdict.WAIVED if needed and passes else verdict), uses


def merge_uses(groups: Iterable[Iterable[WaiverUse]]) -> tuple[WaiverUse, ...]:
    """Return every waiver once over several reports: too little anywhere is too little, needed anywhere is needed."""
    merged: dict[str, WaiverUse] = {}
    for use in (use for group in groups for use in group):
        key = repr(_given(use))
        old = merged.get(key, use)
        state = min((old.state, use.state), key=_WORSE.index)
        merged[key] = msgspec.structs.replace(use, state=state, found=max(old.found, use.found))
    return tuple(use for _, use in sorted(merged.items()))


_WORSE = (
    WaiverState.EXPIRED,
    WaiverState.OUTGROWN,
    WaiverState.USED,
    WaiverState.UNMATCHED,
    WaiverState.NOT_CHECKED,
)


def _given(use: WaiverUse) -> tuple[object, ...]:
    """Return the waiver of a use, by which it is told from every other one of the settings."""
    place = sorted(use.where.items())
    return use.output, place, use.kind, use.rung, use.expires, use.count, use.cause, use.reason, use.sometimes


def _passes(output: OutputComparison, valid: Iterable[Waiver], accept: Accept) -> bool:
    """Return whether an output is as it should be, or waived; one that differs without saying in what is neither."""
    if output.verdict is OutputVerdict.UNKNOWN:
        return False
    above = _above(output, accept)
    equivalent = output.verdict is OutputVerdict.EQUIVALENT and accept is Accept.EQUIVALENT
    if not above:
        return equivalent or output.verdict is OutputVerdict.IDENTICAL
    return all(_covered(output, finding, valid) for finding in above)


def _above(output: OutputComparison, accept: Accept) -> tuple[Finding, ...]:
    """Return the findings of an output that are above what is accepted for it."""
    worst = Rung.TOLERANCE if accept is Accept.EQUIVALENT else Rung.IDENTICAL
    return tuple(
        item
        for item in output.findings
        if not item.latent and _LADDER.index(item.rung) > _LADDER.index(worst)
    )


def _covered(output: OutputComparison, finding: Finding, valid: Iterable[Waiver]) -> bool:
    return any(waiver.output == output.path and _fits(waiver, finding, output) for waiver in valid)


def _fits(waiver: Waiver, finding: Finding, output: OutputComparison) -> bool:
    """Return whether a waiver covers a finding, and with it all others of its output at that place and rung."""
    return (
        _concerns(waiver, finding)
        and finding.rung is not Rung.UNKNOWN
        and _LADDER.index(finding.rung) <= _LADDER.index(waiver.rung)
        and (waiver.count == "any" or _places(waiver, finding.rung, output) <= waiver.count)
    )


def _places(waiver: Waiver, rung: Rung, output: OutputComparison) -> int:
    """Return how many places of a rung differ where a waiver applies: one output may have more than one finding."""
    return sum(item.count for item in output.findings if item.rung is rung and _concerns(waiver, item))


def _concerns(waiver: Waiver, finding: Finding) -> bool:
    """Return whether a finding is the difference that a waiver is for, however large it has become."""
    axes = {cause.axis for cause in finding.causes}
    return (
        not finding.latent
        and finding.kind is waiver.kind
        and finding.where == waiver.where
        and (not axes or not waiver.cause or axes == {waiver.cause})
    )


def _use(waiver: Waiver, output: OutputComparison, today: date) -> WaiverUse:
    concerned = [finding for finding in output.findings if _concerns(waiver, finding)]
    if today > waiver.expires:
        state = WaiverState.EXPIRED
    elif output.verdict is OutputVerdict.UNKNOWN:
        state = WaiverState.NOT_CHECKED
    elif not concerned:
        state = WaiverState.UNMATCHED
    elif all(_fits(waiver, finding, output) for finding in concerned):
        state = WaiverState.USED
    else:
        state = WaiverState.OUTGROWN
    found = (_places(waiver, rung, output) for rung in {finding.rung for finding in concerned})
    return use_of(waiver, state, max(found, default=0))


def use_of(waiver: Waiver, state: WaiverState, found: int = 0) -> WaiverUse:
    """Return a waiver with what became of it."""
    return WaiverUse(
        output=waiver.output,
        where=waiver.where,
        kind=str(waiver.kind),
        rung=str(waiver.rung),
        count=waiver.count,
        reason=waiver.reason,
        expires=waiver.expires.isoformat(),
        cause=waiver.cause,
        sometimes=waiver.sometimes,
        state=state,
        found=found,
    )
