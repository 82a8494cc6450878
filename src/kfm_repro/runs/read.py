"""Read a run record: tolerant of what is missing, strict about what decides a replay."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from kfm_repro.errors import InvalidRecord, RunError
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.run import Run, RunState, Status
from kfm_repro.runs.hashing import normal_sha256
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, safe_text
from kfm_repro.runs.trouble import way_out

__all__ = [
    "MAX_YAML_BYTES",
    "boot_id",
    "process_started",
    "read_manifest",
    "read_run",
    "read_state",
    "read_status",
    "state_of",
]

MAX_YAML_BYTES = 4 << 20
"""A larger run.yaml is not read."""
_MAX_DEPTH = 100
_MAX_COUNT = 2**53
"""Larger whole numbers are not the same to every reader of JSON (RFC 8259, section 6)."""
_MAX_REASON = 4096
_CLOCK_STEP_S = 600.0
"""By so much the clock of a machine may have been set meanwhile."""
_COUNTS = ("size_bytes", "row_count", "feature_count")
_NO_EXTRA: dict[str, Any] = {}
"""Shared by every entry without further fields."""
_STATUS = msgspec.json.Decoder(Status)


def read_run(run: RunDir) -> Run:
    """Return run.yaml of ``run``. Raises InvalidRecord with the key that is wrong and what to write."""
    document = _load_yaml(run.run_yaml)
    if not isinstance(document, dict):
        raise InvalidRecord(
            f"run.yaml of {run.name} is not a mapping but {type(document).__name__}",
            hint="it starts with run_id: and pipeline:",
        )
    if document.get("run_id") is None:
        raise InvalidRecord(f"run.yaml of {run.name} lacks run_id", hint=f'add: run_id: "{run.name}"')
    _refuse_numbers(document, run.name)
    known = {key: value for key, value in document.items() if key != "raw" and value is not None}
    try:
        record = msgspec.convert(_without_nulls(known), Run)
    except msgspec.ValidationError as exc:
        raise InvalidRecord(
            f"run.yaml of {run.name}: {exc}",
            hint="put it in quotes"
            if "Expected `str`" in str(exc)
            else "the layout is in docs/run-record.md",
        ) from exc
    _refuse_times_out_of_range(record, run.name)
    return msgspec.structs.replace(record, raw=document)


def read_manifest(run: RunDir, relative: str, which: str) -> Manifest:
    """Return the manifest ``which`` ("inputs" or "outputs") at ``relative`` to the run directory.

    Raises InvalidRecord when it is missing, not JSON or an entry has no path, UnsafePath when a path leaves
    its root.
    """
    path = inside(run.path, relative, what=f"{which}_manifest of {run.name}")
    where = f"{relative} of {run.name}"
    document = _load_manifest(path, f"{which} manifest of {run.name}", which)
    items = document.get(which) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise InvalidRecord(
            f"{where} has no list {which!r}",
            hint=f'it looks like {{"run_id": …, "{which}": [{{"path": …, "sha256": …}}]}}',
        )
    return Manifest(
        run_id=_text_or_none(document.get("run_id")),
        generated_at=_text_or_none(document.get("generated_at")),
        entries=tuple(_entries(items, where, which)),
    )


def read_status(run: RunDir) -> Status | None:
    """Return status.json, None when there is none. Raises InvalidRecord."""
    if not run.status.is_file():
        return None
    try:
        return _STATUS.decode(run.status.read_bytes())
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        pass
    document = _load_json(run.status, f"status.json of {run.name}")
    if isinstance(document, dict) and "state" not in document:
        # A mark on a record that came without a status: it says nothing of the state.
        document = {"state": "", **document}
    try:
        return msgspec.convert(document, Status)
    except msgspec.ValidationError as exc:
        raise InvalidRecord(
            f"status.json of {run.name}: {exc}", hint='it looks like {"state": "success"}'
        ) from exc


def read_state(run: RunDir) -> tuple[RunState, str]:
    """Return what ``run`` is, and why when status and sentinel do not agree."""
    sentinels = [path.name for path in (run.success, run.failed) if path.is_file()]
    return state_of(run, read_status(run), sentinels)


def state_of(  # noqa: PLR0911 - one line per state of rule 4
    run: RunDir, status: Status | None, sentinels: Sequence[str]
) -> tuple[RunState, str]:
    """Return what a run is whose status and sentinels were already looked at, and why (rule 4)."""
    says = status.state if status else ""
    if len(sentinels) > 1:
        return RunState.INCONSISTENT, "both _SUCCESS and _FAILED exist"
    if says == "running" and not sentinels:
        alive = status is not None and _alive(run, status)
        return (RunState.RUNNING, "") if alive else (RunState.ABORTED, "its process is gone")
    reason = (status.reason or "") if status else ""
    if says == "aborted" and not sentinels:
        return RunState.ABORTED, reason
    if sentinels:
        return _state_of_ended(run, says, sentinels[0])
    if says == "failed":
        return RunState.FAILED, reason
    if says == "success":
        return _success_alone(run, status)
    known = "it has neither a state nor a sentinel"
    return RunState.ABORTED, f"status.json says {says!r}, which is no state" if says else known


def _success_alone(run: RunDir, status: Status | None) -> tuple[RunState, str]:
    """Return what a run is whose success has no sentinel: a writer that names its process was killed in between."""
    why = "status.json says success, but there is no _SUCCESS"
    if status is None or status.pid is None:
        return RunState.INCONSISTENT, why
    return (
        (RunState.RUNNING, "") if _alive(run, status) else (RunState.ABORTED, f"{why}: its writer was killed")
    )


def _state_of_ended(run: RunDir, says: str, sentinel: str) -> tuple[RunState, str]:
    """Return the state of a run that has one sentinel; an old record may have no status beside it."""
    state = RunState.SUCCESS if sentinel == run.success.name else RunState.FAILED
    if says not in ("", state):
        return RunState.INCONSISTENT, f"status.json says {says}, but {sentinel} exists"
    if state is RunState.SUCCESS:
        return state, ""
    if not run.failed.is_file():
        return state, ""
    try:
        with run.failed.open("rb") as file:
            return state, file.read(_MAX_REASON).decode(errors="replace").strip()[:500]
    except OSError as exc:
        return state, f"_FAILED cannot be read: {exc.strerror}"


def boot_id() -> str | None:
    """Return the id of the running kernel's boot, None where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def process_started(pid: int) -> int | None:
    """Return when process ``pid`` started, in clock ticks since boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _alive(run: RunDir, status: Status) -> bool:
    if status.pid is None or (status.boot_id and status.boot_id != boot_id()):
        return False
    if not Path("/proc").is_dir():
        try:
            os.kill(status.pid, 0)
        except OSError:
            return False
        return True
    started = process_started(status.pid)
    if started is None or status.pid_started is not None:
        return started is not None and started == status.pid_started
    return not _began_after(started, run.status)


def _began_after(ticks: int, path: Path) -> bool:
    """Return whether a process began after a file was written, so that it has only got the writer's number."""
    try:
        written = path.stat().st_mtime
    except OSError:
        return False
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK") > written + _CLOCK_STEP_S


