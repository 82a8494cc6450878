"""Example values leave a report only where the classification of the output allows it (rule 17)."""

from __future__ import annotations

import msgspec

from kfm_repro.model.finding import Finding, OutputComparison
from kfm_repro.runs.labels import Labels

__all__ = ["disclosed"]

_WITHHELD = "example values are withheld: the classification of this output does not allow them"


def disclosed(outputs: tuple[OutputComparison, ...], labels: Labels) -> tuple[OutputComparison, ...]:
    """Return the comparisons without the values of outputs that may not be shown.

    Kinds and counts stay, and of a place what kind of place it is.
    """
    return tuple(output if labels.may_show(output.path) else _bare(output) for output in outputs)


def _bare(output: OutputComparison) -> OutputComparison:
    findings = tuple(_without_values(finding) for finding in output.findings)
    return msgspec.structs.replace(output, findings=findings)


def _without_values(finding: Finding) -> Finding:
    where = {name: _place(name, value) for name, value in finding.where.items()}
    shown = finding.examples or finding.samples or not isinstance(finding.figures, msgspec.UnsetType)
    if not shown and where == finding.where:
        return finding
    evidence = "; ".join(filter(None, (finding.evidence, _WITHHELD)))
    return msgspec.structs.replace(
        finding, where=where, examples=(), samples={}, evidence=evidence, figures=msgspec.UNSET
    )


def _place(name: str, value: str | int) -> str | int:
    """Return where a finding is without the names that the data gave its places: a pointer keeps its depth.

    The keys of a document and the members of an archive may be values themselves; columns, layers and bands are
    the schema of the output, which its validation reports show as well.
    """
    if not isinstance(value, str) or name not in ("pointer", "member"):
        return value
    return "/*" * value.count("/") if name == "pointer" else "*"
