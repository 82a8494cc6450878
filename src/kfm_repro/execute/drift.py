"""What differs between the environment that was recorded and another one, and what each difference can affect.

Nothing that differs is dropped: a fact that has no rule here is reported as ``unknown``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from kfm_repro.execute.lockfiles import normal_name
from kfm_repro.model.report import Drift

__all__ = ["MATTERS", "affects", "bounded", "by_weight", "environment_drift"]

MATTERS: tuple[str, ...] = ("geometry", "floats", "tables", "text", "unknown", "network", "cosmetic")
"""What a drift can affect, what can matter most first."""

_SHOWN = 500
_LONGEST = 200

_PACKAGES: Mapping[str, str] = {
    "geometry": "cartopy contextily exactextract fiona gdal geoalchemy2 geographiclib geojson geopandas h3 "
    "libpysal mapclassify momepy networkx osgeo osmnx pygeos pyogrio pyproj pysal pyshp rasterio rasterstats "
    "rioxarray rtree s2sphere shapely sphericalgeometry topojson trimesh",
    "floats": "bottleneck cupy cvxpy jax jaxlib lightgbm mkl numba numexpr numpy opencv-python patsy pillow "
    "scikit-image scikit-learn scipy statsmodels sympy tensorflow torch xgboost",
    "tables": "arro3-core csvkit dask datafusion dbt-core delta-spark deltalake duckdb fastparquet h5py ibis-framework "
    "netcdf4 openpyxl pandas pandera polars psycopg psycopg2 psycopg2-binary pyarrow pyspark python-snappy "
    "snowflake-connector-python sqlalchemy sqlglot tables vaex xarray xlrd xlsxwriter zarr",
    "text": "babel backports-zoneinfo beautifulsoup4 chardet charset-normalizer ftfy html5lib jinja2 lxml markdown "
    "msgspec orjson pyicu python-dateutil pytz pyyaml rapidfuzz regex ruamel-yaml simplejson text-unidecode tomli "
    "tomlkit tzdata tzlocal ujson unidecode",
    "network": "aiohttp boto3 botocore certifi fsspec gcsfs google-cloud-storage httpcore httpx idna pyopenssl "
    "requests s3fs urllib3",
    "cosmetic": "black build coverage flake8 hatchling hypothesis ipykernel ipython isort jupyter jupyterlab kfm-repro "
    "mypy pip pip-tools pipx pluggy poetry poetry-core pre-commit py pytest pytest-cov pytest-xdist rich ruff "
    "setuptools tox tqdm uv virtualenv wheel",
}  # fmt: skip
_OF_PACKAGE: Mapping[str, str] = {
    name: matters for matters, names in _PACKAGES.items() for name in names.split()
}

_PLACES: Mapping[str, tuple[str, str]] = {
    "implementation": ("implementation", "tables"),
    "build.executable_sha256": ("interpreter (its file)", "floats"),
    "build.compiler": ("compiler of the interpreter", "floats"),
    "build.version": ("build of the interpreter", "cosmetic"),
    "build.hash_algorithm": ("hash algorithm", "text"),
    "machine": ("machine", "floats"),
    "system": ("system", "floats"),
    "libc": ("libc", "floats"),
    "kernel": ("kernel", "cosmetic"),
    "cpu.model": ("CPU", "floats"),
    "cpu.flags": ("CPU flags", "floats"),
    "cpu.flags_sha256": ("CPU flags", "floats"),
    "cpu.simd": ("SIMD level of the CPU", "floats"),
    "cpu.count": ("CPU count", "floats"),
    "locale": ("locale", "text"),
    "locale.all": ("locale", "text"),
    "locale.encoding": ("encoding", "text"),
    "time_zone": ("time zone", "text"),
    "time_zone.names": ("time zone", "text"),
    "time_zone.database": ("time zone database", "text"),
    "threads": ("thread variables", "floats"),
    "native.gdal": ("GDAL", "geometry"),
    "native.gdal_geos": ("GEOS of GDAL", "geometry"),
    "native.gdal_data": ("data of GDAL", "geometry"),
    "native.gdal_proj_data": ("PROJ data of GDAL", "geometry"),
    "native.gdal_of_rasterio_proj_data": ("PROJ data of rasterio", "geometry"),
    "native.gdal_of_rasterio_data": ("data of GDAL of rasterio", "geometry"),
    "native.gdal_of_fiona_proj_data": ("PROJ data of fiona", "geometry"),
    "native.gdal_of_fiona_data": ("data of GDAL of fiona", "geometry"),
    "native.gdal_of_rasterio": ("GDAL of rasterio", "geometry"),
    "native.gdal_of_fiona": ("GDAL of fiona", "geometry"),
    "native.geos": ("GEOS", "geometry"),
    "native.proj": ("PROJ", "geometry"),
    "native.proj_data": ("PROJ data", "geometry"),
    "native.proj_data.database": ("PROJ database", "geometry"),
    "native.proj_data.files": ("PROJ files and grids", "geometry"),
    "native.proj_data.network": ("PROJ network", "geometry"),
    "native.numpy": ("numpy", "floats"),
    "native.numpy.blas": ("BLAS", "floats"),
    "native.numpy.simd": ("SIMD level of numpy", "floats"),
    "native.blas": ("BLAS that was loaded, and its kernels", "floats"),
    "native.arrow": ("Arrow", "tables"),
    "native.arrow.version": ("Arrow", "tables"),
    "native.arrow.simd": ("SIMD level of Arrow", "floats"),
    "native.duckdb": ("DuckDB", "tables"),
    "native.sqlite": ("SQLite", "tables"),
    "native.zlib": ("zlib", "cosmetic"),
    "native.openssl": ("OpenSSL", "network"),
    "program.sha256": ("program (its file)", "tables"),
}
"""Where a fact lies in a fingerprint, what a report calls it, and what it and all below it can affect."""

_NO_DRIFT = frozenset(("executable", "program.path", "interpreter"))
"""Where an interpreter or a program lies, and how it was found."""
_OWN_WAY = frozenset(("python", "packages", "package_records", "folders", "conda"))
_GROUPS: Mapping[str, str] = {"cpu": "floats", "build": "floats", "locale": "text", "time_zone": "text"}


def environment_drift(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Return what differs between two fingerprints, what can matter first, then by name.

    What one of the two does not say is no drift. A package whose version is the same and whose files are not is
    reported as changed in its files, with the digests of its RECORD; one that is imported from a folder, with its
    commit.
    """
    drifts = [
        *_python(recorded, other), *_facts(recorded, other), *_packages(recorded, other), *_sources(recorded, other),
        *_conda(recorded, other),
    ]  # fmt: skip
    return by_weight(drifts)


