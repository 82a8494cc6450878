"""Where we keep what can be made again: ``KFM_CACHE_ROOT``, else ``kfm-repro`` in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kfm_repro.errors import UsageError

__all__ = ["cache_root"]


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder as an absolute path; it need not exist. Raises UsageError.

    ``XDG_CACHE_HOME`` counts only when it is absolute (XDG Base Directory Specification 0.8).
    """
    given = environ.get("KFM_CACHE_ROOT")
    if given:
        return Path(given).absolute()
    shared = environ.get("XDG_CACHE_HOME", "")
    if shared.startswith("/"):
        return Path(shared) / "kfm-repro"
    try:
        return Path.home() / ".cache" / "kfm-repro"
    except RuntimeError as exc:
        raise UsageError("there is no home folder for the cache", hint="say where: KFM_CACHE_ROOT") from exc
