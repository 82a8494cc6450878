"""The data that every writer of the corpus writes: drawn from fixed seeds, its rows shuffled on request."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

ROWS = 500
SHUFFLED = "CORPUS_SHUFFLED"
THREADS = "CORPUS_THREADS"


def shuffled() -> bool:
    return os.environ.get(SHUFFLED) == "1"


def threads() -> int:
    return int(os.environ.get(THREADS, "1"))


@cache
def _order() -> Any:
    import numpy as np

    return np.random.default_rng(99).permutation(ROWS) if shuffled() else np.arange(ROWS)


@cache
def points() -> Any:
    import numpy as np

    return np.random.default_rng(7).uniform([-10, 40], [20, 60], (ROWS, 2))


@cache
def table() -> Any:
    """Return 500 rows: a key, floats, texts, booleans, and a genuine column of times."""
    import numpy as np
    import pandas as pd

    ids = np.arange(1, ROWS + 1)
    frame = pd.DataFrame(
        {
            "id": ids,
            "val": np.random.default_rng(8).normal(size=ROWS),
            "name": [f"name_{i % 37}" for i in ids],
            "flag": ids % 3 == 0,
            "when": pd.date_range("2020-01-01", periods=ROWS, freq="h"),
        }
    )
    return frame.iloc[_order()].reset_index(drop=True)


@cache
def layer(shape: str) -> Any:
    """Return the table with geometry: ``points`` or ``polygons``, in WGS 84."""
    import geopandas as gpd
    import shapely

    dots = shapely.points(points()[_order()])
    geometry = dots if shape == "points" else shapely.buffer(dots, 0.05, quad_segs=4)
    return gpd.GeoDataFrame(table(), geometry=geometry, crs=4326)


@cache
def grid() -> Any:
    """Return 600 × 700 pixels, float32."""
    import numpy as np

    noise = np.random.default_rng(3).normal(size=(600, 700)).astype("f4")
    return (np.add.outer(np.arange(600), np.arange(700)) % 251).astype("f4") + noise


def small_grid() -> Any:
    """Return 32 × 32 pixels, uint8."""
    import numpy as np

    return (np.arange(1024).reshape(32, 32) % 256).astype("u1")


def cube() -> Any:
    """Return a data set of two variables on labelled axes."""
    import numpy as np
    import xarray as xr

    part = grid()[:50, :60]
    return xr.Dataset(
        {"t": (("y", "x"), part), "u": (("y", "x"), part * 2)},
        coords={"y": np.arange(50.0), "x": np.arange(60.0)},
        attrs={"title": "x"},
    )
