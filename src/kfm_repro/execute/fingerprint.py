"""What an interpreter is made of, and what differs between two of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kfm_repro.errors import RunError
from kfm_repro.execute.sources import source_state
from kfm_repro.model.report import Drift
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.secrets import redact, redact_variables

__all__ = ["environment_drift", "fingerprint", "read_fingerprint"]

_PROBE = Path(__file__).with_name("probe.py")
_START = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); sys.argv.pop(0); "
    "exec(compile(open(sys.argv[0], 'rb').read(), sys.argv[0], 'exec'), "
    "{'__name__': '__main__', '__file__': sys.argv[0]})"
)
"""Runs the probe with the search path that a pipeline has, without the working folder and the probe's own."""
_NOT_ASKED_WITH = (
    "PYTHONINSPECT",
    "PYTHONWARNINGS",
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDEVMODE",
)
"""Variables that change what an interpreter says, and not what it is."""
_TIMEOUT_S = 60

_MATTERS: Mapping[str, str] = {
    "shapely": "geometry", "pyproj": "geometry", "pyogrio": "geometry", "fiona": "geometry",
    "geopandas": "geometry", "rasterio": "geometry", "numpy": "floats", "scipy": "floats",
    "pandas": "tables", "pyarrow": "tables", "polars": "tables", "duckdb": "tables",
    "geos": "geometry", "gdal": "geometry", "proj": "geometry",
}  # fmt: skip
"""What a package can affect; one that is not named here is cosmetic."""

_PLACES: tuple[tuple[str, str, str], ...] = (
    ("python", "python", "tables"),
    ("implementation", "implementation", "tables"),
    ("build.executable_sha256", "interpreter (its file)", "tables"),
    ("build.hash_algorithm", "hash algorithm", "tables"),
    ("machine", "machine", "floats"),
    ("system", "system", "floats"),
    ("libc", "libc", "floats"),
    ("user_site", "packages of the user (PYTHONUSERBASE or HOME)", "tables"),
    ("kernel", "kernel", "cosmetic"),
    ("cpu.model", "CPU", "floats"),
    ("cpu.count", "CPU count", "floats"),
    ("locale.all", "locale", "tables"),
    ("locale.encoding", "encoding", "tables"),
    ("time_zone.names", "time zone", "tables"),
    ("time_zone.name", "time zone (its name)", "tables"),
    ("time_zone.database", "time zone database", "tables"),
    ("threads", "thread variables", "floats"),
    ("native.gdal", "GDAL", "geometry"),
    ("native.gdal_of_rasterio", "GDAL of rasterio", "geometry"),
    ("native.gdal_of_fiona", "GDAL of fiona", "geometry"),
    ("native.gdal_data", "data of GDAL", "geometry"),
    ("native.gdal_proj_data", "data of GDAL's PROJ", "geometry"),
    ("native.gdal_geos", "GEOS of GDAL", "geometry"),
    ("native.gdal_of_rasterio_data", "data of rasterio's GDAL", "geometry"),
    ("native.gdal_of_rasterio_proj_data", "data of rasterio's PROJ", "geometry"),
    ("native.gdal_of_fiona_data", "data of fiona's GDAL", "geometry"),
    ("native.gdal_of_fiona_proj_data", "data of fiona's PROJ", "geometry"),
    ("native.geos", "GEOS", "geometry"),
    ("native.proj", "PROJ", "geometry"),
    ("native.proj_data.database", "PROJ database", "geometry"),
    ("native.proj_data.files", "PROJ files and grids", "geometry"),
    ("native.proj_data.network", "PROJ network", "geometry"),
    ("native.numpy.blas", "BLAS", "floats"),
    ("native.blas", "BLAS that was loaded, and its kernels", "floats"),
    ("native.numpy.simd", "SIMD level of numpy", "floats"),
    ("native.arrow.version", "Arrow", "tables"),
    ("native.arrow.simd", "SIMD level of Arrow", "floats"),
    ("native.duckdb", "DuckDB", "tables"),
    ("native.sqlite", "SQLite", "tables"),
    ("native.zlib", "zlib", "cosmetic"),
    ("native.openssl", "OpenSSL", "cosmetic"),
    ("program.sha256", "program (its file)", "tables"),
)
"""Where a fact lies in a fingerprint, what a report calls it, and what it can affect."""


