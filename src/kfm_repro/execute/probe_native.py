"""The second half of ``probe.py``: the native libraries that the packages bring, and the data they compute with."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAX_HASHED = 192 << 20
"""Of grids and the like no more than this is hashed: all grids there are would take seconds."""
_BLAS_QUESTIONS = (
    ("openblas_get_config", "openblas"), ("MKL_Get_Version_String", "mkl"), ("bli_info_get_version_str", "blis"),
)  # fmt: skip


def _digests(folder: Path, budget: int = _MAX_HASHED) -> dict[str, str]:
    """Return the digest of every file below ``folder`` by its path; beyond the budget, its size."""
    found = {}
    for base, folders, names in os.walk(str(folder)):
        folders.sort()
        for name in sorted(names):
            path = Path(base) / name
            size = path.stat().st_size
            budget -= size
            found[path.relative_to(folder).as_posix()] = (
                hashlib.sha256(path.read_bytes()).hexdigest() if budget >= 0 else f"{size} bytes, not hashed"
            )
    return found


def _folder_digest(folder: Path) -> dict[str, Any]:
    """Return the digest of all names and digests of a folder's files in one."""
    found = _digests(folder)
    text = "\n".join(f"{digest}  {name}" for name, digest in sorted(found.items()))
    return {"files": len(found), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _pyogrio() -> dict[str, Any]:
    # pyogrio imports pandas and geopandas where they are, which takes seconds and tells us nothing.
    hidden = [name for name in ("pandas", "geopandas", "pyarrow") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        pyogrio = importlib.import_module("pyogrio")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
    found = {"": pyogrio.__gdal_version_string__}
    with contextlib.suppress(AttributeError, TypeError):
        found["_geos"] = ".".join(map(str, pyogrio.__gdal_geos_version__))
    place = pyogrio.get_gdal_data_path()
    return {**found, **_data_beside(pyogrio), **({"_data": _folder_digest(Path(place))} if place else {})}


def _data_beside(module: Any) -> dict[str, Any]:  # noqa: ANN401 - any module
    """Return the digests of the data folders that a wheel with a GDAL of its own brings."""
    folders = {"_" + name: Path(module.__file__).with_name(name) for name in ("gdal_data", "proj_data")}
    return {
        name.replace("gdal_", ""): _folder_digest(folder)
        for name, folder in folders.items()
        if folder.is_dir()
    }


def _rasterio() -> dict[str, Any]:
    module = importlib.import_module("rasterio")
    return {"": module.__gdal_version__, **_data_beside(module)}


def _fiona() -> dict[str, Any]:
    module = importlib.import_module("fiona")
    return {"": module.__gdal_version__, **_data_beside(module)}


def _geos() -> object:
    return ".".join(map(str, importlib.import_module("shapely.lib").geos_version))


def _proj() -> object:
    return importlib.import_module("pyproj").proj_version_str


def _proj_data() -> dict[str, Any]:
    pyproj = importlib.import_module("pyproj")
    sqlite3 = importlib.import_module("sqlite3")
    folders = [Path(part) for part in pyproj.datadir.get_data_dir().split(os.pathsep)]
    files: dict[str, str] = {}
    for number, folder in enumerate(folders):
        files.update(_named(folder, "" if not number else f"{number}/"))
    files.update(_named(Path(pyproj.datadir.get_user_data_dir()), "user/"))
    found: dict[str, Any] = {"files": files, "network": bool(pyproj.network.is_network_enabled())}
    database = next((folder / "proj.db" for folder in folders if (folder / "proj.db").is_file()), None)
    if database is not None:
        with contextlib.closing(sqlite3.connect(database.as_uri() + "?mode=ro", uri=True)) as connection:
            rows = dict(connection.execute("SELECT key, value FROM metadata ORDER BY key"))
        found["database"] = {key: value for key, value in rows.items() if not key.endswith(".SOURCE")}
    return found


def _named(folder: Path, prefix: str) -> dict[str, str]:
    """Return the digests of the database, the grids and the rest that PROJ reads in a folder."""
    # What CMake and licences need is not read by PROJ; a cache is written while a pipeline runs.
    unread = (".cmake", ".html", ".md", ".json.spdx", "cache.db", "cache.db-wal", "cache.db-shm")
    return {prefix + name: digest for name, digest in _digests(folder).items() if not name.endswith(unread)}


def _numpy() -> dict[str, Any]:
    config = importlib.import_module("numpy").show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "blas": " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)),
        "simd": config.get("SIMD Extensions", {}),
    }


def _blas() -> list[str]:
    """Return what the BLAS libraries that are loaded by now say of themselves: with the kernels they chose."""
    import ctypes

    with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as maps:
        loaded = sorted({line.split(None, 5)[5].rstrip("\n") for line in maps if "/" in line})
    answers = set()
    for path in loaded:
        for function, word in _BLAS_QUESTIONS:
            if word not in os.path.basename(path).lower():  # noqa: PTH119 - one name, no object
                continue
            library = ctypes.CDLL(path)
            for name in (
                prefix + function + suffix for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")
            ):
                if function != "MKL_Get_Version_String" and hasattr(library, name):
                    question = getattr(library, name)
                    question.argtypes, question.restype = [], ctypes.c_char_p
                    answers.add(" ".join((question() or b"").decode(errors="replace").split()))
            if function == "MKL_Get_Version_String" and hasattr(library, function):
                text = ctypes.create_string_buffer(256)
                getattr(library, function)(text, 256)
                answers.add(" ".join(text.value.decode(errors="replace").split()))
    return sorted(answers - {""})


def _arrow() -> dict[str, Any]:
    pyarrow = importlib.import_module("pyarrow")
    return {"version": pyarrow.cpp_build_info.version, "simd": pyarrow.runtime_info().simd_level}


def _duckdb() -> object:
    return importlib.import_module("duckdb").__version__


def _sqlite() -> object:
    return importlib.import_module("sqlite3").sqlite_version


def _zlib() -> object:
    return importlib.import_module("zlib").ZLIB_RUNTIME_VERSION


def _openssl() -> object:
    return importlib.import_module("ssl").OPENSSL_VERSION


def native(packages: dict[str, str]) -> dict[str, Any]:
    """Return the answers of all libraries that are there; ``packages`` are those that are installed."""
    questions: list[tuple[str, str, Callable[[], object]]] = [
        ("numpy", "numpy", _numpy),
        ("blas", "numpy", _blas),
        ("arrow", "pyarrow", _arrow),
        ("duckdb", "duckdb", _duckdb),
        ("geos", "shapely", _geos),
        ("proj", "pyproj", _proj),
        ("proj_data", "pyproj", _proj_data),
        ("sqlite", "", _sqlite),
        ("zlib", "", _zlib),
        ("openssl", "", _openssl),
        ("gdal", "pyogrio", _pyogrio),
        ("gdal_of_rasterio", "rasterio", _rasterio),
        ("gdal_of_fiona", "fiona", _fiona),
    ]
    answers = {}
    for name, package, ask in questions:
        if package and package not in packages:
            continue
        # A library that is not there, or breaks, leaves no answer; it may raise anything.
        with contextlib.suppress(Exception):
            answer = ask()
            if isinstance(answer, dict) and "" in answer:
                answers.update({name + key: value for key, value in answer.items()})
            elif answer:
                answers[name] = answer
    return dict(sorted(answers.items()))
