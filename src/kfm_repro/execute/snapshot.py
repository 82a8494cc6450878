"""What a record keeps of a run before it begins: the config, the environment, run.yaml."""

from __future__ import annotations

import getpass
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kfm_repro.errors import UsageError
from kfm_repro.execute.capture import CodeState
from kfm_repro.execute.collect import glob_files, relative_pattern
from kfm_repro.execute.command import describe_command, is_python, portable
from kfm_repro.execute.environment import recorded_variables, unrecorded_variables
from kfm_repro.execute.fingerprint import fingerprint
from kfm_repro.execute.lockfiles import known_hashes
from kfm_repro.execute.requirements import requirements_lock
from kfm_repro.execute.submodules import Submodule
from kfm_repro.model.run import RUN_SCHEMA
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import redact, redact_arguments, redact_variables, scan
from kfm_repro.runs.write import stamp, write_json, write_text

__all__ = [
    "PATCH",
    "Request",
    "checked_request",
    "describe_run",
    "keep_patch",
    "snapshot_config",
    "snapshot_environment",
    "snapshot_notes",
]

PATCH = "config/dirty.patch"
_SHOWN = 5
_FINGERPRINT, _LOCK = "environment/fingerprint.json", "environment/requirements.lock"


@dataclass(frozen=True)
class Request:
    """What to record: the command, and which files are its inputs, outputs and config.

    Patterns and files are relative to the project root. Without ``inputs`` they are found by watching what the
    command opens, unless ``observe`` is off. Without ``outputs`` every file that appears or changes below the
    data roots is one. ``echo_to_stderr`` keeps our stdout free of the command's output.
    """

    command: Sequence[str]
    pipeline: str = ""
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    config: str | None = None
    params: str | None = None
    observe: bool = True
    echo_to_stderr: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def checked_request(project: Project, request: Request) -> Request:
    """Refuse what cannot be recorded before anything runs, and make all patterns relative to the root.

    Raises UsageError, UnsafePath.
    """
    if not request.command:
        raise UsageError("no command to record", hint="kfm-repro record -- python pipelines/import_census.py")
    program = request.command[0]
    place = project.root / program if "/" in program else program
    if shutil.which(place, path=request.environ.get("PATH")) is None:
        raise UsageError(
            f"no such program: {program}", hint="commands run in the project root; check the name and PATH"
        )
    root = project.root
    return replace(
        request,
        inputs=tuple(relative_pattern(root, pattern, what="--input") for pattern in request.inputs),
        outputs=tuple(relative_pattern(root, pattern, what="--output") for pattern in request.outputs),
        config=_checked_file(root, request.config, "--config"),
        params=_checked_params(root, request.params),
    )


def snapshot_config(project: Project, request: Request, run: RunDir) -> dict[str, str]:
    """Copy the config into the record; return the project path that each file of the snapshot came from."""
    given = [(request.config, None), (request.params, "params.json")]
    files: dict[str, Path] = {}
    for text, name in given:
        if text is not None:
            path = project.root / text
            files[name or _snapshot_name(project, path)] = path
    if request.config is None:
        files = {name: project.root / "config" / name for name in _visible_config(project)} | files
    for name, path in sorted(files.items()):
        target = run.config / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return {name: path.relative_to(project.root).as_posix() for name, path in sorted(files.items())}


def snapshot_environment(project: Project, request: Request, run: RunDir) -> dict[str, Any]:
    """Write fingerprint and lock of the command's interpreter; return the ``environment`` of run.yaml.

    The interpreter is the one that the command names. Where that is another program, its file is noted, and the
    interpreter is taken for the one that it would start: the first ``python`` on its PATH.
    """
    program = _which(project, request, request.command[0])
    named = program is not None and is_python(program)
    python = program if named else _which(project, request, "python", "python3")
    known = fingerprint(python, project.root, request.environ)
    if not named and program:
        known["program"] = {"path": program, "sha256": digest_file(Path(program)).sha256}
    answered = bool(known.get("python"))
    chosen = _chosen(request, python, named=named, answered=answered)
    known["interpreter"] = {"chosen": chosen}
    write_json(run.path / _FINGERPRINT, known)
    environment: dict[str, Any] = {"fingerprint": _FINGERPRINT, "root": str(project.root)}
    if not named or not answered:
        environment["interpreter"] = chosen
    if answered:
        write_text(run.path / _LOCK, requirements_lock(known, known_hashes(project.root)))
        environment |= {
            "lock": _LOCK,
            "python": known.get("python", ""),
            "executable": known.get("executable", ""),
        }
    variables = recorded_variables(request.environ)
    variables = {name: portable(value, project.root) for name, value in variables.items()}
    environment["env"] = redact_variables(variables)
    unrecorded = unrecorded_variables(request.environ)
    return environment | ({"not_recorded": list(unrecorded)} if unrecorded else {})


def _which(project: Project, request: Request, *names: str) -> str | None:
    """Return the file of the first of these programs that is there, looked for as the command would be."""
    for name in names:
        found = shutil.which(project.root / name if "/" in name else name, path=request.environ.get("PATH"))
        if found is not None:
            return str(found)
    return None