def fingerprint(
    python: str | None,
    root: Path,
    environ: Mapping[str, str] | None = None,
    *,
    copies: Sequence[Path] = (),
) -> dict[str, Any]:
    """Return what the interpreter ``python`` says of itself in ``environ``, asked in the project ``root``.

    Interpreter, packages, native libraries, CPU, locale, time zone and thread variables; see ``probe.py``. Code
    that is imported from a folder is named by its commit; that of the project (or of ``copies`` of it) is not, for
    the record names it. Where no interpreter answers, only what holds for the machine is returned: no ``python``.
    """
    answer = _ask(python, root, environ) if python else {}
    if not answer.get("python"):
        return _ask(sys.executable, root, environ, "--host")
    _name_sources(answer, [path.resolve() for path in (root, *copies)])
    answer["threads"] = redact_variables(answer.get("threads", {}))
    return answer


def _ask(python: str, root: Path, environ: Mapping[str, str] | None, *options: str) -> dict[str, Any]:
    program = python if "/" in python else shutil.which(python) or python
    given = os.environ if environ is None else environ
    try:
        done = subprocess.run(
            [program, "-W", "ignore", "-c", _START, str(_PROBE), *options],
            cwd=root,
            env={name: value for name, value in given.items() if name not in _NOT_ASKED_WITH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        # What a sitecustomize prints stands in the lines before.
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}
    return answer if isinstance(answer, dict) else {}


def read_fingerprint(directory: RunDir, run: Run) -> dict[str, Any]:
    """Return the fingerprint that a record keeps; what is known without one, often nothing, when it cannot be read."""
    environment = run.environment
    if environment is None:
        return {}
    known: dict[str, Any] = {"python": environment.python} if environment.python else {}
    if environment.fingerprint:
        try:
            path = inside(directory.path, environment.fingerprint, what="environment.fingerprint")
            document: Any = json.loads(path.read_bytes()) if kind_of(path) == "file" else {}
        except (OSError, ValueError, RecursionError, RunError):
            return known
        if isinstance(document, dict):
            known |= {str(name): value for name, value in document.items()}
    return known


def _name_sources(answer: dict[str, Any], roots: Sequence[Path]) -> None:
    """Say of every folder that is imported from, and of every editable package, which commit it is."""
    states: dict[str, dict[str, Any]] = {}

    def state(folder: str) -> dict[str, Any]:
        if folder not in states:
            states[folder] = source_state(Path(folder))
        return states[folder]

    folders = {}
    for path, kind in answer.get("folders", {}).items():
        base = next((base for base in roots if Path(path).is_relative_to(base)), None)
        if base is not None:
            folders[f"{{root}}/{Path(path).relative_to(base).as_posix()}"] = {"kind": kind}
        else:
            folders[path] = {"kind": kind, **({} if kind == "user" else state(path))}
    answer["folders"] = folders
    for about in answer.get("package_records", {}).values():
        for source in (about[key] for key in ("direct_url", "provenance_url") if key in about):
            folder = unquote(source["url"].removeprefix("file://")) if source.get("editable") else ""
            source["url"] = redact(source["url"])
            if folder and any(Path(folder).resolve().is_relative_to(base) for base in roots):
                source["in_project"] = True
            elif folder:
                source["source"] = state(folder)


def environment_drift(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Return what differs between two fingerprints, by name, with what each can affect.

    What one of the two does not say is no drift. A package whose version is the same and whose files are not
    is reported with the digests of its files.
    """
    drifts: list[Drift] = []
    for place, name, matters in _PLACES:
        a, b = _at(recorded, place), _at(today, place)
        if a is not None and b is not None and a != b:
            drifts += _drift(name, a, b, matters)
    drifts += [*_flags(recorded, today), *_changed_sources(recorded, today)]
    packages_a, packages_b = _packages(recorded), _packages(today)
    if packages_a and packages_b:
        drifts += [
            Drift(
                what=name,
                a=packages_a.get(name),
                b=packages_b.get(name),
                matters=_MATTERS.get(name, "cosmetic"),
            )
            for name in sorted({*packages_a, *packages_b})
            if packages_a.get(name) != packages_b.get(name)
        ]
        drifts += _changed_conda(recorded, today)
        drifts += _changed_files(recorded, today)
    return tuple(drifts)


def _drift(name: str, a: object, b: object, matters: str) -> Iterator[Drift]:
    """Yield one drift, or one for each entry of two tables that differs."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            if a.get(key) != b.get(key):
                yield Drift(what=f"{name}: {key}", a=_text(a.get(key)), b=_text(b.get(key)), matters=matters)
    else:
        yield Drift(what=name, a=_text(a), b=_text(b), matters=matters)


def _flags(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[Drift]:
    """Name the CPU flags that only one side has; records that hold no more than a digest are compared by it."""
    flags = [_at(side, "cpu.flags") for side in (recorded, today)]
    if all(isinstance(side, list) for side in flags):
        a, b = (sorted({str(flag) for flag in side} - {str(flag) for flag in other})
                for side, other in (flags, flags[::-1]))  # fmt: skip
        a_text, b_text = " ".join(a), " ".join(b)
    else:
        a_text, b_text = (str(_at(side, "cpu.flags_sha256") or "") for side in (recorded, today))
        a_text, b_text = (a_text, b_text) if a_text and b_text else ("", "")
    if a_text != b_text:
        yield Drift(
            what="CPU flags", a=a_text or "none besides", b=b_text or "none besides", matters="floats"
        )


def _changed_sources(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[Drift]:
    """Name code that is imported from a folder, of another commit or with other changes than then."""
    a, b = (_sources(side) for side in (recorded, today))
    if a is None or b is None:
        return
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            yield Drift(what=name, a=a.get(name), b=b.get(name), matters="tables")


def _sources(side: Mapping[str, Any]) -> dict[str, str] | None:
    """Return in words what code is imported from where; None when this side does not say."""
    folders, records = side.get("folders"), side.get("package_records")
    if not isinstance(folders, dict) or not isinstance(records, dict):
        return None
    told = {
        f"folder {path}": _state_told(state)
        for path, state in folders.items()
        if not str(path).startswith("{root}")
    }
    for name, about in records.items():
        source = about.get("direct_url") if isinstance(about, dict) else None
        state = source.get("source") if isinstance(source, dict) else None
        if state is not None:
            told[f"{name} (its source)"] = _state_told(state)
    return told


def _state_told(state: object) -> str:
    known = state if isinstance(state, dict) else {}
    changes = str(known.get("changes_sha256") or "")[:12]
    words = [str(known.get(key)) for key in ("kind", "reason") if known.get(key)]
    words += [f"commit {str(known['commit'])[:12]}"] if known.get("commit") else []
    words += [f"changed ({changes})"] if known.get("changed") else []
    return ", ".join(words) or "there"


def _changed_files(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[Drift]:
    versions = _packages(recorded), _packages(today)
    a, b = (_at(side, "package_records") or {} for side in (recorded, today))
    for name in sorted({*a} & {*b}):
        digests = [
            side[name].get("record_sha256") if isinstance(side[name], dict) else None for side in (a, b)
        ]
        same_version = versions[0].get(name) == versions[1].get(name)
        if same_version and None not in digests and digests[0] != digests[1]:
            yield Drift(
                what=f"{name} (its files)",
                a=_text(digests[0]),
                b=_text(digests[1]),
                matters=_MATTERS.get(name, "cosmetic"),
            )


def _changed_conda(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[Drift]:
    a, b = (_at(side, "conda") for side in (recorded, today))
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted({*a, *b}):
            if a.get(name) != b.get(name):
                matters = _MATTERS.get(name, "cosmetic")
                yield Drift(
                    what=f"conda package {name}", a=_text(a.get(name)), b=_text(b.get(name)), matters=matters
                )


def _at(document: Mapping[str, Any], place: str) -> Any:  # noqa: ANN401 - what the record holds there
    value: Any = document
    for part in place.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _packages(side: Mapping[str, Any]) -> dict[str, str]:
    packages = side.get("packages")
    return {str(k): str(v) for k, v in packages.items()} if isinstance(packages, dict) else {}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)
