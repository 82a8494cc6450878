"""The policy gate: the rules that the settings declare, applied to a record (rule 16)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kfm_repro.model.manifest import Entry
from kfm_repro.runs.counts import countable
from kfm_repro.runs.labels import Labels
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import Scan

__all__ = ["policy_gate"]

_SHOWN = 20


def policy_gate(
    project: Project, outputs: Iterable[Entry], labels: Labels, scanned: Scan | None
) -> dict[str, Any]:
    """Return the document ``policy_gate.json``: each rule with its status, and the worst of them.

    ``scanned`` is the search of the record for secrets, None when it was not searched. Without any rule in the
    settings the gate was not run.
    """
    entries = sorted(outputs, key=lambda entry: entry.path)
    policy = project.settings.policy
    rules = []
    if policy.secrets:
        rules.append(_secrets(scanned))
    if policy.labels:
        rules.append(_labels(labels))
    if policy.counts:
        rules.append(_counts(entries))
    rules += _declared_counts(project, entries)
    if not rules:
        return {
            "status": "not-run",
            "reason": "the settings declare no rules: [policy], or count for an output",
            "rules": [],
        }
    states = [rule["status"] for rule in rules]
    worst = next((state for state in ("fail", "not-run") if state in states), "pass")
    failed = [f"{rule['rule']}: {rule['reason']}" for rule in rules if rule["status"] == worst != "pass"]
    reason = "; ".join(failed[:3]) or f"{len(rules)} of {len(rules)} rules hold"
    return {"status": worst, "reason": reason, "rules": rules}


def _rule(name: str, status: str, reason: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    return {"rule": name, "status": status, "reason": reason} | more


def _secrets(scanned: Scan | None) -> dict[str, Any]:
    if scanned is None:
        return _rule("secrets", "not-run", "the record was not searched")
    if scanned.hits:
        listed = [{"file": hit.file, "line": hit.line, "kind": hit.kind} for hit in scanned.hits[:_SHOWN]]
        return _rule("secrets", "fail", f"{len(scanned.hits)} found", found=listed)
    if scanned.unread:
        names = ", ".join(scanned.unread[:3])
        return _rule("secrets", "not-run", f"not read to the end: {names}")
    return _rule("secrets", "pass", "none found")


def _labels(labels: Labels) -> dict[str, Any]:
    if not labels.in_use:
        return _rule("labels", "not-run", "no input and no output has a label")
    reasons = labels.less_restricted()
    if reasons:
        return _rule("labels", "fail", reasons[0], found=list(reasons[:_SHOWN]))
    return _rule("labels", "pass", "no output is less restricted than the inputs")


def _counts(entries: list[Entry]) -> dict[str, Any]:
    lacking = [entry.path for entry in entries if countable(entry.path) and _count(entry) is None]
    if not entries:
        return _rule("counts", "not-run", "there are no outputs")
    if lacking:
        return _rule("counts", "fail", f"no count: {', '.join(lacking[:3])}", found=lacking[:_SHOWN])
    return _rule("counts", "pass", "every output that has rows or features states how many")


def _declared_counts(project: Project, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return a rule per output whose number of rows or features the settings declare."""
    rules = []
    for entry in entries:
        wanted = project.settings.for_output(entry.path).count
        if wanted is not None:
            low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            found = _count(entry)
            text = f"{low}" if low == high else f"{low} to {high}"
            status = "pass" if found is not None and low <= found <= high else "fail"
            reason = f"{entry.path}: {'no count' if found is None else found}, required {text}"
            rules.append(
                _rule("required-count", status, reason, path=entry.path, required=[low, high], found=found)
            )
    return rules


def _count(entry: Entry) -> int | None:
    return entry.row_count if entry.row_count is not None else entry.feature_count