def _chosen(request: Request, python: str | None, *, named: bool, answered: bool) -> str:
    command = PurePosixPath(request.command[0]).name
    if named:
        return "named by the command" if answered else "named by the command, and does not answer"
    if python is None:
        return f"none: the command is {command}, and there is no python on its PATH"
    return f"assumed: the command is {command}, and this python is the first on its PATH"


def snapshot_notes(
    run: RunDir, origins: Mapping[str, str], environment: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return what the user should know about the snapshot: secrets in it (never their values), a guessed interpreter.

    A config file is kept as it is, because a replay needs its very bytes (rule 24). ``origins`` are the project
    paths that the files of the snapshot came from.
    """
    scanned = scan(run.config)
    places = {**{name: f"{path} and in the record's config/{name}" for name, path in origins.items()},
              PurePosixPath(PATCH).name: f"the uncommitted changes, {PATCH}"}  # fmt: skip
    notes = [
        f"a secret is in {places.get(hit.file, f'config/{hit.file}')}, line {hit.line} ({hit.kind}): "
        "a replay needs the file as it is; take it out, or give the record to nobody (verify fails, pack refuses)"
        for hit in scanned.hits[:_SHOWN]
    ]
    if len(scanned.hits) > _SHOWN:
        notes.append(
            f"{len(scanned.hits) - _SHOWN} more secrets are in the config snapshot: see kfm-repro verify"
        )
    notes += [f"not searched for secrets to its end: config/{name}" for name in scanned.unread]
    if "interpreter" in environment:
        notes.append(
            f"the recorded environment may not be the command's; the interpreter is {environment['interpreter']}"
        )
    return tuple(notes)


def keep_patch(run: RunDir, code: CodeState) -> dict[str, Any]:
    """Write the patch of uncommitted code into the record; return what ``pipeline.version`` says of it.

    This comes after the command has run: in KFM_CONFIG_DIR it finds its config alone, as in a replay.
    """
    if not code.patch:
        return {}
    target = run.path / PATCH
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(code.patch)
    part.replace(target)
    return {"tree": code.tree, "patch": PATCH, "patch_sha256": digest_file(target).sha256}


def describe_run(
    project: Project,
    request: Request,
    run: RunDir,
    code: CodeState,
    submodules: Sequence[Submodule],
    origins: Mapping[str, str],
    environment: Mapping[str, Any],
    started: datetime,
) -> dict[str, Any]:
    """Return run.yaml as it stands when the command begins: without the patch, which is not kept yet."""
    command = describe_command(request.command, project.root)
    version: dict[str, Any] = {"git_commit": code.commit, "repo_dirty": code.dirty}
    version["checkout"] = "raw"
    version |= {"branch": code.refs.branch} if code.refs.branch else {}
    version |= {"tags": dict(code.refs.tags)} if code.refs.tags is not None else {}
    version |= {"abbrev": code.refs.abbrev} if code.refs.abbrev else {}
    if code.converted or code.left_out:
        version["converted"] = sorted((*code.converted, *code.left_out))
    if submodules:
        version["submodules"] = [
            {"path": item.path, "commit": item.commit} | ({} if item.present else {"present": False})
            for item in submodules
        ]
    pipeline: dict[str, Any] = {
        "name": run.pipeline,
        "entrypoint": redact(command.entrypoint),
        "args": list(redact_arguments(command.args)),
        "cwd": ".",
    }
    if request.outputs:
        pipeline["outputs"] = list(request.outputs)
    pipeline["config"] = dict(origins)
    return {
        "schema": RUN_SCHEMA,
        "run_id": run.name,
        "pipeline": pipeline | {"version": version},
        "runtime": {
            "started_at": stamp(started),
            "host": platform.node(),
            "runner": _runner(request.environ),
        },
        "actor": {"invoked_by": _user()},
        "inputs_manifest": "manifests/inputs.json",
        "outputs_manifest": "manifests/outputs.json",
        "validation": {
            "schema_report": "validation/schema_report.json",
            "geometry_report": "validation/geometry_report.json",
            "policy_gate": "validation/policy_gate.json",
        },
        "environment": dict(environment),
    }


def _checked_file(root: Path, text: str | None, option: str) -> str | None:
    if text is None:
        return None
    path = relative_pattern(root, text, what=option)
    place = inside(root, path, what=option)
    if place.is_dir():
        raise UsageError(
            f"{option} takes a file, and {text} is a folder",
            hint="name one file; all of config/ is kept without --config",
        )
    if not place.is_file():
        raise UsageError(f"no such file for {option}: {text}", hint="name it relative to the project root")
    return path


def _checked_params(root: Path, text: str | None) -> str | None:
    """Return the file of parameters, which is JSON: a replay and the pipeline read it as such."""
    path = _checked_file(root, text, "--params")
    if path is not None:
        try:
            json.loads((root / path).read_bytes())
        except (ValueError, RecursionError) as exc:
            raise UsageError(
                f"--params {text} is not JSON: {exc}",
                hint="correct the file; what is not JSON can be kept with --config FILE",
            ) from exc
    return path


def _snapshot_name(project: Project, path: Path) -> str:
    folder = project.root / "config"
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _visible_config(project: Project) -> list[str]:
    return [
        path.removeprefix("config/")
        for path in glob_files(project.root, ["config"])
        if "/." not in f"/{path}"
    ]


def _runner(environ: Mapping[str, str]) -> str:
    return "ci" if environ.get("CI", "").lower() in ("1", "true", "yes") else "local"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