def _load_yaml(path: Path) -> Any:  # noqa: ANN401 - a parsed document is anything until it is checked
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    where = f"{path.parent.name}/{path.name}"
    try:
        _require_regular(path)
        if path.stat().st_size > MAX_YAML_BYTES:
            raise InvalidRecord(
                f"{where} is larger than {MAX_YAML_BYTES >> 20} MiB", hint="it is metadata only"
            )
        text = path.read_text(encoding="utf-8")
        _refuse_odd_yaml(yaml.parse(text, Loader=loader), where)
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, the C one where it is built
    except FileNotFoundError as exc:
        raise InvalidRecord(f"{where} does not exist", hint="the run is partial; record it again") from exc
    except PermissionError as exc:
        raise _not_readable(path, where, exc) from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as exc:
        detail = " ".join(str(exc).split())[:300]
        raise InvalidRecord(f"{where} is not YAML: {detail}", hint="correct the line it names") from exc


def _refuse_odd_yaml(events: Iterable[Any], where: str) -> None:
    """Refuse aliases, and what is nested so deeply that whoever walks it runs out of stack."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise InvalidRecord(f"{where} uses YAML aliases", hint="write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise InvalidRecord(
                f"{where} is nested more than {_MAX_DEPTH} levels deep", hint="it is metadata only"
            )


def _load_json(path: Path, what: str) -> Any:  # noqa: ANN401 - a parsed document is anything until it is checked
    try:
        _require_regular(path)
        return json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise InvalidRecord(
            f"{what} does not exist", hint="the record is partial; record the run again"
        ) from exc
    except PermissionError as exc:
        raise _not_readable(path, what, exc) from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise InvalidRecord(
            f"{what} is not JSON: {exc}", hint="restore it from where the run was made"
        ) from exc


def _not_readable(path: Path, what: str, exc: OSError) -> InvalidRecord:
    return InvalidRecord(f"{what} may not be read: {exc.strerror}: {path}", hint=way_out(path, exc))


def _require_regular(path: Path) -> None:
    """Refuse what would block when it is read: a pipe, a device. Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - walks any document
    """Drop keys whose value is null: in a record that is the same as not being there."""
    if isinstance(value, dict):
        return {str(key): _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _refuse_numbers(document: dict[str, Any], name: str) -> None:
    """Refuse ids, commits and variables that YAML has read as numbers or dates: their text is lost (rule 7)."""
    commit = _mapping(_mapping(document.get("pipeline")).get("version")).get("git_commit")
    variables = _mapping(_mapping(document.get("environment")).get("env"))
    texts = {"run_id": document.get("run_id"), "pipeline.version.git_commit": commit}
    texts |= {f"environment.env.{name}": value for name, value in variables.items()}
    for key, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise InvalidRecord(
                f"run.yaml of {name}: {key} is not a text but {type(value).__name__} ({value}): "
                "YAML reads it so when it is not quoted",
                hint=f'put it in quotes: {key.rpartition(".")[2]}: "…"',
            )


def _refuse_times_out_of_range(record: Run, name: str) -> None:
    """Refuse times that have no counterpart in UTC: year 1 east of Greenwich, year 9999 west of it."""
    for key, moment in (
        ("started_at", record.runtime.started_at),
        ("finished_at", record.runtime.finished_at),
    ):
        try:
            if moment is not None and moment.tzinfo is not None:
                moment.astimezone(UTC)
        except OverflowError as exc:
            raise InvalidRecord(
                f"run.yaml of {name}: runtime.{key} is no time in UTC: {moment}",
                hint="write the time as it was, with Z at its end",
            ) from exc


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _load_manifest(path: Path, what: str, which: str) -> Any:  # noqa: ANN401 - anything until it is checked
    """Return a manifest, its entries still as JSON text: a million of them would fill the memory as dictionaries.

    What msgspec refuses and the standard library reads (NaN, lone surrogates) is left to the latter.
    """
    shape = msgspec.defstruct(
        "ManifestText",
        [("run_id", Any, None), ("generated_at", Any, None), (which, list[msgspec.Raw] | None, None)],
    )
    try:
        _require_regular(path)
        made = msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return _load_json(path, what)
    return msgspec.structs.asdict(made)


def _entries(items: list[Any], where: str, which: str) -> Iterator[Entry]:
    """Yield the entries of a manifest, giving up each item once it is read; no path may come twice."""
    seen: set[str] = set()
    for number, item in enumerate(items):
        items[number] = None
        try:
            entry = _entry(item, "")
        except RunError:
            _entry(item, f"{where}, {which}[{number}]")
            raise
        if entry.path in seen:
            raise InvalidRecord(f"{where} names {entry.path!r} twice", hint="keep one entry per path")
        seen.add(entry.path)
        yield entry


def _entry(item: Any, where: str) -> Entry:  # noqa: ANN401 - what JSON held
    extra = _item(item, where)
    path = extra.pop("path", None) if isinstance(extra, dict) else None
    if not isinstance(path, str):
        raise InvalidRecord(f"{where} has no path", hint='an entry is {"path": …, "sha256": …}')
    digest = extra.pop("sha256", None)
    counts = {name: extra.pop(name, None) for name in _COUNTS}
    for name, value in counts.items():
        if value is not None and not _is_count(value):
            raise InvalidRecord(
                f"{where}: {name} is not a count: {repr(value)[:40]}", hint="write a whole number"
            )
    if digest is not None and not isinstance(digest, str):
        raise InvalidRecord(f"{where}: sha256 is not a text", hint="write 64 hex digits in quotes")
    return Entry(
        path=safe_text(path, what=where),
        sha256=normal_sha256(digest, where=where) if digest else None,
        extra=extra or _NO_EXTRA,
        **counts,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _item(item: Any, where: str) -> Any:  # noqa: ANN401 - what JSON held
    """Return an entry as what its JSON says."""
    if not isinstance(item, msgspec.Raw):
        return dict(item) if isinstance(item, dict) else item
    try:
        return msgspec.json.decode(item)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return json.loads(bytes(item))
    except (ValueError, RecursionError) as exc:
        raise InvalidRecord(
            f"{where} cannot be read: {exc}", hint="restore it from where the run was made"
        ) from exc


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
