from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from compared import Write, brief, compared, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.enums import Resampling

from kfm_repro.compare.context import Context, Options
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import OutputVerdict

GRID = np.random.default_rng(1).normal(size=(120, 150)).astype("f4")


def placed(north: float) -> Affine:
    return Affine(0.01, 0, 0, 0, -0.01, north)


def tif(values: Any = GRID, tags: dict[str, str] | None = None, palette: Any = None, **options: Any) -> Write:
    def write(path: Path) -> None:
        bands = values if values.ndim == 3 else values[None]
        profile: dict[str, Any] = {
            "driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2],
            "dtype": bands.dtype, "crs": 4326, "transform": placed(50), **options,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(bands)
            file.update_tags(**(tags or {}))
            if palette:
                file.write_colormap(1, palette)

    return write


def changed(*places: tuple[int, int], by: float = 1.0) -> Any:
    values = GRID.copy()
    for place in places:
        values[place] += np.float32(by)
    return values


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "deflate", "predictor": 3, "tiled": True, "blockxsize": 16, "blockysize": 16},
        {"compress": "lerc"},
        {"compress": "lerc_zstd"},
    ],
    ids=["deflate", "lerc", "lerc in zstd"],
)
def test_the_same_pixels_in_other_blocks_and_compression_are_layout(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    other = tif(**options)
    result = compared(tmp_path, tif(), other, "x.tif")
    assert brief(result) == {"block-layout:container"}
    assert result.verdict is OutputVerdict.EQUIVALENT


def test_changed_pixels_are_counted_with_their_box_and_the_largest_difference(tmp_path: Path) -> None:
    result = compared(tmp_path, tif(), tif(changed((10, 20), (30, 25))), "x.tif")
    (finding,) = result.findings
    assert (finding.kind, finding.where, finding.count, finding.of) == ("pixels", {"band": 1}, 2, GRID.size)
    assert finding.detail["box"] == {"rows": [10, 30], "columns": [20, 25]}
    assert finding.detail["max_abs"] == pytest.approx(1.0)


def test_one_ulp_everywhere_is_noise_and_says_so(tmp_path: Path) -> None:
    result = compared(tmp_path, tif(), tif(np.nextafter(GRID, np.float32(np.inf))), "x.tif")
    assert brief(result) == {"float-noise:noise@1"}
    assert result.findings[0].detail["max_ulp"] == 1
    assert result.findings[0].count == GRID.size


def test_noise_never_hides_a_changed_pixel(tmp_path: Path) -> None:
    values = np.nextafter(GRID, np.float32(np.inf))
    values[5, 5] = 99
    assert brief(compared(tmp_path, tif(), tif(values), "x.tif")) == {"pixels:value@1", "float-noise:noise@1"}


def test_a_declared_tolerance_covers_what_is_within_it_only(tmp_path: Path) -> None:
    context = Context(options=Options(tolerance={"*": 0.5}))
    within = compared(tmp_path, tif(), tif(changed((1, 1), by=0.25)), "x.tif", context)
    beyond = compared(tmp_path, tif(), tif(changed((1, 1), by=0.75)), "x.tif", context)
    assert brief(within) == {"pixels:tolerance@1"}
    assert brief(beyond) == {"pixels:value@1"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"crs": 4258}, "crs:value"),
        ({"transform": placed(50.001)}, "geotransform:value"),
        ({"transform": placed(50.00000000000001)}, "geotransform:noise"),
        ({"nodata": -1}, "nodata:value@1"),
        ({"tags": {"A": "1"}}, "attributes:value@/A"),
        ({"tags": {"TIFFTAG_SOFTWARE": "new"}}, "library-version:container@/Software"),
        ({"tags": {"TIFFTAG_DATETIME": "2026:02:03 21:14:08"}}, "timestamp:container@/DateTime"),
        ({"values": GRID[:100]}, "schema:value"),
        ({"values": GRID.astype("f8")}, "type:value@1"),
        ({"values": np.stack([GRID, GRID])}, "bands:value"),
    ],
)
def test_what_is_not_a_pixel_has_its_own_kind(tmp_path: Path, options: Any, expected: str) -> None:
    assert expected in brief(compared(tmp_path, tif(), tif(**options), "x.tif"))


def test_another_colour_of_the_palette_is_data(tmp_path: Path) -> None:
    values = (GRID * 50).astype("u1")
    a, b = (tif(values, palette={0: (1, 2, blue, 255)}) for blue in (3, 4))
    result = compared(tmp_path, a, b, "x.tif")
    assert brief(result) == {"bands:value@1"}
    assert result.findings[0].examples[0].a == '{"0":[1,2,3,255]}'


def test_blocks_written_twice_leave_dead_space(tmp_path: Path) -> None:
    tiled = {"tiled": True, "compress": "deflate", "blockxsize": 64, "blockysize": 64}

    def twice(path: Path) -> None:
        tif(**tiled)(path)
        with rasterio.open(path, "r+") as file:
            file.write(GRID + 1, 1)
            file.write(GRID, 1)

    assert "dead-space:container" in brief(compared(tmp_path, tif(**tiled), twice, "x.tif"))


def test_overviews_that_both_have_are_compared_beside_others(tmp_path: Path) -> None:
    def with_overviews(rule: Resampling, *factors: int) -> Write:
        def write(path: Path) -> None:
            tif()(path)
            with rasterio.open(path, "r+") as file:
                file.build_overviews(list(factors), rule)

        return write

    a, b = with_overviews(Resampling.average, 2, 4), with_overviews(Resampling.nearest, 4)
    assert brief(compared(tmp_path, a, b, "x.tif")) >= {"overviews:value@1", "overviews:container@1"}


