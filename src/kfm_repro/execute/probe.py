"""Asked of a pipeline's own interpreter, as a script of its own: what it is made of, as one line of JSON.

It runs under any Python from 3.8 on, with or without the libraries that it asks for, and never says a secret.
With ``--host`` as its argument it says only what holds for every program of this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import locale
import os
import platform
import re
import runpy
import site
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_SIMD = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "amx_tile", "asimd", "sve",
)  # fmt: skip
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS", "GDAL_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
# What an installer writes or compiles on the spot; it says nothing of the package.
_OF_INSTALLER = (
    ".pyc", "/RECORD", "/INSTALLER", "/REQUESTED", "/direct_url.json", "/provenance_url.json", "/uv_cache.json",
)  # fmt: skip


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _kinds() -> dict[str, str]:
    """Return the folders that modules come from, in the order of the search, each with how it got there."""
    stdlib = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    sites = {
        os.path.realpath(path) for path in [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    }
    with contextlib.suppress(AttributeError):
        sites |= {os.path.realpath(path) for path in site.getsitepackages()}
    user = os.path.realpath(site.getusersitepackages() or "/")
    given = {os.path.realpath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part}
    kinds: dict[str, str] = {}
    for text in sys.path:
        path = os.path.realpath(text)
        if not os.path.isabs(text):  # noqa: PTH117 - the name of an import hook stands there, not a folder
            continue
        if path in stdlib or path.endswith(".zip") or os.path.basename(path) == "lib-dynload":  # noqa: PTH119
            continue
        kind = (
            "pythonpath" if path in given else "user" if path == user else "site" if path in sites else "pth"
        )
        kinds.setdefault(path, kind)
    return kinds


def _packages(kinds: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return version and further facts of every package; of two with one name the first is imported."""
    versions: dict[str, str] = {}
    records: dict[str, Any] = {}
    for found in metadata.distributions():
        try:
            name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
            version = found.version
        except Exception:  # noqa: BLE001, S112 - half-removed packages have no metadata, or broken ones
            continue
        if not name or not version or name in versions:
            continue
        versions[name] = version
        about = _about(found, kinds)
        if about:
            records[name] = about
    return dict(sorted(versions.items())), dict(sorted(records.items()))


def _about(found: metadata.Distribution, kinds: dict[str, str]) -> dict[str, Any]:
    about: dict[str, Any] = {}
    kind = kinds.get(os.path.realpath(str(found.locate_file(""))), "site")
    if kind != "site":
        about["from"] = kind
    lines = sorted(
        line
        for line in (found.read_text("RECORD") or "").splitlines()
        if ",sha256=" in line and not line.split(",")[0].endswith(_OF_INSTALLER) and not line.startswith("..")
    )
    if lines:
        about["record_sha256"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    for file in ("direct_url.json", "provenance_url.json"):
        source = _source(found.read_text(file))
        if source:
            about[file[:-5]] = source
    return about


def _source(text: str | None) -> dict[str, Any] | None:
    """Return where a package came from when not from an index, without user, password or query."""
    try:
        given = json.loads(text or "")
        parts = urlsplit(given.get("url", ""))
        host = parts.hostname or ""
        if parts.port:
            host += f":{parts.port}"
    except (ValueError, AttributeError):
        return None
    source: dict[str, Any] = {"url": urlunsplit((parts.scheme, host, parts.path, "", ""))}
    for name, keys in (("vcs_info", ("vcs", "commit_id")), ("archive_info", ("hash", "hashes"))):
        if isinstance(given.get(name), dict):
            source[name] = {key: given[name][key] for key in keys if key in given[name]}
    if isinstance(given.get("dir_info"), dict):
        source["editable"] = bool(given["dir_info"].get("editable"))
    return source


def _conda() -> dict[str, str]:
    """Return the packages of a conda environment, with version and build, by the names of its notes."""
    found = {}
    with contextlib.suppress(OSError):
        for path in (Path(sys.prefix) / "conda-meta").iterdir():
            name, _, rest = path.name[:-5].rpartition("-")[0].rpartition("-")
            if path.suffix == ".json" and name:
                found[name] = rest + " " + path.name[:-5].rpartition("-")[2]
    return dict(sorted(found.items()))


def _time_zone() -> dict[str, Any]:
    zone = os.environ.get("TZ", "")
    if not zone:
        place = os.path.realpath("/etc/localtime")
        zone = place.partition("/zoneinfo/")[2]
    database = ""
    for path in ("/usr/share/zoneinfo/tzdata.zi", "/usr/share/zoneinfo/+VERSION"):
        with contextlib.suppress(OSError), Path(path).open(encoding="utf-8") as file:
            database = database or re.sub(r"^# version\s*", "", file.readline().strip())
    return {"names": list(time.tzname), "name": zone, "database": database}


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
        "flags": known,
        "flags_sha256": hashlib.sha256(" ".join(known).encode()).hexdigest() if known else "",
        "simd": [name for name in _SIMD if name in known],
        "count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _libc() -> str:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return " ".join(platform.libc_ver())


def _host() -> dict[str, Any]:
    """Return what holds for every program of this machine in this environment."""
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "libc": _libc(),
        "kernel": platform.release(),
        "cpu": _cpu(),
        "locale": {"all": locale.setlocale(locale.LC_ALL), "encoding": locale.nl_langinfo(locale.CODESET)},
        "time_zone": _time_zone(),
        "threads": {name: os.environ[name] for name in _THREADS if name in os.environ},
    }


def _interpreter() -> dict[str, Any]:
    """Return what holds for this interpreter and its packages."""
    kinds = _kinds()
    versions, records = _packages(kinds)
    native = runpy.run_path(str(Path(__file__).with_name("probe_native.py")))["native"]
    return {
        "executable": sys.executable,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": {
            "version": sys.version,
            "compiler": platform.python_compiler(),
            "executable_sha256": _sha256(os.path.realpath(sys.executable)),
            "hash_algorithm": sys.hash_info.algorithm,
        },
        "folders": {path: kind for path, kind in kinds.items() if kind != "site"},
        "native": native(versions),
        "packages": versions,
        "package_records": records,
        "conda": _conda(),
    }


if __name__ == "__main__":
    document = _host() if sys.argv[1:] == ["--host"] else {**_host(), **_interpreter()}
    sys.stdout.write("\n" + json.dumps(document) + "\n")
