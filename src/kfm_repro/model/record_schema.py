"""The JSON Schemas of a run record: run.yaml, status.json and the two manifests.

Types come from the model that reads records; what a type does not say (paths, digests, commits) stands here. A
document that validates is read; one that is not read as what it should be does not validate, unless only its
surroundings are wrong: a file that is not there, a link that leads out, a path that comes twice.
"""

from __future__ import annotations

import re
import types
from typing import Any, get_args, get_origin

import msgspec

from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.run import (
    RUN_SCHEMA,
    CodeVersion,
    Pipeline,
    RecordedEnvironment,
    ReplayOf,
    Run,
    Runtime,
    Status,
)

__all__ = ["PATH_PATTERN", "record_schemas"]

Schema = dict[str, Any]

PATH_PATTERN = (
    r"^(?![\s\S]*[\x00-\x1f\x7f\ud800-\udfff])(?![/~])(?![A-Za-z]:[\\/])(?!(?:[\s\S]*/)?(?:\.\.|\.git)(?:/|$))"
    r"(?![\s\S]*(?:\\\.\.|\.\.\\))(?!(?:\.?/)*\.?$)[\s\S]+$"
)
"""A relative path that stays inside its root (rule 6), the same as ``runs.paths.safe_relative``."""

_DEFS: Schema = {
    "path": {
        "description": "A relative path with '/': no '..', not absolute, no '~', nothing in .git.",
        "type": "string",
        "pattern": PATH_PATTERN,
    },
    "sha256": {
        "description": "64 hex digits; write them bare and in lower case. Read are also 'sha256:', 'sha256-', "
        "'jcs:sha256:' and upper case.",
        "type": "string",
        "pattern": r"^(?:(?:[jJ][cC][sS]:)?[sS][hH][aA]256:|[sS][hH][aA]256-)?[0-9a-fA-F]{64}$",
    },
    "time": {
        "description": "A time such as 2026-02-03T21:14:08Z; without a zone it is UTC.",
        "type": "string",
        "pattern": r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
        r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?$",
    },
    "count": {"type": "integer", "minimum": 0},
}
_PATH, _SHA256, _TIME, _COUNT = ({"$ref": f"#/$defs/{name}"} for name in ("path", "sha256", "time", "count"))
_TEXT: Schema = {"type": "string"}
_HEX = r"^[0-9a-fA-F]{4,64}$"
_OBJECT: Schema = {"type": "string", "pattern": r"^([0-9a-f]{40}|[0-9a-f]{64})$"}
_TEXTS: Schema = {"additionalProperties": {"type": ["string", "null"]}}
_PATTERNS: Schema = {"type": "array", "items": _PATH}

_SAID: dict[type, dict[str, Schema]] = {
    Run: {
        "run_id": {"description": "The name of the run's folder. In quotes.", "minLength": 1},
        "inputs_manifest": {"description": "Relative to the run's folder.", **_PATH},
        "outputs_manifest": {"description": "Relative to the run's folder.", **_PATH},
    },
    Pipeline: {
        "name": {"description": "The folder above the run's folder."},
        "entrypoint": {
            "description": "x.py, pkg.mod, pkg.mod:func, make:target, or sh: command line. A replay needs it.",
            "if": {"type": "string", "pattern": r"^(?!sh:|make:)[\s\S]*\.py$"},
            "then": _PATH,
        },
        "args": {"description": "Verbatim, but for {config} {params} {inputs.NAME} {outputs} {run}."},
        "cwd": {
            "description": "Where it starts, relative to the project root.",
            "anyOf": [{"enum": ["", "."]}, _PATH],
        },
        "outputs": {"description": "Patterns of what is an output: only these can be extra.", **_PATTERNS},
        "config": {
            "description": "Where a file of config/ came from, when not from config/.",
            "additionalProperties": {"anyOf": [_PATH, {"type": "null"}]},
        },
    },
    CodeVersion: {
        "git_commit": {"description": "4 to 64 hex digits, in quotes. A replay needs it.", "pattern": _HEX},
        "branch": {
            "description": "What was checked out; absent when it was the commit itself.",
            "minLength": 1,
        },
        "tags": {"description": "Tags of its history: name and object.", "additionalProperties": _OBJECT},
        "abbrev": {"description": "To how many digits git shortens a commit.", "minimum": 4, "maximum": 64},
        "repo_dirty": {"description": "Whether there were uncommitted changes. Then a replay needs patch."},
        "tree": {"description": "The git tree that commit and patch lead to.", "pattern": _HEX},
        "patch": {"description": "git diff --binary, relative to the run's folder.", **_PATH},
        "patch_sha256": _SHA256,
    },
    Runtime: {
        "started_at": _TIME,
        "finished_at": _TIME,
        "runner": {"examples": ["local", "ci", "prod"]},
    },
    RecordedEnvironment: {
        "fingerprint": {"description": "Relative to the run's folder.", **_PATH},
        "python": {"examples": ["3.11.7"]},
        "executable": {"description": "The interpreter; a replay takes it when it exists."},
        "root": {"description": "The project's folder then."},
        "env": {"description": "The variables that the pipeline saw. Numbers in quotes.", **_TEXTS},
    },
    ReplayOf: {
        "of": {"description": "The run that this one replays.", "minLength": 1},
        "setting": {"description": "Axis and level of what was varied.", **_TEXTS},
        "isolation": {"examples": ["none", "agent", "landlock", "namespace"]},
    },
    Status: {
        "state": {"enum": ["running", "success", "failed", "aborted"]},
        "pid": {"description": "With boot_id and pid_started: whether a run that says running still does."},
        "pid_started": {"description": "Clock ticks since boot: field 22 of /proc/PID/stat."},
        "started_at": _TIME,
        "finished_at": _TIME,
        "reason": {"description": "Why it failed; also the content of _FAILED."},
    },
    Entry: {
        "path": {"description": "Relative to the project root. No path comes twice.", **_PATH},
        "sha256": _SHA256,
        "size_bytes": _COUNT,
        "row_count": {"description": "Of tables.", **_COUNT},
        "feature_count": {"description": "Of vector data.", **_COUNT},
    },
    Manifest: {"generated_at": _TIME},
}
"""What a type does not say of a field."""


