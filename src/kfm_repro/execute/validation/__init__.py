"""The validation reports of a run: what the pipeline wrote is kept, the rest is computed from the outputs (rule 16).

What was not run says ``not-run`` and why; that is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.execute.collect import Produced
from kfm_repro.execute.validation.geometry import describe_geometries, is_vector
from kfm_repro.execute.validation.schema import describe_columns, is_table
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.labels import Labels, read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.policy import policy_gate
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import scan
from kfm_repro.runs.write import write_json

__all__ = ["VALIDATION_SCHEMA", "geometry_report", "schema_report", "write_validation"]

VALIDATION_SCHEMA = "kfm-repro.validation/1"
_Describe = Callable[..., dict[str, Any]]


def write_validation(
    project: Project,
    run: RunDir,
    inputs: Sequence[Entry],
    produced: Sequence[Produced],
    *,
    labels: Labels | None = None,
) -> tuple[str, ...]:
    """Write the validation reports that the pipeline did not write; return their names.

    ``labels`` are those of the recorded run when this is its replay; else they are read from these entries.
    To be called when logs, manifests and run.yaml of ``run`` are written: the policy gate searches them. Raises
    OSError when the reports cannot be written.
    """
    entries = [item.entry for item in produced]
    known = labels or read_labels(project, inputs, entries)
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "schema_report": lambda: schema_report(produced, known),
        "geometry_report": lambda: geometry_report(produced, known),
        "policy_gate": lambda: _gate(project, run, entries, known),
    }
    written = []
    for name, make in made.items():
        path = run.validation / f"{name}.json"
        if not path.exists() and not path.is_symlink():
            write_json(path, {"schema": VALIDATION_SCHEMA, "written_by": "kfm-repro"} | make())
            written.append(name)
    return tuple(written)


def schema_report(produced: Iterable[Produced], labels: Labels) -> dict[str, Any]:
    """Return columns, types, null fractions and ranges of every output that is a table."""
    return _report(produced, labels, is_table, describe_columns, "no output is a table that can be read here")


def geometry_report(produced: Iterable[Produced], labels: Labels) -> dict[str, Any]:
    """Return validity, types, CRS, extent and empties of every output that has geometries."""
    return _report(produced, labels, is_vector, describe_geometries, "no output has geometries")


def _report(
    produced: Iterable[Produced],
    labels: Labels,
    concerns: Callable[[Produced], bool],
    describe: _Describe,
    nothing: str,
) -> dict[str, Any]:
    """Describe the outputs that a report concerns; others are named as not looked at."""
    described, passed_over = [], []
    for item in sorted(produced, key=lambda item: item.entry.path):
        if concerns(item):
            described.append({"path": item.entry.path} | _described(item, labels, describe))
        else:
            passed_over.append(item.entry.path)
    states = [output["status"] for output in described]
    status = next(
        (state for state in ("fail", "not-run") if state in states), "pass" if states else "not-run"
    )
    bad = [f"{output['path']}: {output['reason']}" for output in described if output["status"] == status]
    reason = nothing if not states else "; ".join(bad[:3]) if status != "pass" else ""
    return {"status": status, "reason": reason, "outputs": described, "not_concerned": passed_over}


def _described(item: Produced, labels: Labels, describe: _Describe) -> dict[str, Any]:
    """Describe one output; a file that cannot be read fails, one beyond the limits was not run."""
    try:
        return describe(item.file, item.entry.path, disclose=labels.may_show(item.entry.path))
    except LimitExceeded as exc:
        return {"status": "not-run", "reason": exc.message}
    except Unreadable as exc:
        return {"status": "fail", "reason": exc.message}
    except Exception as exc:  # noqa: BLE001 - readers raise anything on damaged files
        return {"status": "fail", "reason": f"it cannot be read: {type(exc).__name__}"}


def _gate(project: Project, run: RunDir, entries: Sequence[Entry], labels: Labels) -> dict[str, Any]:
    scanned = scan(run.path) if project.settings.policy.secrets else None
    return policy_gate(project, entries, labels, scanned)
