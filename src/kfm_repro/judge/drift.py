"""What is not the same about two runs besides their outputs: code, parameters, inputs, models, environment, validators.

Each difference has its code of rule 25; what one side does not say is no drift, and the precondition says unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from kfm_repro.errors import RunError
from kfm_repro.execute.drift import affects, bounded
from kfm_repro.execute.environment import recorded_variables
from kfm_repro.model.finding import OutputComparison, OutputVerdict
from kfm_repro.model.manifest import Entry
from kfm_repro.model.report import CodedDrift, Drift, DriftCode, Environment, Precondition
from kfm_repro.model.run import CodeVersion, Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.secrets import redact_variables

__all__ = [
    "code_drift",
    "conditions",
    "environment_found",
    "environment_of",
    "output_drift",
    "source_drift",
    "stated_models",
    "validator_drift",
    "variable_drift",
]

_MODEL_SUFFIXES = frozenset((
    ".ckpt", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".mlmodel", ".onnx", ".pb", ".pkl", ".pt", ".pth",
    ".safetensors", ".tflite",
))  # fmt: skip
_MAX_PER_CODE = 100
_NAMED = 5
_MAX_JSON_BYTES = 16 << 20
_NAMES: Mapping[DriftCode, str] = {
    DriftCode.CODE: "code",
    DriftCode.TRANSFORM_PARAMETERS: "parameters",
    DriftCode.SOURCE_SNAPSHOT: "inputs",
    DriftCode.MODEL_IDENTITY: "models",
    DriftCode.ENVIRONMENT: "environment",
    DriftCode.VALIDATOR_SET: "validators",
}
"""What the precondition is called that a code belongs to."""


def conditions(found: Iterable[CodedDrift], unknown: Mapping[str, str]) -> tuple[Precondition, ...]:
    """Return one precondition for each code but that of outputs: drift, unknown (with its reason), or ok."""
    drifts = list(found)
    made = []
    for code, name in _NAMES.items():
        mine = [item for item in drifts if item.code is code]
        if mine:
            more = f"; and {len(mine) - _NAMED} more" if len(mine) > _NAMED else ""
            detail = "; ".join(f"{item.what}: {_of(item.a)} → {_of(item.b)}" for item in mine[:_NAMED]) + more
            made.append(Precondition(name=name, state="drift", detail=detail, code=code))
        elif name in unknown:
            made.append(Precondition(name=name, state="unknown", detail=unknown[name]))
        else:
            made.append(Precondition(name=name, state="ok", detail="the same on both sides"))
    return tuple(made)


def source_drift(a: Mapping[str, Entry], b: Mapping[str, Entry]) -> tuple[CodedDrift, ...]:
    """Return the inputs whose digests differ, or that only one side has; models have a code of their own."""
    found = []
    for path in sorted({*a, *b}):
        left, right = a.get(path), b.get(path)
        digests = [side.sha256 if side else None for side in (left, right)]
        if left and right and (None in digests or digests[0] == digests[1]):
            continue
        model = any(side is not None and _is_model(side) for side in (left, right))
        code = DriftCode.MODEL_IDENTITY if model else DriftCode.SOURCE_SNAPSHOT
        told = [
            digest or ("no digest" if side else None)
            for digest, side in zip(digests, (left, right), strict=True)
        ]
        found.append(CodedDrift(code=code, what=path, a=told[0], b=told[1]))
    return _bounded(found)


def environment_of(drift: Iterable[Drift]) -> tuple[CodedDrift, ...]:
    """Return drift of the environment as coded drift."""
    return _bounded(
        CodedDrift(code=DriftCode.ENVIRONMENT, what=item.what, a=item.a, b=item.b) for item in drift
    )


def environment_found(drift: tuple[Drift, ...]) -> Environment:
    """Return drift of the environment as the part of a report that it has of its own: weighed, and bounded."""
    shown, omitted = bounded(drift)
    return Environment(drift=shown, affects=affects(drift), omitted=omitted)


def output_drift(outputs: Iterable[OutputComparison]) -> tuple[CodedDrift, ...]:
    """Return the outputs that are not the same bytes on both sides, with their digests."""
    return _bounded(
        CodedDrift(
            code=DriftCode.OUTPUT, what=item.path,
            a=(item.a.sha256 or "no digest") if item.a else None, b=(item.b.sha256 or "no digest") if item.b else None,
        )
        for item in outputs
        if item.verdict not in (OutputVerdict.IDENTICAL, OutputVerdict.UNKNOWN)
    )  # fmt: skip


def validator_drift(a: RunDir, b: RunDir) -> tuple[CodedDrift, ...]:
    """Return the validation reports that were not made by the same validators and rules on both sides."""
    left, right = _validators(a), _validators(b)
    if not left or not right:
        return ()
    return tuple(
        CodedDrift(code=DriftCode.VALIDATOR_SET, what=name, a=left.get(name), b=right.get(name))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    )


def code_drift(a: CodeVersion, b: CodeVersion) -> tuple[CodedDrift, ...]:
    """Return how the code of two runs differs: their commits, and what was not committed."""
    found = []
    left, right = (str(side.git_commit or "").lower() for side in (a, b))
    if left and right and not (left.startswith(right) or right.startswith(left)):
        found.append(CodedDrift(code=DriftCode.CODE, what="commit", a=left, b=right))
    patches = [_patch(side) for side in (a, b)]
    if patches[0] != patches[1]:
        found.append(CodedDrift(code=DriftCode.CODE, what="uncommitted changes", a=patches[0], b=patches[1]))
    return tuple(found)


def _patch(version: CodeVersion) -> str | None:
    if version.patch_sha256:
        return f"patch {version.patch_sha256.lower().removeprefix('sha256:')}"
    return "not kept" if version.repo_dirty or version.patch else None


def _is_model(entry: Entry) -> bool:
    said = {str(entry.extra.get(name, "")).lower() for name in ("role", "kind", "type")}
    return "model" in said or PurePosixPath(entry.path).suffix.lower() in _MODEL_SUFFIXES


def stated_models(a: Run, b: Run) -> tuple[CodedDrift, ...]:
    """Return where run.yaml states other models: ``model`` or ``models``, at the top or of the pipeline."""
    found = []
    for place in ("model", "models"):
        for where in ("", "pipeline"):
            sides = [_stated(run.raw, where, place) for run in (a, b)]
            if sides[0] != sides[1]:
                what = f"{where}.{place}".lstrip(".")
                found.append(CodedDrift(code=DriftCode.MODEL_IDENTITY, what=what, a=sides[0], b=sides[1]))
    return tuple(found)


def _stated(raw: Mapping[str, Any], where: str, place: str) -> str | None:
    part = raw.get(where) if where else raw
    value = part.get(place) if isinstance(part, dict) else None
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return redact_variables({place: text})[place][:_MAX_PER_CODE]


def variable_drift(a: Run, b: Run) -> tuple[CodedDrift, ...]:
    """Return the recorded variables that differ; a run that records none says nothing of them."""
    if a.environment is None or b.environment is None:
        return ()
    left, right = (
        redact_variables(recorded_variables(run.environment.env)) if run.environment else {} for run in (a, b)
    )
    return tuple(
        CodedDrift(code=DriftCode.ENVIRONMENT, what=f"variable {name}", a=left.get(name), b=right.get(name))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    )


def _validators(directory: RunDir) -> dict[str, str]:
    """Return who made each report of ``validation/``, and by which rules."""
    found = {}
    for path in sorted(directory.validation.glob("*.json")):
        if path.name == directory.report.name:
            continue
        try:
            where = inside(directory.path, f"validation/{path.name}", what="validation report")
            if kind_of(where) != "file" or where.stat().st_size > _MAX_JSON_BYTES:
                continue
            document = json.loads(where.read_bytes())
        except (OSError, ValueError, RecursionError, RunError):
            document = None
        found[path.name.removesuffix(".json")] = _validator(document)
    return found


def _validator(document: object) -> str:
    if not isinstance(document, dict):
        return "no report"
    names = ("written_by", "validator", "tool", "version", "schema")
    told = [str(document[name]) for name in names if isinstance(document.get(name), (str, int, float))]
    rules = [
        str(rule.get("rule") or rule.get("name") or rule.get("id")) if isinstance(rule, dict) else str(rule)
        for key in ("rules", "checks", "validators")
        if isinstance(document.get(key), list)
        for rule in document[key]
    ]
    if rules:
        told.append("rules " + ", ".join(sorted(rules)))
    if document.get("status") == "not-run":
        told.append("not run")
    return "; ".join(told) or "made by nobody that it names"


def _bounded(found: Iterable[CodedDrift]) -> tuple[CodedDrift, ...]:
    """Return the first hundred, and one more that says how many there are."""
    drifts = list(found)
    if len(drifts) <= _MAX_PER_CODE:
        return tuple(drifts)
    rest = len(drifts) - _MAX_PER_CODE
    return (*drifts[:_MAX_PER_CODE], CodedDrift(code=drifts[0].code, what=f"{rest} more"))


def _of(value: str | None) -> str:
    if value is None:
        return "nothing"
    hexadecimal = len(value) >= 40 and all(c in "0123456789abcdef" for c in value)  # noqa: PLR2004 - a commit's digits
    return f"{value[:12]}…" if hexadecimal else value