def _section(description: str, **properties: Schema) -> Schema:
    return {
        "description": description,
        "type": "object",
        "properties": {name: _or_null(schema) for name, schema in properties.items()},
    }


def _or_null(schema: Schema) -> Schema:
    """Return a schema that null fits as well; most keywords say nothing of it."""
    if "type" in schema and schema.keys().isdisjoint(("enum", "anyOf", "$ref")):
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


_MORE: dict[type, dict[str, Schema]] = {
    Run: {
        "schema": {"description": "What kfm-repro writes.", "examples": [RUN_SCHEMA]},
        "actor": _section("Who started it.", invoked_by=_TEXT),
        "validation": _section(
            "Reports with a status, relative to the run's folder.",
            schema_report=_PATH,
            geometry_report=_PATH,
            policy_gate=_PATH,
        ),
        "promotion": _section("What of the outputs is published.", processed_paths=_PATTERNS),
        "prov": _section("Where the provenance goes, relative to the project root.", target_path=_PATH),
        "notes": {},
    },
    RecordedEnvironment: {"lock": {"description": "Relative to the run's folder.", **_PATH}},
    Status: {
        "retain": {
            "description": "A mark that keeps the run from being pruned.",
            "examples": ["published", "artifact"],
        }
    },
}
"""Keys that are read where they are needed, and are no part of the model."""

_LEFT_OUT = frozenset(("raw", "extra", "entries"))


def record_schemas() -> dict[str, Schema]:
    """Return the JSON Schemas by name: run, status, inputs-manifest, outputs-manifest.

    Unknown keys are allowed everywhere, and null is the same as a key that is not there. run.yaml is described as
    parsed, with times as text.
    """
    schemas = {
        "run": _document("run.yaml of a run record", _object(Run)),
        "status": _document("status.json of a run record", _object(Status)),
    }
    for which in ("inputs", "outputs"):
        body = _object(Manifest)
        body["properties"][which] = {"type": "array", "items": _object(Entry)}
        body["required"] = [which]
        schemas[f"{which}-manifest"] = _document(f"manifests/{which}.json of a run record", body)
    return schemas


def _document(title: str, body: Schema) -> Schema:
    used = {name for name in _DEFS if f"#/$defs/{name}'" in str(body)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **body,
        "$defs": {name: _DEFS[name] for name in sorted(used)},
    }


def _object(struct: type[msgspec.Struct]) -> Schema:
    """Return the schema of one mapping: every field of the model with what is said of it, then the rest."""
    said, properties, required = _SAID.get(struct, {}), {}, []
    for field in msgspec.structs.fields(struct):
        if field.name in _LEFT_OUT:
            continue
        bare = _bare(field.type)
        schema = _object(bare) if _is_struct(bare) else msgspec.json.schema(bare)
        extra = said.get(field.name, {})
        schema = extra if "$ref" in extra else schema | extra
        properties[field.encode_name] = schema if field.required else _or_null(schema)
        required += [field.encode_name] if field.required else []
    properties |= {name: _or_null(schema) if schema else {} for name, schema in _MORE.get(struct, {}).items()}
    description = re.split(r"[.;](?=\s|$)", (struct.__doc__ or "").replace("``", ""))[0].strip() + "."
    body: Schema = {"description": description, "type": "object", "properties": properties}
    return body | ({"required": required} if required else {})


def _bare(kind: Any) -> Any:  # noqa: ANN401 - what a type annotation is
    """Return a type without ``None``; a moment is read from a text."""
    if get_origin(kind) is types.UnionType:
        (kind,) = [part for part in get_args(kind) if part is not type(None)]
    return kind


def _is_struct(kind: Any) -> bool:  # noqa: ANN401 - what a type annotation is
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
