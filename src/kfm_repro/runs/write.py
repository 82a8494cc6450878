"""Write a run record so that a kill at any moment leaves a run that reads as running or aborted (rule 19)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from kfm_repro.errors import NotWritable
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.own import refuse_linked_pipeline
from kfm_repro.runs.paths import is_safe_component
from kfm_repro.runs.read import boot_id, process_started
from kfm_repro.runs.trouble import runs_not_writable

__all__ = [
    "RunWriter",
    "aware",
    "flush_folder",
    "json_text",
    "replace_text",
    "stamp",
    "write_json",
    "write_text",
]


def aware(moment: datetime) -> datetime:
    """Return a moment with a time zone: one without is UTC, as records are."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """Return a moment as records spell it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_text(path: Path, text: str) -> None:
    """Write ``path`` beside its name, flush it, and rename it into place; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)


def replace_text(path: Path, text: str) -> None:
    """Write ``path`` beside its name, flush it, and rename it into place, in a folder that is there.

    Raises OSError, also when the folder has gone.
    """
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_json(path: Path, document: object) -> None:
    """Write a JSON document: indented, keys in the order given, a newline at the end."""
    write_text(path, json_text(document))


def json_text(document: object) -> str:
    """Return a JSON document as it is written: indented, keys in the order given, a newline at the end.

    Characters stand as they are, unless a text holds half a character: then UTF-8 takes none but escapes.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=2) + "\n"
    return text


class RunWriter:
    """Creates the directory of one run and brings it to its end.

    Raises NotWritable when the directory cannot be made.
    """

    def __init__(self, runs: Path, pipeline: str, run_id: str, started: datetime, *, of: str = "") -> None:
        if not is_safe_component(pipeline) or pipeline.startswith("."):
            raise NotWritable(
                f"a pipeline cannot be called {pipeline!r}", hint="use letters, digits, '_' and '-'"
            )
        refuse_linked_pipeline(runs, pipeline)
        self.run = RunDir(runs / pipeline / run_id)
        self._status: dict[str, Any] = {
            "state": "running",
            "pid": os.getpid(),
            "pid_started": process_started(os.getpid()),
            "boot_id": boot_id(),
            "started_at": stamp(started),
        }
        if of:
            self._status["replay"] = {"of": of}
        try:
            self.run.path.mkdir(parents=True)
            write_json(self.run.status, self._status)
        except OSError as exc:
            raise runs_not_writable(runs, exc) from exc
        for folder in ("config", "manifests", "logs", "validation", "metrics", "scratch"):
            (self.run.path / folder).mkdir()

    def yaml(self, document: dict[str, Any]) -> None:
        """Write run.yaml; every text is quoted, so that no commit or time is ever read as a number.

        status.json mirrors when the run started, once that is known (rule 19).
        """
        import yaml

        class Quoted(yaml.SafeDumper):
            """Quotes every value, leaves keys bare."""

        def quote(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
            return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')

        def keys_bare(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
            pairs = [
                (yaml.ScalarNode("tag:yaml.org,2002:str", key), dumper.represent_data(value))
                for key, value in data.items()
            ]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)

        Quoted.add_representer(str, quote)
        Quoted.add_representer(dict, keys_bare)
        text = yaml.dump(document, Dumper=Quoted, sort_keys=False, allow_unicode=True, width=1_000)
        write_text(self.run.run_yaml, text)
        started = document.get("runtime", {}).get("started_at", self._status["started_at"])
        if started != self._status["started_at"]:
            self._status["started_at"] = started
            write_json(self.run.status, self._status)

    def manifest(self, which: str, entries: tuple[Entry, ...], made: datetime) -> None:
        """Write the manifest ``which`` ("inputs" or "outputs")."""
        document = {
            "run_id": self.run.name,
            "generated_at": stamp(made),
            which: [_plain(entry) for entry in entries],
        }
        write_json(self.run.path / "manifests" / f"{which}.json", document)

    def finish(self, state: str, finished: datetime, *, reason: str = "") -> None:
        """Bring the run to its end: the status first, the sentinel last. ``state`` is success, failed, aborted."""
        self._status |= {"state": state, "finished_at": stamp(finished)}
        if reason:
            self._status["reason"] = reason
        write_json(self.run.status, self._status)
        if state == "success":
            write_text(self.run.success, "")
        elif state == "failed":
            write_text(self.run.failed, reason + "\n")


def _plain(entry: Entry) -> dict[str, Any]:
    fields = {
        "path": entry.path,
        "sha256": entry.sha256,
        "size_bytes": entry.size_bytes,
        "row_count": entry.row_count,
        "feature_count": entry.feature_count,
    }
    return {name: value for name, value in fields.items() if value is not None} | entry.extra


def flush_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
