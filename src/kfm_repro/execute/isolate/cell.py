"""What a command may see and use: a list of places, nothing else, and its limits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cell", "Limits", "Mount", "interpreter_places", "readable", "variable_places", "writable"]

_PATH_LISTS = frozenset((
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "OGR_DRIVER_PATH", "PROJ_DATA",
    "PROJ_LIB", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "LOCPATH", "TZDIR",
    "FONTCONFIG_PATH", "FONTCONFIG_FILE", "MPLCONFIGDIR", "R_LIBS", "JAVA_HOME", "CONDA_PREFIX", "VIRTUAL_ENV",
))  # fmt: skip
_PARTS = ("bin", "include", "lib", "lib32", "lib64", "pyvenv.cfg", "share")
"""What Python and venv lay out in a prefix (sysconfig's scheme posix_prefix)."""
_TOO_BROAD = frozenset(
    Path("/", name)
    for name in ("", "home", "root", "tmp", "var", "etc", "run", "dev", "proc", "sys", "mnt", "srv")
)


@dataclass(frozen=True)
class Mount:
    """One place: the file or folder ``source`` of this machine, seen at ``at``, which is absolute."""

    source: Path
    at: Path
    writable: bool = False


def readable(source: Path, at: Path | None = None) -> Mount:
    """Return a place that can be read, at its own path unless ``at`` says another."""
    return Mount(source, at or source)


def writable(source: Path, at: Path | None = None) -> Mount:
    """Return a place that can be written to, at its own path unless ``at`` says another."""
    return Mount(source, at or source, writable=True)


@dataclass(frozen=True)
class Limits:
    """What a command may use; None is no limit. Bytes, seconds, numbers of processes.

    ``disk_bytes`` counts what it writes to its writable places, and is the size of the largest file as well.
    ``temporary_bytes`` is the size of the private /tmp and of /dev/shm, which are memory. ``reserve_bytes`` is what
    has to stay free on the disk, or half of what is free at the start if that is less.
    """

    timeout_s: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    processes: int | None = 4096
    temporary_bytes: int = 1 << 30
    reserve_bytes: int = 512 << 20
    grace_s: float = 5.0


@dataclass(frozen=True)
class Cell:
    """What a command may see. The folders of the system come with every cell, see system.py.

    ``scratch`` is an empty folder of ours on which the cell may lay out what it has to make itself. Places other than
    their own path, ``host``, ``user``, ``uid`` and ``inputs`` that lie elsewhere take the level namespace.
    Inputs are places as well: readable ones, below the workspace. ``hidden`` are folders that no place and no folder
    of the system shows, though they lie in one; what is a place of its own in them is shown.
    """

    places: tuple[Mount, ...]
    scratch: Path
    host: str = "kfm-repro"
    user: str = "kfm"
    home: Path = Path("/nonexistent")
    uid: int | None = None
    network: bool = False
    hidden: tuple[Path, ...] = ()

    def seen(self, path: Path) -> Path:
        """Return where the command sees a path of this machine; of a path in no place, the path itself."""
        fitting = [mount for mount in self.places if path.is_relative_to(mount.source)]
        if not fitting:
            return path
        mount = max(fitting, key=lambda mount: len(mount.source.parts))
        return mount.at / path.relative_to(mount.source)

    @property
    def moved(self) -> tuple[Mount, ...]:
        """The places that are seen elsewhere than they are: only the level namespace can do that."""
        return tuple(mount for mount in self.places if mount.source != mount.at)


def interpreter_places(program: Path, hidden: Iterable[Path] = ()) -> tuple[Mount, ...]:
    """Return what an interpreter needs: its prefix, that of the Python its venv was made from, links on the way.

    Of a prefix that holds one of ``hidden``, such as a venv made in the project root, only its own parts are shown.
    """
    folders: dict[Path, None] = {}
    apart = tuple(hidden)
    step = Path(os.path.abspath(program))  # noqa: PTH100 - links are followed one at a time below
    for _ in range(40):
        prefix = step.parent.parent
        if _is_prefix(prefix):
            folders[prefix] = None
        elif _holds(step.parent, apart):
            folders[step] = None
        else:
            folders[step.parent] = None
        made_from = _home_of(prefix / "pyvenv.cfg")
        if made_from is not None:
            folders[made_from.parent] = None
            folders[made_from.resolve().parent] = None
        if not step.is_symlink():
            break
        step = Path(os.path.normpath(step.parent / step.readlink()))
    resolved = program.resolve().parent.parent
    if _is_prefix(resolved):
        folders[resolved] = None
    parts = (
        part for folder in folders for part in (_own_parts(folder) if _holds(folder, apart) else (folder,))
    )
    return tuple(readable(part) for part in _sound(parts, ()))


def variable_places(environ: Mapping[str, str], hidden: Iterable[Path]) -> tuple[Mount, ...]:
    """Return the files and folders that variables name, those aside that would show one of ``hidden``.

    A PATH entry that is your home folder would show all of it: it is left out.
    """
    folders: dict[Path, None] = {}
    for name in sorted(environ):
        if name in _PATH_LISTS:
            for part in environ[name].split(os.pathsep):
                if part.startswith("/"):
                    folders[Path(os.path.normpath(part))] = None
    return tuple(readable(folder) for folder in _sound(folders, tuple(hidden)))


def _sound(folders: Iterable[Path], hidden: tuple[Path, ...]) -> tuple[Path, ...]:
    try:
        home = Path.home()
    except RuntimeError:
        home = None  # neither HOME nor an entry in passwd, as in many containers
    return tuple(
        folder
        for folder in folders
        if folder not in _TOO_BROAD
        and os.access(folder, os.R_OK)
        and folder != home
        and not _holds(folder, hidden)
    )


def _holds(folder: Path, hidden: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for path in hidden)


def _own_parts(prefix: Path) -> tuple[Path, ...]:
    """Return what belongs to the Python in a folder that holds other things as well."""
    return tuple(sorted(path for pattern in _PARTS for path in prefix.glob(pattern)))


def _is_prefix(folder: Path) -> bool:
    try:
        return (folder / "pyvenv.cfg").is_file() or any((folder / "lib").glob("python3*"))
    except OSError:
        return False


def _home_of(settings: Path) -> Path | None:
    """Return the folder of the Python that a venv was made from, as its pyvenv.cfg names it."""
    try:
        lines = settings.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "home" and value.strip().startswith("/"):
            return Path(value.strip())
    return None
