"""The installer: uv, found on PATH or in the extra, run without saying where its packages come from."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from kfm_repro.errors import EnvironmentNotAvailable
from kfm_repro.runs.reach import exists, is_file

__all__ = ["Uv", "UvFailed", "find_uv", "uv_program"]

_TIMEOUT_S = 3600
_LINES = 6
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s`'\"<>)]+")
_UNREACHABLE = re.compile(
    r"failed to fetch|error sending request|dns error|connect error|connection (?:refused|reset)|timed out|"
    r"network connectivity is disabled|status client error \((?:401|403|407)|status server error",
    re.IGNORECASE,
)
_INDEX_SETTINGS = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
    "UV_CONFIG_FILE",
)  # fmt: skip
_KEPT_SETTINGS = frozenset((
    *_INDEX_SETTINGS, "UV_INDEX_STRATEGY", "UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS", "UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "UV_HTTP_RETRIES", "UV_OFFLINE",
    "UV_NO_CONFIG", "UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS", "UV_PYTHON_INSTALL_DIR", "UV_CREDENTIALS_DIR",
))  # fmt: skip
"""What of a user's settings for uv says where packages come from; the others could change what is installed."""
_FROM_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
}


class UvFailed(Exception):
    """Uv ended with an error: its last lines without addresses, and whether an index could not be reached."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said
        self.unreachable = bool(_UNREACHABLE.search(said))


class Uv:
    """Uv, with the index that the user configured for it or for pip; what it says is freed of every address."""

    def __init__(self, program: str, environ: Mapping[str, str]) -> None:
        self.program = program
        self._environ = _environment(environ)
        self._hosts = _hosts(self._environ)

    def run(self, *arguments: str, cwd: Path, keep_open: Sequence[int] = ()) -> str:
        """Return what uv prints. ``keep_open`` are descriptors that it inherits. Raises UvFailed."""
        try:
            done = subprocess.run(
                [self.program, *arguments, "--color", "never"],
                cwd=cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                pass_fds=tuple(keep_open),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UvFailed(f"it did not end within {_TIMEOUT_S} s") from None
        except OSError as exc:
            raise UvFailed(f"it cannot be started: {exc.strerror}") from None
        if done.returncode:
            raise UvFailed(self._safe(done.stderr.decode(errors="replace")))
        return done.stdout.decode(errors="replace")

    def _safe(self, text: str) -> str:
        """Return the telling lines of an error without any address, which could hold a password."""
        text = _ADDRESS.sub("the index", text)
        for host in self._hosts:
            text = text.replace(host, "the index")
        lines = [line.strip(" ×╰─▶├│") for line in text.splitlines()]
        return "\n".join([line for line in lines if line and not line.startswith("warning")][:_LINES])


def uv_program(environ: Mapping[str, str]) -> str | None:
    """Return where uv lies: on PATH, else in the extra ``rebuild``; None when there is none."""
    program = shutil.which("uv", path=environ.get("PATH"))
    if program is None and find_spec("uv") is not None:
        import uv

        with suppress(FileNotFoundError):
            program = uv.find_uv_bin()
    return program


def find_uv(environ: Mapping[str, str]) -> Uv:
    """Return uv from PATH or from the extra ``rebuild``. Raises EnvironmentNotAvailable when there is none."""
    program = uv_program(environ)
    if program is None:
        raise EnvironmentNotAvailable(
            "rebuilding an environment needs uv, which is neither on PATH nor installed beside kfm-repro",
            hint="pip install 'kfm-repro[rebuild]'",
        )
    return Uv(program, environ)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that uv sees: settings for where packages come from, and none that bend what is made."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT_SETTINGS
        or name.startswith("UV_INDEX_")
        or not name.startswith(("UV_", "PYTHON", "VIRTUAL_ENV", "CONDA_"))
    }
    if not any(name in environ for name in _INDEX_SETTINGS) and not _has_own_config(environ):
        for name, value in _of_pip(environ).items():
            kept.setdefault(name, value)
    return kept | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def _has_own_config(environ: Mapping[str, str]) -> bool:
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")  # noqa: PTH118
    return any(is_file(Path(folder) / "uv" / "uv.toml") for folder in (home, "/etc", "/etc/xdg"))


def _of_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's own settings of the index in uv's words: its variables, then the user's file, then the machine's."""
    home = Path(environ.get("HOME", "/"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        files.append(Path(environ["PIP_CONFIG_FILE"]))
    reader = configparser.RawConfigParser(strict=False)
    try:
        reader.read(files, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        reader = configparser.RawConfigParser()
    found = {}
    for option, ours in _FROM_PIP.items():
        given = [reader.get(part, option, fallback=None) for part in ("install", "global")]
        value = environ.get(f"PIP_{option.upper().replace('-', '_')}") or next(filter(None, given), None)
        words = [word for word in (value or "").split() if _exists(word)]
        if words:
            found[ours] = (" " if ours == "UV_INDEX" else ",").join(words)
    if found.get("UV_NO_INDEX", "").lower() in ("false", "0", "no", "off"):
        del found["UV_NO_INDEX"]
    if "UV_INDEX" in found:
        # As pip does: the best of all indexes. Every package is pinned by a digest, so that none can slip in.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


def _exists(word: str) -> bool:
    """Return whether a folder that pip would pass over in silence is there; what is no folder always counts."""
    path = urlsplit(word).path if word.startswith("file:") else word
    return not path.startswith("/") or exists(path)


def _hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    words: Iterable[str] = (
        word
        for name, value in environ.items()
        if name.startswith(("UV_", "PIP_"))
        for word in re.split(r"[\s,]+", value)
    )
    hosts = {urlsplit(word.split("=", 1)[-1]).hostname for word in words if "://" in word}
    return tuple(sorted((host for host in hosts if host), key=len, reverse=True))
