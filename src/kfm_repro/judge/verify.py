"""Is a run publishable? The eight lines of rule 21 and the search for secrets; counts are taken again from bytes."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import msgspec

from kfm_repro.compare.outputs import Output
from kfm_repro.errors import KfmReproError
from kfm_repro.judge.baseline import recorded_outputs
from kfm_repro.model.manifest import Entry
from kfm_repro.model.report import RunRef
from kfm_repro.model.verification import CheckState, Line, Verification, publishable
from kfm_repro.runs.counts import count_records, countable, has_no_records, is_vector_name, may_be_geojson
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.project import Project
from kfm_repro.runs.publishable import (
    Facts,
    counted,
    gather,
    line,
    record_lines,
    secret_scan,
    validation_line,
)
from kfm_repro.runs.secrets import redact, scan

__all__ = ["verify"]

_SHOWN = 3


def verify(project: Project, spec: str) -> Verification:
    """Return whether the run that ``spec`` names is publishable, line by line. Nothing is executed.

    Raises RunNotFound, AmbiguousRun, UsageError; what is wrong with the record itself is in the lines.
    """
    run = resolve_run(project, spec)
    facts = gather(project, run)
    third, vectors = _outputs(facts)
    lines = {**record_lines(facts), 3: third, 4: validation_line(facts, vectors=vectors)}
    secrets = secret_scan(scan(run.path))
    ordered = tuple(
        msgspec.structs.replace(lines[number], reason=redact(lines[number].reason))
        for number in sorted(lines)
    )
    commit = facts.record.pipeline.version.git_commit if facts.record else None
    return Verification(
        verdict=publishable(ordered, secrets),
        run=RunRef(run_id=facts.run_id, pipeline=run.pipeline, git_commit=commit),
        path=project.relative(run.path),
        lines=ordered,
        secrets=secrets,
    )


def _outputs(facts: Facts) -> tuple[Line, bool]:
    """Return line 3, and whether any output has features (also when that cannot be told)."""
    file = facts.manifest_file("outputs")
    if facts.outputs is None or facts.record is None:
        return line(3, CheckState.FAIL, facts.faults.get("outputs") or facts.faults["record"], file), True
    entries = facts.outputs.entries
    if not entries:
        return line(3, CheckState.FAIL, "the run declares no output", file), True
    with tempfile.TemporaryDirectory(prefix="kfm-verify-") as spool:
        try:
            found = recorded_outputs(facts.project, facts.record, facts.outputs, Path(spool))
        except KfmReproError as exc:
            return line(3, CheckState.FAIL, exc.message, file), True
        count, notes, shown = Counter[CheckState](), Counter[str](), defaultdict[CheckState, list[str]](list)
        for entry in entries:
            state, reason = _check(entry, found[entry.path])
            count[state] += 1
            if state is CheckState.PASS:
                notes[reason] += 1
            elif count[state] <= _SHOWN:
                shown[state].append(f"{entry.path}: {reason}")
        vectors = any(_has_features(entry, found[entry.path]) for entry in entries)
    for state in (CheckState.FAIL, CheckState.UNKNOWN):
        if count[state]:
            more = f"; and {count[state] - _SHOWN} more" if count[state] > _SHOWN else ""
            return line(3, state, "; ".join(shown[state]) + more, file), vectors
    told = "".join(f"; {notes[note]} {note}" for note in sorted(notes) if note)
    return line(3, CheckState.PASS, f"{len(entries)} of {len(entries)}{told}", file), vectors


def _check(entry: Entry, output: Output) -> tuple[CheckState, str]:  # noqa: PLR0911 - one line per answer
    """Check hash and count of one output; a passed one may have something to note."""
    stated = counted(entry)
    if entry.sha256 is None:
        return CheckState.FAIL, "no hash"
    if not countable(entry.path) and not _is_geojson(entry, output):
        return _uncounted(entry, output, stated=bool(stated))
    if not stated:
        return CheckState.FAIL, "no count"
    if output.file is None:
        return CheckState.UNKNOWN, f"its count cannot be checked: {output.reason}"
    found = count_records(output.file, entry.path)
    if not found:
        return CheckState.UNKNOWN, "its rows or features cannot be counted"
    wrong = {name: found.get(name) for name, value in stated.items() if found.get(name) not in (None, value)}
    if wrong:
        told = ", ".join(
            f"{name} {stated[name]} recorded, {value} counted" for name, value in sorted(wrong.items())
        )
        return CheckState.FAIL, told
    if not set(stated) & set(found):
        name, value = next(iter(found.items()))
        same = value in stated.values()
        return (
            (CheckState.PASS, "") if same else (CheckState.FAIL, f"{stated} recorded, {name} {value} counted")
        )
    return CheckState.PASS, ""


def _is_geojson(entry: Entry, output: Output) -> bool:
    """Return whether an output that is called JSON has features."""
    return output.file is not None and bool(count_records(output.file, entry.path))


def _uncounted(entry: Entry, output: Output, *, stated: bool) -> tuple[CheckState, str]:
    """Judge an output of a format in which nothing is counted."""
    is_json = may_be_geojson(entry.path)
    if is_json and output.file is None:
        return CheckState.UNKNOWN, f"it cannot be told whether it is GeoJSON: {output.reason}"
    if stated:
        return CheckState.PASS, "of a format whose count is not recomputed"
    if is_json or has_no_records(entry.path):
        return CheckState.PASS, "without rows or features"
    return CheckState.UNKNOWN, "no count, and not of a format that is known to have no rows or features"


def _has_features(entry: Entry, output: Output) -> bool:
    if entry.feature_count is not None or is_vector_name(entry.path):
        return True
    if not countable(entry.path) and not may_be_geojson(entry.path):
        return False
    return output.file is None or "feature_count" in count_records(output.file, entry.path)