def test_nodata_of_more_digits_than_a_double_keeps(tmp_path: Path) -> None:
    def filled(last: bytes) -> Write:
        def write(path: Path) -> None:
            tif(nodata=1234567890123456.0)(path)
            raw = path.read_bytes()
            assert b"1234567890123456\0" in raw
            path.write_bytes(raw.replace(b"1234567890123456\0", b"900719925474099" + last + b"\0"))

        return write

    assert "attributes:value" in " ".join(brief(compared(tmp_path, filled(b"2"), filled(b"3"), "x.tif")))


def test_overviews_by_another_rule_are_other_pixels_and_a_lack_of_them_is_not(tmp_path: Path) -> None:
    def with_overviews(rule: Resampling) -> Write:
        def write(path: Path) -> None:
            tif(tiled=True, blockxsize=64, blockysize=64)(path)
            with rasterio.open(path, "r+") as file:
                file.build_overviews([2], rule)

        return write

    average, nearest = with_overviews(Resampling.average), with_overviews(Resampling.nearest)
    assert "overviews:value@1" in brief(compared(tmp_path, average, nearest, "x.tif"))
    without = tif(tiled=True, blockxsize=64, blockysize=64)
    assert compared(tmp_path, average, without, "x.tif").verdict is OutputVerdict.EQUIVALENT


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_two_rasters_are_called_equal_unless_their_pixels_are(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["u1", "i2", "u4", "f4", "f8"]))
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    a, b = (data.draw(arrays.arrays(kind, shape)) for _ in "ab")
    result = compared(tmp_path, tif(a), tif(b, compress="lzw"), "x.tif")
    # GDAL leaves out a block of zeros that is not packed, and the signs of these with it.
    tif(a)(tmp_path / "held.tif")
    with rasterio.open(tmp_path / "held.tif") as held:
        a = held.read(1)
    same = np.array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}"))
    assert (brief(result) == {"block-layout:container"}) is same
    counted = sum(finding.count for finding in result.findings if finding.where.get("band"))
    assert counted == np.count_nonzero(a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}"))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("damage", ["cut", "empty", "header", "blocks", "text"])
def test_trouble_on_either_side_is_said_and_never_equal(
    tmp_path: Path, damage: str, *, swapped: bool
) -> None:
    whole = written(tmp_path, "w", "x.tif", tif(compress="deflate")).read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "header": whole[:4] + b"\xff" * 8 + whole[12:],
        "blocks": whole[:20_000] + bytes(5_000) + whole[25_000:],
        "text": b"no raster at all",
    }[damage]
    sides = (broken, whole) if swapped else (whole, broken)
    result = compared(tmp_path, *sides, "x.tif")
    assert result.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)
    assert all("Traceback" not in finding.evidence for finding in result.findings)


def test_without_rasterio_the_answer_is_unknown_and_names_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = [written(tmp_path, side, "x.tif", tif(GRID + n)).read_bytes() for n, side in enumerate("ab")]
    monkeypatch.setitem(sys.modules, "rasterio", None)
    result = compared(tmp_path, *sides, "x.tif")
    assert result.verdict is OutputVerdict.UNKNOWN
    assert "pip install 'kfm-repro[raster]'" in result.findings[0].evidence


def test_white_is_zero_against_black_is_zero_is_another_picture(tmp_path: Path) -> None:
    values = (GRID * 50).astype("u1")
    a, b = tif(values, photometric="MINISBLACK"), tif(values, photometric="MINISWHITE")
    assert compared(tmp_path, a, b, "x.tif").verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((120, 150), {}),
        ((400, 30), {"tiled": True, "blockxsize": 16, "blockysize": 16}),
        ((7, 5), {}),
        ((1, 300), {}),
    ],
)
def test_where_pixels_differ_is_counted_by_place(
    tmp_path: Path, shape: tuple[int, int], options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 200, shape).astype("u1")
    changed = rng.random(shape) < 0.2
    b = np.where(changed, a + 1, a).astype("u1")
    (finding,) = compared(tmp_path, tif(a, **options), tif(b, **options), "x.tif").findings
    grid = finding.figures.density
    step = math.ceil(max(shape) / 48)
    expected: dict[tuple[int, int], int] = {}
    for row, column in zip(*changed.nonzero(), strict=True):
        cell = (int(column) // step, int(row) // step)
        expected[cell] = expected.get(cell, 0) + 1
    assert {(column, row): count for column, row, count in grid.cells} == expected
    assert sum(expected.values()) == finding.count
    assert (grid.rows, grid.columns) == tuple(math.ceil(side / step) for side in shape)


def test_a_picture_that_differs_everywhere_is_drawn_without_a_pattern(tmp_path: Path) -> None:
    a = np.zeros((300, 400), "u1")
    (finding,) = compared(tmp_path, tif(a), tif(a + 1), "x.tif").findings
    grid = finding.figures.density
    inner = {n for column, row, n in grid.cells if column < grid.columns - 1 and row < grid.rows - 1}
    assert inner == {81}


def test_only_some_bands_of_many_are_drawn(tmp_path: Path) -> None:
    a = np.zeros((40, 9, 9), "u1")
    findings = compared(tmp_path, tif(a), tif(a + 1), "x.tif").findings
    drawn = sorted(finding.where["band"] for finding in findings if isinstance(finding.figures, Figures))
    assert (drawn, len(findings)) == ([1, 2, 3, 4, 5, 6, 7, 8], 40)
