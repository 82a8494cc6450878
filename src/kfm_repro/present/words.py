"""What every presenter says alike: marks and labels of verdicts, places, counts, the worst first."""

from __future__ import annotations

from collections.abc import Mapping

from kfm_repro.model.finding import Finding, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import Report
from kfm_repro.model.verdict import Verdict
from kfm_repro.present.kinds import told
from kfm_repro.present.visible import visible

__all__ = [
    "LABELS",
    "MARKS",
    "OUTPUT_ORDER",
    "PLACE_CHARACTERS",
    "advice",
    "counted",
    "how_many",
    "in_metres",
    "place_of",
    "title_of",
    "usual_remedy",
    "worst_first",
]

PLACE_CHARACTERS = 120
MARKS: Mapping[OutputVerdict, str] = {
    OutputVerdict.IDENTICAL: "=",
    OutputVerdict.EQUIVALENT: "~",
    OutputVerdict.DIFFERENT: "≠",
    OutputVerdict.MISSING: "−",
    OutputVerdict.EXTRA: "+",
    OutputVerdict.UNKNOWN: "?",
}
LABELS: Mapping[Verdict, str] = {
    Verdict.REPRODUCIBLE: "Reproducible",
    Verdict.EQUIVALENT: "Equivalent",
    Verdict.NOT_REPRODUCIBLE: "Not reproducible",
    Verdict.UNKNOWN: "Unknown",
    Verdict.WAIVED: "Waived",
}
OUTPUT_ORDER = (
    OutputVerdict.DIFFERENT,
    OutputVerdict.MISSING,
    OutputVerdict.EXTRA,
    OutputVerdict.UNKNOWN,
    OutputVerdict.EQUIVALENT,
    OutputVerdict.IDENTICAL,
)
_RUNGS = (
    Rung.VALUE, Rung.UNKNOWN, Rung.TOLERANCE, Rung.NOISE, Rung.ORDER, Rung.CONTAINER, Rung.IDENTICAL,
)  # fmt: skip
_ONLY_THERE = {"Rows only in the replay": "Rows only in B", "Rows missing from the replay": "Rows only in A"}


def worst_first(report: Report) -> list[OutputComparison]:
    """Return the outputs, the worst verdict first, then by path."""
    return sorted(report.outputs, key=lambda output: (OUTPUT_ORDER.index(output.verdict), output.path))


def counted(output: OutputComparison) -> list[Finding]:
    """Return the findings that count in the verdict, the worst rung first, else as they stand."""
    return sorted((f for f in output.findings if not f.latent), key=lambda f: _RUNGS.index(f.rung))


def title_of(finding: Finding, *, replay: bool) -> str:
    """Return the kind in plain words; ``replay`` is whether B is a replay."""
    if finding.rung is Rung.UNKNOWN:
        return "Could not be compared"
    title = told(finding.kind).title
    return title if replay else _ONLY_THERE.get(title, title)


def place_of(finding: Finding) -> str:
    """Return where a finding is, in words: ``column generated_at``; empty for the file as a whole."""
    return ", ".join(
        f"{visible(name, 40)} {visible(value, PLACE_CHARACTERS) or '(root)'}"
        for name, value in finding.where.items()
    )


def how_many(finding: Finding) -> str:
    """Return how often it was found: ``105 of 105``; a single one without a whole says nothing."""
    if finding.of is not None:
        return f"{finding.count} of {finding.of}"
    return "" if finding.count == 1 else str(finding.count)


def usual_remedy(finding: Finding) -> str:
    """Return what usually ends this kind, for data that differs and nothing more precise is known of."""
    return told(finding.kind).remedy if finding.rung is Rung.VALUE else ""


def advice(finding: Finding) -> str:
    """Return what to do, as far as the report says; empty where it does not."""
    return finding.fix.text if finding.fix else ""


def in_metres(distance: float) -> str:
    """Return a distance to three digits: ``26.3 km``, ``3.48 m``, ``1e-09 m``."""
    if not 999.5 <= distance < 999.5e6:  # noqa: PLR2004 - what three digits of metres and kilometres can write
        return f"{distance:.3g} m"
    return f"{distance / 1000:.3g} km"
