"""What of this machine every cell shows: programs and libraries, and of /etc only what makes them work."""

from __future__ import annotations

import glob
import os
import sys
import sysconfig
from pathlib import Path

from kfm_repro.execute.isolate.cell import Cell, Mount, readable

__all__ = [
    "DEVICES",
    "helper_places",
    "made_files",
    "own_paths",
    "shared_paths",
    "system_links",
    "system_paths",
]

_PROGRAMS = (
    "/usr",
    "/opt",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
_SHARED = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates/extracted",
    "/etc/fonts", "/etc/locale.alias", "/etc/mime.types", "/etc/magic", "/etc/protocols", "/etc/services", "/etc/R",
    "/etc/OpenCL", "/etc/java-*", "/etc/host.conf", "/etc/gai.conf",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage",
)  # fmt: skip
_OWN = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
"""Devices that hold nothing of this machine; the level landlock opens these and /dev/shm."""


def system_links() -> tuple[tuple[str, str], ...]:
    """Return the folders of programs that are links, as /bin is today, with what they point to."""
    return tuple((str(Path(path).readlink()), path) for path in _PROGRAMS if Path(path).is_symlink())


def system_paths() -> tuple[str, ...]:
    """Return the folders of programs and libraries that are there and are no links."""
    return tuple(path for path in _PROGRAMS if Path(path).is_dir() and not Path(path).is_symlink())


def shared_paths() -> tuple[str, ...]:
    """Return the settings of the system that programs need and that say nothing of whose machine it is."""
    found = [path for pattern in _SHARED for path in sorted(glob.glob(pattern))]  # noqa: PTH207 - absolute patterns
    return tuple(path for path in found if os.access(path, os.R_OK))


def own_paths() -> tuple[str, ...]:
    """Return the settings that a cell makes itself, where it can; where it cannot, these are shown."""
    return tuple(path for path in _OWN if Path(path).exists())


def made_files(cell: Cell, uid: int, gid: int) -> dict[str, str]:
    """Return the text of each file of /etc that we make: one user, one host, no network."""
    return {
        "/etc/passwd": f"{cell.user}:x:{uid}:{gid}:{cell.user}:{cell.home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "/etc/group": f"{cell.user}:x:{gid}:\nnogroup:x:65534:\n",
        "/etc/hosts": f"127.0.0.1 localhost {cell.host}\n::1 localhost\n",
        "/etc/hostname": f"{cell.host}\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": "",
    }


def helper_places(places: tuple[Mount, ...]) -> tuple[tuple[Mount, ...], tuple[Path, ...]]:
    """Return what the supervisor's own Python needs, and the folders of packages in it that stay hidden.

    Empty where the places show that Python already.
    """
    program, prefix = Path(os.path.realpath(sys.executable)), Path(sys.base_prefix)
    shown = [*map(Path, system_paths()), *(mount.source for mount in places if mount.source == mount.at)]
    wanted = {prefix, prefix.resolve()}
    if not any(program.is_relative_to(path) for path in wanted):
        wanted.add(program)
    missing = sorted(path for path in wanted if not any(path.is_relative_to(folder) for folder in shown))
    library = Path(sysconfig.get_path("stdlib"))
    packages = [library / "site-packages", library / "dist-packages"]
    hidden = [
        path for path in packages if path.is_dir() and any(path.is_relative_to(folder) for folder in missing)
    ]
    return tuple(readable(path) for path in missing), tuple(hidden)