def by_weight(drifts: Iterable[Drift]) -> tuple[Drift, ...]:
    """Sort by what can be affected; what was not there when it was recorded comes after what was."""
    return tuple(sorted(drifts, key=_weight))


def _weight(drift: Drift) -> tuple[int, bool, str, str]:
    return MATTERS.index(drift.matters), drift.change == "added", drift.what, drift.change


def bounded(drifts: tuple[Drift, ...], most: int = _SHOWN) -> tuple[tuple[Drift, ...], int]:
    """Return at most ``most`` drifts, those that can matter first, and how many are left out."""
    return drifts[:most], max(0, len(drifts) - most)


def _python(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Drift]:
    a, b = recorded.get("python"), other.get("python")
    if a and b and a != b:
        minor = str(a).split(".")[:2] != str(b).split(".")[:2]
        yield Drift(
            what="python", a=_text(a), b=_text(b), matters="tables" if minor else "text", change="version"
        )


def _facts(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Drift]:
    for key in sorted({*map(str, recorded)} & {*map(str, other)}):
        if key not in _OWN_WAY:
            yield from _below(key, recorded[key], other[key])


def _below(place: str, a: object, b: object) -> Iterator[Drift]:
    """Yield what differs at a place and below it; a table is a list of facts unless it is one of files or values."""
    if a == b or a is None or b is None or place in _NO_DRIFT:
        return
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        name, matters = _named(place)
        shown = _told(place, a, b)
        yield Drift(what=name, a=shown[0], b=shown[1], matters=matters, change=_change(place))
    elif place in _LISTS:
        yield from _entries(place, a, b)
    else:
        known = {*map(str, a)} & {*map(str, b)}
        for key in sorted(known - {f"{name}_sha256" for name in known}):
            yield from _below(f"{place}.{key}", a[key], b[key])


