"""What differs between two snapshots of the configuration, by file and key; secrets are withheld."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfm_repro.model.report import CodedDrift, DriftCode
from kfm_repro.model.run import Run
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import kind_of
from kfm_repro.runs.secrets import redact_arguments, redact_variables

__all__ = ["command_drift", "config_drift", "snapshot_files"]

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 40
_SHOWN = 200
_ABSENT = object()
_SECRET = re.compile(
    r"(?:^|[_.-])(?:(?:access|api|auth)?[_.-]?token|secret|password|passwd|passphrase|credentials?|bearer|cookie|"
    r"signature|(?:api|access|private|secret)[_.-]?key)(?:$|[_.-])",
    re.IGNORECASE,
)


def snapshot_files(directory: RunDir, run: Run) -> dict[str, Path]:
    """Return the files of a config snapshot by their names in it; what the run wrote there itself is none."""
    patch = run.pipeline.version.patch
    found = {}
    for path in sorted(directory.config.rglob("*")) if directory.config.is_dir() else ():
        name = path.relative_to(directory.config).as_posix()
        own = run.pipeline.config is None or name in run.pipeline.config
        if own and f"config/{name}" != patch and not path.is_symlink() and kind_of(path) == "file":
            found[name] = path
    return found


def config_drift(a: Mapping[str, Path], b: Mapping[str, Path]) -> tuple[CodedDrift, ...]:
    """Return each key that differs between the config files of two sides, as ``config/FILE#/pointer``."""
    found: list[CodedDrift] = []
    for name in sorted({*a, *b}):
        if name not in a or name not in b:
            found.append(_drift(f"config/{name}", *("there" if name in side else None for side in (a, b))))
        elif digest_file(a[name]).sha256 != digest_file(b[name]).sha256:
            found += _in_file(f"config/{name}", a[name], b[name])
    return tuple(found)


def command_drift(a: Run, b: Run) -> tuple[CodedDrift, ...]:
    """Return how the command lines of two runs differ."""
    pairs = (
        ("pipeline.entrypoint", a.pipeline.entrypoint, b.pipeline.entrypoint),
        ("pipeline.args", _line(a), _line(b)),
        ("pipeline.cwd", a.pipeline.cwd, b.pipeline.cwd),
    )
    return tuple(_drift(what, left, right) for what, left, right in pairs if left != right)


def _line(run: Run) -> str:
    return " ".join(redact_arguments(run.pipeline.args))


def _in_file(name: str, a: Path, b: Path) -> Iterator[CodedDrift]:
    """Yield the keys that differ; one drift for the whole file where it has none, or says the same otherwise."""
    sides = [_parsed(path) for path in (a, b)]
    if _ABSENT in sides:
        yield _drift(name, *(f"sha256 {digest_file(path).sha256[:12]}…" for path in (a, b)))
        return
    left, right = (dict(_flat(side, "", 0)) for side in sides)
    keys = [key for key in sorted({*left, *right}) if left.get(key, _ABSENT) != right.get(key, _ABSENT)]
    for key in keys:
        yield _drift(f"{name}#{key}", *(_said(key, side) for side in (left, right)))
    if not keys:
        yield _drift(name, "the same values", "the same values, written otherwise")


def _said(key: str, side: Mapping[str, Any]) -> str | None:
    if key not in side:
        return None
    parts = [part for part in key.split("/") if part and not part.isdigit()]
    name, value = parts[-1] if parts else "value", side[key]
    if isinstance(value, str) and _SECRET.search(name):
        return "withheld: it may be a secret"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return redact_variables({name: text})[name][:_SHOWN]


def _parsed(path: Path) -> Any:  # noqa: ANN401 - a parsed document is anything
    """Return a config file as data, `_ABSENT` when it is none, or too large."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return _ABSENT
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return json.loads(text)
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return _yaml(text) if path.suffix in (".yaml", ".yml") else _ABSENT
    except (OSError, ValueError, RecursionError):
        return _ABSENT


def _yaml(text: str) -> Any:  # noqa: ANN401 - a parsed document is anything
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=loader)):
            return _ABSENT
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, the C one where it is built
    except yaml.YAMLError:
        return _ABSENT


def _flat(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - walks any document
    """Yield every scalar, and every empty container, with its JSON pointer."""
    children: Iterator[tuple[str, Any]] | None = None
    if isinstance(value, dict) and value:
        children = ((str(key), item) for key, item in value.items())
    elif isinstance(value, list) and value:
        children = ((str(number), item) for number, item in enumerate(value))
    if children is None or depth >= _MAX_DEPTH:
        yield pointer, value
        return
    for key, item in children:
        yield from _flat(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", depth + 1)


def _drift(what: str, a: str | None, b: str | None) -> CodedDrift:
    return CodedDrift(code=DriftCode.TRANSFORM_PARAMETERS, what=what, a=a, b=b)
