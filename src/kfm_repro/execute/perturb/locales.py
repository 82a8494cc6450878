"""Another locale, compiled for ourselves where the system has the sources but not the locale: nothing is installed."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from kfm_repro.errors import UsageError
from kfm_repro.runs.cache import cache_root

__all__ = ["OTHER_LOCALE", "other_locale"]

OTHER_LOCALE = "et_EE.UTF-8"
"""Estonian sorts z before t and writes numbers with a comma: what follows the locale shows."""
_SOURCES = Path("/usr/share/i18n/locales/et_EE")
_TIMEOUT_S = 60


@functools.cache
def other_locale() -> Path | None:
    """Return a folder for LOCPATH that has the other locale; None where the sources or the compiler are missing."""
    compiler = shutil.which("localedef")
    if compiler is None or not _SOURCES.is_file():
        return None
    try:
        folder = cache_root() / "locales"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, UsageError):
        return None
    target = folder / OTHER_LOCALE
    if (target / "LC_COLLATE").is_file():
        return folder
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as building:
        made = Path(building) / OTHER_LOCALE
        command = [compiler, "--no-archive", "-i", "et_EE", "-f", "UTF-8", str(made)]
        try:
            subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
            made.rename(target)
        except (OSError, subprocess.SubprocessError):
            # Another kfm-repro was faster, or it cannot be compiled here.
            return folder if (target / "LC_COLLATE").is_file() else None
    return folder if (target / "LC_COLLATE").is_file() else None
