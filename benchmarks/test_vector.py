"""Vector data against the peers of the field, each in a process of its own, in turn, on the same files.

GeoPandas reads both sides and asserts that they are equal (of shuffled features it first sorts by their key, since
it knows no order); pygeodiff writes the changes between two GeoPackages. Ours says what moved and how far.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

_POLYGONS, _VERTICES, _ROUNDS = 20_000, 50, 3
_METRES_NORTH = 2.0
_DEGREE = 110_990.0
_GEOPANDAS = """
import sys
import geopandas as gpd
from geopandas.testing import assert_geodataframe_equal
read = gpd.read_parquet if sys.argv[1].endswith("parquet") else gpd.read_file
a, b = (read(path) for path in sys.argv[1:3])
if "shuffled" in sys.argv[2]:
    a, b = (side.sort_values("id").reset_index(drop=True) for side in (a, b))
try:
    assert_geodataframe_equal(a, b)
except AssertionError:
    pass
"""
_GEODIFF = """
import sys
import pygeodiff
pygeodiff.GeoDiff().create_changeset(*sys.argv[1:4])
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, scale: int) -> Path:
    """The same polygons written anew, shuffled, with 1 in 200 moved two metres, and with every ring rotated."""
    folder, count = tmp_path_factory.mktemp("vector"), _POLYGONS * scale
    draw = np.random.default_rng(7)
    turn = np.linspace(0, 2 * np.pi, _VERTICES + 1)[:-1]
    centre = draw.uniform([-102, 37], [-95, 40], (count, 2))
    far = draw.uniform(0.01, 0.03, (count, _VERTICES))
    rings = np.stack([centre[:, :1] + far * np.cos(turn), centre[:, 1:] + far * np.sin(turn)], axis=2)
    frame = gpd.GeoDataFrame(
        {"id": np.arange(count), "people": draw.normal(50, 9, count), "name": [f"c {n}" for n in range(count)]},
        geometry=_closed(rings), crs="EPSG:4326",
    )  # fmt: skip
    moved = rings.copy()
    moved[draw.choice(count, count // 200, replace=False), :, 1] += _METRES_NORTH / _DEGREE
    sides = {
        "a": frame,
        "identical": frame,
        "shuffled": frame.sample(frac=1, random_state=1).reset_index(drop=True),
        "moved": frame.set_geometry(gpd.GeoSeries(_closed(moved), crs=frame.crs)),
        "rotated": frame.set_geometry(gpd.GeoSeries(_closed(np.roll(rings, 7, axis=1)), crs=frame.crs)),
    }
    for name, side in sides.items():
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"20{len(name):02}-01-01T00:00:00.000Z"})
        side.to_file(folder / f"{name}.gpkg", layer="polygons")
        side.to_parquet(folder / f"{name}.parquet", compression="zstd" if name == "identical" else "snappy")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return folder


def _closed(rings: Any) -> Any:  # noqa: ANN401 - arrays
    return shapely.polygons(np.concatenate([rings, rings[:, :1]], axis=1))


def _ours(folder: Path, name: str, suffix: str) -> list[str]:
    command = str(Path(sys.executable).with_name("kfm-repro"))
    return [command, "diff", str(folder / f"a{suffix}"), str(folder / f"{name}{suffix}"), "--json"]


def _theirs(folder: Path, name: str, suffix: str) -> list[str]:
    paths = [str(folder / f"{side}{suffix}") for side in ("a", name)]
    return [sys.executable, "-W", "ignore", "-c", _GEOPANDAS, *paths]


def _told(argv: list[str]) -> dict[str, Any]:
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1)
    (output,) = json.loads(done.stdout)["outputs"]
    return {finding["kind"]: finding for finding in output["findings"]}


EXPECTED = {
    "identical": {"feature-order", "geometry", "ring-start"},
    "shuffled": {"geometry", "ring-start", "value"},
    "moved": {"feature-order", "ring-start", "value"},
    "rotated": {"feature-order", "geometry", "value"},
}
"""What must not be told of each case."""


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet"])
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_against_geopandas(
    name: str,
    suffix: str,
    files: Path,
    scale: int,
    benchmark: Callable[..., Any],
    promise: Callable[..., None],
) -> None:
    found = _told(_ours(files, name, suffix))
    assert not EXPECTED[name] & set(found)
    if name == "moved":
        assert found["geometry"]["count"] == _POLYGONS * scale // 200
        assert found["geometry"]["metres"]["max"] == pytest.approx(_METRES_NORTH, rel=0.01)
    ratio, bare = _in_turn(_ours(files, name, suffix), _theirs(files, name, suffix))
    benchmark.pedantic(_seconds, (_ours(files, name, suffix),), rounds=1)  # type: ignore[attr-defined]
    what = f"geopandas / ours, {_POLYGONS * scale} polygons {name}, {suffix}"
    promise(what, ratio, at_least=_LEAST[scale > 1][name], detail=f"geopandas {bare:.1f} s")


_LEAST = {
    False: {"identical": 1.0, "shuffled": 0.7, "moved": 0.8, "rotated": 0.4},
    True: {"identical": 10.0, "shuffled": 10.0, "moved": 10.0, "rotated": 1.0},
}
"""What is promised at full size. Of small files, starting is most of it on both sides."""


def test_moved_features_against_geodiff(
    files: Path, tmp_path: Path, scale: int, benchmark: Callable[..., Any], promise: Callable[..., None]
) -> None:
    """It says that rows changed; ours says how far they went, besides."""
    paths = [str(files / f"{side}.gpkg") for side in ("a", "moved")]
    theirs = [sys.executable, "-c", _GEODIFF, *paths, str(tmp_path / "changes.diff")]
    ratio, bare = _in_turn(theirs, _ours(files, "moved", ".gpkg"))
    benchmark.pedantic(_seconds, (theirs,), rounds=1)  # type: ignore[attr-defined]
    most = 2.0 if scale > 1 else 12.0
    promise("ours / pygeodiff, moved, .gpkg", ratio, at_most=most, detail=f"ours {bare:.1f} s")


def test_moved_features_in_place_against_the_geopackage(
    files: Path, scale: int, benchmark: Callable[..., Any], promise: Callable[..., None]
) -> None:
    """The same change in both formats: in columns only what differs need be decoded.

    Not kept at full size: since a GeoPackage takes 0.6 s, a third of that is less than it takes to start and to load
    Arrow, NumPy and GEOS for two files of 50 polygons.
    """
    package, columns = (_ours(files, "moved", suffix) for suffix in (".gpkg", ".parquet"))
    ratio, bare = _in_turn(columns, package)
    benchmark.pedantic(_seconds, (columns,), rounds=1)  # type: ignore[attr-defined]
    least = 3.0 if scale > 1 else 0.7
    promise("ours .gpkg / ours .parquet, moved", ratio, at_least=least, detail=f".gpkg {bare:.1f} s")


def _seconds(argv: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    taken = time.perf_counter() - start
    assert done.returncode in (0, 1), argv
    return taken


def _in_turn(ours: list[str], theirs: list[str]) -> tuple[float, float]:
    """Return the median of theirs by ours, and that of theirs in seconds."""
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(_ROUNDS)]
    return statistics.median(t / o for o, t in pairs), statistics.median(t for _, t in pairs)
