"""``diff`` over a folder of many formats, as a user runs it: every planted difference by its place, nothing else."""

from __future__ import annotations

import bz2
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from workshop import Workshop


def lay_out(root: Path, *, planted: bool) -> None:
    root.mkdir()
    draw = np.random.default_rng(3)
    pixels = draw.normal(size=(60, 70)).astype("f4")
    pixels[5, 6] += planted
    profile: dict[str, Any] = {"driver": "GTiff", "count": 1, "height": 60, "width": 70, "dtype": "float32"}
    with rasterio.open(
        root / "r.tif", "w", crs=4326, transform=Affine(1, 0, 0, 0, -1, 50), **profile
    ) as file:
        file.write(pixels, 1)
    with h5py.File(root / "h.h5", "w") as file:
        file["a/b"] = pixels
    picture = draw.integers(0, 255, (20, 20, 3)).astype("u1")
    picture[1, 2, 0] ^= planted
    Image.fromarray(picture).save(root / "p.png")
    (root / "t.csv.bz2").write_bytes(bz2.compress(f"id,value\n1,2\n2,{3 + planted}\n".encode()))
    (root / "x.svg").write_text(f"<svg><path id='a' d='M {int(planted)} 0'/></svg>")
    np.savez(root / "n.npz", grid=pixels)
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("in/x.toml"), f"a = {int(planted)}\n")
        archive.writestr(zipfile.ZipInfo("in/x.bz2"), bz2.compress(f"one\n{planted}\n".encode()))


@pytest.fixture
def folders(tmp_path: Path) -> Workshop:
    """Return a folder, no project, with the folders a and b."""
    lay_out(tmp_path / "a", planted=False)
    lay_out(tmp_path / "b", planted=True)
    return Workshop(tmp_path)


def test_each_difference_is_named_by_its_place(folders: Workshop) -> None:
    done = folders.kfm("diff", "a", "b", "--json")
    found = {
        output["path"]: {(f["kind"], json.dumps(f["where"])) for f in output["findings"]}
        for output in done.json["outputs"]
    }
    assert done.code == 1
    assert found == {
        "r.tif": {("pixels", '{"band": 1}')},
        "h.h5": {("value", '{"pointer": "/a/b"}')},
        "p.png": {("pixels", '{"band": 1}')},
        "t.csv.bz2": {("value", '{"column": "value", "member": "t.csv"}')},
        "x.svg": {("value", '{"pointer": "/svg/path/@d"}')},
        "n.npz": {("value", '{"member": "grid.npy"}')},
        "z.zip": {
            ("value", '{"pointer": "/a", "member": "in/x.toml"}'),
            ("value", '{"offset": 4, "member": "in/x.bz2/x"}'),
        },
    }


def test_the_report_is_the_same_in_every_setting(folders: Workshop) -> None:
    texts = {
        folders.kfm(
            "diff", "a", "b", "--json", env={"PYTHONHASHSEED": seed, "TZ": zone, "OMP_NUM_THREADS": threads}
        ).out
        for seed, zone, threads in (("1", "UTC", "1"), ("2", "Asia/Tokyo", "2"))
    }
    assert len(texts) == 1


def test_doctor_names_the_libraries_of_the_extras(folders: Workshop) -> None:
    tools = {tool["name"]: tool for tool in folders.kfm("doctor", "--json").json["tools"]}
    assert {"h5py", "rasterio", "rdflib", "zarr"} <= tools.keys()
    assert tools["rasterio"]["found"]
