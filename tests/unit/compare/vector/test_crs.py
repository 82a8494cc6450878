"""What is read of a CRS without PROJ is what PROJ says."""

from __future__ import annotations

from typing import Any

import pyproj
import pytest

from kfm_repro.compare.vector import crs
from kfm_repro.compare.vector.measure import GEOGRAPHIC, UNKNOWN_GROUND

CODES = [
    "EPSG:4326",
    "OGC:CRS84",
    "EPSG:4269",
    "EPSG:4979",
    "EPSG:4807",
    "EPSG:3857",
    "EPSG:26914",
    "EPSG:2796",
]


def spellings(code: str) -> list[Any]:
    found = pyproj.CRS(code)
    texts = [found.to_wkt(version) for version in ("WKT2_2019", "WKT1_ESRI")]
    if len(found.axis_info) == 2:
        texts.append(found.to_wkt("WKT1_GDAL"))
    return [code, found.to_json_dict(), *texts]


@pytest.mark.parametrize("code", CODES)
def test_the_ground_is_that_of_proj(code: str) -> None:
    for spelt in spellings(code):
        assert crs.ground_of_definition(spelt) == crs.ground_of(crs.parse(spelt)), spelt


@pytest.mark.parametrize("at", [1, 4])
def test_what_most_files_have_is_read_without_proj(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spelt = spellings("EPSG:4326")[at]
    monkeypatch.setattr(crs, "parse", lambda _: None)
    assert crs.ground_of_definition(spelt) == GEOGRAPHIC


def in_grads(document: dict[str, Any]) -> None:
    document["coordinate_system"]["axis"][0]["unit"] = {
        "type": "AngularUnit",
        "name": "grad",
        "conversion_factor": 0.0157,
    }


def without_axes(document: dict[str, Any]) -> None:
    document["coordinate_system"]["axis"] = 3


def without_datum(document: dict[str, Any]) -> None:
    document.pop("datum_ensemble")


@pytest.mark.parametrize("damage", [in_grads, without_axes, without_datum])
def test_what_is_not_plainly_in_degrees_is_asked_of_proj(
    damage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = pyproj.CRS("EPSG:4326").to_json_dict()
    damage(document)
    monkeypatch.setattr(crs, "parse", lambda _: None)
    assert crs.ground_of_definition(document) == UNKNOWN_GROUND
