"""Opening a raster with GDAL, and with nothing beside it: no sidecar file, no other driver, no network."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.extras import need
from kfm_repro.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["opened_raster"]

_SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "2",
    "GDAL_CACHEMAX": 64,
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "none",
}


@contextmanager
def opened_raster(path: Path, driver: str, *, name: str = "") -> Iterator[Any]:
    """Open ``path`` (or ``name``, a part of it) with one ``driver`` of GDAL, read-only.

    Raises Unreadable, NotInstalled.
    """
    rasterio = need("rasterio", "raster", "a raster")
    errors = need("rasterio.errors", "raster", "a raster")
    with warnings.catch_warnings(), rasterio.Env(**_SETTINGS):
        warnings.simplefilter("ignore")  # not georeferenced: that is compared, not warned of
        with reading(path, "a raster", errors.RasterioError):
            file = rasterio.open(name or str(path), driver=driver, sharing=False)
        with file:
            try:
                yield file
            except errors.RasterioError as exc:
                error = Unreadable(f"cannot be read as a raster: {exc}".splitlines()[0][:300])
                error.path = path
                raise error from exc
