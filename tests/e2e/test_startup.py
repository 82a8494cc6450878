"""Start-up is a feature: help and errors pay for no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

_HEAVY = (
    "pyarrow",
    "pandas",
    "geopandas",
    "rich",
    "jinja2",
    "numpy",
    "shapely",
    "yaml",
    "msgspec",
    "deepdiff",
)
_PROBE = """
import json, sys
from kfm_repro.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["replay", "--help"], ["diff", "--help"]])
def test_help_imports_no_heavy_library(args: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *args], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    assert not set(_HEAVY) & set(modules)
    assert done.stdout


def test_two_layers_of_which_features_moved_are_compared_without_pandas(tmp_path: Path) -> None:
    for name, north in (("a", 0.0), ("b", 0.01)):
        squares = shapely.box(range(9), north, range(1, 10), north + 1)
        frame = gpd.GeoDataFrame({"id": range(9)}, geometry=squares, crs="EPSG:4326")
        frame.to_parquet(tmp_path / f"{name}.parquet")
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, "diff", "a.parquet", "b.parquet"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 1
    assert "shapely" in modules
    assert not {"pandas", "geopandas", "pyproj"} & set(modules)
