"""Libraries that come with an extra of the package: imported when asked for, and named when missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kfm_repro.errors import NotInstalled

__all__ = ["need"]


def need(module: str, extra: str, what: str) -> Any:  # noqa: ANN401  # a module, whatever it is
    """Import and return a module of an extra. Raises NotInstalled, which says what installs it.

    ``what`` is compared with it: "GeoTIFF", "HDF5"….
    """
    try:
        return import_module(module)
    except ImportError as exc:
        library = module.partition(".")[0]
        raise NotInstalled(
            f"{what} is compared with {library}, which is not installed: pip install 'kfm-repro[{extra}]'",
            hint=f"pip install 'kfm-repro[{extra}]'",
        ) from exc