_LISTS = frozenset((
    "threads", "native.numpy.simd", "native.proj_data.database", "native.proj_data.files",
))  # fmt: skip
"""Tables in which what is named by one side only is a drift as well."""


def _entries(place: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Drift]:
    name, matters = _named(place)
    changed = "files" if place.endswith("files") else "value"
    for key in sorted({*map(str, a)} | {*map(str, b)}):
        if a.get(key) != b.get(key):
            shown = _told(place, a.get(key), b.get(key))
            change = "added" if key not in a else "removed" if key not in b else changed
            yield Drift(what=f"{name}: {key}", a=shown[0], b=shown[1], matters=matters, change=change)


def _named(place: str) -> tuple[str, str]:
    """Return what a report calls a fact, and what it can affect: its own rule, or that of what it is part of."""
    if place in _PLACES:
        return _PLACES[place]
    parts = place.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:length])
        if above in _PLACES:
            name, matters = _PLACES[above]
            return f"{name}: {'.'.join(parts[length:])}", matters
    return place, _GROUPS.get(parts[0], "unknown")


_SETS = ("cpu.flags", "cpu.simd", "native.numpy.simd")
"""Where the order of words says nothing."""


def _told(place: str, a: object, b: object) -> tuple[str | None, str | None]:
    """Return two values as texts; of two sets of words, what each has and the other lacks."""
    if place not in _SETS or not (_are_words(a) and _are_words(b)):
        return _text(a), _text(b)
    mine, other = ([word for word in x if word not in y] for x, y in ((a, b), (b, a)))
    if not mine and not other:
        return _text(a), _text(b)
    return _cut(" ".join(mine)) or "none besides", _cut(" ".join(other)) or "none besides"


