"""Rasters against GDAL's own comparison, and a folder of many formats against diffoscope: in the same run, in turn."""

from __future__ import annotations

import bz2
import json
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pytest_benchmark.fixture import BenchmarkFixture

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import compare_files

_SIDE, _FULL_SIDE = 5_000, 8_000
"""Pixels of a side: 25 million of them at the usual scale, 64 million in ``make bench-full``."""
_ROUNDS = 3
_LINES = 200
_SYSTEM_PYTHON = "/usr/bin/python3"
_PEER = "import sys, osgeo_utils.gdalcompare as peer; peer.main(['gdalcompare', *sys.argv[1:]])"


def _raster(path: Path, values: np.ndarray[Any, Any]) -> None:
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype,
        "crs": 4326, "transform": Affine(0.01, 0, 0, 0, -0.01, 50), "tiled": True, "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory, scale: int) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("rasters")
    size = _SIDE if scale == 1 else _FULL_SIDE
    values = np.random.default_rng(1).normal(size=(size, size)).astype("f4").round(2)
    _raster(folder / "a.tif", values)
    values[100:200, 300:400] += 1
    _raster(folder / "b.tif", values)
    return folder / "a.tif", folder / "b.tif"


def _has_peer() -> bool:
    if not Path(_SYSTEM_PYTHON).exists():
        return False
    done = subprocess.run(
        [_SYSTEM_PYTHON, "-c", "import osgeo_utils.gdalcompare"], capture_output=True, check=False
    )
    return done.returncode == 0


def test_a_raster_is_compared_at_least_as_fast_as_by_gdalcompare(
    benchmark: BenchmarkFixture,
    rasters: tuple[Path, Path],
    timed: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    if not _has_peer():
        pytest.skip("no gdalcompare: apt-get install python3-gdal")
    ours = ["-m", "kfm_repro", "diff", *map(str, rasters)]
    peer = ["-c", _PEER, *map(str, rasters)]

    def both() -> tuple[float, float]:
        return (
            timed(lambda: subprocess.run([sys.executable, *ours], capture_output=True, check=False)),
            timed(lambda: subprocess.run([_SYSTEM_PYTHON, *peer], capture_output=True, check=False)),
        )

    both()
    rounds = [both() for _ in range(_ROUNDS)]
    benchmark.pedantic(
        lambda: compare_files(*rasters, name="a.tif", context=Context()), rounds=1, iterations=1
    )
    own, other = (statistics.median(times) for times in zip(*rounds, strict=True))
    promise(
        "raster: diff against gdalcompare.py, whole commands",
        own / other,
        at_most=1.0,
        detail=f"{own:.2f} s against {other:.2f} s ",
    )


def _folder(root: Path, *, planted: bool) -> dict[str, str]:
    """Write files of many formats; return what each planted difference is called in a report."""
    import h5py
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    root.mkdir()
    draw = np.random.default_rng(3)
    rows = 2_000
    frame = pd.DataFrame({"id": np.arange(rows), "value": draw.normal(size=rows), "name": "x"})
    if planted:
        frame.loc[77, "value"] += 1
    pq.write_table(
        pa.Table.from_pandas(frame if not planted else frame.sample(frac=1, random_state=1)),
        root / "t.parquet",
    )
    frame.to_csv(root / "t.csv", index=False)
    (root / "t.csv.bz2").write_bytes(bz2.compress(frame.to_csv(index=False).encode()))
    (root / "d.json").write_text(json.dumps({"a": [1, 2, 3 + planted], "b": {"c": "x"}}))
    pixels = draw.normal(size=(400, 400)).astype("f4")
    pixels[5, 6] += planted
    _raster(root / "r.tif", pixels)
    with h5py.File(root / "h.h5", "w") as file:
        file["a/b"] = pixels
    picture = draw.integers(0, 255, (60, 60, 3)).astype("u1")
    picture[1, 2, 0] ^= planted
    Image.fromarray(picture).save(root / "p.png")
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("in.txt"), f"one\ntwo {planted}\n")
    (root / "x.svg").write_text(f"<svg><path id='a' d='M {int(planted)} 0'/></svg>")
    return {
        "t.parquet": "column value", "t.csv": "column value", "t.csv.bz2": "column value", "d.json": "/a/2",
        "r.tif": "pixels", "h.h5": "/a/b", "p.png": "pixels", "z.zip": "in.txt", "x.svg": "/svg/path/@d",
    }  # fmt: skip


def test_a_folder_of_many_formats_is_told_in_few_lines(
    benchmark: BenchmarkFixture, tmp_path: Path, timed: Callable[..., float], promise: Callable[..., None]
) -> None:
    names = _folder(tmp_path / "a", planted=False)
    _folder(tmp_path / "b", planted=True)
    sides = [str(tmp_path / "a"), str(tmp_path / "b")]
    said: list[str] = []

    def ours() -> None:
        command = [sys.executable, "-m", "kfm_repro", "diff", *sides]
        said.append(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    own = timed(ours)
    benchmark.pedantic(ours, rounds=1, iterations=1)
    missing = [
        f"{name}: {place}" for name, place in names.items() if name not in said[0] or place not in said[0]
    ]
    peer = _diffoscope(tmp_path, sides)
    detail = f"ours {own:.1f} s; diffoscope: {peer}"
    assert missing == [], said[0]
    promise(
        "folder of nine formats: lines of the report",
        len(said[0].splitlines()),
        at_most=_LINES,
        detail=detail,
    )


def _diffoscope(place: Path, sides: list[str]) -> str:
    program = shutil.which("diffoscope")
    if program is None:
        return "not installed"
    target = place / "diffoscope.txt"
    start = time.perf_counter()
    subprocess.run([program, "--text", str(target), *sides], capture_output=True, check=False)
    took = time.perf_counter() - start
    return f"{len(target.read_text(errors='replace').splitlines())} lines, {took:.1f} s"
