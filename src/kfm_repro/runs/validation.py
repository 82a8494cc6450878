"""What the reports in ``validation/`` say, each with the worst of what it is made of (rules 16 and 21)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfm_repro.errors import UnsafePath
from kfm_repro.model.verification import CheckState
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside

__all__ = ["report_state", "reports_of"]

_REPORTS = ("schema_report", "geometry_report", "policy_gate")
_OURS = "repro_report.json"
_STATUS_KEYS = ("status", "result", "verdict", "outcome", "passed", "valid", "ok", "success")
_PASS = frozenset({"pass", "passed", "ok", "success", "succeeded", "valid", "true"})
_FAIL = frozenset({"fail", "failed", "failure", "error", "invalid", "false"})
_PARTS = ("rules", "checks", "outputs", "results", "tests", "reports", "validations")
"""Where a report has the things that it judged, each with a status of its own."""
_MAX_REPORT_BYTES = 64 << 20
_PASSED, _FAILED, _UNKNOWN = CheckState.PASS, CheckState.FAIL, CheckState.UNKNOWN


def reports_of(run: RunDir, declared: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and path of every report: the three that there have to be, those declared, those that are there.

    ``declared`` is the section ``validation`` of run.yaml. A folder that cannot be read is returned as a report,
    which cannot be read either.
    """
    known = {name: str(declared.get(name) or f"validation/{name}.json") for name in _REPORTS}
    known |= {
        name: path for name, path in declared.items() if name not in known and isinstance(path, str) and path
    }
    others = set(_found(run)) - set(known.values())
    return [*known.items(), *((path.removeprefix("validation/"), path) for path in sorted(others))]


def _found(run: RunDir) -> Iterator[str]:
    unread: list[OSError] = []
    for base, _, names in os.walk(run.validation, onerror=unread.append):
        folder = Path(base).relative_to(run.path).as_posix()
        for name in names:
            if name.endswith(".json") and (folder, name) != ("validation", _OURS):
                yield f"{folder}/{name}"
    for fault in unread:
        if not isinstance(fault, FileNotFoundError):
            yield Path(os.fsdecode(fault.filename)).relative_to(run.path).as_posix()


def report_state(run: RunDir, relative: str) -> tuple[CheckState, str]:
    """Return what one validation report says; what says neither pass nor fail is unknown."""
    try:
        path = inside(run.path, relative, what="validation report")
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            return _UNKNOWN, "is a folder that cannot be read"
        if not path.is_file():
            return _FAILED, "does not exist"
        if path.stat().st_size > _MAX_REPORT_BYTES:
            return _UNKNOWN, "is too large to be read"
        document = json.loads(path.read_bytes())
    except UnsafePath as exc:
        return _FAILED, exc.message
    except (OSError, ValueError, RecursionError):
        return _UNKNOWN, "cannot be read as JSON"
    return _judged(document)


def _judged(document: Any) -> tuple[CheckState, str]:  # noqa: ANN401 - any JSON
    """Return what a document says of itself; parts that say worse are believed."""
    state, reason = _stated(document)
    if state is _FAILED:
        return state, reason
    for name, part in _parts(document):
        worse, why = _stated(part)
        if worse is _FAILED:
            return worse, f"{name}: {why}"
        if worse is _UNKNOWN and state is _PASSED and _statuses(part):
            state, reason = worse, f"{name}: {why}"
    return state, reason


def _stated(document: Any) -> tuple[CheckState, str]:  # noqa: ANN401 - any JSON
    if not isinstance(document, dict):
        return _UNKNOWN, "says neither pass nor fail"
    said = _statuses(document)
    detail = document.get("reason")
    why = f": {' '.join(detail.split())[:200]}" if isinstance(detail, str) and detail else ""
    if any(text in _FAIL for text in said):
        return _FAILED, f"fail{why}"
    if said and all(text in _PASS for text in said):
        return _PASSED, "pass"
    if "not-run" in said:
        return _UNKNOWN, f"not run{why}"
    return _UNKNOWN, "says neither pass nor fail"


def _statuses(document: Any) -> list[str]:  # noqa: ANN401 - any JSON
    if not isinstance(document, dict):
        return []
    values = [document.get(key) for key in _STATUS_KEYS]
    return [str(value).strip().casefold() for value in values if isinstance(value, str | bool)]


def _parts(document: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield what a report judged, at any depth, with a name for it."""
    stack = [document]
    while stack:
        node = stack.pop()
        for kind in _PARTS:
            held = node.get(kind) if isinstance(node, dict) else None
            named = (
                held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
            )
            for key, part in named:
                if isinstance(part, dict):
                    own = next(
                        (part[name] for name in ("rule", "name", "check", "path", "id") if part.get(name)),
                        key,
                    )
                    yield f"{kind}: {own}", part
                    stack.append(part)