def _are_words(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _change(place: str) -> str:
    return "files" if place.endswith((".sha256", "executable_sha256")) else "value"


def _packages(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Drift]:
    a, b = _versions(recorded), _versions(other)
    if not a or not b:
        return
    digests = _digests(recorded), _digests(other)
    for name in sorted({*a, *b}):
        matters = _OF_PACKAGE.get(name, "unknown")
        if a.get(name) != b.get(name):
            change = "added" if name not in a else "removed" if name not in b else "version"
            yield Drift(what=name, a=a.get(name), b=b.get(name), matters=matters, change=change)
            continue
        files = [side.get(name) for side in digests]
        if None not in files and files[0] != files[1]:
            yield Drift(what=f"{name} (its files)", a=files[0], b=files[1], matters=matters, change="files")


def _sources(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Drift]:
    """Yield the code that is imported from a folder and is of another commit, or changed in another way."""
    a, b = _states(recorded), _states(other)
    if a is None or b is None:
        return
    for what in sorted({*a, *b}):
        states = [side[what] for side in (a, b) if what in side]
        known = all("files_sha256" in state for state in states)
        told = [_state_told(side[what], files=known) if what in side else None for side in (a, b)]
        if told[0] != told[1]:
            change = "added" if what not in a else "removed" if what not in b else "files"
            matters = _OF_PACKAGE.get(what.removesuffix(_ITS_SOURCE), "unknown")
            yield Drift(what=what, a=told[0], b=told[1], matters=matters, change=change)


_ITS_SOURCE = " (its source)"


def _states(side: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """Return the state of each folder that is imported from, by what a report calls it; None when nothing is said.

    Folders of the project and its repository are left out: their commit is that of the record.
    """
    folders, records = side.get("folders"), side.get("package_records")
    if not isinstance(folders, Mapping) or not isinstance(records, Mapping):
        return None
    told = {
        _folder_told(path, state): state if isinstance(state, Mapping) else {}
        for path, state in folders.items()
        if not str(path).startswith(("{root}", "{top}"))
    }
    for name, about in records.items():
        source = about.get("direct_url") if isinstance(about, Mapping) else None
        state = source.get("source") if isinstance(source, Mapping) else None
        if state is not None:
            told[normal_name(str(name)) + _ITS_SOURCE] = state if isinstance(state, Mapping) else {}
    return told


def _folder_told(path: object, state: object) -> str:
    kind = state.get("kind") if isinstance(state, Mapping) else None
    # PYTHONUSERBASE or HOME lead to them, and those of a replay are its own.
    return f"packages of the user in {path}" if kind == "user" else f"folder {path}"


def _state_told(known: Mapping[str, Any], *, files: bool) -> str:
    """Say which source this is; ``files`` is whether its modules can be compared."""
    changes = str(known.get("changes_sha256") or "")[:12]
    # Digests say more than that git has no commit, and a terminal shows the beginning.
    words = [str(known[key]) for key in ("kind", *(() if files else ("reason",))) if known.get(key)]
    words += [f"commit {str(known['commit'])[:12]}"] if known.get("commit") else []
    words += [f"changed ({changes})"] if known.get("changed") else []
    if files:
        words += [f"modules {str(known['files_sha256'])[:12]}"]
        words += [str(known["files_bound"])] if known.get("files_bound") else []
    return _cut(", ".join(words)) or "there"


def _conda(recorded: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Drift]:
    """Yield the packages of conda that differ, native libraries among them; once, where one side has none at all."""
    a, b = recorded.get("conda"), other.get("conda")
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return
    if not a or not b:
        if a or b:
            told = [f"{len(side)} packages" if side else None for side in (a, b)]
            change = "removed" if a else "added"
            yield Drift(what="conda environment", a=told[0], b=told[1], matters="unknown", change=change)
        return
    for drift in _entries("conda", a, b):
        name = normal_name(drift.what.removeprefix("conda: "))
        matters = _OF_PACKAGE.get(name) or next(
            (found for part, found in _OF_LIBRARY.items() if part in name), "unknown"
        )
        yield Drift(what=drift.what, a=drift.a, b=drift.b, matters=matters, change=drift.change)


_OF_LIBRARY: Mapping[str, str] = {
    "geos": "geometry", "gdal": "geometry", "proj": "geometry", "blas": "floats", "lapack": "floats", "mkl": "floats",
    "arrow": "tables", "parquet": "tables", "sqlite": "tables", "icu": "text",
}  # fmt: skip
"""What native libraries of conda can affect, by a part of their name."""


def _versions(side: Mapping[str, Any]) -> dict[str, str]:
    packages = side.get("packages")
    if not isinstance(packages, Mapping):
        return {}
    return {normal_name(str(name)): _cut(str(version)) for name, version in packages.items()}


def _digests(side: Mapping[str, Any]) -> dict[str, str]:
    records = side.get("package_records")
    if not isinstance(records, Mapping):
        return {}
    return {
        normal_name(str(name)): about["record_sha256"]
        for name, about in records.items()
        if isinstance(about, Mapping) and isinstance(about.get("record_sha256"), str)
    }


def _text(value: object) -> str | None:
    if value is None:
        return None
    return _cut(value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def affects(drifts: Iterable[Drift]) -> dict[str, int]:
    """Return how many drifts can affect what, in the order of ``MATTERS``."""
    found = [item.matters for item in drifts]
    return {name: found.count(name) for name in MATTERS if name in found}
