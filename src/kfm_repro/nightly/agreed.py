"""What all parts of a night have to have alike, besides the runs: the options and settings that verdicts hang on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.model.nightly import LedgerTrial, NightOptions, NightReport
from kfm_repro.runs.project import Settings

if TYPE_CHECKING:
    from kfm_repro.nightly.night import Night

__all__ = ["disagreements", "options_of"]

_GIVEN = {
    "vary": "--vary", "select": "--select", "pipelines": "--pipeline", "accept": "--accept", "isolation": "--isolation",
    "trust": "--trust", "timeout_s": "--timeout", "jobs": "--jobs", "settings": "the settings (with the waivers)",
    "ledger": "the ledger of the nights before", "version": "the version of kfm-repro",
}  # fmt: skip
"""How a user names each of them, in the order in which they are looked at."""
_DIGESTS = frozenset(("settings", "ledger"))


def options_of(night: Night, settings: Settings, history: Iterable[LedgerTrial]) -> NightOptions:
    """Return how a night is done; ``history`` are the trials before it, in the order of the ledger."""
    return NightOptions(
        select=tuple(sorted(map(str, night.select))),
        pipelines=tuple(night.pipelines),
        vary=night.vary,
        accept=night.accept,
        isolation=night.isolation,
        trust=night.trust,
        timeout_s=night.timeout_s,
        jobs=night.jobs,
        settings=_digest([msgspec.json.encode(settings, order="deterministic")]),
        ledger=_digest(msgspec.json.encode(item) for item in history),
        version=version("kfm-repro"),
    )


def disagreements(parts: Iterable[NightReport]) -> Iterator[tuple[str, str, str]]:
    """Yield what the parts do not have alike, with two values of it that belie each other."""
    first, *others = parts
    for other in others:
        yield from _disagreements(first, other)


def _disagreements(a: NightReport, b: NightReport) -> Iterator[tuple[str, str, str]]:
    for name, one, two in (
        ("--night", a.night, b.night),
        ("--budget", a.budget_s, b.budget_s),
        ("the axes that are varied", a.vary, b.vary),
    ):
        if one != two:
            yield name, _said(one), _said(two)
    if isinstance(a.options, msgspec.UnsetType) or isinstance(b.options, msgspec.UnsetType):
        if a.options is not b.options:
            yield "the version of kfm-repro", "", ""
        return
    for field, name in _GIVEN.items():
        one, two = getattr(a.options, field), getattr(b.options, field)
        if one != two:
            yield (name, "", "") if field in _DIGESTS else (name, _said(one), _said(two))


def _said(value: Any) -> str:  # noqa: ANN401 - whatever an option holds
    if value in (None, "", ()):
        return "not given"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(len(piece).to_bytes(8))
        digest.update(piece)
    return digest.hexdigest()
