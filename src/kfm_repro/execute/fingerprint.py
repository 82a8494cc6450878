"""What an interpreter is made of, and what differs between two of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfm_repro.errors import RunError
from kfm_repro.model.report import Drift
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of

__all__ = ["environment_drift", "fingerprint", "read_fingerprint", "requirements_lock"]

_PROBE = Path(__file__).with_name("probe.py")
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
    ("cpu.flags_sha256", "CPU flags", "floats"),
    ("cpu.count", "CPU count", "floats"),
    ("locale.all", "locale", "tables"),
    ("locale.encoding", "encoding", "tables"),
    ("time_zone.names", "time zone", "tables"),
    ("time_zone.database", "time zone database", "tables"),
    ("threads", "thread variables", "floats"),
    ("native.gdal", "GDAL", "geometry"),
    ("native.gdal_of_rasterio", "GDAL of rasterio", "geometry"),
    ("native.gdal_of_fiona", "GDAL of fiona", "geometry"),
    ("native.geos", "GEOS", "geometry"),
    ("native.proj", "PROJ", "geometry"),
    ("native.proj_data.database", "PROJ database", "geometry"),
    ("native.proj_data.files", "PROJ files and grids", "geometry"),
    ("native.proj_data.network", "PROJ network", "geometry"),
    ("native.numpy.blas", "BLAS", "floats"),
    ("native.numpy.simd", "SIMD level of numpy", "floats"),
    ("native.arrow.version", "Arrow", "tables"),
    ("native.arrow.simd", "SIMD level of Arrow", "floats"),
    ("native.duckdb", "DuckDB", "tables"),
    ("native.sqlite", "SQLite", "tables"),
    ("native.zlib", "zlib", "cosmetic"),
    ("native.openssl", "OpenSSL", "cosmetic"),
)
"""Where a fact lies in a fingerprint, what a report calls it, and what it can affect."""


def fingerprint(python: str, cwd: Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the interpreter ``python`` says of itself in ``environ``; empty when it does not answer.

    Interpreter, packages, native libraries, CPU, locale, time zone and thread variables; see ``probe.py``.
    """
    program = python if "/" in python else shutil.which(python) or python
    try:
        done = subprocess.run(
            [program, "-I", str(_PROBE)],
            cwd=cwd,
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
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


def requirements_lock(known: Mapping[str, Any]) -> str:
    """Return the packages of a fingerprint as a requirements file, sorted by name.

    An installed package does not say the digest of the wheel that it came from, so that there are no hashes but
    those of packages installed from a URL that had one; the file says so.
    """
    python = known.get("python", "unknown")
    lines = [
        f"# The packages that the run had, with Python {python}. Written by kfm-repro record.",
        "# No hashes: what is installed does not say which wheel it came from.",
    ]
    records = known.get("package_records")
    for name, version in sorted(_packages(known).items()):
        about = records.get(name) if isinstance(records, dict) else None
        lines.append(_requirement(name, version, (about or {}).get("direct_url")))
    return "\n".join(lines) + "\n"


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


def _at(document: Mapping[str, Any], place: str) -> Any:  # noqa: ANN401 - what the record holds there
    value: Any = document
    for part in place.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _requirement(name: str, version: str, source: object) -> str:
    url = source.get("url") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(url, str):
        return f"{name}=={version}"
    vcs, archive = source.get("vcs_info"), source.get("archive_info")
    if isinstance(vcs, dict):
        return f"{name} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"
    if isinstance(archive, dict) and not url.startswith("file:"):
        digest = str(archive.get("hash") or "")
        return f"{name} @ {url}" + (f"#{digest}" if digest else "")
    return f"# {name}=={version} was installed from a local {'folder' if archive is None else 'file'}"


def _packages(side: Mapping[str, Any]) -> dict[str, str]:
    packages = side.get("packages")
    return {str(k): str(v) for k, v in packages.items()} if isinstance(packages, dict) else {}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)
