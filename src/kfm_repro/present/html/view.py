"""What the page shows, as frozen data: chosen, bounded and made visible here, laid out by the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from kfm_repro.model.finding import Finding, Flips, OutputComparison, OutputVerdict
from kfm_repro.model.report import ErrorInfo, Report
from kfm_repro.present.flips import flip_sentence, flip_share
from kfm_repro.present.html.anchors import Anchors
from kfm_repro.present.html.around import Facts, Part, facts_of, parts_of
from kfm_repro.present.html.figures import Figure, figures_of
from kfm_repro.present.html.samples import Table, table_of
from kfm_repro.present.keep import size_text
from kfm_repro.present.kinds import told
from kfm_repro.present.terminal import verdict_line
from kfm_repro.present.visible import visible
from kfm_repro.present.words import (
    LABELS,
    MARKS,
    OUTPUT_ORDER,
    advice,
    counted,
    how_many,
    in_metres,
    place_of,
    title_of,
    usual_remedy,
    worst_first,
)

__all__ = ["FULL", "Limits", "Page", "page_of"]

_TEXT = 600
_PERCENT = 100


@dataclass(frozen=True)
class Limits:
    """How much of a report a page shows; what is left out is counted."""

    outputs: int
    findings: int
    names: int
    rows: int
    shapes: int

    @property
    def is_least(self) -> bool:
        """Whether nothing more can be left out."""
        return self.outputs <= 1

    def halved(self) -> Limits:
        """Return limits of half the size."""
        values = (self.outputs, self.findings, self.names, self.rows, self.shapes)
        return Limits(*(max(1, value // 2) for value in values))


FULL = Limits(outputs=256, findings=64, names=4_096, rows=24, shapes=5_000)


@dataclass(frozen=True)
class Reason:
    """A cause: what it is, how sure that is, and the source line where it happens."""

    axis: str
    confidence: str
    source: str
    call: str
    replays: str


@dataclass(frozen=True)
class Shown:
    """One finding as the page shows it."""

    anchor: str
    title: str
    means: str
    kind: str
    rung: str
    place: str
    many: str
    share: int | None
    often: str
    metres: str
    evidence: str
    advice: str
    often_helps: str
    verified: bool
    causes: tuple[Reason, ...]
    detail: tuple[tuple[str, str], ...]
    table: Table | None
    figures: tuple[Figure, ...]
    latent: bool


@dataclass(frozen=True)
class File:
    """One output as the page shows it."""

    anchor: str
    folder: str
    name: str
    verdict: str
    mark: str
    format: str
    accepted: bool
    often: str
    facts: tuple[tuple[str, str, str], ...]
    findings: tuple[Shown, ...]
    left_out: int


@dataclass(frozen=True)
class Page:
    """The whole page, in the order in which it is read."""

    title: str
    verdict: str
    label: str
    sentence: str
    flips: str
    error: tuple[str, ...]
    hint: str
    facts: Facts
    counts: tuple[tuple[str, str, int, str], ...]
    differing: tuple[File, ...]
    identical: tuple[File, ...]
    latent: tuple[File, ...]
    left_out: int
    names_left_out: int
    parts: tuple[Part, ...]
    command: str
    has_data: bool


def page_of(report: Report, limits: Limits) -> Page:
    """Return what the page shows of a report within ``limits``."""
    anchors = Anchors()
    ordered = worst_first(report)
    differing = [output for output in ordered if output.verdict is not OutputVerdict.IDENTICAL]
    identical = [output for output in ordered if output.verdict is OutputVerdict.IDENTICAL]
    latent = [output for output in identical if output.findings]
    error = report.error if isinstance(report.error, ErrorInfo) else ErrorInfo(code="", message="")
    facts = facts_of(report)
    maker = _Maker(report, limits, anchors)
    return Page(
        title=f"{LABELS[report.verdict]}: {facts.name}",
        verdict=str(report.verdict),
        label=LABELS[report.verdict],
        sentence=_sentence(report),
        flips=f"{flip_sentence(report.flips)}." if isinstance(report.flips, Flips) else "",
        error=tuple(visible(line, 2_000) for line in error.message.splitlines()[1:40]),
        hint=visible(error.hint, 2_000) if error.hint else "",
        facts=facts,
        counts=tuple(_counts(report)),
        differing=tuple(map(maker.file, differing[: limits.outputs])),
        identical=tuple(map(maker.file, identical[: limits.names])),
        latent=tuple(map(maker.file, latent[: limits.outputs])),
        left_out=max(0, len(differing) - limits.outputs) + max(0, len(latent) - limits.outputs),
        names_left_out=max(0, len(identical) - limits.names),
        parts=parts_of(report),
        command=visible(report.command, 40),
        has_data=bool(report.replays),
    )


def _sentence(report: Report) -> str:
    """Return the verdict's sentence without the verdict and what is said elsewhere on the page."""
    said = verdict_line(report).partition(": ")[2]
    return said.replace(f"  {flip_sentence(report.flips)}.", "") if isinstance(report.flips, Flips) else said


