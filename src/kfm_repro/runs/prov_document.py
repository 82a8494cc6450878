"""The PROV record of one run as a JSON-LD document, in the shape of KFM's PROV profile (rule 22)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from kfm_repro.errors import InvalidRecord
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.run import Run, RunState
from kfm_repro.model.verdict import Verdict
from kfm_repro.runs.activities import activity_id
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.labels import UNKNOWN_LABEL, Labels, read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest
from kfm_repro.runs.secrets import redact
from kfm_repro.runs.status import status_document
from kfm_repro.runs.write import stamp

__all__ = ["provenance_document", "started_at"]

_CONTEXT: dict[str, Any] = {
    "prov": "http://www.w3.org/ns/prov#",
    "kfm": "https://kansasfrontiermatrix.org/ns/kfm#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "prov:startedAtTime": {"@type": "xsd:dateTime"},
    "prov:endedAtTime": {"@type": "xsd:dateTime"},
    "kfm:hash": {"@type": "@json"},
    "kfm:code_ref": {"@type": "@json"},
    "kfm:environment": {"@type": "@json"},
}


def provenance_document(project: Project, run: RunDir, record: Run, state: RunState) -> dict[str, Any]:
    """Return the PROV record of ``run``: the same record, sidecars and settings give the same document.

    A run that did not succeed may lack its manifests; its Activity says so. Secrets that a foreign record has in
    its paths and names do not come along (rule 24). Raises InvalidRecord, UnsafePath.
    """
    activity = activity_id(run.pipeline, run.name)
    agents = _agents(record)
    node = _activity(run, record, state, activity)
    entities: dict[str, dict[str, Any]] = {}
    inputs = _entries(run, record, state, "inputs", node)
    outputs = _entries(run, record, state, "outputs", node)
    labels = read_labels(project, inputs, outputs, run=run)
    used = [_entity(entry, run, (labels, labels.inputs.get(entry.path)), entities)["@id"] for entry in inputs]
    for entry in outputs:
        entity = _entity(entry, run, (labels, labels.outputs.get(entry.path)), entities)
        if entry.extra.get("written") is not False:
            entity["prov:wasGeneratedBy"] = {"@id": activity}
    if used:
        node["prov:used"] = [{"@id": name} for name in used]
    node["prov:wasAssociatedWith"] = [{"@id": agent["@id"]} for agent in agents]
    return {"@context": _CONTEXT, "@graph": [node, *(entities[name] for name in sorted(entities)), *agents]}


def started_at(run: RunDir, record: Run) -> str:
    """Return when the run started, as the record or its status say; empty when neither does."""
    return _moment(record.runtime.started_at) or _text(status_document(run).get("started_at"))


def _activity(run: RunDir, record: Run, state: RunState, activity: str) -> dict[str, Any]:
    finished = _moment(record.runtime.finished_at) or _text(status_document(run).get("finished_at"))
    node: dict[str, Any] = {
        "@id": activity,
        "@type": ["prov:Activity", "kfm:Replay" if record.replay else "kfm:PipelineRun"],
        "prov:label": f"{run.pipeline} {run.name}",
        "prov:startedAtTime": started_at(run, record),
        "prov:endedAtTime": finished,
        "kfm:run_id": record.run_id,
        "kfm:pipeline": run.pipeline,
        "kfm:state": str(state),
        "kfm:code_ref": _code(record),
        "kfm:environment": _environment(run, record),
    }
    if record.replay is not None:
        node["prov:wasInformedBy"] = {"@id": activity_id(run.pipeline, record.replay.of)}
        node["kfm:verdict"] = _verdict(run)
    return {name: value for name, value in node.items() if value not in ("", {})}


def _entries(
    run: RunDir, record: Run, state: RunState, which: str, node: dict[str, Any]
) -> tuple[Entry, ...]:
    relative = record.inputs_manifest if which == "inputs" else record.outputs_manifest
    try:
        manifest: Manifest = read_manifest(run, relative, which)
    except InvalidRecord:
        if state is RunState.SUCCESS:
            raise
        node["kfm:missing"] = [*node.get("kfm:missing", []), relative]
        return ()
    return manifest.entries


def _entity(
    entry: Entry, run: RunDir, known_of: tuple[Labels, str | None], entities: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the Entity of one file in one state; a file that went in and came out unchanged is one Entity."""
    labels, label = known_of
    mark = f"sha256-{entry.sha256}" if entry.sha256 else f"run-{_quoted(run.pipeline)}:{_quoted(run.name)}"
    path = redact(entry.path)
    name = f"kfm:data:file:{quote(path, safe='/')}:{mark}"
    node: dict[str, Any] = {
        "@id": name,
        "@type": ["prov:Entity", "kfm:File"],
        "prov:label": path,
        "kfm:path": path,
        "kfm:hash": {"sha256": entry.sha256} if entry.sha256 else None,
        "kfm:size_bytes": entry.size_bytes,
        "kfm:row_count": entry.row_count,
        "kfm:feature_count": entry.feature_count,
        "kfm:license": labels.licenses.get(entry.path),
        "kfm:sensitivity": None if label == UNKNOWN_LABEL else label,
    }
    known = {key: value for key, value in node.items() if value is not None}
    return _merge(entities.setdefault(name, {}), known)


def _merge(node: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    for key, value in known.items():
        node.setdefault(key, value)
    return node


def _code(record: Run) -> dict[str, Any]:
    version = record.pipeline.version
    code = {
        "git_commit": version.git_commit,
        "repo_dirty": version.repo_dirty,
        "tree": version.tree,
        "patch_sha256": version.patch_sha256,
    }
    return {name: value for name, value in code.items() if value is not None}


def _environment(run: RunDir, record: Run) -> dict[str, Any]:
    """Return in what it ran; folders and variables stay in the record, they are nobody else's business."""
    recorded = record.environment
    known: dict[str, Any] = {"runner": _clean(record.runtime.runner), "host": _clean(record.runtime.host)}
    if recorded is not None:
        known["python"] = recorded.python
        if recorded.fingerprint:
            path = inside(run.path, recorded.fingerprint, what="environment.fingerprint")
            known["fingerprint_sha256"] = digest_file(path).sha256 if path.is_file() else None
    if record.replay is not None:
        known |= {"isolation": record.replay.isolation, "setting": record.replay.setting or None}
    return {name: value for name, value in known.items() if value is not None}


def _verdict(run: RunDir) -> str:
    """Return the verdict of a replay's own report; what cannot be read is unknown."""
    try:
        document = json.loads(run.report.read_bytes())
        return str(Verdict(document["verdict"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return str(Verdict.UNKNOWN)


def _agents(record: Run) -> list[dict[str, Any]]:
    actor = record.raw.get("actor")
    invoked = redact(_text(actor.get("invoked_by"))) if isinstance(actor, dict) else ""
    agents: list[dict[str, Any]] = []
    if invoked:
        agents.append(
            {"@id": f"kfm:agent:actor:{_quoted(invoked)}", "@type": ["prov:Agent"], "prov:label": invoked}
        )
    ours = version("kfm-repro")
    own = {
        "@id": f"kfm:agent:software:kfm-repro:{_quoted(ours)}",
        "@type": ["prov:Agent", "prov:SoftwareAgent"],
        "prov:label": f"kfm-repro {ours}",
        "kfm:version": ours,
    }
    return [*agents, own]


def _clean(text: str | None) -> str | None:
    return redact(text) if text else text


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _moment(value: datetime | None) -> str:
    if value is None:
        return ""
    return stamp(value if value.tzinfo else value.replace(tzinfo=UTC))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
