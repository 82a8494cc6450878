"""What a replay writes into its run.yaml, and what its pipeline is told of it."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

from kfm_repro.execute.placeholders import Values, folder_of, input_values
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.execute.setting import setting_of
from kfm_repro.execute.workspace import Workspace
from kfm_repro.model.run import RUN_SCHEMA
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.write import aware, stamp

__all__ = ["placeholder_values", "replay_document", "run_variables"]


def replay_document(plan: Plan, fresh: RunDir, request: Request) -> dict[str, Any]:
    """Return the run.yaml of a replay as far as it is known before it runs, and write its patch."""
    given = plan.run.pipeline.version
    version: dict[str, Any] = {"git_commit": plan.code.commit, "repo_dirty": bool(given.repo_dirty)}
    if plan.code.raw:
        version["checkout"] = "raw"
    if plan.code.converted:
        version["converted"] = list(plan.code.converted)
    if plan.code.patch:
        (fresh.path / "config" / "dirty.patch").write_bytes(plan.code.patch)
        digest = hashlib.sha256(plan.code.patch).hexdigest()
        version |= {"patch": "config/dirty.patch", "patch_sha256": digest}
        version |= {"tree": plan.code.tree} if plan.code.tree else {}
    pipeline = plan.run.pipeline
    return {
        "schema": RUN_SCHEMA,
        "run_id": fresh.name,
        "pipeline": {
            "name": plan.run.pipeline_name or plan.original.pipeline,
            "entrypoint": pipeline.entrypoint or "",
            "args": list(pipeline.args),
            "cwd": pipeline.cwd,
            "version": version,
        },
        "runtime": {"host": platform.node(), "runner": "local"},
        "actor": {"invoked_by": "kfm-repro replay"},
        "inputs_manifest": "manifests/inputs.json",
        "outputs_manifest": "manifests/outputs.json",
        "environment": {
            "fingerprint": "environment/fingerprint.json",
            "executable": plan.interpreter.path,
            **({"rebuilt": plan.rebuilt.held.path.name} if plan.rebuilt else {}),
        },
        "replay": {
            "of": plan.original.name,
            "setting": setting_of(request),
            "isolation": str(plan.isolation.level),
        },
    }


def run_variables(plan: Plan, fresh: RunDir, workspace: Workspace) -> dict[str, str]:
    """Return the KFM_* variables of a replay; the start is the recorded one, in its recorded form (rule 20)."""
    config = workspace.run_dir / "config"
    variables = {
        "KFM_RUN_ID": fresh.name,
        "KFM_RUN_DIR": str(workspace.run_dir),
        "KFM_CONFIG_DIR": str(config),
    }
    if (config / "params.json").is_file():
        variables["KFM_PARAMS"] = str(config / "params.json")
    raw = plan.run.raw.get("runtime")
    text = raw.get("started_at") if isinstance(raw, dict) else None
    if isinstance(text, str):
        variables["KFM_RUN_STARTED_AT"] = text
    elif plan.run.runtime.started_at is not None:
        variables["KFM_RUN_STARTED_AT"] = stamp(aware(plan.run.runtime.started_at))
    return variables


def placeholder_values(plan: Plan, workspace: Workspace) -> Values:
    """Return what the placeholders of the recorded arguments stand for in this replay."""
    config = workspace.run_dir / "config"
    values: dict[str, str | tuple[str, ...]]
    values = {"config": str(config), "params": str(config / "params.json"), "run": str(workspace.run_dir)}
    values["outputs"] = folder_of(entry.path for entry in plan.outputs.entries)
    values |= input_values(entry.path for entry in plan.inputs.entries)
    values["root"] = str(workspace.root)
    return values
