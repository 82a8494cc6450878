"""Asked of a pipeline's own interpreter, as a script of its own: what it is made of, as one line of JSON.

It runs under any Python from 3.8 on, with or without the libraries that it asks for, and never says a secret.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import locale
import os
import platform
import re
import site
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_SIMD = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "amx_tile",
    "asimd",
    "sve",
)
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS", "GDAL_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
# What an installer writes or compiles on the spot; it says nothing of the package.
_OF_INSTALLER = (".pyc", "/RECORD", "/INSTALLER", "/REQUESTED", "/direct_url.json", "/uv_cache.json")
_GRIDS = (".db", ".tif", ".gsb", ".gtx", ".ini")


def _sha256(path: str | Path) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _packages() -> tuple[dict[str, str], dict[str, Any]]:
    versions, records = {}, {}
    for found in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
        if not name or name in versions:
            continue
        versions[name] = found.version
        lines = sorted(
            line
            for line in (found.read_text("RECORD") or "").splitlines()
            if ",sha256=" in line
            and not line.split(",")[0].endswith(_OF_INSTALLER)
            and not line.startswith("..")
        )
        about: dict[str, Any] = {}
        if lines:
            about["record_sha256"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        source = _source(found.read_text("direct_url.json"))
        if source:
            about["direct_url"] = source
        if about:
            records[name] = about
    return dict(sorted(versions.items())), dict(sorted(records.items()))


def _source(text: str | None) -> dict[str, Any] | None:
    """Return where a package came from when not from an index, without user, password or query."""
    if not text:
        return None
    given = json.loads(text)
    parts = urlsplit(given.get("url", ""))
    host = parts.hostname or ""
    if parts.port:
        host += f":{parts.port}"
    source: dict[str, Any] = {"url": urlunsplit((parts.scheme, host, parts.path, "", ""))}
    for name, keys in (("vcs_info", ("vcs", "commit_id")), ("archive_info", ("hash", "hashes"))):
        if name in given:
            source[name] = {key: given[name][key] for key in keys if key in given[name]}
    if given.get("dir_info", {}).get("editable"):
        source["editable"] = True
    return source


def _gdal() -> object:
    # pyogrio imports pandas and geopandas where they are, which takes seconds and tells us nothing.
    hidden = [name for name in ("pandas", "geopandas", "pyarrow") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        pyogrio = importlib.import_module("pyogrio")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
    return pyogrio.__gdal_version_string__


def _rasterio() -> object:
    return importlib.import_module("rasterio").__gdal_version__


def _fiona() -> object:
    return importlib.import_module("fiona").__gdal_version__


def _geos() -> object:
    return ".".join(map(str, importlib.import_module("shapely.lib").geos_version))


def _proj() -> object:
    return importlib.import_module("pyproj").proj_version_str


def _proj_data() -> dict[str, Any]:
    pyproj = importlib.import_module("pyproj")
    sqlite3 = importlib.import_module("sqlite3")
    folder = Path(pyproj.datadir.get_data_dir().split(os.pathsep)[0])
    user = Path(pyproj.datadir.get_user_data_dir())
    files = {
        ("user/" if place is user else "") + path.name: _sha256(path)
        for place in (folder, user)
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.is_file() and path.suffix in _GRIDS
    }
    with contextlib.closing(
        sqlite3.connect(f"{(folder / 'proj.db').as_uri()}?mode=ro", uri=True)
    ) as database:
        rows = dict(database.execute("SELECT key, value FROM metadata ORDER BY key"))
    told = {key: value for key, value in rows.items() if not key.endswith(".SOURCE")}
    return {"database": told, "files": files, "network": bool(pyproj.network.is_network_enabled())}


def _numpy() -> dict[str, Any]:
    config = importlib.import_module("numpy").show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "blas": " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)),
        "simd": config.get("SIMD Extensions", {}),
    }


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


def _time_zones() -> str:
    for place in ("/usr/share/zoneinfo/tzdata.zi", "/usr/share/zoneinfo/+VERSION"):
        with contextlib.suppress(OSError), Path(place).open(encoding="utf-8") as file:
            return file.readline().strip().lstrip("# version")
    return ""


def _cpu() -> dict[str, Any]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, re.MULTILINE)
    known = sorted(flags[1].split()) if flags else []
    return {
        "model": model[1] if model else platform.processor(),
        "flags_sha256": hashlib.sha256(" ".join(known).encode()).hexdigest() if known else "",
        "simd": [name for name in _SIMD if name in known],
        "count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _add_user_site() -> str:
    """Import from the user's own packages, as the pipeline does and -I does not; return what there is of them.

    ``none`` where they do not count (a virtual environment, PYTHONNOUSERSITE) or there are none, else a digest of
    the names in the folder: PYTHONUSERBASE or HOME may lead to another one in a replay.
    """
    own = sys.prefix != sys.base_prefix and not _sees_system_packages()
    folder = Path(site.getusersitepackages())
    names: list[str] = []
    if not own and not os.environ.get("PYTHONNOUSERSITE"):
        with contextlib.suppress(OSError):
            names = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    if not names:
        return "none"
    site.addsitedir(str(folder))
    return hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()


def _sees_system_packages() -> bool:
    with contextlib.suppress(OSError):
        text = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").lower()
        return bool(re.search(r"^include-system-site-packages\s*=\s*true\s*$", text, re.MULTILINE))
    return True


def _ask(document: dict[str, Any], name: str, question: Callable[[], object]) -> None:
    """Note the answer; a library that is not there, or breaks, leaves none."""
    try:
        answer = question()
    except Exception:  # noqa: BLE001 - a library that breaks may raise anything, and no answer is one too
        return
    if answer:
        document[name] = answer


def main() -> None:
    """Print the fingerprint."""
    # -I keeps the pipeline's working folder out of sys.path; what PYTHONPATH names is the pipeline's, though.
    sys.path += [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part[:1] == os.sep]
    user_site = _add_user_site()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    versions, records = _packages()
    native: dict[str, Any] = {}
    _ask(native, "numpy", _numpy)
    for name, question in (
        ("arrow", _arrow), ("duckdb", _duckdb), ("geos", _geos), ("proj", _proj), ("proj_data", _proj_data),
        ("sqlite", _sqlite), ("zlib", _zlib), ("openssl", _openssl),
    ):  # fmt: skip
        _ask(native, name, question)
    if "pyogrio" in versions:
        _ask(native, "gdal", _gdal)
    if "rasterio" in versions:
        _ask(native, "gdal_of_rasterio", _rasterio)
    if "fiona" in versions:
        _ask(native, "gdal_of_fiona", _fiona)
    document = {
        "executable": sys.executable,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()),
        "build": {
            "version": sys.version,
            "compiler": platform.python_compiler(),
            "executable_sha256": _sha256(os.path.realpath(sys.executable)),
            "hash_algorithm": sys.hash_info.algorithm,
        },
        "kernel": platform.release(),
        "cpu": _cpu(),
        "locale": {"all": locale.setlocale(locale.LC_ALL), "encoding": locale.nl_langinfo(locale.CODESET)},
        "time_zone": {"names": list(time.tzname), "database": _time_zones()},
        "threads": {name: os.environ[name] for name in _THREADS if name in os.environ},
        "native": dict(sorted(native.items())),
        "user_site": user_site,
        "packages": versions,
        "package_records": records,
    }
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main()