def _counts(report: Report) -> Iterator[tuple[str, str, int, str]]:
    """Yield verdict, mark, number and share in percent of the outputs, those that occur."""
    found = Counter(output.verdict for output in report.outputs)
    for verdict in [verdict for verdict in OUTPUT_ORDER if found[verdict]]:
        yield (
            str(verdict),
            MARKS[verdict],
            found[verdict],
            f"{found[verdict] * 100 / len(report.outputs):.4g}",
        )


@dataclass(frozen=True)
class _Maker:
    """Makes files and findings of one report for its page."""

    report: Report
    limits: Limits
    anchors: Anchors

    def file(self, output: OutputComparison) -> File:
        """Return one output; latent findings come after those that count."""
        path = PurePosixPath(visible(output.path, 300))
        findings = [*counted(output), *(finding for finding in output.findings if finding.latent)]
        folder = "" if str(path.parent) == "." else f"{path.parent}/"
        anchor = self.anchors.make(output.path)
        return File(
            anchor=anchor,
            folder=folder,
            name=path.name or str(path),
            verdict=str(output.verdict),
            mark=MARKS[output.verdict],
            format=visible(output.format, 40),
            accepted=output.accepted,
            often=flip_share(output.flips) if isinstance(output.flips, Flips) and output.flips.of else "",
            facts=tuple(_file_facts(output)),
            findings=tuple(self.finding(f, anchor) for f in findings[: self.limits.findings]),
            left_out=max(0, len(findings) - self.limits.findings),
        )

    def finding(self, finding: Finding, output: str) -> Shown:
        """Return one finding, with its examples and figures."""
        place = place_of(finding)
        anchor = self.anchors.make(f"{output}--{place}-{finding.kind}")
        metres = finding.metres if isinstance(finding.metres, dict) else {}
        share = None
        if finding.of and 0 <= finding.count <= finding.of:
            share = max(1, round(_PERCENT * finding.count / finding.of)) if finding.count else 0
        return Shown(
            anchor=anchor,
            title=title_of(finding, replay=bool(self.report.replays)),
            means=told(finding.kind).means,
            kind=str(finding.kind),
            rung=str(finding.rung),
            place=place,
            many=how_many(finding),
            share=share,
            often=flip_share(finding.flips) if isinstance(finding.flips, Flips) else "",
            metres=", ".join(f"{visible(name, 20)} {in_metres(value)}" for name, value in metres.items()),
            evidence=visible(finding.evidence, _TEXT),
            advice=visible(_sentence_case(advice(finding)), _TEXT),
            often_helps="" if advice(finding) or finding.causes else usual_remedy(finding),
            verified=bool(finding.fix and finding.fix.verified),
            causes=tuple(_reasons(finding)),
            detail=tuple((visible(k), visible(v, 200)) for k, v in finding.detail.items() if _is_plain(v)),
            table=table_of(finding, self.limits.rows),
            figures=figures_of(finding, self.report, anchor, self.limits.shapes),
            latent=finding.latent,
        )


def _sentence_case(text: str) -> str:
    """Return advice begun as a sentence, unless it begins with what may be code."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


def _reasons(finding: Finding) -> Iterator[Reason]:
    for cause in finding.causes:
        yield Reason(
            axis=visible(cause.axis, 200),
            confidence=visible(cause.confidence, 40),
            source=visible(cause.source, 200),
            call=visible(cause.call, 200),
            replays=", ".join(visible(name, 60) for name in cause.replays[:4]),
        )


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _file_facts(output: OutputComparison) -> Iterator[tuple[str, str, str]]:
    """Yield what the manifests say of both sides where it helps: size, rows, features, digest."""
    sides = [output.a, output.b]

    def pair(name: str, texts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        if any(texts):
            yield name, texts[0] or "—", texts[1] or "—"

    yield from pair(
        "size", [size_text(s.size_bytes) if s and s.size_bytes is not None else "" for s in sides]
    )
    for name, field in (("rows", "row_count"), ("features", "feature_count")):
        values = [getattr(side, field) if side else msgspec.UNSET for side in sides]
        yield from pair(name, ["" if isinstance(v, msgspec.UnsetType) else str(v) for v in values])
    yield from pair("sha256", [visible(s.sha256, 12).rstrip("…") if s and s.sha256 else "" for s in sides])
