from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

COUNT = 105


@pytest.fixture
def counties() -> Any:
    """Feature by feature: a key, a number, a name and a polygon with distinct vertices, in degrees."""
    rng = np.random.default_rng(20)
    centres = rng.uniform([-102, 37], [-95, 40], (COUNT, 2))
    return gpd.GeoDataFrame(
        {
            "geoid": np.arange(20_001, 20_001 + COUNT),
            "density": rng.normal(50, 9, COUNT),
            "name": [f"county {n}" for n in range(COUNT)],
        },
        geometry=shapely.buffer(shapely.points(centres), 0.1, quad_segs=4),
        crs="EPSG:4326",
    )
