import struct
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import shapely

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import compare_files


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    def write(a: Any, b: Any, edit: Any = None, **options: Any) -> Any:
        paths = []
        for side, frame, own in (("a", a, {}), ("b", b, options)):
            paths.append(tmp_path / f"{side}.fgb")
            frame.to_file(paths[-1], driver="FlatGeobuf", **({"layer": "counties"} | own))
        if edit is not None:
            raw = bytearray(paths[1].read_bytes())
            edit(raw)
            paths[1].write_bytes(raw)
        result = compare_files(*paths, name="counties.fgb", context=Context())
        return sorted((str(f.kind), str(f.rung)) for f in result.findings)

    return write


def test_the_index_brings_features_into_one_order(pair: Any, counties: Any) -> None:
    assert pair(counties, counties.sample(frac=1, random_state=3)) == []


def test_ties_of_the_index_are_feature_order(pair: Any, counties: Any) -> None:
    coincident = counties.assign(geometry=[shapely.Point(-98, 38)] * len(counties))
    found = pair(coincident, coincident.iloc[::-1])
    assert {kind for kind, _ in found} == {"feature-order"}


def test_no_index_is_packaging(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, SPATIAL_INDEX="NO")
    assert ("spatial-index", "container") in found
    assert {rung for _, rung in found} <= {"container", "order"}


def test_an_index_that_leads_elsewhere_is_data(pair: Any, counties: Any) -> None:
    def exchange(raw: bytearray) -> None:
        header = 12 + int.from_bytes(raw[8:12], "little")
        leaves = header + 40 * (1 + 7)
        raw[leaves : leaves + 80] = raw[leaves + 40 : leaves + 80] + raw[leaves : leaves + 40]

    assert ("spatial-index", "value") in pair(counties, counties, exchange)


@pytest.mark.parametrize("edit", [(0, 0, 50.0), (3, 3, -50.0), (2, 4, 8)], ids=["root", "box", "child"])
def test_an_entry_above_that_leads_elsewhere_is_data(
    pair: Any, counties: Any, edit: tuple[int, int, float]
) -> None:
    entry, field, step = edit

    def mislead(raw: bytearray) -> None:
        form = "<d" if field < 4 else "<Q"
        at = 12 + int.from_bytes(raw[8:12], "little") + 40 * entry + 8 * field
        struct.pack_into(form, raw, at, struct.unpack_from(form, raw, at)[0] + step)

    assert ("spatial-index", "value") in pair(counties, counties, mislead)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 257])
def test_files_of_any_length_are_read(pair: Any, counties: Any, count: int) -> None:
    frame = counties.iloc[[0] * count].assign(geoid=range(count))
    assert {rung for _, rung in pair(frame, frame, SPATIAL_INDEX="NO")} <= {"container", "order"}
    assert pair(frame, frame.assign(name="other")) == [("value", "value")]


def test_another_name_of_the_layer_is_said(pair: Any, counties: Any) -> None:
    assert pair(counties, counties, layer="towns") == [("layer-name", "value")]


def test_options_of_the_library_are_left_as_they_were(pair: Any, counties: Any) -> None:
    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "NO"})
    try:
        pair(counties, counties.iloc[:9])
        assert pyogrio.get_gdal_config_option("SHAPE_RESTORE_SHX") == "NO"
        assert pyogrio.get_gdal_config_option("CPL_VSIL_CURL_ALLOWED_EXTENSIONS") is None
    finally:
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})
